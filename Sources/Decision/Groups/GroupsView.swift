// SPDX-License-Identifier: Apache-2.0

/// What is known of all groups: the one view at which Citus and the failure detector look.
///
/// It takes over what reads and watch events show of Patroni's keys, in any order, asks for the reads, and says of each event what it
/// changed. What follows from that, and how old the view may be for it, is for those to say who look.
///
/// Invariant: knowledge moves to an older revision only where etcd is another one, or was rebuilt.
package struct GroupsView: Sendable {
    private(set) var groups: [Int: Group] = [:]
    /// Who holds which address, by group. For people to see: nothing is decided on it.
    private(set) var holders: [Int: [AddressID: String]] = [:]
    /// The etcd cluster that the groups were read from, and the newest revision that is known of it.
    private(set) var clusterID: UInt64?
    private(set) var revision: Int64 = 0
    private var revisionLearnedAt: Instant
    /// When the newest read was sent that was answered.
    private(set) var readAt: Instant?
    private var isUnreadable = false
    private(set) var question: Question
    /// Since when it is known that the view lacks something: a read that was sent before may lack it too.
    private var lacksSince: Instant?
    private let schedule: GroupsSchedule

    /// More groups are not looked at.
    package static let groupLimit = 1024
    /// Nor more addresses of one group.
    package static let addressLimit = 64

    init(_ schedule: GroupsSchedule, at now: Instant) {
        self.schedule = schedule
        self.question = Question(due: now + schedule.first, pace: Core.etcdPace)
        self.revisionLearnedAt = now
    }

    // MARK: - What is learned

    /// Answers what it changed for those who look; nil: nothing.
    mutating func learn(_ event: GroupsEvent, at now: Instant) -> GroupsNews? {
        switch event {
        case .read(let snapshot, let sentAt):
            // Whoever asked for it, and whenever: it is as true as it is old.
            self.question.answered(sentAt)
            self.isUnreadable = false
            if self.lacksSince.map({ $0 <= sentAt }) ?? true {
                self.lacksSince = nil
                self.question.due = max(self.question.due, sentAt + self.schedule.pace)
            }
            return .read(self.learn(snapshot, sentAt: sentAt, at: now), sentAt: sentAt)
        case .unread(let reason):
            self.question.answered()
            self.question.due = now + self.schedule.pause
            defer { self.isUnreadable = true }
            return .unread(reason: reason, isFirst: !self.isUnreadable)
        case .changed(let clusterID, let revision, let changes):
            guard clusterID == self.clusterID else {
                self.readAnew(at: now)
                return .ofAnotherCluster
            }
            self.advance(to: revision, at: now)
            var learned = GroupsNews.Learned(named: changes)
            self.learn(changes, at: revision, now: now, &learned)
            self.dropVanished(among: Set(learned.news.map(\.group)), &learned)
            return .changed(learned)
        case .heldRead(let holders):
            self.holders = [:]
            for (group, held) in holders.sorted(by: { $0.key < $1.key }) {
                for (address, holder) in held.sorted(by: { $0.key < $1.key }) { self.hold(group, address, holder) }
            }
            return nil
        case .held(let group, let address, let holder):
            self.hold(group, address, holder)
            return nil
        }
    }

    private mutating func hold(_ group: Int, _ address: AddressID, _ holder: String?) {
        guard let holder else {
            self.holders[group]?[address] = nil
            if self.holders[group]?.isEmpty == true { self.holders[group] = nil }
            return
        }
        let held = self.holders[group]
        guard held?[address] != nil || held?.count ?? 0 < Self.addressLimit,
            held != nil || self.holders.count < Self.groupLimit
        else { return }
        self.holders[group, default: [:]][address] = holder
    }

    private mutating func advance(to revision: Int64, at now: Instant) {
        guard revision > self.revision else { return }
        (self.revision, self.revisionLearnedAt) = (revision, now)
    }

    private mutating func learn(_ snapshot: GroupsSnapshot, sentAt: Instant, at now: Instant) -> GroupsNews.Learned {
        var learned = GroupsNews.Learned(named: snapshot.facts)
        let wentBack = snapshot.revision < self.revision && sentAt > self.revisionLearnedAt
        if snapshot.clusterID != self.clusterID || wentBack {
            // An etcd that was rebuilt counts its revisions from the beginning, under another number or the same. What is
            // known of the one before is the past.
            (self.groups, self.revision, self.clusterID) = ([:], 0, snapshot.clusterID)
            learned.isOfAnotherHistory = true
        }
        // One that the watch has overtaken still tells of the keys of which nothing newer is known.
        self.readAt = max(self.readAt ?? sentAt, sentAt)
        self.advance(to: snapshot.revision, at: now)
        self.learn(snapshot.facts, at: snapshot.revision, now: now, &learned)
        var facts: [Int: [GroupFact]] = [:]
        for change in snapshot.facts { facts[change.group, default: []].append(change.fact) }
        for group in self.groups.keys {
            self.groups[group]?.forgetAllBut(facts[group] ?? [], at: snapshot.revision, now: now)
        }
        self.dropVanished(among: self.groups.keys, &learned)
        return learned
    }

    /// First who is there and leads, whatever their order: what is known besides concerns a leader that is known.
    private mutating func learn(
        _ changes: [GroupChange], at revision: Int64, now: Instant, _ learned: inout GroupsNews.Learned
    ) {
        for change in changes where change.fact.isOfMembers { self.learn(change, at: revision, now: now, &learned) }
        for change in changes where !change.fact.isOfMembers { self.learn(change, at: revision, now: now, &learned) }
    }

    private mutating func learn(
        _ change: GroupChange, at revision: Int64, now: Instant, _ learned: inout GroupsNews.Learned
    ) {
        if self.groups[change.group] == nil {
            guard self.groups.count < Self.groupLimit else { return }
            switch change.fact {
            case .leader(let leader, _, _): learned.appeared.append((change.group, leader))
            case .member(_, .some): break
            case .noLeader, .member(_, nil), .requested, .synchronous, .log: return
            }
        }
        let before = self.groups[change.group]?.leader
        guard self.groups[change.group, default: Group()].learn(change.fact, at: revision, now: now) else { return }
        learned.news.append(change)
        let after = self.groups[change.group]?.leader
        if before != after { learned.leaders.append((change.group, before, after)) }
    }

    private mutating func dropVanished(among groups: some Sequence<Int>, _ learned: inout GroupsNews.Learned) {
        learned.vanished = groups.filter { self.groups[$0]?.isEmpty == true }.sorted()
        for group in learned.vanished { self.groups[group] = nil }
    }

    // MARK: - What is asked for

    /// The view lacks something: a read that was sent before now does not do.
    mutating func readAnew(at now: Instant) {
        self.lacksSince = now
        self.question.hasten(to: now)
    }

    /// Gives a read up that is not answered for `limit`; answers for how long, when that is news.
    mutating func giveUp(after limit: Duration, at now: Instant, awakeSince: Instant) -> Duration? {
        let silence = self.question.giveUp(
            after: limit, at: now, awakeSince: awakeSince, next: now + self.schedule.pause)
        guard let silence, silence.isFirst else { return nil }
        return silence.length
    }

    /// Answers whether the groups' keys are to be read now.
    mutating func ask(at now: Instant) -> Bool {
        guard self.question.isDue(at: now) else { return false }
        self.question.ask(at: now, next: now + self.schedule.pace)
        return true
    }
}

/// When the groups' keys are read: as often as the one needs who needs it most often.
struct GroupsSchedule: Sendable, Hashable {
    /// From the beginning to the first read.
    let first: Duration
    /// Between two reads: a watch alone can go stale.
    let pace: Duration
    /// After a read that was not answered, or badly.
    let pause: Duration

    private init(first: Duration, pace: Duration, pause: Duration) {
        (self.first, self.pace, self.pause) = (first, pace, pause)
    }

    /// Nil where nobody looks.
    init?(_ settings: CoreSettings) {
        if settings.citus != nil {
            // Whoever writes by it wants it at once.
            self.init(first: .zero, pace: Self.shortestPace, pause: .seconds(1))
        } else if let detector = settings.detector {
            self.init(detector)
        } else {
            return nil
        }
    }

    /// Where the failure detector alone looks. (The shell's follower reads at the beginning.)
    init(_ detector: DetectorSettings) {
        let pace = DetectorCore.readPace(detector.profile)
        self.init(first: Self.shortestPace, pace: pace, pause: Self.shortestPace)
    }

    static let shortestPace: Duration = .seconds(10)
}

/// What an event changed in the view of the groups, for those who look at it.
enum GroupsNews: Sendable {
    case read(Learned, sentAt: Instant)
    case changed(Learned)
    /// What a watch showed that is of another cluster than the one that was read.
    case ofAnotherCluster
    /// `isFirst`: whether the read before was answered.
    case unread(reason: String, isFirst: Bool)

    /// Whether something of the groups is another than it was.
    var isTelling: Bool {
        switch self {
        case .read(let learned, _), .changed(let learned): !learned.news.isEmpty || !learned.vanished.isEmpty
        case .ofAnotherCluster, .unread: false
        }
    }

    struct Learned: Sendable {
        /// All that the event named; and those that said something new.
        let named: [GroupChange]
        var news: [GroupChange] = []
        /// Nothing of what was known before holds any more.
        var isOfAnotherHistory = false
        /// The groups that have a leader, and were not known before.
        var appeared: [(group: Int, leader: String)] = []
        /// The groups that have neither leader nor members any more; sorted.
        var vanished: [Int] = []
        var leaders: [(group: Int, before: Group.Leader?, after: Group.Leader?)] = []

        init(named: [GroupChange]) { self.named = named }
    }
}

extension GroupFact {
    /// Whether it says who is there, or leads.
    fileprivate var isOfMembers: Bool {
        switch self {
        case .leader, .noLeader, .member: true
        case .requested, .synchronous, .log: false
        }
    }
}
