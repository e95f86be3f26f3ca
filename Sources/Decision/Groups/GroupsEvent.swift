// SPDX-License-Identifier: Apache-2.0

/// What is learned of the groups' keys in etcd. Without Citus a cluster is one group, number 0.
public enum GroupsEvent: Hashable, Sendable {
    /// A linearizable read of everything that stands under the groups' keys, and when it was sent.
    indirect case read(GroupsSnapshot, sentAt: Instant)
    case unread(reason: String)
    /// A watch delivered changes; `revision` is the newest among them.
    case changed(clusterID: UInt64, revision: Int64, [GroupChange])
    /// Who holds which address, of every group: all that there are.
    case heldRead([Int: [AddressID: String]])
    /// Who holds an address of a group now; nil: nobody.
    case held(group: Int, AddressID, by: String?)
}

/// What Patroni keeps in etcd about one member of a group.
public struct GroupMember: Hashable, Sendable {
    /// Where its PostgreSQL is reached; nil where it does not say so in a way that can be read.
    public var endpoint: NodeEndpoint?
    /// Whether PostgreSQL runs, says Patroni.
    public var isRunning: Bool
    /// Whether it is a primary, says Patroni.
    public var isPrimary: Bool
    /// Whether it leads a standby cluster, which follows another cluster, and accepts no writes.
    public var isStandbyLeader: Bool
    /// Whether reads may be sent to it: no tag `noloadbalance`, and it streams, as far as Patroni says whether it does.
    public var servesReads: Bool
    /// Whether it may become the leader (no tag `nofailover`).
    public var mayLead: Bool
    /// The URL of its Patroni's REST API.
    public var api: String?

    public init(
        endpoint: NodeEndpoint?, isRunning: Bool, isPrimary: Bool, servesReads: Bool = true, mayLead: Bool = true,
        api: String? = nil, isStandbyLeader: Bool = false
    ) {
        self.isStandbyLeader = isStandbyLeader
        self.mayLead = mayLead
        self.api = api
        self.endpoint = endpoint
        self.isRunning = isRunning
        self.isPrimary = isPrimary
        self.servesReads = servesReads
    }
}

/// That another member lead: what Patroni's key `failover` says.
public enum LeaderRequest: Hashable, Sendable {
    /// `patronictl switchover`: somebody else than this leader.
    case from(String)
    /// `patronictl failover`: this member, whoever leads. Where a leader leads, Patroni stops it in order, as for a switchover.
    /// `since`: the revision at which it was asked for.
    case to(String, since: Int64)
}

/// One key's content; nil where there is none.
public enum GroupFact: Hashable, Sendable {
    /// `since`: the revision at which the leader key was created. (Writing it anew keeps that.) `written`: the one at which it was
    /// written last; nil: the same.
    case leader(String, since: Int64, written: Int64? = nil)
    case noLeader
    case member(String, GroupMember?)
    /// What Patroni was asked for, for now; nil: nothing.
    case requested(LeaderRequest?)
    /// The standbys that Patroni holds synchronous; nil: replication is asynchronous.
    case synchronous(Set<String>?)
    /// What the keys tell besides of the group's write-ahead log; of this node's own group alone. Nothing is decided on it.
    indirect case log(LogFact)
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
