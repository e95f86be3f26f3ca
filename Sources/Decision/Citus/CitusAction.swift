// SPDX-License-Identifier: Apache-2.0

/// Everything that the Citus part of the core can ask for. Each is answered by one ``CitusEvent`` that names the same
/// database or endpoint, if it names one, within the shell's own time limits.
public enum CitusAction: Hashable, Sendable {
    case readRows(String)
    /// Ask the PostgreSQL at `endpoint` whether it accepts writes.
    case askWritable(NodeEndpoint)
    /// Change the rows of these groups in one transaction: of all of them, or of none.
    case update(String, [RowUpdate])
    /// Ask which server answers at a place that a row names, or the leader's.
    case identify(NodeEndpoint)
    /// End Citus's own synchronization of metadata where the update under way waits for it: Citus begins it again.
    case interruptSynchronization(String)
    /// Begin a transaction that blocks writes to the group's shards, and ends by itself after `limit`.
    case hold(String, group: Int, nodeID: Int, GroupAuthority, limit: Duration)
    /// Apply the update within the held transaction, and commit.
    case commitHold(String, RowUpdate)
    case releaseHold(String, group: Int)
    /// Look at the settings that a failover depends on.
    case lookAtSettings(String)
    /// Verify the whole cluster, and look whether these servers accept writes too, and those where members were.
    case verify(suspects: [NodeEndpoint], places: KnownPlaces)
    /// Compare the copies of `pg_dist_node` on these nodes with the coordinator's.
    case compareCopies(String, [NodeEndpoint])
}

/// On whose authority a group's rows are changed: the fence in the database compares it.
public struct GroupAuthority: Hashable, Sendable {
    public var clusterID: UInt64
    /// The revision at which the group's leader key was written last: in one history of etcd a later leader's is always higher.
    public var revision: Int64
    /// The revision applied last, where etcd is known to have been rebuilt under the same number since: a linearizable read
    /// that was sent after the refusal showed an older one.
    public var rebuiltFrom: Int64?

    public init(clusterID: UInt64, revision: Int64, rebuiltFrom: Int64? = nil) {
        self.clusterID = clusterID
        self.revision = revision
        self.rebuiltFrom = rebuiltFrom
    }
}

/// Changes of one group's rows, in this order.
public struct RowUpdate: Hashable, Sendable {
    /// What is done about sessions whose locks stand in the way.
    public enum Blockers: Hashable, Sendable {
        case wait
        /// Citus terminates them after the cooldown.
        case terminate(after: Duration)
    }
    public var group: Int
    public var changes: [RowChange]
    public var authority: GroupAuthority
    public var blockers: Blockers

    public init(group: Int, changes: [RowChange], authority: GroupAuthority, blockers: Blockers) {
        self.group = group
        self.changes = changes
        self.authority = authority
        self.blockers = blockers
    }
}

/// One change of `pg_dist_node` or `pg_dist_poolinfo`.
public enum RowChange: Hashable, Sendable {
    /// `citus_update_node`, if the row names the place that it named when it was read, as the statement begins.
    case move(id: Int, from: NodeEndpoint, NodeEndpoint)
    /// The row of `pg_dist_poolinfo`.
    case pool(id: Int, String)
    /// `citus_add_secondary_node`.
    case addSecondary(NodeEndpoint, of: NodeEndpoint)
    /// `citus_remove_node`, of a secondary.
    case removeSecondary(NodeEndpoint)
}
