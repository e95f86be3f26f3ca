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
    /// Whether the tables of shards were looked for.
    public var isDeep = false
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

/// What one server said of itself.
public struct NodeFacts: Hashable, Sendable {
    public var isInRecovery: Bool
    /// `pg_dist_local_group`; nil where there is none.
    public var localGroup: Int?
    /// Of the extension; nil where the server does not say.
    public var citusVersion: String?
    public var postgresVersion: String?
    /// Which server it is.
    public var server: ServerIdentity
    /// Digests of `pg_dist_node`, `pg_dist_placement` and `pg_dist_shard`.
    public var digests: [CatalogTable: String]
    public var prepared: [PreparedTransaction]
    /// What it knows of the transactions that it began and that are prepared elsewhere; nil where nobody asked.
    public var fates: TransactionFates?
    /// By name; a setting that does not exist is absent.
    public var settings: [String: String]
    /// Tables of shards that should be there and are not; nil where nobody looked.
    public var missingShards: [String]?
    /// What could not be looked at, and why.
    public var unseen: [Aspect: String] = [:]

    /// What is looked at on a server, each on its own.
    public enum Aspect: String, Hashable, Sendable, CaseIterable {
        case copies = "its copy of the metadata"
        case prepared = "its prepared transactions"
        case settings = "its settings"
        case shards = "the tables of its shards"
        case fence = "the table pharos.citus_fence"
    }

    public init(
        isInRecovery: Bool, localGroup: Int?, citusVersion: String? = nil, postgresVersion: String? = nil,
        server: ServerIdentity = .unknown(reason: "it was not asked"), digests: [CatalogTable: String] = [:],
        prepared: [PreparedTransaction] = [],
        settings: [String: String] = [:],
        missingShards: [String]? = nil
    ) {
        self.isInRecovery = isInRecovery
        self.localGroup = localGroup
        self.citusVersion = citusVersion
        self.postgresVersion = postgresVersion
        self.server = server
        self.digests = digests
        self.prepared = prepared
        self.settings = settings
        self.missingShards = missingShards
    }
}

/// The catalogs of which every node with metadata has a copy.
public enum CatalogTable: String, Hashable, Sendable, CaseIterable {
    case nodes = "pg_dist_node"
    case placements = "pg_dist_placement"
    case shards = "pg_dist_shard"
}

public struct PreparedTransaction: Hashable, Sendable {
    public var gid: String
    public var age: Duration

    public init(gid: String, age: Duration) {
        self.gid = gid
        self.age = age
    }
}

/// What the server that began transactions on others says of them.
public struct TransactionFates: Hashable, Sendable {
    /// Its records (`pg_dist_transaction`) say that these are committed.
    public var committed: Set<String>
    /// There is a record, and something else decides: Citus itself must.
    public var undecided: Set<String>
    /// Process ids of its sessions at a moment before the records were read.
    public var sessions: Set<Int>

    public init(committed: Set<String> = [], undecided: Set<String> = [], sessions: Set<Int> = []) {
        self.committed = committed
        self.undecided = undecided
        self.sessions = sessions
    }
}

public enum NodeAnswer: Hashable, Sendable {
    case answered(NodeFacts)
    case unreachable(reason: String)
    /// It answers, but not to our role.
    case refused(reason: String)
    /// The database there has no Citus.
    case withoutCitus
}
