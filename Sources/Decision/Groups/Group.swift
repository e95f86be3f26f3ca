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
    private var knownSwitchover = Known<String?>(nil)
    private var knownSynchronous = Known<Set<String>?>(nil)
    /// When this daemon learned of the present leader.
    private(set) var leaderAt: Instant?
    private(set) var former: Former?
    private var last: Leader?
    /// Where the last leader was reached; its member key may end before another leads.
    private var lastEndpoint: NodeEndpoint?
    private var plannedFrom: String?

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
    /// Whether a switchover from the present leader is pending.
    var isSwitchingOver: Bool { self.leader.map { self.knownSwitchover.value == $0.name } ?? false }
    /// The standbys that may lead without a loss, as Patroni sees to it; nil: every one may.
    var synchronous: Set<String>? { self.knownSynchronous.value }
    var isEmpty: Bool { self.leader == nil && self.members.isEmpty }
    /// Whether the member that led before is still known to Patroni.
    var isFormerPresent: Bool { self.former.map { self.members[$0.name] != nil } ?? false }

    /// Answers whether anything may follow from it: most of what members write is the same again.
    mutating func learn(_ fact: GroupFact, at revision: Int64, now: Instant) -> Bool {
        switch fact {
        case .leader(let name, let since):
            return self.learn(Leader(name: name, since: since), at: revision, now: now)
        case .noLeader: return self.learn(nil, at: revision, now: now)
        case .member(let name, let member):
            let isNews = self.knownMembers[name, default: Known(nil)].learn(member, at: revision)
            if name == self.leader?.name, let endpoint = member?.endpoint { self.lastEndpoint = endpoint }
            return isNews
        case .switchover(let leader):
            let isNews = self.knownSwitchover.learn(leader, at: revision)
            if let leader, leader == self.leader?.name { self.plannedFrom = leader }
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

    /// A read at `revision` named these facts, and no others.
    mutating func forgetAllBut(_ facts: [GroupFact], at revision: Int64, now: Instant) {
        var names: Set<String> = []
        var (hasLeader, hasSwitchover, isSynchronous) = (false, false, false)
        for fact in facts {
            switch fact {
            case .member(let name, _): names.insert(name)
            case .leader, .noLeader: hasLeader = true
            case .switchover: hasSwitchover = true
            case .synchronous: isSynchronous = true
            case .log: break
            }
        }
        if !hasLeader { _ = self.learn(nil, at: revision, now: now) }
        if !hasSwitchover { self.knownSwitchover.learn(nil, at: revision) }
        if !isSynchronous { self.knownSynchronous.learn(nil, at: revision) }
        for name in self.knownMembers.keys where !names.contains(name) {
            self.knownMembers[name]?.learn(nil, at: revision)
        }
    }
}
