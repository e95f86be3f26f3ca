// SPDX-License-Identifier: Apache-2.0

/// Whether the leader of a group accepts writes, in one leadership: what its PostgreSQL says when it is asked, and where it cannot
/// be asked, what Patroni says.
///
/// Each answer says when it was asked for, so that a late one says no more than it does.
struct LeaderInquiry: Sendable {
    let leader: Group.Leader
    /// When this daemon learned of the leadership.
    private let leaderAt: Instant
    /// When PostgreSQL was found out of recovery.
    private(set) var outOfRecoveryAt: Instant?
    /// Why the leader's PostgreSQL cannot be asked by this daemon; nil where it can, or may yet.
    private(set) var refusal: String?
    private(set) var question = Question(due: .beforeAll)
    /// The server that was asked last; once the leader is elsewhere, its answer is not waited for.
    private var asked: NodeEndpoint?

    init(_ leader: Group.Leader, since leaderAt: Instant) {
        self.leader = leader
        self.leaderAt = leaderAt
    }

    /// Known of the present leadership. Where the leader's PostgreSQL cannot be asked, what Patroni has said of it since it
    /// leads must do: that comes about a second later.
    func isWritable(_ group: Group) -> Bool {
        guard group.leader == self.leader else { return false }
        if self.outOfRecoveryAt != nil { return true }
        guard self.refusal != nil, let (member, revision) = group.leaderMember, revision > group.leaderWritten else {
            return false
        }
        return member?.isPrimary == true && member?.isRunning == true
    }

    /// For how long a new leader that does not answer may be on its way: restarts and promotions take a few seconds.
    private static let patience: Duration = .seconds(10)

    /// Takes over an answer; answers why the leader cannot be asked, when that is news.
    mutating func learn(_ answer: WritableAnswer, askedAt: Instant, at now: Instant) -> String? {
        self.question.answered(askedAt)
        // An answer from before the leadership proves nothing.
        guard askedAt >= self.leaderAt else { return nil }
        switch answer {
        case .primary:
            self.outOfRecoveryAt = self.outOfRecoveryAt ?? now
            self.refusal = nil
        case .standby: self.refusal = nil
        case .unreachable(let reason):
            if askedAt - self.leaderAt >= Self.patience { return self.refuse(reason) }
        case .refused(let reason): return self.refuse(reason)
        }
        return nil
    }

    private mutating func refuse(_ reason: String) -> String? {
        let isNews = self.refusal == nil
        self.refusal = reason
        return isNews ? reason : nil
    }

    /// Whether the leader's PostgreSQL at `endpoint` owes an answer.
    func isAsked(at endpoint: NodeEndpoint?) -> Bool { self.question.isUnderWay && self.asked == endpoint }

    /// Since when nothing has been heard of the server that was asked last.
    var unanswered: Unanswered? {
        guard let asked = self.asked, let since = self.question.silentSince else { return nil }
        return Unanswered(asked: .writable(asked), since: since)
    }

    mutating func giveUp(at now: Instant, awakeSince: Instant) -> Silence? {
        self.question.giveUp(after: AnswerLimits.writable, at: now, awakeSince: awakeSince, next: now)
    }

    mutating func ask(_ endpoint: NodeEndpoint, at now: Instant) {
        self.asked = endpoint
        self.question.ask(at: now, next: now)
    }

    /// When the leader's PostgreSQL is to be asked next: a promotion takes 150 to 200 ms from the leader key, so most often
    /// in the first two seconds.
    func askDue(at now: Instant) -> Instant {
        guard let askedAt = self.question.askedAt else { return now }
        if self.refusal != nil { return askedAt + .seconds(5) }
        let age = now - self.leaderAt
        return askedAt + (age < .seconds(2) ? .milliseconds(15) : age < .seconds(60) ? .milliseconds(50) : .seconds(1))
    }
}
