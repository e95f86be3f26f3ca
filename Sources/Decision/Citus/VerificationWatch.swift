// SPDX-License-Identifier: Apache-2.0

/// What came of a verification that the daemon asked for.
public enum VerificationOutcome: Hashable, Sendable {
    /// The findings of each database.
    case ended([DatabaseVerification])
    case failed(reason: String)
}

public struct DatabaseVerification: Hashable, Sendable {
    public var database: String
    public var findings: [Finding]

    public init(_ database: String, _ findings: [Finding]) { (self.database, self.findings) = (database, findings) }
}

/// What makes one finding the same as another, of another time.
public struct FindingPlace: Hashable, Sendable {
    public let database: String
    public let code: Finding.Code
    public let group: Int?
    public let node: NodeEndpoint?

    public init(_ database: String, _ finding: Finding) {
        (self.database, self.code, self.group, self.node) = (database, finding.code, finding.group, finding.node)
    }
}

/// The last verification.
public struct ClusterVerification: Hashable, Sendable {
    public let at: Instant
    /// Those of the last one that ended.
    public let databases: [DatabaseVerification]
    /// Why the last one came to no end; nil if it did.
    public let failure: String?
}

/// When the daemon verifies the whole cluster by itself, and what it tells of it: a minute after it has become the writer, and once a
/// day, at a time of its own; never in the moment of a failover.
///
/// Invariant: what is told once is told again only after it was seen to be gone. What could not be looked at is not gone.
package struct VerificationWatch: Sendable {
    private(set) var question = Question(due: .distantFuture)
    private(set) var last: ClusterVerification?
    private var standing: Set<FindingPlace> = []
    /// By database, since when each thing has been there that Citus is to remove.
    private var pendingSince: [String: [String: Instant]] = [:]
    private var isFirst = true
    /// Something was found wrong: nobody waits for what is on its way to the workers.
    private var isHastened = false
    /// By what a node's daily time differs from the others'.
    private let phase: Duration

    static let (settling, day, again) = (Duration.seconds(60), Duration.seconds(86_400), Duration.seconds(3600))
    /// For how long it waits for groups that do not settle; and looks whether they have.
    static let (patience, glance) = (Duration.seconds(3600), Duration.seconds(10))
    /// What Citus removes within minutes, and has not for so long, it does not remove.
    package static let stale = Duration.seconds(3600)
    /// Findings that are told one by one, of one verification; and those that are remembered.
    package static let (toldLimit, limit) = (20, 1000)

    init(member: String) {
        let hash = member.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        self.phase = .seconds(Int64(hash % 86_400))
    }

    /// This daemon becomes the writer, or is it no more.
    mutating func begin(isWriter: Bool, at now: Instant) {
        (self.standing, self.last, self.isFirst, self.isHastened, self.pendingSince) = ([], nil, true, false, [:])
        self.question.due = isWriter ? now + Self.settling : .distantFuture
    }

    /// Answers whether to verify now.
    /// - Parameters:
    ///   - isIdle: whether nothing is being changed.
    ///   - isCalm: whether no group has changed its leader lately.
    ///   - hasArrived: whether each change has arrived on the workers.
    mutating func ask(isIdle: Bool, isCalm: Bool, hasArrived: Bool, at now: Instant) -> Bool {
        let isSettled = isCalm && (hasArrived || self.isHastened)
        guard self.question.isDue(at: now), isIdle, isSettled || now - self.question.due >= Self.patience else {
            return false
        }
        self.isHastened = false
        let pause = self.isFirst ? max(Self.again, self.phase) : Self.day
        self.question.ask(at: now, next: now + pause)
        return true
    }

    /// Workers' copies of the metadata differ though Citus says that they do not: the whole is looked at now, or an hour after the
    /// last time.
    mutating func hasten(to now: Instant) {
        guard self.question.due != .distantFuture else { return }
        self.isHastened = true
        self.question.due = min(self.question.due, max(now, self.last.map { $0.at + Self.again } ?? now))
    }

    func wakeAt(after now: Instant, awakeSince: Instant) -> Instant {
        let wakeAt = self.question.wakeAt(limit: AnswerLimits.verification, awakeSince: awakeSince)
        return wakeAt > now ? wakeAt : now + Self.glance
    }

    mutating func giveUp(at now: Instant, awakeSince: Instant, into reports: inout [CitusReport]) {
        guard self.question.isUnderWay, let askedAt = self.question.askedAt,
            now - max(askedAt, awakeSince) >= AnswerLimits.verification
        else { return }
        self.learn(.failed(reason: "no answer"), askedAt: askedAt, at: now, into: &reports)
    }

    mutating func learn(
        _ outcome: VerificationOutcome, askedAt: Instant, at now: Instant, into reports: inout [CitusReport]
    ) {
        guard self.question.answered(askedAt), self.question.due != .distantFuture else { return }
        switch outcome {
        case .failed(let reason):
            self.question.due = now + Self.again
            if self.last?.failure == nil { reports.append(.unverified(reason: reason)) }
            self.last = ClusterVerification(at: now, databases: self.last?.databases ?? [], failure: reason)
        case .ended(let databases):
            self.isFirst = false
            let aged = databases.map { self.aged($0, at: now) }
            self.last = ClusterVerification(at: now, databases: aged, failure: nil)
            self.tell(aged, into: &reports)
        }
    }

    /// What was to be removed an hour ago already, and is there still, is no matter of course. (`pg_dist_cleanup` does not say since when.)
    private mutating func aged(_ database: DatabaseVerification, at now: Instant) -> DatabaseVerification {
        let name = database.database
        let pending = Set(database.findings.flatMap(\.pending))
        let isSeen = database.findings.allSatisfy { !$0.code.isOfTheUnseen || $0.severity == .note }
        var since = self.pendingSince[name] ?? [:]
        if isSeen { since = since.filter { pending.contains($0.key) } }
        for thing in pending where since[thing] == nil { since[thing] = now }
        self.pendingSince[name] = since
        let stale = since.filter { pending.contains($0.key) && now - $0.value >= Self.stale }
        guard let (thing, oldest) = stale.min(by: { ($0.value, $0.key) < ($1.value, $1.key) }) else { return database }
        var aged = database
        for index in aged.findings.indices where aged.findings[index].code == .cleanupPending {
            aged.findings[index].severity = max(aged.findings[index].severity, .warning)
            aged.findings[index].evidence +=
                "; \(stale.count) of them for more than an hour, \(thing) for \((now - oldest).components.seconds / 3600) h at least"
        }
        return aged
    }

    private mutating func tell(_ databases: [DatabaseVerification], into reports: inout [CitusReport]) {
        var (told, more) = (0, 0)
        var seen: Set<FindingPlace> = []
        for database in databases {
            for finding in database.findings where finding.severity > .note {
                let place = FindingPlace(database.database, finding)
                guard seen.insert(place).inserted, !self.standing.contains(place), self.standing.count < Self.limit
                else { continue }
                self.standing.insert(place)
                if told < Self.toldLimit { reports.append(.found(database.database, finding)) } else { more += 1 }
                told += 1
            }
        }
        if more > 0 { reports.append(.foundMore(more)) }
        let gone = self.standing.filter { place in
            guard !seen.contains(place), let database = databases.first(where: { $0.database == place.database }) else {
                return false
            }
            return database.findings.allSatisfy { !$0.hides(place) }
        }
        self.standing.subtract(gone)
        for place in gone.sorted(by: { $0.text < $1.text }).prefix(Self.toldLimit) {
            reports.append(.findingGone(place))
        }
    }
}

extension FindingPlace {
    /// For people, and for a lasting order.
    public var text: String {
        let group = self.group.map { " of group \($0)" } ?? ""
        return "\(self.code.rawValue)\(group)\(self.node.map { " at \($0)" } ?? "") in \(self.database)"
    }
}

extension Finding.Code {
    /// Whether it says that something could not be looked at.
    public var isOfTheUnseen: Bool {
        [.coordinatorUnreachable, .etcdUnreadable, .notLookedAt, .rowUnreachable, .rowUnverified].contains(self)
    }

}

extension Finding {
    /// Whether it means that it could not be seen whether `place` is still so.
    fileprivate func hides(_ place: FindingPlace) -> Bool {
        if !self.unseen.isEmpty {
            return [.secondPrimary, .secondCoordinator].contains(place.code)
                && place.node.map { self.unseen.contains($0) } ?? true
        }
        guard self.severity > .note else { return false }
        if [.coordinatorUnreachable, .etcdUnreadable].contains(self.code) { return true }
        guard [.notLookedAt, .rowUnreachable, .rowUnverified, .extensionMissing].contains(self.code) else {
            return false
        }
        guard self.group == nil || self.group == place.group || place.group == nil else { return false }
        // A dead node hides what is to be seen on it, not what is to be seen on the others of its group.
        return self.node == nil || place.node == nil || self.node == place.node
    }
}
