// SPDX-License-Identifier: Apache-2.0

/// What speaks against a switchover. Each can be overridden, by its name alone.
public enum ObjectionRule: String, Sendable, Hashable, CaseIterable {
    case nofailover = "candidate-nofailover"
    case notRunning = "candidate-not-running"
    case health = "candidate-health"
    case synchronous = "not-synchronous"
    case lag
    case timeline
    case suppressed
    case etcdSpare = "etcd-no-spare"
    case restartPending = "restart-pending"
    case patroniPaused = "patroni-paused"
    case longTransactions = "long-transactions"
    case preparedTransactions = "prepared-transactions"
    case backup = "backup-running"
    case logicalSlots = "logical-slots"
    case citus = "citus-in-trouble"

    /// Whether overriding it may cost data, or the only leader: the role `endanger` may.
    public var isGrave: Bool {
        switch self {
        case .nofailover, .notRunning, .health, .synchronous, .lag, .timeline, .etcdSpare, .logicalSlots, .citus: true
        case .suppressed, .restartPending, .patroniPaused, .longTransactions, .preparedTransactions, .backup: false
        }
    }

    /// What follows from it.
    public var meaning: String {
        switch self {
        case .nofailover: "the candidate's tags say that it may not lead: Patroni will refuse"
        case .notRunning: "PostgreSQL of the candidate does not run, says Patroni: it will refuse"
        case .health: "the candidate is not well: clients may find nobody after the switchover"
        case .synchronous: "the candidate is not synchronous, and synchronous_mode is on: Patroni will refuse"
        case .lag:
            "the candidate is further behind than maximum_lag_on_failover: Patroni may refuse, or clients wait for longer"
        case .timeline: "the candidate is on another timeline than the leader: it cannot follow it"
        case .suppressed: "a member comes and goes: it may go again right after the switchover"
        case .etcdSpare:
            "if etcd loses one more member, nobody can be elected: an unfinished switchover leaves no leader"
        case .restartPending:
            "a restart is pending: settings change with it, and the new leader may run with others than the old one"
        case .patroniPaused:
            "Patroni is in maintenance mode: somebody works here, and nobody would take over from the new leader"
        case .longTransactions:
            "transactions have been open on the leader for more than a minute: they are lost, or the stop waits for them"
        case .preparedTransactions:
            "the leader has prepared transactions: they keep their locks on the new leader until somebody ends them"
        case .backup: "a backup is being made: it ends with an error if its server is stopped or promoted"
        case .logicalSlots:
            "the leader has logical replication slots that the candidate lacks: their subscribers lose their place"
        case .citus: "Citus's metadata is in trouble, or shards are being moved: a switchover in between makes it worse"
        }
    }
}

/// One thing that speaks against a plan, as it was found.
public struct Objection: Hashable, Sendable {
    public let rule: ObjectionRule
    /// Whether nobody could look: then it is not known, and not fine.
    public let isUnseen: Bool
    /// What was seen, or why nothing was.
    public let evidence: String
    /// How old that is; nil: not known.
    public let age: Duration?

    public init(_ rule: ObjectionRule, _ evidence: String, age: Duration? = nil) {
        (self.rule, self.isUnseen, self.evidence, self.age) = (rule, false, evidence, age)
    }

    public init(unseen rule: ObjectionRule, _ reason: String) {
        (self.rule, self.isUnseen, self.evidence, self.age) = (rule, true, reason, nil)
    }

    /// By which it is overridden. That nobody could look has a name of its own: whoever puts up with that has not put up with what is
    /// found later.
    public var name: String { self.rule.rawValue + (self.isUnseen ? Self.unseenSuffix : "") }
    public static let unseenSuffix = "-unseen"

    /// All names that there are.
    public static let names = ObjectionRule.allCases.flatMap { [$0.rawValue, $0.rawValue + Self.unseenSuffix] }

    public var text: String {
        self.isUnseen ? "could not be looked at. If it were so: \(self.rule.meaning)" : self.rule.meaning
    }
}

/// What no override helps against.
public struct Hindrance: Hashable, Sendable {
    /// A word that stays the same.
    public let code: String
    public let text: String
    /// What to do, and where.
    public let advice: String

    public init(_ code: String, _ text: String, advice: String) {
        (self.code, self.text, self.advice) = (code, text, advice)
    }
}
