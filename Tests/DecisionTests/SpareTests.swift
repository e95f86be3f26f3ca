// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The lease that a member keeps ready while another leads.
struct SpareTests {
    let address = Script.address
    let place = Script.place
    static let spec = AddressSpec(
        id: Script.address, prefixLength: 24, interface: "eth0", acquire: .leaderKey)
    let acquire = Action.acquire(Script.address, lease: 11, clusterID: Script.cluster)
    let grant = Action.grantLease(Script.address, ttl: .seconds(30))
    let keepAlive = Action.keepAlive(Script.address, lease: 11)

    /// n1 looks on while n2 holds the address, and has lease 11 ready, granted just now.
    private func standby(holder: Holder? = theirs(40), isPaused: Bool = false, leader: String? = "n2") -> Script {
        let snapshot = etcd(leader: leader, holder: holder, isPaused: isPaused)
        var n1 = Script.started(snapshot, Script([Self.spec]))
        #expect(n1.wake() == [.read, self.grant])
        #expect(n1.granted(11) == [])
        #expect(n1.read(snapshot) == [])
        return n1
    }

    /// The next periodic read, answered; answers what else was asked for with it.
    private func period(_ n1: inout Script, _ snapshot: Snapshot = etcd(leader: "n2", holder: theirs(40))) -> [Action] {
        let actions = n1.wake()
        #expect(actions.first == .read)
        _ = n1.read(snapshot)
        return Array(actions.dropFirst())
    }

    private func kept(_ n1: inout Script, ttl: Duration = .seconds(30)) {
        #expect(n1.on(.leaseKept(self.address, lease: 11, ttl: ttl, sentAt: n1.now, by: Script.answerer())) == [])
    }

    @Test func `a member that does not lead keeps a lease alive, with one request in each period`() {
        var n1 = self.standby()
        let begin = n1.now
        for _ in 0..<10 {
            #expect(self.period(&n1) == [self.keepAlive])
            self.kept(&n1)
        }
        #expect(n1.now - begin > .seconds(49))
        #expect(n1.stance == .leave(.leaderIsAnother("n2")))
    }

    @Test func `a new leader acquires at once, and the lifetime counts from the last keep-alive that was answered`() {
        var n1 = self.standby()
        #expect(self.period(&n1) == [self.keepAlive])
        let sent = n1.now
        self.kept(&n1)
        #expect(n1.watched(8, .leader("n1"), after: .seconds(1)) == [])
        #expect(n1.stance == .wait(.heldByAnother("n2")))
        #expect(n1.watched(9, .holder(self.address, nil)) == [self.acquire])
        let until = sent + .seconds(30) - Script.margin
        #expect(n1.acquired(11, 10) == [.assign(Self.spec, until: until, isPresent: false)])
        #expect(n1.on(.assigned(self.address)) == [.startAnnouncing(Self.spec)])
        #expect(n1.wake() == [.read, self.keepAlive])
    }

    @Test func `a lease whose keep-alives were lost is acquired with, and kept alive in the same moment`() {
        var n1 = self.standby(holder: nil)
        let granted = n1.now
        #expect(self.period(&n1, etcd(leader: "n2")) == [self.keepAlive])
        _ = n1.on(.leaseUnanswered(self.address, lease: 11, reason: "timeout"))
        #expect(n1.watched(8, .leader("n1"), after: .seconds(1)) == [self.acquire, self.keepAlive])
        let sent = n1.now
        let actions = n1.acquired(11, 9)
        guard case .assign(Self.spec, let until, isPresent: false)? = actions.first, actions.count == 1 else {
            Issue.record("\(actions)")
            return
        }
        #expect(until <= granted + .seconds(30) - Script.margin)
        _ = n1.on(.assigned(self.address))
        let renewed = n1.on(.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: sent, by: Script.answerer()))
        #expect(renewed == [.assign(Self.spec, until: sent + .seconds(30) - Script.margin, isPresent: true)])
    }

    @Test func `a lease that ended unnoticed is replaced at once, the first time`() {
        var n1 = self.standby(holder: nil)
        #expect(n1.watched(8, .leader("n1")) == [self.acquire])
        #expect(n1.on(.acquireFoundNoLease(self.address, lease: 11)) == [self.grant])
        #expect(n1.granted(12) == [.acquire(self.address, lease: 12, clusterID: Script.cluster)])
        #expect(!n1.on(.acquireFoundNoLease(self.address, lease: 12)).contains(self.grant))
        #expect(!n1.on(.tick, after: .milliseconds(399)).contains(self.grant))
        #expect(n1.on(.tick, after: .milliseconds(1)).contains(self.grant))
    }

    @Test func `a take-over whose lease ended unnoticed gets another`() {
        var n1 = Script.started(etcd(leader: "n1", holder: mine(9)), Script([Self.spec]), found: [self.place])
        #expect(n1.granted(11).contains(.takeOver(self.address, lease: 11, from: 9, clusterID: Script.cluster)))
        #expect(n1.on(.acquireFoundNoLease(self.address, lease: 11)) == [self.grant])
        #expect(n1.granted(12) == [.takeOver(self.address, lease: 12, from: 9, clusterID: Script.cluster)])
    }

    @Test func `a lease that etcd knows no more is replaced with the next read, or at once by a leader`() {
        var n1 = self.standby()
        #expect(self.period(&n1) == [self.keepAlive])
        #expect(n1.on(.leaseGone(self.address, lease: 11)) == [])
        #expect(self.period(&n1) == [self.grant])
        _ = n1.granted(12)
        _ = n1.watched(8, .leader("n1"))
        #expect(n1.on(.leaseGone(self.address, lease: 12)) == [self.grant])
    }

    @Test func `after a switchover another lease is made ready, and the released one never used again`() {
        var n1 = Script.holding()
        _ = n1.watched(8, .leader("n2"))
        #expect(
            n1.on(.removed(self.address, self.place, wasPresent: true)) == [
                .revoke(self.address, lease: 11)
            ])
        #expect(n1.on(.leaseRevoked(self.address, lease: 11)) == [])
        #expect(n1.watched(9, .holder(self.address, theirs(40))) == [])
        #expect(n1.read(etcd(leader: "n2", holder: theirs(40), revision: 9)) == [])
        var asked: [Action] = []
        for _ in 0..<3 where asked.isEmpty { asked = self.period(&n1) }
        #expect(asked == [self.grant])
    }

    @Test func `an acquisition without an answer makes a lease unfit to be kept`() {
        var n1 = self.standby(holder: nil)
        #expect(n1.watched(8, .leader("n1")) == [self.acquire])
        _ = n1.on(.acquireUnanswered(self.address, lease: 11, reason: "timeout"))
        #expect(n1.watched(9, .leader("n2")) == [.revoke(self.address, lease: 11)])
        // One that was refused has no key.
        var n2 = self.standby(holder: nil)
        #expect(n2.watched(8, .leader("n1")) == [self.acquire])
        let found = etcd(leader: "n3", revision: 9)
        #expect(n2.on(.acquireRefused(self.address, lease: 11, found: found, sentAt: n2.now)) == [])
        #expect(n2.stance == .leave(.leaderIsAnother("n3")))
        #expect(n2.watched(10, .leader("n1")).isEmpty)
        #expect(n2.on(.tick, after: .milliseconds(200)).contains(self.acquire))
    }

    @Test func `a stop ends the lease that was kept ready, and waits for nothing`() {
        var n1 = self.standby()
        #expect(n1.on(.stop) == [.revoke(self.address, lease: 11), .exit])
        #expect(n1.reports.last == .stopped(unreleased: []))
    }

    @Test func `when Patroni's ttl changes, the lease is replaced with the next read`() {
        for ttl: Duration in [.seconds(20), .seconds(60)] {
            var n1 = self.standby()
            _ = n1.watched(8, .patroni(DynamicConfig(ttl: ttl)))
            let snapshot = etcd(leader: "n2", holder: theirs(40), revision: 8, ttl: ttl)
            #expect(
                self.period(&n1, snapshot) == [
                    .revoke(self.address, lease: 11), .grantLease(self.address, ttl: ttl),
                ])
            #expect(n1.granted(12, ttl: ttl) == [])
            #expect(self.period(&n1, snapshot) == [.keepAlive(self.address, lease: 12)])
        }
    }

    @Test func `a reload with another ttl replaces the lease; one that changes nothing keeps it`() {
        var n1 = self.standby()
        var settings = CoreSettings(member: "n1", node: "boot-a", addresses: [Self.spec], clockDrift: 10_000)
        #expect(
            n1.on(.reconfigured(settings), after: .milliseconds(200)) == [.read, self.keepAlive, .inspect])
        _ = n1.listed()
        self.kept(&n1)
        _ = n1.read(etcd(leader: "n2", holder: theirs(40)))
        settings.leaseTTL = .seconds(10)
        #expect(
            n1.on(.reconfigured(settings), after: .milliseconds(200)) == [
                .read, .revoke(self.address, lease: 11), .grantLease(self.address, ttl: .seconds(10)), .inspect,
            ])
    }

    @Test func `an etcd that grants another time than was asked for is not asked over and over`() {
        var n1 = Script.started(etcd(leader: "n2"), Script([Self.spec], leaseTTL: .seconds(6)))
        #expect(n1.wake() == [.read, .grantLease(self.address, ttl: .seconds(6))])
        _ = n1.granted(11, ttl: .seconds(9))
        _ = n1.read(etcd(leader: "n2"))
        for _ in 0..<3 {
            #expect(self.period(&n1, etcd(leader: "n2")) == [self.keepAlive])
            self.kept(&n1, ttl: .seconds(9))
        }
    }

    @Test func `a lease is refused once in a period at most, and not asked for while etcd is silent`() {
        var n1 = Script.started(etcd(leader: "n2", holder: theirs(40)), Script([Self.spec]))
        let begin = n1.now
        var asked = 0
        while n1.now - begin < .seconds(60) {
            let actions = n1.wake()
            if actions.contains(.read) { _ = n1.read(etcd(leader: "n2", holder: theirs(40)), after: .zero) }
            guard actions.contains(self.grant) else { continue }
            asked += 1
            _ = n1.on(.leaseRefused(self.address, reason: "permission denied"))
        }
        #expect((11...12).contains(asked))
        for _ in 0..<20 {
            _ = n1.on(.readFailed(reason: "timeout"))
            #expect(!n1.wake().contains(self.grant))
        }
    }

    @Test func `in a quarantined etcd a lease is made ready, and the key left alone`() {
        var n1 = Script.started(etcd(leader: "n2", isQuarantined: true), Script([Self.spec]))
        #expect(n1.wake() == [.read, self.grant])
        #expect(n1.granted(11) == [])
        #expect(n1.watched(8, .leader("n1")) == [])
        #expect(n1.stance == .wait(.quarantine))
        #expect(n1.watched(9, .quarantine(false)) == [self.acquire])
    }

    @Test func `in another etcd the lease of the old one is forgotten`() {
        var n1 = self.standby()
        let other = etcd(leader: "n2", revision: 3, cluster: 8, mark: 8, isQuarantined: true)
        #expect(n1.read(other, after: .seconds(1)) == [])
        #expect(self.period(&n1, other) == [self.grant])
        #expect(n1.granted(12) == [])
        // As long as anything that the former one granted can run.
        _ = n1.on(.watched(clusterID: 8, revision: 4, changes: [.quarantine(false)]), after: .milliseconds(26_500))
        let actions = n1.on(.watched(clusterID: 8, revision: 5, changes: [.leader("n1")]))
        #expect(actions.contains(.acquire(self.address, lease: 12, clusterID: 8)))
        #expect(!actions.contains { if case .acquire(_, let lease, _, _) = $0 { lease != 12 } else { false } })
    }

    @Test func `in maintenance without a leader the lease is kept, and nothing acquired`() {
        var n1 = self.standby(holder: nil, isPaused: true, leader: nil)
        #expect(n1.stance == .leave(.noLeader))
        #expect(self.period(&n1, etcd(isPaused: true)) == [self.keepAlive])
        #expect(n1.stance == .leave(.noLeader))
    }

    @Test func `a key that was lost is acquired again after a second at the earliest, also with a lease at hand`() {
        var n1 = Script.holding(Script([Self.spec]))
        #expect(
            n1.watched(9, .holder(self.address, nil)) == [
                .stopAnnouncing(Self.spec), .remove(self.address, self.place), .read,
            ])
        let lost = n1.now
        _ = n1.on(.removed(self.address, self.place, wasPresent: true))
        _ = n1.on(.leaseRevoked(self.address, lease: 11))
        _ = n1.watched(10, .leader("n2"))
        _ = n1.read(etcd(leader: "n2", revision: 10))
        // Any reason to read will do.
        let settings = CoreSettings(member: "n1", node: "boot-a", addresses: [Self.spec], clockDrift: 10_000)
        #expect(n1.on(.reconfigured(settings)).contains(self.grant))
        #expect(n1.granted(12) == [])
        _ = n1.read(etcd(leader: "n2", revision: 10))
        let again = Action.acquire(self.address, lease: 12, clusterID: Script.cluster)
        #expect(!n1.watched(11, .leader("n1"), after: .milliseconds(200)).contains(again))
        #expect(n1.stance == .hold)
        #expect(n1.now - lost < .seconds(1))
        #expect(n1.on(.tick, after: lost + .seconds(1) - n1.now).contains(again))
    }

    @Test func `a key that an earlier process acquired late is given back with the lease at hand`() {
        var n1 = self.standby(holder: nil)
        #expect(
            n1.watched(8, .holder(self.address, mine(9))) == [
                .revoke(self.address, lease: 11), .revoke(self.address, lease: 9),
            ])
        #expect(n1.on(.leaseRevoked(self.address, lease: 9)) == [])
        #expect(self.period(&n1, etcd(leader: "n2", revision: 9)) == [self.grant])
    }
}
