// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// A restarted daemon, and what its earlier process left behind.
struct AdoptTests {
    let address = Script.address
    let spec = Script.spec
    let place = Script.place

    @Test func `a restarted daemon moves the key to a lease of its own, and the address never blinks`() {
        var n1 = Script()
        #expect(n1.on(.tick) == [.read, .inspect])
        #expect(n1.listed([self.place]) == [])
        #expect(
            n1.read(etcd(leader: "n1", holder: mine(9))) == [
                .grantLease(self.address, ttl: .seconds(30)), .askPostgres, .ready,
            ])
        #expect(n1.reports.contains(.leaseAdopted(self.address, lease: 9)))
        _ = n1.postgres(.primary)
        let sent = n1.now
        #expect(n1.granted(11) == [.takeOver(self.address, lease: 11, from: 9, clusterID: Script.cluster)])
        let until = min(sent + .seconds(30), n1.now + .seconds(30)) - Script.margin
        let actions = n1.acquired(11, 6)
        guard case .assign(self.spec, let given, true)? = actions.first, actions.count == 1 else {
            Issue.record("\(actions)")
            return
        }
        #expect(given <= until)
        #expect(n1.on(.assigned(self.address)) == [.startAnnouncing(self.spec)])
    }

    @Test func `a key moves to no shorter lease than the one that the kernel's lifetime comes from`() {
        let old = Holder(member: "n1", node: "boot-a", lease: 9, ttl: .seconds(60))
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed([self.place])
        #expect(n1.read(etcd(leader: "n1", holder: old)).contains(.grantLease(self.address, ttl: .seconds(60))))
        _ = n1.granted(11, ttl: .seconds(60))
        _ = n1.acquired(11, 6)
        // Once the kernel has a shorter lifetime, so may the key.
        #expect(n1.on(.assigned(self.address)).contains(.grantLease(self.address, ttl: .seconds(30))))
        var empty = Script.started(etcd(leader: "n1"))
        _ = empty.granted(11)
        #expect(
            empty.watched(6, .holder(self.address, old)) == [
                .takeOver(self.address, lease: 11, from: 9, clusterID: Script.cluster)
            ])
    }

    @Test func `a key whose address may stand anywhere here moves to no shorter lease`() {
        let old = Holder(member: "n1", node: "boot-a", lease: 9, ttl: .seconds(60))
        var unseen = Script()
        _ = unseen.on(.tick)
        #expect(unseen.read(etcd(leader: "n1", holder: old)).contains(.grantLease(self.address, ttl: .seconds(60))))
        var elsewhere = Script()
        _ = elsewhere.on(.tick)
        _ = elsewhere.listed([KernelPlace(interface: "eth1", prefixLength: 24)])
        #expect(elsewhere.read(etcd(leader: "n1", holder: old)).contains(.grantLease(self.address, ttl: .seconds(60))))
        // Also where a shorter one was at hand, which is given back.
        var ready = Script()
        _ = ready.on(.tick)
        _ = ready.read(etcd(leader: "n1"))
        #expect(ready.granted(11) == [])
        let actions = ready.watched(6, .holder(self.address, old))
        #expect(actions == [.revoke(self.address, lease: 11), .grantLease(self.address, ttl: .seconds(60))])
        // A key that does not tell its TTL, and a `ttl` that was lowered a moment ago.
        var lowered = Script()
        _ = lowered.on(.tick)
        _ = lowered.read(etcd(leader: "n2", ttl: .seconds(60)))
        _ = lowered.watched(6, .patroni(DynamicConfig(ttl: .seconds(20))))
        _ = lowered.watched(7, .holder(self.address, mine(9)))
        #expect(lowered.watched(8, .leader("n1")).contains(.grantLease(self.address, ttl: .seconds(60))))
    }

    /// No etcd that is known does so. Were one to, the key could end before a lifetime that the earlier process gave.
    @Test func `a lease that was granted for less than was asked for takes nothing over, and another is asked for`() {
        let old = Holder(member: "n1", node: "boot-a", lease: 9, ttl: .seconds(60))
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed([self.place])
        let asked = Action.grantLease(self.address, ttl: .seconds(60))
        #expect(n1.read(etcd(leader: "n1", holder: old)).contains(asked))
        #expect(n1.granted(11, ttl: .seconds(59)) == [.revoke(self.address, lease: 11)])
        #expect(!n1.on(.tick, after: .milliseconds(999)).contains(asked))
        #expect(n1.on(.tick, after: .milliseconds(1)).contains(asked))
        #expect(
            n1.granted(12, ttl: .seconds(60)) == [
                .takeOver(self.address, lease: 12, from: 9, clusterID: Script.cluster)
            ])
    }

    @Test func `a release that the earlier process sent may come late: the key is acquired anew`() {
        var n1 = Script.started(etcd(leader: "n1", holder: mine(9)), found: [self.place])
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        #expect(n1.watched(6, .holder(self.address, nil)).contains(.acquire(self.address, lease: 11, clusterID: 7)))
    }

    @Test func `a take-over that the earlier process sent may come late: its key is adopted in turn`() {
        var n1 = Script.started(etcd(leader: "n1", holder: mine(9)), found: [self.place])
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        let found = etcd(leader: "n1", holder: mine(10), revision: 6)
        #expect(
            n1.on(.acquireRefused(self.address, lease: 11, found: found, sentAt: n1.now)) == [
                .takeOver(self.address, lease: 11, from: 10, clusterID: Script.cluster)
            ])
    }

    @Test func `a restarted daemon that leads no more removes first, and then ends both leases`() {
        var n1 = Script()
        _ = n1.on(.tick)
        #expect(n1.read(etcd(leader: "n2", holder: mine(9))) == [])
        #expect(n1.listed([self.place]) == [.remove(self.address, self.place), .ready])
        #expect(n1.on(.removed(self.address, self.place, wasPresent: true)) == [.revoke(self.address, lease: 9)])
    }

    @Test func `a key of this node is not adopted before the kernel was looked at, when it must go`() {
        var n1 = Script()
        _ = n1.on(.tick)
        #expect(n1.read(etcd(leader: "n2", holder: mine(9))) == [])
        #expect(n1.on(.tick, after: .seconds(1)) == [])
        #expect(n1.listed() == [.revoke(self.address, lease: 9), .ready])
    }

    @Test func `a key in a restored etcd proves nothing`() {
        var n1 = Script.started(etcd(leader: "n1", holder: mine(9), mark: 6))
        _ = n1.postgres(.primary)
        #expect(n1.granted(11) == [])
        _ = n1.watched(5, .mark(markOf(Script.cluster)))
        _ = n1.watched(5, .quarantine(true))
        #expect(n1.stance == .wait(.heldByAnother("n1")) || n1.stance == .wait(.quarantine) || n1.stance == .hold)
        #expect(n1.status?.isHere == false)
    }

    @Test func `an adoption that cannot be finished gives the address up after a TTL`() {
        var n1 = Script.started(etcd(leader: "n1", holder: mine(9)), found: [self.place])
        _ = n1.on(.leaseRefused(self.address, reason: "timeout"))
        #expect(!n1.on(.tick, after: .seconds(20)).contains(.remove(self.address, self.place)))
        #expect(n1.on(.tick, after: .seconds(11)).contains(.remove(self.address, self.place)))
    }

    @Test func `without etcd a restarted daemon touches nothing for a TTL, and then removes what nothing covers`() {
        var n1 = Script()
        _ = n1.on(.tick)
        #expect(n1.listed([self.place]) == [])
        _ = n1.on(.readFailed(reason: "refused"))
        #expect(n1.on(.tick, after: .seconds(25)) == [.read])
        _ = n1.on(.readFailed(reason: "refused"))
        #expect(n1.on(.tick, after: .seconds(6)) == [.remove(self.address, self.place), .read])
    }
}
