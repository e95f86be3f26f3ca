// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
public import Decision
import EtcdClient
import EtcdValues
public import EventLoop
import HTTPClient
import PostgresClient
public import Settings

/// Gathers what ``verify(_:)`` judges, without the daemon: from etcd, the coordinator, and every node that its rows name,
/// all nodes at once. Bounded by the time limits of each connection and question.
@EventLoop
public final class ClusterVerifier {
    private let settings: Settings
    private let citus: Settings.Citus
    private let nodes: NodeConnections
    private let http = HTTPClient()

    /// For connecting to a node and for each question to it.
    private static let connectTimeout: Duration = .seconds(2)
    private static let settingNames = [
        "citus.node_conninfo", "citus.node_connection_timeout", "client_connection_check_interval",
        "citus.recover_2pc_interval",
    ]

    /// Nil where the configuration follows nothing of Citus.
    public init?(_ settings: Settings) {
        guard let citus = settings.citus else { return nil }
        self.settings = settings
        self.citus = citus
        self.nodes = NodeConnections(
            conninfo: citus.nodeConninfo, database: citus.core.databases.first, resolver: HostResolver())
    }

    /// The facts about each configured database.
    /// - Parameter suspects: other places where a coordinator may accept writes: etcd forgets a member that has died.
    public func gather(isDeep: Bool, isAfterRestore: Bool, suspects: [NodeEndpoint] = []) async -> [ClusterFacts] {
        defer { self.http.close() }
        var (leaders, clusterID, etcdProblem) = await self.leaders()
        for suspect in suspects {
            guard let known = leaders[0], known.endpoint != suspect, !known.others.values.contains(suspect) else {
                continue
            }
            leaders[0]?.others["\(suspect)"] = suspect
        }
        self.clusterID = clusterID
        var all: [ClusterFacts] = []
        for database in self.citus.core.databases {
            var facts = ClusterFacts(database: database, settings: self.citus.core, leaders: leaders)
            facts.etcdProblem = etcdProblem
            facts.isDeep = isDeep
            facts.isAfterRestore = isAfterRestore
            await self.ask(&facts)
            all.append(facts)
        }
        self.nodes.stop()
        return all
    }

    private var clusterID: UInt64 = 0
    private var revisions: [Int: Int64] = [:]

    // MARK: - etcd

    private func leaders() async -> ([Int: ClusterFacts.Leader], UInt64, String?) {
        var configuration = EtcdConfiguration(self.settings)
        configuration.requestTimeout = min(configuration.requestTimeout, .seconds(3))
        let client = EtcdClient(configuration, http: self.http, jitter: { 0.5 })
        let keys = GroupKeys(self.settings)
        do throws(EtcdError) {
            let snapshot = try await GroupsLink.read(client, keys).snapshot
            var names: [Int: String] = [:]
            var members: [Int: [String: NodeEndpoint]] = [:]
            for change in snapshot.facts {
                switch change.fact {
                case .leader(let name, let since):
                    names[change.group] = name
                    self.revisions[change.group] = since
                case .member(let name, let member): members[change.group, default: [:]][name] = member?.endpoint
                case .noLeader, .switchover, .synchronous: break
                }
            }
            let pairs = names.map { group, name in
                var others = members[group] ?? [:]
                let endpoint = others.removeValue(forKey: name)
                return (group, ClusterFacts.Leader(name, endpoint, others: others))
            }
            return (Dictionary(pairs) { $1 }, snapshot.clusterID, nil)
        } catch {
            return ([:], 0, error.description)
        }
    }

    // MARK: - PostgreSQL

    private func ask(_ facts: inout ClusterFacts) async {
        do {
            facts.coordinator = try await self.coordinator(facts)
        } catch {
            facts.coordinatorProblem = Self.reason(error)
            return
        }
        let rows = facts.coordinator?.rows ?? []
        var endpoints = Set(rows.filter { $0.group != 0 || $0.role != .primary }.map(\.endpoint))
        endpoints.formUnion(facts.leaders[0]?.others.values ?? [:].values)
        for (group, leader) in facts.leaders where group != 0 {
            if let place = leader.endpoint { endpoints.insert(place) }
        }
        let (database, isDeep) = (facts.database, facts.isDeep)
        let tasks = endpoints.map { endpoint in
            EventLoop.task { (endpoint, await self.node(endpoint, database, isDeep: isDeep)) }
        }
        for task in tasks {
            let (endpoint, answer) = await task.value
            facts.nodes[endpoint] = answer
        }
    }

    /// The local server if it is the coordinator's primary, else the leader of group 0.
    private func coordinator(_ facts: ClusterFacts) async throws -> ClusterFacts.Coordinator {
        let connection = try await self.connectToCoordinator(facts)
        let catalog = CitusCatalog(connection)
        let rows = try await catalog.nodes().map { NodeRow($0) }
        return ClusterFacts.Coordinator(
            rows: rows, facts: NodeFacts(try await catalog.serverFacts()),
            settings: try await catalog.settings(Self.settingNames), fenceProblem: try await catalog.fenceProblem())
    }

    private func connectToCoordinator(_ facts: ClusterFacts) async throws -> PostgresConnection {
        let isHere = self.citus.core.group == 0 && (facts.leaders[0].map { $0.name == self.settings.member } ?? true)
        if !isHere, let endpoint = facts.leaders[0]?.endpoint {
            return try await self.nodes.connect(endpoint, database: facts.database, timeout: Self.connectTimeout)
        }
        return try await PostgresConnection(
            self.settings.postgres.conninfo, overriding: [(keyword: "dbname", value: facts.database)],
            timeout: Self.connectTimeout)
    }

    private func node(_ endpoint: NodeEndpoint, _ database: String, isDeep: Bool) async -> NodeAnswer {
        do {
            let connection = try await self.nodes.connect(endpoint, database: database, timeout: Self.connectTimeout)
            let catalog = CitusCatalog(connection)
            var facts = NodeFacts(try await catalog.serverFacts())
            if isDeep { facts.missingShards = try await catalog.missingShards() }
            return .answered(facts)
        } catch {
            if let error = error as? PostgresError, error.kind == .authentication {
                return .refused(reason: error.message.firstLine)
            }
            if case .database(let cause)? = error as? CitusError, cause.kind != .connection, cause.kind != .timeout {
                return .refused(reason: cause.message.firstLine)
            }
            return .unreachable(reason: Self.reason(error))
        }
    }

    private static func reason(_ error: any Error) -> String {
        (error as? PostgresError)?.message.firstLine ?? (error as? CitusError)?.reason ?? "\(error)"
    }

    // MARK: - Repair

    /// Applies a finding's changes, gated and fenced like the daemon's own; answers why not, or nil.
    public func repair(_ finding: Finding, in facts: ClusterFacts) async -> String? {
        guard let group = finding.group, let revision = self.revisions[group] else {
            return "nobody is known to lead it"
        }
        let update = RowUpdate(
            group: group, changes: finding.remedy.changes,
            authority: GroupAuthority(clusterID: self.clusterID, revision: revision), blockers: .wait)
        do {
            let connection = try await self.connectToCoordinator(facts)
            let outcome = UpdateOutcome(try await CitusCatalog(connection).apply(CitusUpdate(update)))
            return outcome == .applied ? nil : outcome.reason
        } catch {
            return Self.reason(error)
        }
    }
}

extension NodeFacts {
    init(_ facts: CitusServerFacts) {
        self.init(
            isInRecovery: facts.isInRecovery, localGroup: facts.localGroup,
            digests: [
                .nodes: facts.nodesDigest, .placements: facts.placementsDigest, .shards: facts.shardsDigest,
            ], prepared: facts.prepared.map { PreparedTransaction(gid: $0.gid, age: $0.age) })
    }
}

extension RowChange {
    /// The statement, for people.
    public var sql: String {
        func quoted(_ text: String) -> String {
            "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
        }
        return switch self {
        case .move(let id, let place): "select citus_update_node(\(id), \(quoted(place.host)), \(place.port))"
        case .pool(let id, let text):
            "insert into pg_dist_poolinfo values (\(id), \(quoted(text))) on conflict (nodeid) do update set poolinfo = excluded.poolinfo"
        case .add(let place, let group): "select citus_add_node(\(quoted(place.host)), \(place.port), \(group))"
        case .addSecondary(let place, let primary):
            "select citus_add_secondary_node(\(quoted(place.host)), \(place.port), \(quoted(primary.host)), \(primary.port))"
        case .removeSecondary(let place): "select citus_remove_node(\(quoted(place.host)), \(place.port))"
        }
    }
}
