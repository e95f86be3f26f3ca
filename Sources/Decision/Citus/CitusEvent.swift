// SPDX-License-Identifier: Apache-2.0

/// Everything that the Citus part of the core can learn.
public enum CitusEvent: Hashable, Sendable {
    // etcd
    /// A linearizable read of everything that stands under the groups' keys, and when it was sent.
    indirect case groupsRead(GroupsSnapshot, sentAt: Instant)
    case groupsUnread(reason: String)
    /// A watch delivered changes; `revision` is the newest among them.
    case groupsChanged(clusterID: UInt64, revision: Int64, [GroupChange])

    // The coordinator's databases
    /// All rows of `pg_dist_node` as a query saw them that was sent at `askedAt`.
    case rowsRead(String, [NodeRow], askedAt: Instant)
    case rowsUnread(String, reason: String)
    case updateEnded(String, group: Int, UpdateOutcome)
    /// An update that is under way waits for these sessions.
    case updateBlocked(String, group: Int, [BlockingSession])
    /// A held transaction has begun, and blocks writes to the group.
    case held(String, group: Int)
    /// A held transaction has ended without a commit.
    case holdEnded(String, group: Int, reason: String)
    /// Citus said on its channel that it has synchronized metadata.
    case synchronized(String)
    /// How the copies of `pg_dist_node` on other nodes compare with the coordinator's.
    case copiesCompared(String, [CopyFinding])

    // Other nodes
    case writable(NodeEndpoint, WritableAnswer, askedAt: Instant)
}

/// What Patroni keeps in etcd about one member of a group.
public struct GroupMember: Hashable, Sendable {
    /// Where its PostgreSQL is reached; nil where it does not say so in a way that can be read.
    public var endpoint: NodeEndpoint?
    /// Whether PostgreSQL runs, says Patroni.
    public var isRunning: Bool
    /// Whether it is a primary, says Patroni.
    public var isPrimary: Bool
    /// Whether reads may be sent to it (no tag `noloadbalance`).
    public var servesReads: Bool
    /// The URL of its Patroni's REST API.
    public var api: String?

    public init(
        endpoint: NodeEndpoint?, isRunning: Bool, isPrimary: Bool, servesReads: Bool = true, api: String? = nil
    ) {
        self.api = api
        self.endpoint = endpoint
        self.isRunning = isRunning
        self.isPrimary = isPrimary
        self.servesReads = servesReads
    }
}

/// One key's content; nil where there is none.
public enum GroupFact: Hashable, Sendable {
    /// `since`: the revision at which the leader key was created. (Writing it anew keeps that.)
    case leader(String, since: Int64)
    case noLeader
    case member(String, GroupMember?)
    /// Somebody asked Patroni to switch over from `leader`; nil: nothing of the kind is pending.
    case switchover(leader: String?)
}

public struct GroupChange: Hashable, Sendable {
    public var group: Int
    public var fact: GroupFact

    public init(_ group: Int, _ fact: GroupFact) {
        self.group = group
        self.fact = fact
    }
}

public struct GroupsSnapshot: Hashable, Sendable {
    public var clusterID: UInt64
    public var revision: Int64
    /// All that there is: what is not named does not exist.
    public var facts: [GroupChange]

    public init(clusterID: UInt64, revision: Int64, facts: [GroupChange]) {
        self.clusterID = clusterID
        self.revision = revision
        self.facts = facts
    }
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
    /// Sessions that hold locks stood in the way for longer than the limits allow.
    case blocked(reason: String)
    case failed(reason: String)
    /// The connection was lost during the commit.
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

    public init(pid: Int, user: String, application: String, state: String, age: Duration?) {
        self.pid = pid
        self.user = user
        self.application = application
        self.state = state
        self.age = age
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
