// SPDX-License-Identifier: Apache-2.0
import Decision
import LeaseKeys

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
    var revision: Int64 = 1
    var hasQuorum = true
    /// Seconds of etcd's clock in a true second.
    var rate = 1.0
    private(set) var leader: String?
    private(set) var patroni: DynamicConfig?
    var mark: ClusterMark?
    /// What stands under the mark's key, byte for byte.
    var markValue: [UInt8] = []
    var quarantine: LeaseID?
    var holders: [Holder?]
    /// What stands under each address's key, byte for byte.
    var holderValues: [[UInt8]]
    var trails: [TrailInEtcd]
    /// What stands under each trail's key, byte for byte.
    var trailValues: [[UInt8]]
    var keepsTrails = true
    let addresses: [AddressID]
    let names: KeyNames
    var leases: [LeaseID: Lease] = [:]
    private(set) var leaderLease: LeaseID?
    private var lastLease: LeaseID = 100
    private var current: Snapshot?
    /// Every change, oldest first, for watches that resume.
    private(set) var log: [(revision: Int64, change: KeyChange)] = []

    init(_ keys: PharosKeys, addresses: [AddressID], patroni: DynamicConfig) {
        self.addresses = addresses
        self.patroni = patroni
        self.holders = addresses.map { _ in nil }
        self.holderValues = addresses.map { _ in [] }
        self.trailValues = addresses.map { _ in [] }
        self.trails = addresses.map { _ in TrailInEtcd() }
        self.names = KeyNames(keys, addresses)
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

    mutating func record(_ change: KeyChange) {
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

    /// From here on are the numbers of clusters that were rebuilt alone.
    static let firstAlone: UInt64 = 1_000_000

    /// One member is rebuilt alone: an empty cluster beside this one, with a number of its own, and leases of which this one knows
    /// nothing. (etcd draws the numbers of leases at random: none is given twice.)
    func rebuiltAlone(_ number: Int) -> SimulatedEtcd {
        var other = self
        other.wipe(keepsClusterID: true)
        other.clusterID = Self.firstAlone + UInt64(number)
        other.incarnation = 1_000_000 + number
        other.lastLease = LeaseID(1_000_000 * number)
        other.hasQuorum = true
        return other
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
}
