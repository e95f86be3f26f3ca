// SPDX-License-Identifier: Apache-2.0

/// Something that the core asks its shell for, again and again: due at a moment, or under way since one.
///
/// The shell answers within its own time limits. What it does not answer keeps nobody waiting for ever: past the question's own
/// limit (``AnswerLimits``) it is given up, and asked again. Its answer may come all the same, and be taken for that of the question
/// after it wherever it does not say when it was asked for; whoever uses a question sees to it that this does no harm.
struct Question: Sendable {
    private enum State {
        case idle(due: Instant)
        /// `next`: when it is due again, once it has been answered.
        case underWay(since: Instant, next: Instant)
    }

    private var state: State
    private let pace: Pace
    /// When the next one would be on time at its pace (the theoretical arrival time of the generic cell rate algorithm).
    private var onTimeAt = Instant.beforeAll
    /// When it was asked last.
    private(set) var askedAt: Instant?
    /// When the first of those was asked that have been given up since any was answered.
    private(set) var silentSince: Instant?

    /// However many things hasten a question, it is asked at most every `pause` in the long run, and at most `ahead` sooner than that.
    struct Pace {
        var pause = Duration.zero
        var ahead = Duration.zero
    }

    init(due: Instant, pace: Pace = Pace()) { (self.state, self.pace) = (.idle(due: due), pace) }

    var isUnderWay: Bool {
        switch self.state {
        case .idle: false
        case .underWay: true
        }
    }

    /// When it is to be asked next, or again once it has been answered.
    var due: Instant {
        get {
            switch self.state {
            case .idle(let due), .underWay(_, let due): due
            }
        }
        set {
            switch self.state {
            case .idle: self.state = .idle(due: newValue)
            case .underWay(let since, _): self.state = .underWay(since: since, next: newValue)
            }
        }
    }

    func isDue(at now: Instant) -> Bool {
        switch self.state {
        case .idle(let due): self.paced(due) <= now
        case .underWay: false
        }
    }

    @inline(__always)
    private func paced(_ due: Instant) -> Instant { max(due, self.onTimeAt - self.pace.ahead) }

    /// It is due at `instant` at the latest.
    mutating func hasten(to instant: Instant) { if instant < self.due { self.due = instant } }

    mutating func ask(at now: Instant, next: Instant) {
        self.state = .underWay(since: now, next: next)
        self.askedAt = now
        self.onTimeAt = max(self.onTimeAt, now) + self.pace.pause
    }

    /// It was answered, well or badly. One that does not tell when it was asked for counts for the one that is under way.
    /// - Parameter askedAt: when what is answered was asked for.
    /// - Returns: whether that is the one under way.
    @discardableResult
    mutating func answered(_ askedAt: Instant? = nil) -> Bool {
        self.silentSince = nil
        guard case .underWay(let since, let next) = self.state, (askedAt ?? since) >= since else { return false }
        self.state = .idle(due: next)
        return true
    }

    /// Gives it up if it has been under way for `limit` or longer, by a daemon that did not stand still meanwhile (since
    /// `awakeSince`), and makes it due at `next`; answers for how long it was under way.
    @inline(__always)
    mutating func giveUp(
        after limit: Duration, at now: Instant, awakeSince: Instant, next: @autoclosure () -> Instant
    ) -> Silence? {
        guard case .underWay(let since, _) = self.state, now - max(since, awakeSince) >= limit else { return nil }
        let isFirst = self.silentSince == nil
        if isFirst { self.silentSince = since }
        self.state = .idle(due: next())
        return Silence(length: now - since, isFirst: isFirst)
    }

    /// When something is to be done about it: to ask it, or to give it up.
    @inline(__always)
    func wakeAt(limit: Duration, awakeSince: Instant) -> Instant {
        switch self.state {
        case .idle(let due): self.paced(due)
        case .underWay(let since, _): max(since, awakeSince) + limit
        }
    }
}

/// A question was given up.
struct Silence: Sendable {
    /// For how long it had been under way.
    let length: Duration
    /// Whether something of the kind had been answered since one was given up: then it is news.
    let isFirst: Bool
}

/// What the core asks its shell for.
public enum Asked: Hashable, Sendable {
    // etcd
    case read, mark
    case lease(AddressID), renewal(AddressID), acquisition(AddressID), revocation(AddressID)
    // The node
    case listing, postgres, patroni
    case assignment(AddressID), removal(AddressID)
    case port(AddressID)
    // Other members
    case groups, probes([MemberID]), etcdHealth, switchover(MemberID)
    case rows(String), writable(NodeEndpoint), copies(String)
    case update(String, groups: [Int]), hold(String, group: Int)
}

/// What was asked for and has not been answered, and since when.
public struct Unanswered: Hashable, Sendable {
    public let asked: Asked
    public let since: Instant
}
