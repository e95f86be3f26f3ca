// SPDX-License-Identifier: Apache-2.0

/// A value and the newest revision at which it is known to have been true.
struct Known<Value: Hashable & Sendable>: Hashable, Sendable {
    private(set) var value: Value
    private(set) var revision: Int64

    init(_ value: Value, at revision: Int64 = 0) {
        self.value = value
        self.revision = revision
    }

    /// Takes over `value` unless something newer is known; answers whether the value changed.
    @inline(__always)
    mutating func learn(_ value: Value, at revision: Int64) -> Bool {
        guard revision >= self.revision else { return false }
        self.revision = revision
        guard value != self.value else { return false }
        self.value = value
        return true
    }
}

/// What is known of etcd's content, by reads and watch events in any order.
///
/// Invariant: knowledge never moves to an older revision, except when the etcd cluster itself is another one.
struct ClusterView: Sendable {
    var clusterID: UInt64
    /// The newest revision heard of.
    private(set) var revision: Int64 = 0
    /// The newest revision that a watch has delivered.
    private(set) var watchedRevision: Int64 = 0
    private(set) var leader = Known<String?>(nil)
    private(set) var patroni = Known(DynamicConfig())
    private(set) var mark = Known<UInt64?>(nil)
    private(set) var isQuarantined = Known(false)
    private var holders: [(address: AddressID, holder: Known<Holder?>)] = []

    init(clusterID: UInt64, addresses: [AddressID]) {
        self.clusterID = clusterID
        self.follow(addresses)
    }

    var isMarked: Bool { self.mark.value == self.clusterID }

    /// The addresses whose keys are followed from now on.
    mutating func follow(_ addresses: [AddressID]) {
        self.holders = addresses.map { address in
            (address, self.holders.first { $0.address == address }?.holder ?? Known(nil))
        }
    }

    func holder(of address: AddressID) -> Known<Holder?> {
        for entry in self.holders where entry.address == address { return entry.holder }
        return Known(nil)
    }

    /// Takes over a read; answers the leader before, if it changed.
    mutating func learn(_ snapshot: Snapshot) -> LeaderChange? {
        self.revision = max(self.revision, snapshot.revision)
        let change = self.learn(leader: snapshot.leader, at: snapshot.revision)
        if let patroni = snapshot.patroni { _ = self.patroni.learn(patroni, at: snapshot.revision) }
        _ = self.mark.learn(snapshot.mark, at: snapshot.revision)
        _ = self.isQuarantined.learn(snapshot.isQuarantined, at: snapshot.revision)
        for index in self.holders.indices {
            let address = self.holders[index].address
            var holder: Holder?
            for entry in snapshot.holders where entry.address == address { holder = entry.holder }
            _ = self.holders[index].holder.learn(holder, at: snapshot.revision)
        }
        return change
    }

    /// Takes over one change that a watch delivered; answers the leader before, if it changed.
    mutating func learn(_ change: KeyChange, at revision: Int64) -> LeaderChange? {
        self.revision = max(self.revision, revision)
        self.watchedRevision = max(self.watchedRevision, revision)
        switch change {
        case .leader(let leader): return self.learn(leader: leader, at: revision)
        case .patroni(let config): if let config { _ = self.patroni.learn(config, at: revision) }
        case .mark(let mark): _ = self.mark.learn(mark, at: revision)
        case .quarantine(let isQuarantined): _ = self.isQuarantined.learn(isQuarantined, at: revision)
        case .holder(let address, let holder): self.learn(holder: holder, of: address, at: revision)
        }
        return nil
    }

    mutating func learn(holder: Holder?, of address: AddressID, at revision: Int64) {
        for index in self.holders.indices where self.holders[index].address == address {
            _ = self.holders[index].holder.learn(holder, at: revision)
        }
    }

    private mutating func learn(leader: String?, at revision: Int64) -> LeaderChange? {
        let before = self.leader.value
        return self.leader.learn(leader, at: revision) ? LeaderChange(before: before) : nil
    }
}

struct LeaderChange: Hashable, Sendable {
    let before: String?
}
