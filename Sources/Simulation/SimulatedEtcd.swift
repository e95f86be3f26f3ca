// SPDX-License-Identifier: Apache-2.0
import Decision

/// etcd as its clients see it: linearizable when there is a quorum, silent when there is none.
///
/// Modelled: revisions, leases that end late but never early, by a clock of its own rate; a leader change that prolongs
/// every lease; the loss of quorum, during which no lease ends; the replacement by an empty cluster, by an old copy under the
/// same number or another, by an earlier cluster that comes back; a revision that was bumped.
/// Left out: single members that lag (a linearizable read never shows it).
struct SimulatedEtcd {
    struct Lease {
        var ttl: Time
        /// True time at which it ends, granularity included.
        var endsAt: Time
        var key: KeySlot?
    }
    enum KeySlot: Hashable { case leader, quarantine, address(Int) }

    private(set) var clusterID: UInt64 = 1
    /// Which of all clusters this is, also where its number is an old one.
    private(set) var incarnation = 1
    /// Raft's term: another with every leader.
    private(set) var term: UInt64 = 1
    private(set) var revision: Int64 = 1
    var hasQuorum = true
    /// Seconds of etcd's clock in a true second.
    var rate = 1.0
    private(set) var leader: String?
    private(set) var patroni: DynamicConfig?
    private(set) var mark: ClusterMark?
    private(set) var quarantine: LeaseID?
    private(set) var holders: [Holder?]
    private(set) var trails: [TrailInEtcd]
    var keepsTrails = true
    let addresses: [AddressID]
    private(set) var leases: [LeaseID: Lease] = [:]
    private(set) var leaderLease: LeaseID?
    private var lastLease: LeaseID = 100
    private var current: Snapshot?
    /// Every change, oldest first, for watches that resume.
    private(set) var log: [(revision: Int64, change: KeyChange)] = []

    init(addresses: [AddressID], patroni: DynamicConfig) {
        self.addresses = addresses
        self.patroni = patroni
        self.holders = addresses.map { _ in nil }
        self.trails = addresses.map { _ in TrailInEtcd() }
    }

    /// What a linearizable read answers now.
    mutating func snapshot() -> Snapshot {
        if let current = self.current { return current }
        var holders: [AddressHolder] = []
        for (index, holder) in self.holders.enumerated() {
            if let holder { holders.append(AddressHolder(address: self.addresses[index], holder: holder)) }
        }
        var trails: [Addressed<TrailInEtcd>] = []
        for (index, trail) in self.trails.enumerated() where trail.revision > 0 {
            trails.append(Addressed(self.addresses[index], trail))
        }
        let snapshot = Snapshot(
            clusterID: self.clusterID, revision: self.revision, raftTerm: self.term, leader: self.leader,
            patroni: self.patroni, mark: self.mark, isQuarantined: self.quarantine != nil, holders: holders,
            trails: trails)
        self.current = snapshot
        return snapshot
    }

    private mutating func record(_ change: KeyChange) {
        self.current = nil
        self.log.append((self.revision, change))
    }

    /// Forgets changes that every watch has seen.
    mutating func compact(before revision: Int64) { self.log.removeAll { $0.revision < revision } }

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
        switch lease.key {
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
        self.term += 1
        self.current = nil
        self.leases = self.leases.mapValues { lease in
            var lease = lease
            lease.endsAt = self.end(lease.ttl, now, 0)
            return lease
        }
    }

    /// All is lost: another, empty cluster answers from now on; under the same number where it was built anew from the
    /// same configuration.
    mutating func wipe(keepsClusterID: Bool) {
        if !keepsClusterID { self.clusterID += 1 }
        self.incarnation += 1
        self.revision = 1
        self.leases = [:]
        self.leader = nil
        self.leaderLease = nil
        self.patroni = nil
        self.mark = nil
        self.quarantine = nil
        self.holders = self.addresses.map { _ in nil }
        self.trails = self.addresses.map { _ in TrailInEtcd() }
        self.term = 2
        self.log = []
        self.current = nil
    }

    /// An old copy is restored, as another cluster or under its number, by which revisions may be bumped; its leases begin
    /// anew.
    mutating func restore(_ copy: SimulatedEtcd, keepsClusterID: Bool, bumpedBy bump: Int64, at now: Time) {
        let (clusterID, incarnation, lastLease) = (self.clusterID, self.incarnation, self.lastLease)
        let (rate, hasQuorum) = (self.rate, self.hasQuorum)
        self = copy
        self.clusterID = keepsClusterID ? copy.clusterID : max(clusterID, copy.clusterID) + 1
        self.incarnation = incarnation + 1
        self.lastLease = lastLease
        self.revision += bump
        self.term = 2
        self.rate = rate
        self.hasQuorum = hasQuorum
        self.log = []
        self.current = nil
        self.changeLeader(at: now)
    }

    /// An earlier cluster answers again, with its number and all that it knew; where it had been stopped, its leases begin
    /// anew, else those that ended meanwhile have ended.
    mutating func comeBack(_ former: SimulatedEtcd, wasStopped: Bool, at now: Time) {
        let (incarnation, lastLease) = (self.incarnation, self.lastLease)
        let (rate, hasQuorum) = (self.rate, self.hasQuorum)
        self = former
        self.incarnation = incarnation + 1
        self.lastLease = lastLease
        self.rate = rate
        self.hasQuorum = hasQuorum
        self.log = []
        self.current = nil
        if wasStopped { return self.changeLeader(at: now) }
        for id in self.leases.keys.sorted() where (self.leases[id]?.endsAt ?? now) <= now { _ = self.end(id) }
        self.log = []
    }

    // MARK: - Keys

    mutating func setLeader(_ member: String?, lease: LeaseID?) {
        if let old = self.leaderLease { self.leases[old]?.key = nil }
        self.leader = member
        self.leaderLease = lease
        if let lease { self.leases[lease]?.key = .leader }
        self.revision += 1
        self.record(.leader(member))
    }

    mutating func configure(_ patroni: DynamicConfig) {
        self.patroni = patroni
        self.revision += 1
        self.record(.patroni(patroni))
    }

    enum Acquisition { case committed(revision: Int64), refused, leaseNotFound }

    mutating func acquire(
        _ index: Int, _ holder: Holder, clusterID: UInt64, _ step: TrailStep, comparing: Bool
    ) -> Acquisition {
        if comparing {
            guard self.leader == holder.member, self.holders[index] == nil, self.mark?.clusterID == clusterID,
                self.quarantine == nil, self.trails[index] == step.seen
            else { return .refused }
        }
        return self.put(index, holder, step)
    }

    mutating func takeOver(
        _ index: Int, _ holder: Holder, from old: LeaseID, clusterID: UInt64, _ step: TrailStep
    ) -> Acquisition {
        guard self.holders[index]?.lease == old, self.mark?.clusterID == clusterID, self.quarantine == nil,
            self.trails[index] == step.seen
        else { return .refused }
        return self.put(index, holder, step)
    }

    private mutating func put(_ index: Int, _ holder: Holder, _ step: TrailStep) -> Acquisition {
        guard self.leases[holder.lease] != nil else { return .leaseNotFound }
        if let old = self.holders[index] { self.leases[old.lease]?.key = nil }
        self.leases[holder.lease]?.key = .address(index)
        self.holders[index] = holder
        self.revision += 1
        self.record(.holder(self.addresses[index], holder))
        self.putTrail(index, step.next)
        return .committed(revision: self.revision)
    }

    private mutating func putTrail(_ index: Int, _ trail: Trail) {
        guard self.keepsTrails else { return }
        self.trails[index] = TrailInEtcd(trail, revision: self.revision)
        self.record(.trail(self.addresses[index], self.trails[index]))
    }

    mutating func markCluster(
        _ clusterID: UInt64, seen: Int64, ttl: Time, _ steps: [Addressed<TrailStep>], at now: Time
    ) -> Bool {
        guard self.mark?.revision ?? 0 == seen else { return false }
        for entry in steps {
            guard let index = self.addresses.firstIndex(of: entry.address), self.trails[index] == entry.value.seen
            else {
                return false
            }
        }
        if let old = self.quarantine { self.leases[old]?.key = nil }
        let lease = self.grant(ttl: ttl, at: now, late: 0)
        self.leases[lease]?.key = .quarantine
        self.revision += 1
        let mark = ClusterMark(clusterID: clusterID, revision: self.revision)
        self.mark = mark
        self.quarantine = lease
        self.record(.mark(mark))
        self.record(.quarantine(true))
        for entry in steps {
            guard let index = self.addresses.firstIndex(of: entry.address) else { continue }
            let quarantine = Trail.Entry(lease: lease, ttl: .microseconds(ttl), isQuarantine: true)
            self.putTrail(index, entry.value.next.extended(by: quarantine))
        }
        return true
    }
}
