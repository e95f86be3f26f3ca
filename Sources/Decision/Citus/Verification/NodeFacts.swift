// SPDX-License-Identifier: Apache-2.0

/// What one server said of itself.
public struct NodeFacts: Hashable, Sendable {
    public var isInRecovery: Bool
    /// `pg_dist_local_group`; nil where there is none.
    public var localGroup: Int?
    /// Of the extension; nil where the server does not say.
    public var citusVersion: String?
    public var postgresVersion: String?
    /// Of the library that is loaded, such as `13.2.2`; nil where the server does not say.
    public var citusLibrary: String?
    /// With which it was asked; nil where the server does not say.
    public var role: String?
    /// Which server it is.
    public var server: ServerIdentity
    /// That it writes, or receives from its primary; nil where it does neither, or does not show it.
    public var timeline: Int?
    public var digests: [CatalogTable: String]
    /// Where a digest differs from the coordinator's: what this copy has besides, and what it lacks; a few of each.
    public var differences: [CatalogTable: CopyDifference] = [:]
    public var prepared: [PreparedTransaction]
    /// What it knows of the transactions that it began and that are prepared elsewhere; nil where nobody asked.
    public var fates: TransactionFates?
    /// By name; a setting that does not exist is absent.
    public var settings: [String: String]
    /// Nil where it could not be looked at.
    public var room: ServerRoom?
    /// Tables of shards that should be there and are not; nil where nobody looked.
    public var missingShards: [String]?
    /// What is in the catalogs and should not be, by kind; nil where nobody looked.
    public var irregularities: [Irregularity: [String]] = [:]
    /// Which restore point it was restored to; nil where nobody looked.
    public var restored: RestoredServer?
    /// Its copies of shards that other nodes have too; nil where nobody looked.
    public var copies: [ShardID: ShardCopyDigest]?
    public var sequences: [SequenceValue] = []
    /// Which nodes cannot reach which, as Citus itself connects.
    public var unreachable: [String] = []
    /// What could not be looked at, and why.
    public var unseen: [Aspect: String] = [:]

    /// What is looked at on a server, each on its own.
    public enum Aspect: String, Hashable, Sendable, CaseIterable {
        case copies = "its copy of the metadata"
        case prepared = "its prepared transactions"
        case settings = "its settings"
        case shards = "the tables of its shards"
        case catalogs = "what is left over in its catalogs"
        case restorePoint = "which restore point it was restored to"
        case contents = "the contents of its reference tables"
        case sequences = "its sequences"
        case reachability = "whether Citus's nodes reach each other"
        case fence = "the table pharos.citus_fence"
        case library = "which version of Citus's library it has loaded"
        case losses = "which shards the groups out of reach take along"
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
    case tables = "pg_dist_partition"
    case colocations = "pg_dist_colocation"
    case objects = "pg_dist_object"
    case schemas = "pg_dist_schema"
}

/// How one copy of a catalog differs from the coordinator's.
public struct CopyDifference: Hashable, Sendable {
    /// In this copy alone, and in the coordinator's alone: a few rows of each, as text.
    public var extra: [String]
    public var lacking: [String]

    public init(extra: [String], lacking: [String]) {
        self.extra = extra
        self.lacking = lacking
    }
}

public typealias ShardID = Int64

/// A node's copy of a shard that other nodes have too.
public struct ShardCopyDigest: Hashable, Sendable {
    public var name: String
    public var count: Int64
    /// The same for the same rows, in whatever order.
    public var digest: String
    /// It was another one a moment before: somebody writes.
    public var isChanging: Bool

    public init(name: String, count: Int64, digest: String, isChanging: Bool = false) {
        self.name = name
        self.count = count
        self.digest = digest
        self.isChanging = isChanging
    }
}

/// Of one sequence in one range of values, what one node knows.
public struct SequenceValue: Hashable, Sendable {
    public var name: String
    public var range: Int64
    /// How far the node's own sequence is, where it is in this range.
    public var last: Int64?
    /// The highest value of its column in the node's own shards.
    public var highest: Int64?

    public init(name: String, range: Int64, last: Int64?, highest: Int64?) {
        self.name = name
        self.range = range
        self.last = last
        self.highest = highest
    }
}

public struct PreparedTransaction: Hashable, Sendable {
    public var gid: String
    public var age: Duration
    /// Nil: the one that is verified.
    public var database: String?

    public init(gid: String, age: Duration, database: String? = nil) {
        self.gid = gid
        self.age = age
        self.database = database
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
