// SPDX-License-Identifier: Apache-2.0

/// What is the matter with a target, all in all.
public enum DetectorVerdict: String, Sendable, Hashable, CaseIterable {
    case unknown
    case well
    /// Something is wrong, or only getting better; nothing follows from it yet.
    case suspected
    case patroniFailed = "Patroni failed"
    case postgresFailed = "PostgreSQL failed"
    case nodeFailed = "node failed"
    /// It holds the leader key, and those who should use it cannot.
    case gray = "gray failure"
    /// It holds the leader key, and its PostgreSQL, which answers, stays in recovery: nobody can write.
    case inRecovery = "stuck in recovery"
    /// A standby that is further behind than allowed, and stays so.
    case lagging
}

/// Whether a leader's PostgreSQL says that it is in recovery.
public enum LeaderRecovery: String, Sendable, Hashable, CaseIterable {
    /// Not that it is known; and of whoever leads a standby cluster, where it belongs there.
    case no
    /// A promotion takes a moment.
    case yes
    /// For as many probes as make a failure.
    case lasting
}

/// A rule by which a verdict is found: the first that matches counts.
public struct VerdictRule: Sendable {
    public let verdict: DetectorVerdict
    /// nil: any.
    public let patroni: Set<DetectorState>?
    public let postgres: Set<DetectorState>?
    public let isLeader: Bool?
    public let isLagging: Bool?
    /// nil: any.
    public let recovery: Set<LeaderRecovery>?
    public let reason: String

    static let doubtful: Set<DetectorState> = [.suspect, .recovering]

    /// docs/detector.md and the tests are made from this.
    public static let all: [VerdictRule] = [
        .init(
            .gray, postgres: [.failed], isLeader: true,
            reason: "it holds the leader key, and PostgreSQL there cannot be used"),
        .init(.nodeFailed, patroni: [.failed], postgres: [.failed], reason: "neither Patroni nor PostgreSQL answers"),
        .init(.postgresFailed, postgres: [.failed], reason: "PostgreSQL there does not answer"),
        .init(.patroniFailed, patroni: [.failed], reason: "Patroni there does not answer"),
        .init(
            .inRecovery, isLeader: true, recovery: [.lasting],
            reason: "it holds the leader key, and PostgreSQL there stays in recovery: it accepts no writes"),
        .init(.lagging, isLagging: true, reason: "it is too far behind the leader"),
        .init(
            .suspected, isLeader: true, recovery: [.yes],
            reason: "it holds the leader key, and PostgreSQL there is still in recovery"),
        .init(.suspected, patroni: doubtful, reason: "not everybody who asks Patroni there gets an answer"),
        .init(.suspected, postgres: doubtful, reason: "not everybody who asks PostgreSQL there gets an answer"),
        .init(.well, patroni: [.healthy], reason: "it answers"),
        .init(.well, postgres: [.healthy], reason: "it answers"),
        .init(.unknown, reason: "nobody can say"),
    ]

    private init(
        _ verdict: DetectorVerdict, patroni: Set<DetectorState>? = nil, postgres: Set<DetectorState>? = nil,
        isLeader: Bool? = nil, isLagging: Bool? = nil, recovery: Set<LeaderRecovery>? = nil, reason: String
    ) {
        self.verdict = verdict
        self.patroni = patroni
        self.postgres = postgres
        self.isLeader = isLeader
        self.isLagging = isLagging
        self.recovery = recovery
        self.reason = reason
    }

    /// The first rule that matches. The last one always does.
    public static func first(
        patroni: DetectorState, postgres: DetectorState, isLeader: Bool, isLagging: Bool = false,
        recovery: LeaderRecovery = .no
    ) -> VerdictRule {
        for rule in self.all {
            if let states = rule.patroni, !states.contains(patroni) { continue }
            if let states = rule.postgres, !states.contains(postgres) { continue }
            if let wanted = rule.isLeader, wanted != isLeader { continue }
            if let wanted = rule.isLagging, wanted != isLagging { continue }
            if let wanted = rule.recovery, !wanted.contains(recovery) { continue }
            return rule
        }
        preconditionFailure("the last rule matches everything")
    }
}
