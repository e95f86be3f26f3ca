// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdValues
import LeaseKeys
import PatroniValues
import Testing

@testable import Simulation

/// The simulated etcd commits the daemon's own transactions as a real one does.
struct SimulatedEtcdTests {
    private static let keys = PharosKeys(root: "/pharos/", namespace: "/service/", scope: "demo", group: nil)
    private static let id: AddressID = "10.0.0.100"
    private static let step = TrailStep(
        seen: TrailInEtcd(), next: Trail([Trail.Entry(lease: 1, ttl: .seconds(30))]))

    /// An etcd in which n1 leads, marked and out of quarantine, and a lease for n1.
    private static func settled() -> (etcd: SimulatedEtcd, lease: LeaseID) {
        var etcd = SimulatedEtcd(Self.keys, addresses: [Self.id], patroni: DynamicConfig())
        etcd.setLeader("n1", lease: nil)
        let quarantine = etcd.grant(ttl: 30_000_000, at: 0, late: 0)
        let entry = Trail.Entry(lease: quarantine, ttl: .seconds(30), isQuarantine: true)
        let marking = Self.keys.marking(etcd.clusterID, seen: 0, quarantine: entry, [])
        guard case .committed = etcd.commit(marking), etcd.end(quarantine) else {
            Issue.record("not marked")
            return (etcd, 0)
        }
        let lease = etcd.grant(ttl: 30_000_000, at: 0, late: 0)
        return (etcd, lease)
    }

    private static func acquisition(_ lease: LeaseID, clusterID: UInt64 = 1) -> Transaction {
        let holder = Holder(member: "n1", node: "boot", lease: lease, ttl: .seconds(30))
        return Self.keys.acquisition(
            of: Self.id, holder, clusterID: clusterID, Self.step, since: 1, reading: [Self.id])
    }

    @Test func `an acquisition puts the key under its lease, and the trail, at one revision`() {
        var (etcd, lease) = Self.settled()
        let before = etcd.revision
        guard case .committed = etcd.commit(Self.acquisition(lease)) else {
            Issue.record("refused")
            return
        }
        #expect(etcd.revision == before + 1)
        #expect(etcd.holders == [Holder(member: "n1", node: "boot", lease: lease, ttl: .seconds(30))])
        #expect(etcd.trails == [TrailInEtcd(Self.step.next, revision: etcd.revision)])
        #expect(etcd.log.suffix(2).map(\.revision) == [etcd.revision, etcd.revision])
        let hasEnded = etcd.end(lease)
        #expect(hasEnded)
        #expect(etcd.holders == [nil])
    }

    @Test func `a key is not put under a lease that there is not`() {
        var (etcd, lease) = Self.settled()
        let hasEnded = etcd.end(lease)
        #expect(hasEnded)
        guard case .leaseNotFound = etcd.commit(Self.acquisition(lease)) else {
            Issue.record("committed, or refused for another reason")
            return
        }
        #expect(etcd.holders == [nil])
        #expect(etcd.trails == [TrailInEtcd()])
    }

    /// What stands in the way of an acquisition, and the keys whose compares find it.
    enum Obstacle: CaseIterable {
        case anotherLeads, held, unmarked, quarantined, otherTrail

        var compared: [String] {
            switch self {
            case .anotherLeads: [keys.patroni.leader]
            // The fence stands with the address's key, under its lease.
            case .held: [keys.address(id), keys.fence(id)]
            case .unmarked: [keys.mark]
            case .quarantined: [keys.quarantine]
            case .otherTrail: [keys.trail(id)]
            }
        }
    }

    @Test(arguments: Obstacle.allCases)
    func `each compare of an acquisition finds by itself what it is there for`(_ obstacle: Obstacle) throws {
        var (etcd, lease) = Self.settled()
        var transaction = Self.acquisition(lease)
        switch obstacle {
        case .anotherLeads: etcd.setLeader("n2", lease: nil)
        case .unmarked: transaction = Self.acquisition(lease, clusterID: 2)
        case .held:
            let holder = Holder(member: "n2", node: "other", lease: lease, ttl: nil)
            etcd.holders = [holder]
        case .quarantined: etcd.quarantine = lease
        case .otherTrail:
            let trail = Trail([Trail.Entry(lease: 9, ttl: .seconds(30))])
            etcd.trails = [TrailInEtcd(trail, revision: etcd.revision)]
        }
        guard case .refused(isRead: true) = etcd.commit(transaction) else {
            Issue.record("\(obstacle) is not seen")
            return
        }
        let count = transaction.compares.count
        transaction.compares.removeAll { obstacle.compared.contains($0.key) }
        try #require(transaction.compares.count == count - obstacle.compared.count)
        guard case .committed = etcd.commit(transaction) else {
            Issue.record("something else stands in the way")
            return
        }
    }

    @Test func `a take-over is of the lease under which the key stands`() {
        var (etcd, lease) = Self.settled()
        guard case .committed = etcd.commit(Self.acquisition(lease)) else {
            Issue.record("refused")
            return
        }
        let next = etcd.grant(ttl: 30_000_000, at: 0, late: 0)
        let holder = Holder(member: "n1", node: "boot", lease: next, ttl: .seconds(30))
        let step = TrailStep(
            seen: etcd.trails[0], next: etcd.trails[0].trail.extended(by: Trail.Entry(lease: next, ttl: .seconds(30))))
        func takeOver(from old: LeaseID) -> Transaction {
            Self.keys.takeOver(
                of: Self.id, holder, from: old, clusterID: 1, step, since: 1, reading: [Self.id])
        }
        guard case .refused = etcd.commit(takeOver(from: lease + 1000)) else {
            Issue.record("taken over from a lease that is not the key's")
            return
        }
        guard case .committed = etcd.commit(takeOver(from: lease)) else {
            Issue.record("refused")
            return
        }
        #expect(etcd.holders[0]?.lease == next)
        // The old lease takes nothing along.
        let hasEnded = etcd.end(lease)
        #expect(hasEnded)
        #expect(etcd.holders[0]?.lease == next)
    }

    @Test func `a mark is replaced only if it is the one that was seen`() {
        var (etcd, _) = Self.settled()
        let lease = etcd.grant(ttl: 30_000_000, at: 0, late: 0)
        let entry = Trail.Entry(lease: lease, ttl: .seconds(30), isQuarantine: true)
        guard let mark = etcd.mark,
            case .refused(isRead: false) = etcd.commit(
                Self.keys.marking(7, seen: mark.revision - 1, quarantine: entry, []))
        else {
            Issue.record("not refused")
            return
        }
        guard case .committed = etcd.commit(Self.keys.marking(7, seen: mark.revision, quarantine: entry, [])) else {
            Issue.record("refused")
            return
        }
        #expect(etcd.mark == ClusterMark(clusterID: 7, revision: etcd.revision))
        #expect(etcd.quarantine == lease)
    }
}
