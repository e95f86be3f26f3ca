// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdValues
import LeaseKeys
import PatroniValues

/// What each of the keys means that a transaction may name.
struct KeyNames {
    enum Name: Hashable { case leader, config, mark, quarantine, address(Int), trail(Int), fence(Int) }

    private let names: [String: Name]
    /// What a fence says.
    let cluster: [UInt8]

    init(_ keys: PharosKeys, _ addresses: [AddressID]) {
        self.cluster = Array(keys.cluster.utf8)
        var names: [String: Name] = [
            keys.patroni.leader: .leader, keys.patroni.config: .config, keys.mark: .mark, keys.quarantine: .quarantine,
        ]
        for (index, id) in addresses.enumerated() {
            names[keys.address(id)] = .address(index)
            names[keys.trail(id)] = .trail(index)
            names[keys.fence(id)] = .fence(index)
        }
        self.names = names
    }

    subscript(_ key: String) -> Name? { self.names[key] }
}

/// The transactions that the daemon's own code builds (``PharosKeys``): the compares are evaluated on what stands here, and
/// what is put is read as the daemon would read it.
///
/// Left out: deletions, which Pharos never asks for, and single ranges: where the compares fail, everything is answered.
extension SimulatedEtcd {
    enum Outcome {
        case committed
        /// `isRead`: whether the transaction asks what stands there instead.
        case refused(isRead: Bool)
        /// A key was to be put under a lease that there is not.
        case leaseNotFound
    }

    mutating func commit(_ transaction: Transaction) -> Outcome {
        guard transaction.compares.allSatisfy(self.holds) else { return .refused(isRead: !transaction.failure.isEmpty) }
        for case .put(_, _, let lease) in transaction.success where lease != 0 && self.leases[lease] == nil {
            return .leaseNotFound
        }
        self.revision += 1
        for case .put(let key, let value, let lease) in transaction.success { self.put(key, value, lease) }
        return .committed
    }

    private func holds(_ compare: Transaction.Compare) -> Bool {
        let pair = self.pair(compare.key)
        return switch compare.expectation {
        case .value(let value): pair?.value == value  // Of an absent key, etcd says no.
        case .createRevision(let revision): pair?.createRevision ?? 0 == revision
        case .modRevision(let revision): pair?.modRevision ?? 0 == revision
        case .lease(let lease): pair?.lease ?? 0 == lease
        }
    }

    /// What stands under a key. Of revisions, only the mark's and the trails' last changes are kept; whatever else exists was
    /// created, and changed, at revision 1.
    private func pair(_ key: String) -> KeyValue? {
        func pair(_ value: [UInt8], modRevision: Int64 = 1, lease: LeaseID = 0) -> KeyValue {
            KeyValue(
                key: Array(key.utf8), value: value, createRevision: 1, modRevision: modRevision, version: 1,
                lease: lease)
        }
        switch self.names[key] {
        case .leader: return self.leader.map { pair(Array($0.utf8), lease: self.leaderLease ?? 0) }
        case .mark: return self.mark.map { pair(self.markValue, modRevision: $0.revision) }
        case .quarantine: return self.quarantine.map { pair([], lease: $0) }
        case .address(let index): return self.holders[index].map { pair(self.holderValues[index], lease: $0.lease) }
        // There is one cluster: a fence is put with each address's key, under its lease, and goes with it.
        case .fence(let index): return self.holders[index].map { pair(self.names.cluster, lease: $0.lease) }
        case .trail(let index):
            let trail = self.trails[index]
            return trail.revision > 0 ? pair(self.trailValues[index], modRevision: trail.revision) : nil
        case .config, nil: preconditionFailure("a transaction compares \(key)")
        }
    }

    private mutating func put(_ key: String, _ value: [UInt8], _ lease: LeaseID) {
        let pair = KeyValue(
            key: Array(key.utf8), value: value, createRevision: 1, modRevision: self.revision, version: 1, lease: lease)
        switch self.names[key] {
        case .address(let index):
            if let old = self.holders[index] { self.leases[old.lease]?.key = nil }
            let holder = PharosKeys.holder(pair)
            self.leases[lease]?.key = .address(index)
            self.holders[index] = holder
            self.holderValues[index] = value
            self.record(.holder(self.addresses[index], holder))
        case .fence(let index):
            precondition(self.holders[index]?.lease == lease, "a fence without its address's key")
        case .trail(let index):
            guard self.keepsTrails else { return }
            self.trails[index] = PharosKeys.trail(pair)
            self.trailValues[index] = value
            self.record(.trail(self.addresses[index], self.trails[index]))
        case .mark:
            let mark = PharosKeys.mark(pair)
            self.mark = mark
            self.markValue = value
            self.record(.mark(mark))
        case .quarantine:
            if let old = self.quarantine { self.leases[old]?.key = nil }
            self.leases[lease]?.key = .quarantine
            self.quarantine = lease
            self.record(.quarantine(true))
        case .leader, .config, nil: preconditionFailure("Pharos puts \(key)")
        }
    }
}
