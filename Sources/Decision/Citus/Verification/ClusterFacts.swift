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
    /// Why nothing is remembered here of where members of this cluster were, so that there was nobody to ask; nil if something is.
    public var forgotten: String?
    /// Places where a member was of which a person says that the server there is switched off.
    public var switchedOff: Set<NodeEndpoint> = []
    /// Whether this node's daemon has seen for more than an hour what Citus is to remove.
    public var isCleanupOld = false
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
        /// The other members that do not, or not so that it can be understood.
        public var placeless: [String]

        public init(
            _ name: String, _ endpoint: NodeEndpoint?, others: [String: NodeEndpoint] = [:], placeless: [String] = []
        ) {
            self.name = name
            self.endpoint = endpoint
            self.others = others
            self.placeless = placeless
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

extension ClusterFacts {
    /// Where the coordinator's statements are to be run.
    var coordinatorPlace: StatementPlace { StatementPlace(self.leaders[0]?.endpoint, leads: 0) }

    /// How much it matters that something could not be looked at.
    func unseenSeverity(otherwise severity: Finding.Severity) -> Finding.Severity {
        self.isAfterRestore ? .critical : severity
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
