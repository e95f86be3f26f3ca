// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

struct AcquireTests {
    let address = Script.address
    let spec = Script.spec

    @Test func `a new leader leases, asks PostgreSQL, acquires, assigns, announces`() {
        var n1 = Script()
        #expect(n1.on(.tick) == [.read, .inspect])
        #expect(n1.listed() == [])
        #expect(n1.read(etcd(leader: "n1")) == [.grantLease(self.address, ttl: .seconds(30)), .askPostgres, .ready])
        #expect(n1.postgres(.primary) == [])
        let sent = n1.now
        #expect(n1.granted(11) == [.acquire(self.address, lease: 11, clusterID: Script.cluster)])
        let until = sent + .seconds(30) - Script.margin
        #expect(n1.acquired(11, 5) == [.assign(self.spec, until: until, isPresent: false)])
        #expect(n1.on(.assigned(self.address)) == [.startAnnouncing(self.spec)])
        #expect(n1.stance == .hold)
        #expect(n1.status?.until == until)
    }

    @Test func `what PostgreSQL said while this node led is not told where it leads no more`() {
        var n1 = Script.holding()
        _ = n1.postgres(.unreachable(reason: "the database system is shutting down"))
        #expect(n1.core.postgres == .unreachable(reason: "the database system is shutting down"))
        _ = n1.watched(8, .leader("n2"))
        #expect(n1.core.postgres == nil)
    }

    @Test func `a member that does not lead gets a lease ready with its second read, and does nothing else`() {
        var n1 = Script()
        #expect(n1.on(.tick) == [.read, .inspect])
        #expect(n1.listed() == [])
        #expect(n1.read(etcd(leader: "n2", holder: theirs(40))) == [.ready])
        #expect(n1.stance == .leave(.leaderIsAnother("n2")))
        #expect(n1.wakesIn > .seconds(4))
        #expect(n1.wake() == [.read, .grantLease(self.address, ttl: .seconds(30))])
        #expect(n1.granted(11) == [])
        #expect(n1.read(etcd(leader: "n2", holder: theirs(40))) == [])
        #expect(n1.wakesIn > .seconds(4))
    }

    @Test func `a promotion is waited for: PostgreSQL is asked every 15, then every 50 ms`() {
        var n1 = Script.started(etcd(leader: "n1"))
        #expect(n1.granted(11) == [])
        #expect(n1.postgres(.standby) == [])
        #expect(n1.stance == .wait(.inRecovery))
        #expect(n1.wakesIn <= .milliseconds(15))
        var slow = n1
        #expect(slow.on(.tick, after: .seconds(3)).contains(.askPostgres))
        _ = slow.postgres(.standby)
        #expect(slow.wakesIn > .milliseconds(15) && slow.wakesIn <= .milliseconds(50))
        #expect(n1.wake() == [.askPostgres])
        #expect(n1.postgres(.primary) == [.acquire(self.address, lease: 11, clusterID: Script.cluster)])
    }

    @Test func `a primary of before the leadership does not count`() {
        var n1 = Script.started(etcd(leader: nil))
        let before = n1.now
        _ = n1.watched(5, .leader("n1"), after: .milliseconds(300))
        _ = n1.granted(11)
        #expect(n1.on(.postgres(.primary, askedAt: before)) == [])
        #expect(n1.stance == .wait(.postgresNotAsked))
        #expect(n1.postgres(.primary) == [.acquire(self.address, lease: 11, clusterID: Script.cluster)])
    }

    @Test func `an answer of PostgreSQL that is older than a second does not count`() {
        var n1 = Script.started(etcd(leader: "n1", holder: theirs(40)))
        _ = n1.granted(11)
        _ = n1.postgres(.primary)
        let acquire = Action.acquire(self.address, lease: 11, clusterID: Script.cluster)
        var young = n1
        #expect(young.watched(6, .holder(self.address, nil), after: .milliseconds(998)).contains(acquire))
        #expect(!n1.watched(6, .holder(self.address, nil), after: .milliseconds(1002)).contains(acquire))
        #expect(n1.stance == .wait(.postgresNotAsked))
        #expect(n1.postgres(.primary) == [acquire])
    }

    @Test func `with leader_key PostgreSQL is never asked`() {
        let spec = AddressSpec(id: self.address, prefixLength: 24, interface: "eth0", acquire: .leaderKey)
        var n1 = Script.started(etcd(leader: nil), Script([spec]))
        #expect(n1.watched(5, .leader("n1")) == [.grantLease(self.address, ttl: .seconds(30))])
        #expect(n1.granted(11) == [.acquire(self.address, lease: 11, clusterID: Script.cluster)])
    }

    @Test func `the address is taken as soon as its holder's key is gone`() {
        var n1 = Script.started(etcd(leader: "n1", holder: theirs(40)))
        _ = n1.granted(11)
        #expect(n1.postgres(.primary) == [])
        #expect(n1.stance == .wait(.heldByAnother("n2")))
        #expect(
            n1.watched(6, .holder(self.address, nil)) == [
                .acquire(self.address, lease: 11, clusterID: Script.cluster)
            ])
    }

    @Test func `a refused acquisition teaches, and is repeated when the way is free`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        let found = etcd(leader: "n1", holder: theirs(40), revision: 6)
        #expect(n1.on(.acquireRefused(self.address, lease: 11, found: found, sentAt: n1.now)) == [])
        #expect(n1.reports.contains(.acquireRefused(self.address, holder: "n2", leader: "n1")))
        #expect(n1.stance == .wait(.heldByAnother("n2")))
        #expect(
            n1.watched(7, .holder(self.address, nil)) == [
                .acquire(self.address, lease: 11, clusterID: Script.cluster)
            ])
    }

    @Test func `an acquisition of unknown outcome is read after, and recognized if it was committed`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        let sent = n1.now
        _ = n1.granted(11)
        #expect(n1.on(.readAnswered(etcd(leader: "n1"), sentAt: n1.now)) == [])
        #expect(
            n1.on(.acquireUnanswered(self.address, lease: 11, reason: "timeout")) == [
                .read, .keepAlive(self.address, lease: 11),
            ])
        let until = sent + .seconds(30) - Script.margin
        #expect(
            n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: n1.now)) == [
                .assign(self.spec, until: until, isPresent: false)
            ])
    }

    @Test func `an acquisition that fails over and over is tried less and less often`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11, ttl: .seconds(3000))
        var pauses: [Duration] = []
        for _ in 0..<7 {
            _ = n1.on(.acquireUnanswered(self.address, lease: 11, reason: "refused"))
            let failedAt = n1.now
            var tried = false
            for _ in 0..<1000 where !tried {
                _ = n1.on(.readAnswered(etcd(leader: "n1"), sentAt: n1.now), after: .zero)
                _ = n1.on(.postgres(.primary, askedAt: n1.now), after: .zero)
                tried = n1.wake().contains(.acquire(self.address, lease: 11, clusterID: Script.cluster))
            }
            pauses.append(n1.now - failedAt)
        }
        #expect(pauses == [200, 400, 800, 1600, 3200, 3200, 3200].map { .milliseconds($0) })
    }

    @Test func `a lease that ended while the acquisition was under way is replaced`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        #expect(n1.wake() == [.askPostgres])
        _ = n1.postgres(.primary)
        #expect(n1.on(.leaseGone(self.address, lease: 11)) == [])
        _ = n1.on(.acquireUnanswered(self.address, lease: 11, reason: "lease not found"))
        #expect(n1.stance == .hold)
        #expect(n1.on(.tick, after: .milliseconds(200)) == [.grantLease(self.address, ttl: .seconds(30))])
    }

    @Test func `a lease that grew old while etcd was silent is kept alive once a second, not in a storm`() {
        let spec = AddressSpec(id: self.address, prefixLength: 24, interface: "eth0", acquire: .leaderKey)
        var n1 = Script.started(etcd(leader: "n1", holder: theirs(40)), Script([spec]))
        _ = n1.granted(11)
        _ = n1.on(.readFailed(reason: "refused"), after: .seconds(40))
        _ = n1.watched(6, .holder(self.address, nil))
        var keptAlive = 0
        let begin = n1.now
        while n1.now - begin < .seconds(10) {
            var actions = n1.on(.leaseUnanswered(self.address, lease: 11, reason: "refused"))
            actions += n1.on(.readFailed(reason: "refused"))
            actions += n1.wake()
            for action in actions where action == .keepAlive(self.address, lease: 11) { keptAlive += 1 }
        }
        #expect((5...25).contains(keptAlive))
        #expect(
            n1.on(.leaseGone(self.address, lease: 11)).contains(.grantLease(self.address, ttl: .seconds(30))))
    }

    @Test func `a member's name that another node uses is reported once, and its address left alone`() {
        let clash = Holder(member: "n1", node: "boot-of-another", lease: 40)
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed()
        #expect(
            n1.read(etcd(leader: "n1", holder: clash)) == [
                .grantLease(self.address, ttl: .seconds(30)), .askPostgres, .ready,
            ])
        #expect(n1.reports.contains(.memberClash(self.address, node: "boot-of-another")))
        _ = n1.granted(11)
        #expect(n1.postgres(.primary) == [])
        #expect(!n1.reports.contains(.memberClash(self.address, node: "boot-of-another")))
        #expect(n1.stance == .wait(.heldByAnother("n1")))
    }

    @Test func `that another member holds the key is no clash of names`() {
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed()
        _ = n1.read(etcd(leader: "n2", holder: theirs(40)))
        #expect(!n1.reports.contains { if case .memberClash = $0 { true } else { false } })
    }

    @Test func `a missing interface is waited for, and a down one too`() {
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed(up: ["eth1"])
        _ = n1.read(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        #expect(n1.granted(11) == [])
        #expect(n1.stance == .wait(.interfaceMissing("eth0")))
        #expect(n1.on(.kernelChanged, after: .milliseconds(200)) == [.inspect])
        #expect(n1.listed(up: ["eth1"], down: ["eth0"]) == [])
        #expect(n1.stance == .wait(.interfaceDown("eth0")))
        #expect(n1.on(.kernelChanged, after: .milliseconds(200)) == [.inspect])
        _ = n1.postgres(.primary)
        #expect(n1.listed() == [.acquire(self.address, lease: 11, clusterID: Script.cluster)])
    }

    @Test func `an address that another cluster holds is told once, and tried for all the same`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        var found = etcd(leader: "n1")
        found.rivals = [Addressed(Script.address, "/service/other")]
        _ = n1.on(.acquireRefused(Script.address, lease: 11, found: found, sentAt: n1.now))
        #expect(n1.reports.contains(.heldByAnotherCluster(Script.address, cluster: "/service/other")))
        _ = n1.postgres(.primary)
        let again = n1.on(.postgres(.primary, askedAt: n1.now + .milliseconds(300)), after: .milliseconds(300))
        #expect(again.contains { if case .acquire(_, lease: 11, _, _) = $0 { true } else { false } })
        _ = n1.on(.acquireRefused(Script.address, lease: 11, found: found, sentAt: n1.now))
        #expect(!n1.reports.contains(.heldByAnotherCluster(Script.address, cluster: "/service/other")))
        // It was free for a while, and is the other's once more.
        _ = n1.on(.postgres(.primary, askedAt: n1.now + .seconds(1)), after: .seconds(1))
        _ = n1.acquired(11, 6)
        _ = n1.on(.leaseGone(Script.address, lease: 11))
        _ = n1.granted(12)
        _ = n1.postgres(.primary)
        _ = n1.on(.acquireRefused(Script.address, lease: 12, found: found, sentAt: n1.now))
        #expect(n1.reports.contains(.heldByAnotherCluster(Script.address, cluster: "/service/other")))
    }
}
