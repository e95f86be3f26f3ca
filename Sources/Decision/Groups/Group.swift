// SPDX-License-Identifier: Apache-2.0

/// What is known of one group: Patroni's keys, by reads and watch events in any order.
///
/// Invariant: knowledge never moves to an older revision.
struct Group: Sendable {
    struct Leader: Hashable, Sendable {
        var name: String
        /// The revision at which the leader key was created.
        var since: Int64
    }

    /// The leader before, while a leader change is being followed.
    struct Former: Hashable, Sendable {
        var name: String
        /// Where its PostgreSQL was reached last.
        var endpoint: NodeEndpoint?
        /// Whether somebody had asked Patroni to switch over from it.
        var wasPlanned: Bool
    }

    private var knownLeader = Known<Leader?>(nil)
    private var knownMembers: [String: Known<GroupMember?>] = [:]
    private var knownRequest = Known<LeaderRequest?>(nil)
    private var knownSynchronous = Known<Set<String>?>(nil)
    /// When this daemon learned of the present leader.
    private(set) var leaderAt: Instant?
    private(set) var former: Former?
    private var last: Leader?
    /// Where the last leader was reached; its member key may end before another leads.
    private var lastEndpoint: NodeEndpoint?
    private var plannedFrom: String?

    /// The revision at which the present leader's name was written last, for all that is known: what its rows are changed on. A
    /// Patroni that was frozen may write its name over another's without creating the key anew.
    private(set) var leaderWritten: Int64 = 0

    var leader: Leader? { self.knownLeader.value }
    var members: [String: GroupMember] { self.knownMembers.compactMapValues(\.value) }
    /// Where the leader's PostgreSQL is reached.
    var endpoint: NodeEndpoint? { self.leader.flatMap { self.knownMembers[$0.name]?.value?.endpoint } }
    /// What Patroni says of the leader, and at which revision it said so last; nil where nobody leads, or nothing was said.
    var leaderMember: (member: GroupMember?, revision: Int64)? {
        self.leader.flatMap { self.knownMembers[$0.name] }.map { ($0.value, $0.revision) }
    }
    /// Whether its leader follows another cluster's, as Patroni says.
    var isStandbyCluster: Bool { self.leaderMember?.member?.isStandbyLeader ?? false }
    /// Whether Patroni is asked to take the leadership from the present leader, and will do so in order.
    var isSwitchingOver: Bool {
        guard let leader = self.leader else { return false }
        switch self.knownRequest.value {
        case .from(let name)?: return name == leader.name
        case .to(let candidate, let since)?:
            // One from before this leader led has made it lead, or is out of date; and Patroni drops one that it cannot fulfil.
            let (isWell, isThere) = (self.members[leader.name]?.isRunning, self.members[candidate] != nil)
            return since > self.leaderWritten && candidate != leader.name && isThere && isWell == true
        case nil: return false
        }
    }
    /// The standbys that may lead without a loss, as Patroni sees to it; nil: every one may.
    var synchronous: Set<String>? { self.knownSynchronous.value }
    var isEmpty: Bool { self.leader == nil && self.members.isEmpty }
    /// Whether the member that led before is still known to Patroni.
    var isFormerPresent: Bool { self.former.map { self.members[$0.name] != nil } ?? false }

    /// Answers whether anything may follow from it: most of what members write is the same again.
    mutating func learn(_ fact: GroupFact, at revision: Int64, now: Instant) -> Bool {
        switch fact {
        case .leader(let name, let since, let written):
            let leader = Leader(name: name, since: since)
            let isNews = self.learn(leader, at: revision, now: now)
            // Of another leader it may be lower: etcd may have been rebuilt, and have overtaken the one before.
            if isNews {
                self.leaderWritten = written ?? since
            } else if self.leader == leader {
                self.leaderWritten = max(self.leaderWritten, written ?? since)
            }
            return isNews
        case .noLeader: return self.learn(nil, at: revision, now: now)
        case .member(let name, let member):
            let isNews = self.knownMembers[name, default: Known(nil)].learn(member, at: revision)
            if name == self.leader?.name, let endpoint = member?.endpoint { self.lastEndpoint = endpoint }
            return isNews
        case .requested(let request):
            let isNews = self.knownRequest.learn(request, at: revision)
            self.learnPlan()
            return isNews
        case .synchronous(let standbys): return self.knownSynchronous.learn(standbys, at: revision)
        case .log: return false
        }
    }

    private mutating func learn(_ leader: Leader?, at revision: Int64, now: Instant) -> Bool {
        guard self.knownLeader.learn(leader, at: revision) else { return false }
        guard let leader, leader != self.last else { return true }
        if let last = self.last {
            let wasPlanned = self.plannedFrom == last.name
            self.former =
                last.name == leader.name
                ? nil : Former(name: last.name, endpoint: self.lastEndpoint, wasPlanned: wasPlanned)
        }
        self.lastEndpoint = self.knownMembers[leader.name]?.value?.endpoint
        self.plannedFrom = nil
        self.last = leader
        self.leaderAt = now
        return true
    }

    /// A request that ends while the same leader leads was called off. (Who takes over clears it, as the leader.)
    private mutating func learnPlan() {
        if let leader { self.plannedFrom = self.isSwitchingOver ? leader.name : nil }
    }

    /// A read at `revision` named these facts, and no others.
    mutating func forgetAllBut(_ facts: [GroupFact], at revision: Int64, now: Instant) {
        var names: Set<String> = []
        var (hasLeader, hasRequest, isSynchronous) = (false, false, false)
        for fact in facts {
            switch fact {
            case .member(let name, _): names.insert(name)
            case .leader, .noLeader: hasLeader = true
            case .requested: hasRequest = true
            case .synchronous: isSynchronous = true
            case .log: break
            }
        }
        if !hasLeader { _ = self.learn(nil, at: revision, now: now) }
        if !hasRequest, self.knownRequest.learn(nil, at: revision) { self.learnPlan() }
        if !isSynchronous { self.knownSynchronous.learn(nil, at: revision) }
        for name in self.knownMembers.keys where !names.contains(name) {
            self.knownMembers[name]?.learn(nil, at: revision)
        }
    }
}
