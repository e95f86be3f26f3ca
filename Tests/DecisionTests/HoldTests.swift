// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Holding, releasing, losing.
struct HoldTests {
    let address = Script.address
    let spec = Script.spec
    let place = Script.place

    @Test func `every sixth of the TTL the leader is read, the lease kept, and then the lifetime set anew`() {
        var n1 = Script.holding()
        // The first read was due early, while the address was waited for.
        _ = self.awaitRead(&n1)
        let first = n1.now
        _ = n1.on(.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: first, by: Script.answerer()))
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: first))
        #expect(self.awaitRead(&n1) == [.read, .keepAlive(self.address, lease: 11)])
        let sent = n1.now
        #expect(sent - first == .seconds(5))
        #expect(
            n1.on(.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: sent, by: Script.answerer())) == [])
        let answer = Event.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: sent)
        let until = sent + .seconds(30) - Script.margin
        #expect(n1.on(answer).first == .assign(self.spec, until: until, isPresent: true))
        #expect(n1.on(.assigned(self.address)) == [])
        #expect(n1.status?.until == until)
    }

    /// Answers for PostgreSQL until the core reads etcd.
    private func awaitRead(_ n1: inout Script) -> [Action] {
        for _ in 0..<20 {
            let actions = n1.wake()
            if actions.contains(.read) { return actions }
            if actions.contains(.askPostgres) { _ = n1.on(.postgres(.primary, askedAt: n1.now), after: .zero) }
        }
        return []
    }

    /// Holds under a lease of 6 s, of which the margin leaves `right`, renewed and given to the kernel just now.
    private func holdingBriefly(_ right: Duration) -> Script {
        var n1 = Script.started(etcd(leader: "n1"), Script(leaseTTL: .seconds(6)))
        _ = n1.on(.reconfigured(self.brief(right)))
        // Half a second after the start: whole seconds count from the assignment.
        _ = n1.read(etcd(leader: "n1"), after: .milliseconds(500))
        _ = n1.postgres(.primary)
        _ = n1.granted(11, ttl: .seconds(6))
        _ = n1.acquired(11, 5)
        _ = n1.on(.assigned(self.address))
        #expect(self.awaitRead(&n1).contains(.read))
        #expect(self.renewed(&n1) == .assign(self.spec, until: n1.now + right, isPresent: true))
        _ = n1.on(.assigned(self.address))
        return n1
    }

    private func brief(_ right: Duration) -> CoreSettings {
        CoreSettings(
            member: "n1", node: "boot-a", addresses: [self.spec], leaseTTL: .seconds(6),
            margin: .seconds(6) - .milliseconds(60) - right, clockDrift: 10_000)
    }

    /// The read and the keep-alive that were sent now are answered at once; answers whether the right is passed on.
    private func renewed(_ n1: inout Script) -> Action? {
        let sent = n1.now
        let kept = Event.leaseKept(
            self.address, lease: 11, ttl: .seconds(6), sentAt: sent, by: Script.answerer())
        let read = Event.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: sent)
        return (n1.on(read, after: .zero) + n1.on(kept, after: .zero)).first {
            if case .assign = $0 { true } else { false }
        }
    }

    /// A reload reads etcd at once, and the next read follows one renewal later.
    @Test func `a renewal that gains little is passed on where the kernel's whole seconds end before the next one`() {
        // Of 1.99 s the kernel has one, which a read 0.14 s later would not outlast.
        var n1 = self.holdingBriefly(.milliseconds(1990))
        #expect(n1.on(.reconfigured(self.brief(.milliseconds(1990))), after: .milliseconds(140)).contains(.read))
        let until = n1.now + .milliseconds(1990)
        #expect(self.renewed(&n1) == .assign(self.spec, until: until, isPresent: true))
        // Once: the same right is not passed on again.
        #expect(n1.on(.assigned(self.address)) == [])
        #expect(n1.on(.tick, after: .milliseconds(500)) == [])
        // Of 2.2 s it has two, which last.
        var n2 = self.holdingBriefly(.milliseconds(2200))
        #expect(n2.on(.reconfigured(self.brief(.milliseconds(2200))), after: .milliseconds(140)).contains(.read))
        #expect(self.renewed(&n2) == nil)
    }

    @Test func `a lease that is kept while reads fail does not prolong the lifetime`() {
        var n1 = Script.holding()
        let read = n1.now
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: read))
        for _ in 0..<9 {
            let kept = Event.leaseKept(
                self.address, lease: 11, ttl: .seconds(30), sentAt: n1.now, by: Script.answerer())
            for action in n1.on(kept, after: .seconds(3)) {
                if case .assign(_, let until, _) = action { #expect(until <= read + .seconds(30) - Script.margin) }
            }
            _ = n1.on(.assigned(self.address))
            _ = n1.on(.readFailed(reason: "timeout"))
        }
        #expect(n1.on(.tick, after: .seconds(2)).contains(.remove(self.address, self.place)))
    }

    @Test func `a switchover: address off first, key after, and nothing else`() {
        var n1 = Script.holding()
        #expect(n1.watched(8, .leader("n2")) == [.stopAnnouncing(self.spec), .remove(self.address, self.place)])
        #expect(n1.stance == .leave(.leaderIsAnother("n2")))
        #expect(
            n1.on(.removed(self.address, self.place, wasPresent: true)) == [
                .revoke(self.address, lease: 11)
            ])
        #expect(n1.on(.leaseRevoked(self.address, lease: 11)) == [])
        #expect(n1.reports == [.released(self.address, lease: 11)])
    }

    @Test func `the key stays as long as the address cannot be removed, or anything stands elsewhere`() {
        var n1 = Script.holding()
        #expect(n1.watched(8, .leader("n2")) == [.stopAnnouncing(self.spec), .remove(self.address, self.place)])
        #expect(
            n1.on(.removeFailed(self.address, self.place, reason: "busy"), after: .milliseconds(200)) == [.inspect])
        _ = n1.listed([self.place])
        #expect(n1.on(.tick, after: .milliseconds(150)) == [])
        #expect(n1.on(.tick, after: .milliseconds(51)) == [.remove(self.address, self.place)])
        let stray = KernelPlace(interface: "eth1", prefixLength: 24)
        #expect(n1.on(.kernelSaw(.init(address: self.address, place: stray))) == [.inspect])
        _ = n1.on(.removed(self.address, self.place, wasPresent: true))
        #expect(n1.status?.lease == nil)
        var second = Script.holding()
        _ = second.on(.kernelChanged, after: .milliseconds(200))
        #expect(second.listed([self.place, stray]) == [.removeStray(self.address, stray)])
        _ = second.watched(8, .leader("n2"))
        let failed = Event.removeFailed(self.address, stray, reason: "busy")
        #expect(second.on(failed, after: .milliseconds(200)) == [.inspect])
        _ = second.listed([self.place, stray])
        #expect(second.on(.tick, after: .milliseconds(201)) == [.remove(self.address, self.place)])
        #expect(
            second.on(.removed(self.address, self.place, wasPresent: true)) == [
                .removeStray(self.address, stray)
            ])
        #expect(
            second.on(.removed(self.address, stray, wasPresent: true)) == [.revoke(self.address, lease: 11)])
    }

    @Test func `a revocation without an answer is repeated each second until the key is known to be gone`() {
        var n1 = Script.holding()
        _ = n1.watched(8, .leader("n2"))
        _ = n1.on(.removed(self.address, self.place, wasPresent: true))
        #expect(n1.on(.leaseUnanswered(self.address, lease: 11, reason: "timeout")) == [])
        #expect(n1.on(.tick, after: .milliseconds(999)) == [])
        #expect(n1.on(.tick, after: .milliseconds(1)) == [.revoke(self.address, lease: 11)])
        _ = n1.on(.leaseUnanswered(self.address, lease: 11, reason: "permission denied"))
        #expect(n1.watched(9, .holder(self.address, nil)) == [])
        #expect(n1.reports == [.released(self.address, lease: 11)])
        #expect(!n1.on(.tick, after: .seconds(2)).contains(.revoke(self.address, lease: 11)))
    }

    @Test func `a held address stays while PostgreSQL restarts, and leaves when it is found in recovery`() {
        var n1 = Script.holding()
        #expect(n1.postgres(.unreachable(reason: "starting up")) == [])
        #expect(n1.stance == .hold)
        #expect(n1.postgres(.standby) == [.stopAnnouncing(self.spec), .remove(self.address, self.place)])
        #expect(n1.stance == .leave(.inRecovery))
    }

    @Test func `PostgreSQL is asked anew as soon as it has ended the connection, but not without pause`() {
        var n1 = Script.holding()
        _ = n1.on(.tick, after: .seconds(1))
        #expect(n1.on(.postgresDisconnected) == [.askPostgres])
        #expect(n1.postgres(.primary) == [])
        // A server that hangs up after every answer.
        #expect(n1.on(.postgresDisconnected) == [])
        #expect(n1.wakesIn <= .milliseconds(100))
        #expect(n1.on(.tick, after: .milliseconds(100)) == [.askPostgres])
        #expect(n1.postgres(.standby) == [.stopAnnouncing(self.spec), .remove(self.address, self.place)])
    }

    @Test func `a key that somebody deleted is given up, and taken again after a second`() {
        var n1 = Script.holding()
        let actions = n1.watched(9, .holder(self.address, nil))
        #expect(actions == [.stopAnnouncing(self.spec), .remove(self.address, self.place), .read])
        #expect(
            n1.on(.removed(self.address, self.place, wasPresent: true)) == [
                .revoke(self.address, lease: 11)
            ])
        _ = n1.on(.leaseRevoked(self.address, lease: 11))
        _ = n1.on(.readAnswered(etcd(leader: "n1", revision: 9), sentAt: n1.now))
        _ = n1.on(.readAnswered(etcd(leader: "n1", revision: 9), sentAt: n1.now))
        _ = n1.postgres(.primary)
        #expect(!n1.on(.tick, after: .milliseconds(500)).contains(.grantLease(self.address, ttl: .seconds(30))))
        #expect(n1.on(.tick, after: .milliseconds(600)).contains(.grantLease(self.address, ttl: .seconds(30))))
    }

    @Test func `a late answer to an acquisition that nobody waits for is revoked`() {
        var n1 = Script.started(etcd(leader: "n2"))
        #expect(n1.acquired(99, 6) == [.revoke(self.address, lease: 99)])
        #expect(n1.granted(98) == [.revoke(self.address, lease: 98)])
    }

    @Test func `an acquisition that is older than the leader's successor is given back`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        #expect(n1.watched(8, .leader("n2")) == [])
        #expect(n1.acquired(11, 5) == [.revoke(self.address, lease: 11)])
    }

    /// The transaction's answer was lost, and Patroni's `ttl` is raised again: the lease is too short now, but the key may come to stand
    /// under it at any moment, and would end with it.
    @Test func `a lease that the key may come to stand under is never given back while the kernel has the address`() {
        var n1 = Script.holding()
        let lowered = DynamicConfig(ttl: .seconds(20), loopWait: .seconds(5))
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: n1.now))
        _ = n1.watched(9, .patroni(lowered))
        _ = n1.on(.assigned(self.address))
        let moved = Action.takeOver(self.address, lease: 12, from: 11, clusterID: Script.cluster)
        #expect(n1.granted(12, ttl: .seconds(20)) == [moved])
        _ = n1.on(.acquireUnanswered(self.address, lease: 12, reason: "timeout"))
        var actions = n1.watched(10, .patroni(DynamicConfig(ttl: .seconds(30))))
        for _ in 0..<20 { actions += n1.wake() }
        #expect(!actions.contains(.revoke(self.address, lease: 12)))
        #expect(actions.contains(moved))
    }

    /// Somebody has put the address on another interface meanwhile, without an end: the key goes under no shorter lease until that is gone.
    @Test func `a lease in doubt is not tried again while the kernel's end is not known`() {
        var n1 = Script.holding()
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: n1.now))
        _ = n1.watched(9, .patroni(DynamicConfig(ttl: .seconds(20), loopWait: .seconds(5))))
        _ = n1.on(.assigned(self.address))
        let moved = Action.takeOver(self.address, lease: 12, from: 11, clusterID: Script.cluster)
        #expect(n1.granted(12, ttl: .seconds(20)) == [moved])
        _ = n1.listed([Script.place, KernelPlace(interface: "eth1", prefixLength: 24)])
        _ = n1.on(.acquireUnanswered(self.address, lease: 12, reason: "timeout"))
        var actions = n1.watched(10, .patroni(DynamicConfig(ttl: .seconds(30))))
        for _ in 0..<5 { actions += n1.wake() }
        #expect(!actions.contains(moved) && !actions.contains(.revoke(self.address, lease: 12)))
    }

    @Test func `when Patroni's ttl is lowered the kernel's lifetime shrinks first, then the key moves`() {
        var n1 = Script.holding()
        let config = DynamicConfig(ttl: .seconds(20), loopWait: .seconds(5))
        let lastRead = n1.now
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: lastRead))
        let until = lastRead + .seconds(20) - .milliseconds(2200)
        #expect(n1.watched(9, .patroni(config)) == [.assign(self.spec, until: until, isPresent: true)])
        #expect(n1.on(.assigned(self.address)) == [.grantLease(self.address, ttl: .seconds(20))])
        #expect(
            n1.granted(12, ttl: .seconds(20)) == [
                .takeOver(self.address, lease: 12, from: 11, clusterID: Script.cluster)
            ])
        _ = n1.acquired(12, 10)
        #expect(n1.status?.lease == 12)
        #expect(n1.stance == .hold)
    }

    @Test func `a TTL that was lowered is renewed by its own pace at once`() {
        var n1 = Script.started(etcd(leader: "n1", ttl: .seconds(300)))
        _ = n1.postgres(.primary)
        _ = n1.granted(11, ttl: .seconds(300))
        _ = n1.acquired(11, 5)
        _ = n1.on(.assigned(self.address))
        let config = DynamicConfig(ttl: .seconds(30))
        let next = etcd(leader: "n1", holder: mine(11), revision: 8, ttl: .seconds(300))
        #expect(n1.on(.tick, after: .seconds(30)).contains(.read))
        _ = n1.on(.readAnswered(next, sentAt: n1.now))
        #expect(!n1.on(.tick, after: .seconds(6)).contains(.read))
        #expect(n1.watched(9, .patroni(config)).contains(.read))
    }

    @Test func `a TTL that was lowered while the daemon was frozen takes nothing away that the lease still covers`() {
        var n1 = Script.started(etcd(leader: "n1", ttl: .seconds(60)))
        _ = n1.postgres(.primary)
        _ = n1.granted(11, ttl: .seconds(60))
        _ = n1.acquired(11, 5)
        _ = n1.on(.assigned(self.address))
        let config = DynamicConfig(ttl: .seconds(20), loopWait: .seconds(5))
        #expect(!n1.watched(9, .patroni(config), after: .seconds(30)).contains(.remove(self.address, self.place)))
        #expect(n1.on(.tick, after: .seconds(30)).contains(.remove(self.address, self.place)))
    }

    @Test func `a TTL that was raised does not make the lifetime lapse`() {
        var n1 = Script.holding()
        let config = DynamicConfig(ttl: .seconds(300))
        _ = n1.watched(9, .patroni(config))
        for _ in 0..<30 {
            let sent = n1.now
            _ = n1.on(
                .readAnswered(etcd(leader: "n1", holder: mine(11), revision: 9, ttl: .seconds(300)), sentAt: sent))
            for action in n1.on(
                .leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: sent, by: Script.answerer()))
            {
                if case .assign = action { _ = n1.on(.assigned(self.address)) }
            }
            if let until = n1.status?.until { #expect(until - n1.now > .seconds(20)) }
            _ = n1.on(.postgres(.primary, askedAt: n1.now), after: .seconds(5))
        }
    }

    @Test(arguments: [Int64.max, 9_000_000_000]) func `a lease without end traps nothing`(seconds: Int64) {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.on(.leaseGranted(Script.address, lease: 11, ttl: .seconds(seconds), sentAt: n1.now))
        _ = n1.acquired(11, 5)
        _ = n1.on(.assigned(Script.address))
        _ = n1.on(.leaseKept(Script.address, lease: 11, ttl: .seconds(seconds), sentAt: n1.now, by: Script.answerer()))
        for _ in 0..<20 { _ = n1.wake() }
        // What was read of the leader still ends.
        #expect((n1.status?.until).map { $0 - n1.now < .seconds(31) } ?? true)
    }
}
