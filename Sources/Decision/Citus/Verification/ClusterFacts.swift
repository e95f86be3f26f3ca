// SPDX-License-Identifier: Apache-2.0

/// What was found out about one database of a Citus cluster, at one time, for ``verify(_:)``.
public struct ClusterFacts: Hashable, Sendable {
    public var database: String
    public var settings: CitusSettings
    /// By group, from etcd.
    public var leaders: [Int: Leader]
    /// Why etcd could not be read; nil if it could.
    public var etcdProblem: String?
    /// The coordinator's primary; nil with ``coordinatorProblem``.
    public var coordinator: Coordinator?
    public var coordinatorProblem: String?
    /// What the other servers said, by their address.
    public var nodes: [NodeEndpoint: NodeAnswer] = [:]
    /// By group, who answers where a member was that etcd does not name any more: see ``FormerPlaces``.
    public var former: [Int: [NodeEndpoint: ServerIdentity]] = [:]
    /// Why not everybody was asked where members were; nil if everybody was that is remembered.
    public var formerProblem: String?
    /// Whether the tables of shards were looked for.
    public var isDeep = false
    /// What is on record of restore points, by their numbers; where etcd has none, what a person has handed in.
    public var restorePointRecords: [String: RestorePointRecord] = [:]
    /// Whether the cluster has just been restored from backups.
    public var isAfterRestore = false

    public init(database: String, settings: CitusSettings, leaders: [Int: Leader] = [:]) {
        self.database = database
        self.settings = settings
        self.leaders = leaders
    }

    public struct Leader: Hashable, Sendable {
        public var name: String
        public var endpoint: NodeEndpoint?
        /// The other members of the group that say where they are.
        public var others: [String: NodeEndpoint]

        public init(_ name: String, _ endpoint: NodeEndpoint?, others: [String: NodeEndpoint] = [:]) {
            self.name = name
            self.endpoint = endpoint
            self.others = others
        }
    }

    /// What the coordinator's catalogs say.
    public struct Coordinator: Hashable, Sendable {
        public var rows: [NodeRow]
        public var facts: NodeFacts
        /// Why the fence in the database cannot be used; nil if it can.
        public var fenceProblem: String?
        /// By group: its fence says that the etcd cluster which is read here was replaced.
        public var superseded: [Int: SupersededFence]
        /// Functions of `pharos grant-sql` that this role may not call, or that do not exist.
        public var missingFunctions: [String] = []
        /// By group, of those that are lost or that no query comes to; nil where it could not be read.
        public var losses: [Int: ShardLoss]? = [:]

        public init(
            rows: [NodeRow], facts: NodeFacts, fenceProblem: String? = nil, superseded: [Int: SupersededFence] = [:]
        ) {
            self.superseded = superseded
            self.rows = rows
            self.facts = facts
            self.fenceProblem = fenceProblem
        }
    }
}

/// A fence that says that the etcd cluster which is read here was replaced.
public struct SupersededFence: Hashable, Sendable {
    public var by: UInt64
    /// The statement that puts the one that is read here in force again.
    public var reinstatement: String

    public init(by: UInt64, reinstatement: String) {
        self.by = by
        self.reinstatement = reinstatement
    }
}
