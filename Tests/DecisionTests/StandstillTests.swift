// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// A daemon that stood still (SIGSTOP, a suspended machine) for longer than contact lasts.
struct StandstillTests {
    let address = Script.address
    let place = Script.place

    /// Holds the address, and has just read etcd; answers also when the right ends.
    private func holding(isFailsafeEnabled: Bool = false) -> (Script, until: Instant) {
        var n1 = Script.holding(isFailsafeEnabled: isFailsafeEnabled)
        let ttl = isFailsafeEnabled ? Script.failsafeTTL : .seconds(30)
        while !n1.wake().contains(.read) {}
        let asked = n1.now
        let kept = Event.leaseKept(self.address, lease: 11, ttl: ttl, sentAt: asked, by: Script.answerer())
        _ = n1.on(kept, after: .zero)
        let answer = etcd(leader: "n1", holder: mine(11), revision: 6, isFailsafeEnabled: isFailsafeEnabled)
        _ = n1.on(.readAnswered(answer, sentAt: asked), after: .zero)
        _ = n1.on(.assigned(self.address), after: .zero)
        return (n1, asked + ttl - n1.core.node.margin)
    }

    private static func isLoss(_ report: Report) -> Bool { if case .contactLost = report { true } else { false } }

    @Test func `who stood still loses no contact by that, and has the whole time to hear of etcd again`() {
        var (n1, _) = self.holding()
        #expect(n1.on(.tick, after: .seconds(20)).contains(.read))
        #expect(n1.reports == [] && n1.core.hasContact)
        let awake = n1.now
        var answered = n1
        _ = answered.read(etcd(leader: "n1", holder: mine(11), revision: 6))
        #expect(answered.reports == [] && answered.core.hasContact)
        // Nobody answers: then it is the others who keep silent.
        while n1.core.hasContact, n1.now - awake < .seconds(60) { _ = n1.wake() }
        #expect(n1.now - awake > .seconds(9) && n1.now - awake <= .seconds(15))
        #expect(n1.reports.contains(where: Self.isLoss))
    }

    @Test func `contact that ages after a standstill does so though nothing is overdue`() {
        var (n1, _) = self.holding()
        _ = n1.on(.tick, after: .seconds(20))
        let awake = n1.now
        // It fails over and over, but says so of a time of before: something newer was read.
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 6), sentAt: awake - .seconds(19)))
        while n1.core.hasContact, n1.now - awake < .seconds(60) {
            if n1.wake().contains(.read) {
                let late = awake - .seconds(19)
                _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 6), sentAt: late), after: .zero)
            }
        }
        #expect(n1.now - awake <= .seconds(15))
    }

    @Test func `no right lives longer by a standstill`() {
        var (n1, until) = self.holding()
        // One second before its end, the right is what it was; at its end, the address goes.
        var early = n1
        _ = early.on(.tick, after: until - .seconds(1) - early.now)
        #expect(early.core.hasContact)
        #expect(early.core.leases[0].right == until)
        #expect(n1.on(.tick, after: until - n1.now).contains(.remove(self.address, self.place)))
        #expect(n1.core.hasContact && n1.core.leases[0].right.map { $0 <= until } == true)
    }

    @Test func `Patroni's failsafe mode is asked for at once by who stood still, as what was read is old`() {
        var (n1, _) = self.holding(isFailsafeEnabled: true)
        var short = n1
        #expect(!short.on(.tick, after: .seconds(14)).contains(.askPatroni))
        // By the time that what was read is too old, whatever the daemon did meanwhile.
        while !short.wake().contains(.askPatroni), short.core.hasContact {}
        #expect(short.now - n1.now > .seconds(18) && short.now - n1.now < .seconds(20))
        #expect(n1.on(.tick, after: .seconds(25)).contains(.askPatroni))
        #expect(n1.core.hasContact && n1.core.unansweredForLeases == [])
    }

    @Test func `the lease is renewed anew with the first read after a standstill, also where a renewal is under way`() {
        var (n1, _) = self.holding()
        // It is sent, and the daemon stands still before it is answered.
        while !n1.wake().contains(.keepAlive(self.address, lease: 11)) {}
        _ = n1.on(.tick, after: .seconds(20))
        let answer = etcd(leader: "n1", holder: mine(11), revision: 6)
        #expect(n1.on(.readAnswered(answer, sentAt: n1.now)).contains(.keepAlive(self.address, lease: 11)))
    }
}
