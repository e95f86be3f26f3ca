// SPDX-License-Identifier: Apache-2.0
public import NetworkAddress

/// All that one look at a cluster from one of its nodes has found: what the rules judge. A value; whoever fills it says of each part
/// that is missing why it could not be looked at.
///
/// Invariant: what was not filled in is `unlooked`, so that a part that somebody forgot is told, not passed over.
public struct AuditFacts: Sendable {
    /// What stands where nothing was filled in.
    public static let notAsked = "it was not asked for"

    /// The cluster's name, this node's member, and its Citus group in Patroni's Citus mode.
    public var scope = ""
    public var member = ""
    public var group: Int?
    /// The number of this node's group in `pg_dist_node`, also where each group is a Patroni cluster of its own; nil: as ``group``.
    public var number: Int?
    /// Whether the daemon has looked, which looks at less than `pharos audit` does.
    public var isOfDaemon = false
    /// Where Patroni's file is on this node, for what is to be typed.
    public var patroniConfig: String?
    /// Patroni's dynamic configuration, as it is stored: what counts.
    public var config: Fact<DynamicConfiguration> = .unlooked(why: notAsked)
    /// Patroni's file on this node.
    public var file: Fact<PatroniLocal> = .unlooked(why: notAsked)
    /// Patroni's keys of this group in etcd.
    public var keys: Fact<PatroniState> = .unlooked(why: notAsked)
    /// What each member's Patroni answers, asked from this node; by member.
    public var rest: [String: Fact<RestAnswer>] = [:]
    /// Each member's PostgreSQL, by member.
    public var servers: [String: Fact<Server>] = [:]
    public var etcd: Fact<Etcd> = .unlooked(why: notAsked)
    /// This node's kernel, units and files.
    public var node = Node()
    /// What this node's daemon knows.
    public var daemon: Fact<Daemon> = .unlooked(why: notAsked)
    /// What pharos.yml says.
    public var pharos = Configured()
    /// Nil where Citus is not followed.
    public var citus: CitusUse?

    public init() {}

    /// What of Pharos's own configuration the rules look at.
    public struct Configured: Sendable {
        public struct Address: Sendable {
            public var prefix: AddressPrefix
            public var interface: String

            public init(prefix: AddressPrefix, interface: String) {
                self.prefix = prefix
                self.interface = interface
            }
        }

        public var addresses: [Address] = []
        /// Seconds; nil: as long as Patroni's.
        public var leaseTTL: Int?
        /// Seconds from the first failed probe to a verdict, as the detector's profile has it.
        public var detection = 150
        /// How etcd is reached: the endpoints' URLs, and with what.
        public var endpoints: [String] = []
        public var hasEtcdUser = false
        public var hasEtcdClientCertificate = false
        /// The name of the daemon's unit.
        public var unit = "pharos"
        /// The role that asks PostgreSQL.
        public var role = "pharos"

        public init() {}
    }

    /// How Citus is followed.
    public struct CitusUse: Sendable {
        /// Whether it is Patroni's own Citus mode.
        public var isPatroniMode = true
        public var databases: [String] = []
        /// Whether the coordinator holds shards (`shouldhaveshards` of group 0).
        public var coordinatorHasShards: Fact<Bool> = .unlooked(why: notAsked)
        /// The groups whose rows in `pg_dist_node` wait for a person, and why.
        public var refusals: Fact<[Int: String]> = .unlooked(why: notAsked)

        public init() {}
    }

    /// What the daemon of this node knows, by its `/cluster`.
    public struct Daemon: Sendable {
        public struct Member: Sendable {
            public var name = ""
            /// Where its PostgreSQL is reached; nil: not known.
            public var host: String?
            public var mayLead = true
            public var isRunning = true
            /// Nil where replication is asynchronous.
            public var isSynchronous: Bool?
            /// The failure detector's word for it, such as `well`.
            public var verdict = "unknown"
            /// Nil: not known.
            public var lag: Int64?
            public var hasDaemon = true
            public var version: String?

            public init() {}

            /// Whether the failure detector says that somebody has to look at it.
            var isFailed: Bool { !["well", "unknown", "suspected"].contains(self.verdict) }
        }

        public struct Group: Sendable {
            public var number = 0
            public var leader: String?
            public var members: [Member] = []

            public init() {}
        }

        public var groups: [Group] = []
        /// Whether what it knows of etcd is of now.
        public var isCurrent = true

        public init() {}
    }
}

extension AuditFacts {
    /// The member that leads, by etcd.
    func leader() throws(Unlooked) -> String {
        guard let leader = try self.keys.get().leader else { throw Unlooked("no member leads the group now") }
        return leader
    }

    /// The members' servers that answered, by name; what did not answer is noted as unseen.
    func knownServers(_ judgement: inout Judgement) throws(Unlooked) -> [(name: String, server: Server)] {
        guard !self.servers.isEmpty else {
            throw Unlooked("no member's PostgreSQL is known: \(self.keys.why ?? Self.notAsked)")
        }
        var known: [(name: String, server: Server)] = []
        for (name, fact) in self.servers.sorted(by: { $0.key < $1.key }) {
            switch fact {
            case .known(let server, _): known.append((name, server))
            case .unlooked(let why): judgement.unseen("PostgreSQL of \(name): \(why)")
            }
        }
        return known
    }

    /// This node's own server.
    func ownServer() throws(Unlooked) -> Server {
        guard let fact = self.servers[self.member] else { throw Unlooked("PostgreSQL here: \(Self.notAsked)") }
        switch fact {
        case .known(let server, _): return server
        case .unlooked(let why): throw Unlooked("PostgreSQL of \(self.member): \(why)")
        }
    }

    /// The leader's server.
    func leaderServer() throws(Unlooked) -> (name: String, server: Server) {
        let leader = try self.leader()
        guard let fact = self.servers[leader] else { throw Unlooked("PostgreSQL of \(leader): \(Self.notAsked)") }
        switch fact {
        case .known(let server, _): return (leader, server)
        case .unlooked(let why): throw Unlooked("PostgreSQL of \(leader): \(why)")
        }
    }
}
