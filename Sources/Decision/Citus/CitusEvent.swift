// SPDX-License-Identifier: Apache-2.0

/// Everything that the Citus part of the core can learn.
public enum CitusEvent: Hashable, Sendable {
    // The coordinator's databases
    /// All rows of `pg_dist_node` as a query saw them that was sent at `askedAt`.
    case rowsRead(String, [NodeRow], askedAt: Instant)
    case rowsUnread(String, reason: String)
    /// What came of an update of these groups that was asked for at `askedAt`. Where it failed, nothing was changed; `causedBy` is
    /// the group whose changes were refused or blocked, and nil where that has nothing to do with any one of them.
    case updateEnded(String, groups: [Int], UpdateOutcome, causedBy: Int?, askedAt: Instant)
    /// An update that is under way waits for these sessions.
    case updateBlocked(String, groups: [Int], [BlockingSession])
    /// The update that is under way was to terminate the sessions in its way, and Citus had no background worker free for it.
    case updateUnforced(String, groups: [Int])
    /// Citus's own synchronization was ended so many times; or why it was not.
    case synchronizationInterrupted(String, count: Int, problem: String?)
    /// A held transaction has begun, and blocks writes to the group, or to reference tables too (`blocksOthers`), which every
    /// group has: then no other group's rows can be moved meanwhile.
    case held(String, group: Int, blocksOthers: Bool)
    /// A held transaction has ended without a commit.
    case holdEnded(String, group: Int, reason: String)
    /// Citus said on its channel that it has synchronized metadata.
    case synchronized(String)
    /// How the copies of `pg_dist_node` on other nodes compare with the coordinator's; they were to be compared at `askedAt`.
    case copiesCompared(String, [CopyFinding], askedAt: Instant)

    case settingsSeen(String, ServerSettings, askedAt: Instant)
    /// A connection to the database was made, and this runs there.
    case versionsSeen(String, CitusVersions)

    /// What came of a verification.
    case verified(VerificationOutcome, askedAt: Instant)

    // Other nodes
    /// The PostgreSQL servers that the failure detector holds failed.
    case unusable(Set<NodeEndpoint>)
    case writable(NodeEndpoint, WritableAnswer, askedAt: Instant)
    case identified(NodeEndpoint, ServerIdentity, askedAt: Instant)
}

/// How an update of `pg_dist_node` ended.
public enum UpdateOutcome: Hashable, Sendable {
    case applied
    /// The gate: this database is not the coordinator's primary.
    case notCoordinator(group: Int)
    case inRecovery
    /// The fence: something newer was applied already.
    case olderRevision(applied: Int64)
    case supersededCluster(by: UInt64)
    /// A row does not name the place any more that it named when it was read.
    case rowChanged
    /// Sessions that hold locks stood in the way for longer than the limits allow.
    case blocked(reason: String)
    case failed(reason: String)
    /// The connection was lost during the commit, or ended before the server had said what came of it.
    case unknown(reason: String)
}

/// A session whose locks an update waits for. What it runs is not told: it may hold secrets.
public struct BlockingSession: Hashable, Sendable {
    public var pid: Int
    /// Empty where this role may not see it.
    public var user: String
    public var application: String
    public var state: String
    /// For how long its transaction has been open; nil where this role may not see it.
    public var age: Duration?
    /// Whether it is Citus's own worker that brings metadata to the other nodes: it waits for one of them that does not answer.
    public var isSynchronization: Bool

    public init(
        pid: Int, user: String, application: String, state: String, age: Duration?, isSynchronization: Bool = false
    ) {
        self.pid = pid
        self.user = user
        self.application = application
        self.state = state
        self.age = age
        self.isSynchronization = isSynchronization
    }
}

/// What a node's PostgreSQL said when it was asked whether it accepts writes.
public enum WritableAnswer: Hashable, Sendable {
    case primary
    case standby
    case unreachable(reason: String)
    /// It answers, but not us: it refuses the role, its password or the database, or has no connection left.
    case refused(reason: String)
}

/// How one node's copy of `pg_dist_node` compares with the coordinator's.
public struct CopyFinding: Hashable, Sendable {
    public enum Result: Hashable, Sendable {
        case same
        case different
        case unreadable(reason: String)
    }
    public var endpoint: NodeEndpoint
    public var result: Result

    public init(_ endpoint: NodeEndpoint, _ result: Result) {
        self.endpoint = endpoint
        self.result = result
    }
}
