// SPDX-License-Identifier: Apache-2.0
import Decision

/// etcd as its clients see it: linearizable when there is a quorum, silent when there is none.
///
/// Modelled: revisions, leases that end late but never early, by a clock of its own rate; a leader change that prolongs
/// every lease; the loss of quorum, during which no lease ends; the replacement by another, empty cluster.
/// Left out: single members that lag (a linearizable read never shows it).
struct SimulatedEtcd {
    struct Lease {
        var ttl: Time
        /// True time at which it ends, granularity included.
        var endsAt: Time
        var isKey: KeySlot?
    }
    enum KeySlot: Hashable { case leader, quarantine, address(Int) }

    private(set) var clusterID: UInt64 = 1
    private(set) var revision: Int64 = 1
    var hasQuorum = true
    /// Seconds of etcd's clock in a true second.
    var rate = 1.0
    private(set) var leader: String?
    private(set) var patroni: DynamicConfig
    private(set) var mark: UInt64?
    private(set) var quarantine: LeaseID?
    private(set) var holders: [Holder?]
    let addresses: [AddressID]
    private(set) var leases: [LeaseID: Lease] = [:]
    private var leaderLease: LeaseID?
    private var lastLease: LeaseID = 100
    /// Every change, oldest first, for watches that resume.
    private(set) var log: [(revision: Int64, change: KeyChange)] = []

    init(addresses: [AddressID], patroni: DynamicConfig) {
        self.addresses = addresses
        self.patroni = patroni
        self.holders = addresses.map { _ in nil }
    }

    var snapshot: Snapshot {
        var holders: [AddressHolder] = []
        for (index, holder) in self.holders.enumerated() {
            if let holder { holders.append(AddressHolder(address: self.addresses[index], holder: holder)) }
        }
        return Snapshot(
            clusterID: self.clusterID, revision: self.revision, leader: self.leader, patroni: self.patroni,
            mark: self.mark, isQuarantined: self.quarantine != nil, holders: holders)
    }

    private mutating func record(_ change: KeyChange) { self.log.append((self.revision, change)) }

    /// Forgets changes that every watch has seen.
    mutating func compact(before revision: Int64) {
        guard self.log.count > 4096 else { return }
        self.log.removeAll { $0.revision < revision }
    }

    // MARK: - Leases

    mutating func grant(ttl: Time, at now: Time, late: Time) -> LeaseID {
        self.lastLease += 1
        self.leases[self.lastLease] = Lease(ttl: ttl, endsAt: self.end(ttl, now, late))
        return self.lastLease
    }

    private func end(_ ttl: Time, _ now: Time, _ late: Time) -> Time { now + Time(Double(ttl) / self.rate) + late }

    mutating func keepAlive(_ id: LeaseID, at now: Time, late: Time) -> Time? {
        guard var lease = self.leases[id] else { return nil }
        lease.endsAt = self.end(lease.ttl, now, late)
        self.leases[id] = lease
        return lease.ttl
    }

    /// Ends a lease and deletes its key; answers whether there was one.
    mutating func end(_ id: LeaseID) -> Bool {
        guard let lease = self.leases.removeValue(forKey: id) else { return false }
        switch lease.isKey {
        case .leader: self.setLeader(nil, lease: nil)
        case .quarantine:
            self.quarantine = nil
            self.revision += 1
            self.record(.quarantine(false))
        case .address(let index):
            self.holders[index] = nil
            self.revision += 1
            self.record(.holder(self.addresses[index], nil))
        case nil: break
        }
        return true
    }

    /// A new raft leader gives every lease its whole time anew.
    mutating func changeLeader(at now: Time) {
        self.leases = self.leases.mapValues { lease in
            var lease = lease
            lease.endsAt = self.end(lease.ttl, now, 0)
            return lease
        }
    }

    /// All is lost: another, empty cluster answers from now on.
    mutating func replace() {
        self.clusterID += 1
        self.revision = 1
        self.leases = [:]
        self.leader = nil
        self.leaderLease = nil
        self.mark = nil
        self.quarantine = nil
        self.holders = self.addresses.map { _ in nil }
        self.log = []
    }

    // MARK: - Keys

    mutating func setLeader(_ member: String?, lease: LeaseID?) {
        if let old = self.leaderLease { self.leases[old]?.isKey = nil }
        self.leader = member
        self.leaderLease = lease
        if let lease { self.leases[lease]?.isKey = .leader }
        self.revision += 1
        self.record(.leader(member))
    }

    mutating func configure(_ patroni: DynamicConfig) {
        self.patroni = patroni
        self.revision += 1
        self.record(.patroni(patroni))
    }

    enum Acquisition { case committed(revision: Int64), refused, leaseNotFound }

    mutating func acquire(_ index: Int, _ holder: Holder, clusterID: UInt64, comparing: Bool) -> Acquisition {
        if comparing {
            guard self.leader == holder.member, self.holders[index] == nil, self.mark == clusterID,
                self.quarantine == nil
            else { return .refused }
        }
        return self.put(index, holder)
    }

    mutating func takeOver(_ index: Int, _ holder: Holder, from old: LeaseID) -> Acquisition {
        guard self.holders[index]?.lease == old else { return .refused }
        return self.put(index, holder)
    }

    private mutating func put(_ index: Int, _ holder: Holder) -> Acquisition {
        guard self.leases[holder.lease] != nil else { return .leaseNotFound }
        if let old = self.holders[index] { self.leases[old.lease]?.isKey = nil }
        self.leases[holder.lease]?.isKey = .address(index)
        self.holders[index] = holder
        self.revision += 1
        self.record(.holder(self.addresses[index], holder))
        return .committed(revision: self.revision)
    }

    mutating func markCluster(_ clusterID: UInt64, seen: UInt64?, ttl: Time, at now: Time) -> Bool {
        guard self.mark == seen else { return false }
        let lease = self.grant(ttl: ttl, at: now, late: 0)
        self.leases[lease]?.isKey = .quarantine
        self.mark = clusterID
        self.quarantine = lease
        self.revision += 1
        self.record(.mark(clusterID))
        self.record(.quarantine(true))
        return true
    }
}
