// SPDX-License-Identifier: Apache-2.0

/// What is known of one group: Patroni's keys, by reads and watch events in any order, and what its leader's PostgreSQL said.
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
    /// The leadership for which PostgreSQL was found out of recovery.
    private var writableSince: Int64?
    /// Why the leader's PostgreSQL cannot be asked by this daemon; nil where it can, or may yet.
    private(set) var refusal: String?
    /// Whether the leader's PostgreSQL accepts writes. Each answer says when it was asked for, so that a late one says no more
    /// than it does.
    private(set) var question = Question(due: .beforeAll)
    /// The server that was asked last; once another one leads, its answer is not waited for.
    private var asked: NodeEndpoint?

    var leader: Leader? { self.knownLeader.value }
    var members: [String: GroupMember] { self.knownMembers.compactMapValues(\.value) }
    /// Where the leader's PostgreSQL is reached.
    var endpoint: NodeEndpoint? { self.leader.flatMap { self.knownMembers[$0.name]?.value?.endpoint } }
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
            // Where the leader cannot be asked, it counts that Patroni has spoken of it at all.
            return isNews || (self.refusal != nil && name == self.leader?.name)
        case .switchover(let leader):
            let isNews = self.knownSwitchover.learn(leader, at: revision)
            if let leader, leader == self.leader?.name { self.plannedFrom = leader }
            return isNews
        case .synchronous(let standbys): return self.knownSynchronous.learn(standbys, at: revision)
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
        (self.question, self.asked, self.refusal) = (Question(due: .beforeAll), nil, nil)
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
            }
        }
        if !hasLeader { _ = self.learn(nil, at: revision, now: now) }
        if !hasSwitchover { self.knownSwitchover.learn(nil, at: revision) }
        if !isSynchronous { self.knownSynchronous.learn(nil, at: revision) }
        for name in self.knownMembers.keys where !names.contains(name) {
            self.knownMembers[name]?.learn(nil, at: revision)
        }
    }

    // MARK: - Whether the leader accepts writes

    /// Known of the present leadership. Where the leader's PostgreSQL cannot be asked, what Patroni has said of it since it
    /// leads must do: that comes about a second later.
    var isWritable: Bool {
        guard let leader = self.leader else { return false }
        if self.writableSince == leader.since { return true }
        guard self.refusal != nil, let member = self.knownMembers[leader.name], member.revision > leader.since else {
            return false
        }
        return member.value?.isPrimary == true && member.value?.isRunning == true
    }

    /// For how long a new leader that does not answer may be on its way: restarts and promotions take a few seconds.
    private static let patience: Duration = .seconds(10)

    /// Takes over an answer; answers why the leader cannot be asked, when that is news.
    mutating func learn(_ answer: WritableAnswer, askedAt: Instant) -> String? {
        self.question.answered(askedAt)
        // An answer from before the leadership proves nothing.
        guard let leader = self.leader, let leaderAt = self.leaderAt, askedAt >= leaderAt else { return nil }
        switch answer {
        case .primary:
            self.writableSince = leader.since
            self.refusal = nil
        case .standby: self.refusal = nil
        case .unreachable(let reason):
            if askedAt - leaderAt >= Self.patience { return self.refuse(reason) }
        case .refused(let reason): return self.refuse(reason)
        }
        return nil
    }

    private mutating func refuse(_ reason: String) -> String? {
        let isNews = self.refusal == nil
        self.refusal = reason
        return isNews ? reason : nil
    }

    var isAsked: Bool { self.question.isUnderWay && self.asked == self.endpoint }

    mutating func giveUp(at now: Instant, awakeSince: Instant) -> Silence? {
        self.question.giveUp(after: AnswerLimits.writable, at: now, awakeSince: awakeSince, next: now)
    }

    mutating func ask(_ endpoint: NodeEndpoint, at now: Instant) {
        self.asked = endpoint
        self.question.ask(at: now, next: now)
    }

    /// When its leader's PostgreSQL is to be asked next: a promotion takes 150 to 200 ms from the leader key, so most often
    /// in the first two seconds.
    func askDue(at now: Instant) -> Instant {
        guard let askedAt = self.question.askedAt, let leaderAt = self.leaderAt else { return now }
        if self.refusal != nil { return askedAt + .seconds(5) }
        let age = now - leaderAt
        return askedAt + (age < .seconds(2) ? .milliseconds(15) : age < .seconds(60) ? .milliseconds(50) : .seconds(1))
    }
}
