// SPDX-License-Identifier: Apache-2.0

/// What became of a connection to an address's own port, made on the very node that has the address.
public enum PortAnswer: Hashable, Sendable {
    case accepted
    /// Nobody listens there, or a packet filter says so.
    case refused
    /// Neither for so long: something drops what is sent, or the server's queue of connections is full.
    case silent(after: Duration)
    /// It could not be made, for a reason that says nothing of who listens.
    case unknown(reason: String)
}

/// Whether clients who come to an address find somebody, as far as this node can tell: while the address is here, its port is tried
/// again and again.
///
/// Nothing follows from it but words. What could not be tried neither counts against the port nor for it.
struct PortWatch: Sendable {
    let address: AddressID
    private var port: UInt16?
    private var question: Question
    private var hereSince: Instant?
    private var isOpen = false
    /// Tries that failed in a row: the last one's answer, when the first began, and how many.
    private var closed: (answer: PortAnswer, since: Instant, count: Int)?
    /// Those that could not be made, since one could.
    private var unknown: (reason: String, since: Instant, count: Int)?
    private var told = Retelling<Cause>()
    /// Whether it was said that nobody takes clients, and not yet that somebody does.
    private var isToldClosed = false

    private enum Cause: Hashable { case refused, silent, unknown }

    /// An address has just come: a server that listens there by name needs a moment.
    static let firstPause: Duration = .seconds(1)
    static let pause: Duration = .seconds(30)
    /// Until a failure is tried again that is the first since the address came, when no restart of the server explains it.
    static let confirmationPause: Duration = .seconds(5)
    /// While clients are known to be turned away.
    static let recoveryPause: Duration = .seconds(10)
    /// The next whole multiple of a pause: however many addresses are here, their ports are tried in the same turns.
    private static func next(_ pause: Duration, after now: Instant) -> Instant {
        let (time, period) = (now.sinceBoot.attoseconds, pause.attoseconds)
        return Instant(sinceBoot: Duration(attoseconds: (time / period + 1) * period))
    }

    /// So many tries in a row fail before it is believed.
    private static let believed = 2

    init(_ address: AddressID, at now: Instant) {
        self.address = address
        self.question = Question(due: now)
    }

    /// - Parameter port: the one to try; nil: none is.
    /// - Returns: whether to try it now.
    mutating func advance(isHere: Bool, port: UInt16?, at now: Instant) -> Bool {
        if self.port != port {
            self.port = port
            self.hereSince = nil
            // What was told was told of another one.
            (self.told, self.isToldClosed) = (Retelling(), false)
        }
        guard isHere, port != nil else {
            self.hereSince = nil
            return false
        }
        if self.hereSince == nil {
            self.hereSince = now
            (self.isOpen, self.closed, self.unknown) = (false, nil, nil)
            self.question.due = now + Self.firstPause
        }
        guard self.question.isDue(at: now) else { return false }
        self.question.ask(at: now, next: Self.next(Self.pause, after: now))
        return true
    }

    mutating func giveUp(after limit: Duration, at now: Instant, awakeSince: Instant) -> Silence? {
        self.question.giveUp(after: limit, at: now, awakeSince: awakeSince, next: Self.next(Self.pause, after: now))
    }

    /// - Returns: what is to be told, if anything.
    mutating func learn(
        _ answer: PortAnswer, port: UInt16, askedAt: Instant, _ postgres: PostgresState?, at now: Instant
    ) -> Report? {
        self.question.answered(askedAt)
        // Of an earlier stay, or of another port.
        guard let hereSince = self.hereSince, hereSince <= askedAt, self.port == port else { return nil }
        switch answer {
        case .accepted: return self.opened(port, askedAt)
        case .refused, .silent:
            self.unknown = nil
            let before = self.closed
            let closed = (answer: answer, since: before?.since ?? askedAt, count: (before?.count ?? 0) + 1)
            self.closed = closed
            guard closed.count >= Self.believed else {
                if !self.isOpen { self.question.due = now + Self.confirmationPause }
                return nil
            }
            self.isOpen = false
            self.question.due = Self.next(Self.recoveryPause, after: now)
            guard self.told.tells(answer == .refused ? .refused : .silent, at: now) else { return nil }
            self.isToldClosed = true
            return .portClosed(self.address, port: port, answer, for: now - closed.since, postgres)
        case .unknown(let reason):
            let before = self.unknown
            self.unknown = (reason: reason, since: before?.since ?? askedAt, count: (before?.count ?? 0) + 1)
            guard before != nil, self.told.tells(.unknown, at: now) else { return nil }
            return .portUntried(self.address, port: port, reason: reason)
        }
    }

    private mutating func opened(_ port: UInt16, _ askedAt: Instant) -> Report? {
        let since = self.closed?.since
        (self.isOpen, self.closed, self.unknown) = (true, nil, nil)
        self.told.over()
        guard self.isToldClosed else { return nil }
        self.isToldClosed = false
        return .portOpen(self.address, port: port, after: since.map { askedAt - $0 })
    }

    func wakeAt(limit: Duration, awakeSince: Instant) -> Instant? {
        guard self.hereSince != nil || self.question.isUnderWay else { return nil }
        return self.question.wakeAt(limit: limit, awakeSince: awakeSince)
    }

    var unanswered: Unanswered? {
        guard self.hereSince != nil, let since = self.question.silentSince else { return nil }
        return Unanswered(asked: .port(self.address), since: since)
    }

    /// Nil where the port is not tried.
    var status: PortStatus? {
        guard self.hereSince != nil, let port = self.port else { return nil }
        if let unknown = self.unknown {
            return PortStatus(
                port: port, answer: .unknown(reason: unknown.reason), since: unknown.since,
                isBelieved: unknown.count >= Self.believed)
        }
        if let closed = self.closed {
            return PortStatus(
                port: port, answer: closed.answer, since: closed.since, isBelieved: closed.count >= Self.believed)
        }
        return PortStatus(port: port, answer: self.isOpen ? .accepted : nil, since: nil, isBelieved: self.isOpen)
    }
}

/// What is known of the port of an address that is here.
public struct PortStatus: Hashable, Sendable {
    public let port: UInt16
    /// The last try's; nil: it has not been tried yet.
    public let answer: PortAnswer?
    /// When the first try began that came to nothing; nil where the last one was accepted, or there was none.
    public let since: Instant?
    /// False after one try that failed and before another one.
    public let isBelieved: Bool

    public init(port: UInt16, answer: PortAnswer?, since: Instant?, isBelieved: Bool) {
        self.port = port
        self.answer = answer
        self.since = since
        self.isBelieved = isBelieved
    }
}
