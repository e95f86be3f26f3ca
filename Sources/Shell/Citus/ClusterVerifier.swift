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
/// some nodes at a time. Bounded by the time limits of each connection and question.
@EventLoop
public final class ClusterVerifier {
    private let etcd: EtcdClient?
    let settings: Settings
    private let citus: Settings.Citus
    let nodes: NodeConnections

    /// For connecting to a node and for each question to it.
    static let connectTimeout: Duration = .seconds(2)
    /// Nodes that are asked side by side; each takes a connection.
    nonisolated static let nodesAtOnce = 32
    /// What is critical must be so twice: a change that is under way looks like a difference.
    private static let pause: Duration = .seconds(2)

    /// Nil where the configuration follows nothing of Citus.
    public convenience init?(_ settings: Settings) { self.init(settings, resolver: HostResolver()) }

    /// `etcd`: the daemon's own client; nil: a command's, made for each question.
    init?(_ settings: Settings, resolver: HostResolver, etcd: EtcdClient? = nil) {
        guard let citus = settings.citus else { return nil }
        self.etcd = etcd
        (self.settings, self.citus) = (settings, citus)
        self.nodes = NodeConnections(
            conninfo: citus.nodeConninfo, database: citus.core.databases.first, resolver: resolver)
    }

    /// What is found in each configured database. What is critical is looked for a second time, after a moment.
    public func verified(
        isDeep: Bool, isAfterRestore: Bool, knowing knowledge: PriorKnowledge = PriorKnowledge()
    ) async -> [(facts: ClusterFacts, findings: [Finding])] {
        func look() async -> [(facts: ClusterFacts, findings: [Finding])] {
            await self.gather(isDeep: isDeep, isAfterRestore: isAfterRestore, knowing: knowledge).map {
                ($0, verify($0))
            }
        }
        let first = await look()
        guard first.contains(where: { wantsConfirmation($0.findings) }) else { return first }
        do throws(WaitError) { try await EventLoop.sleep(for: Self.pause) } catch { return first }
        return zip(first, await look()).map { before, now in
            (now.facts, confirmed(now.findings, before: before.findings))
        }
    }

    /// The facts about each configured database.
    public func gather(
        isDeep: Bool, isAfterRestore: Bool, knowing knowledge: PriorKnowledge = PriorKnowledge()
    ) async -> [ClusterFacts] {
        var (leaders, clusterID, etcdProblem) = await self.leaders()
        for suspect in knowledge.suspects {
            guard let known = leaders[0], known.endpoint != suspect, !known.others.values.contains(suspect) else {
                continue
            }
            leaders[0]?.others["\(suspect)"] = suspect
        }
        self.clusterID = clusterID
        let remembered = knowledge.places.looked(clusterID, isAfterRestore: isAfterRestore)
        let formerPlaces = FormerPlaces(knowledge.places.places, of: leaders, cluster: remembered.cluster)
        let former = self.identify(formerPlaces)
        var all: [ClusterFacts] = []
        for database in self.citus.core.databases {
            var facts = ClusterFacts(database: database, settings: self.citus.core, leaders: leaders)
            facts.etcdProblem = etcdProblem
            facts.isDeep = isDeep
            facts.isAfterRestore = isAfterRestore
            facts.switchedOff = knowledge.switchedOff
            facts.isCleanupOld = knowledge.oldCleanups.contains(database)
            if isAfterRestore { facts.restorePointRecords = await self.records(knowledge.points) }
            await self.ask(&facts)
            facts.former = await former.value
            facts.forgotten = remembered.forgotten
            facts.formerProblem =
                remembered.problem
                ?? (formerPlaces.leftOut == 0
                    ? nil : "\(formerPlaces.leftOut) more places than the \(FormerPlaces.limit) that are asked")
            all.append(facts)
        }
        self.nodes.stop()
        return all
    }

    var citusSettings: CitusSettings { self.citus.core }
    /// The one that is asked where it does not matter which.
    var database: String { self.citus.core.databases.first ?? "postgres" }
    private(set) var clusterID: UInt64 = 0
    private(set) var revisions: [Int: Int64] = [:]

    // MARK: - etcd

    func leaders() async -> (leaders: [Int: ClusterFacts.Leader], clusterID: UInt64, problem: String?) {
        let http = HTTPClient()
        defer { http.close() }
        var configuration = EtcdConfiguration(self.settings)
        configuration.requestTimeout = min(configuration.requestTimeout, .seconds(3))
        let client: EtcdClient
        if let etcd = self.etcd {
            client = etcd
        } else {
            client = await EtcdClient.ofCommand(self.settings, http, configuration)
        }
        let keys = GroupKeys(self.settings)
        do throws(EtcdError) {
            let snapshot = try await GroupsLink.read(client, keys).snapshot
            var names: [Int: String] = [:]
            var members: [Int: [String: NodeEndpoint]] = [:]
            var placeless: [Int: [String]] = [:]
            for change in snapshot.facts {
                switch change.fact {
                case .leader(let name, let since, let written):
                    names[change.group] = name
                    self.revisions[change.group] = written ?? since
                case .member(let name, let member):
                    members[change.group, default: [:]][name] = member?.endpoint
                    if let member, member.endpoint == nil { placeless[change.group, default: []].append(name) }
                case .noLeader, .requested, .synchronous, .log: break
                }
            }
            let pairs = names.map { group, name in
                var others = members[group] ?? [:]
                let endpoint = others.removeValue(forKey: name)
                let unplaced = (placeless[group] ?? []).filter { $0 != name }
                return (group, ClusterFacts.Leader(name, endpoint, others: others, placeless: unplaced))
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
        // The coordinator itself has been asked already, if its row has its own name.
        let own = facts.leaders[0]?.endpoint
        var endpoints = Set(
            rows.filter { $0.group != 0 || $0.role != .primary || $0.endpoint != own }.map(\.endpoint))
        for (group, leader) in facts.leaders {
            endpoints.formUnion(leader.others.values)
            if group != 0, let place = leader.endpoint { endpoints.insert(place) }
        }
        let answers = await inBatches(Array(endpoints), of: Self.nodesAtOnce) { [facts] in
            ($0, await self.node($0, facts))
        }
        for (endpoint, answer) in answers { facts.nodes[endpoint] = answer }
        await self.readLosses(&facts)
        await self.askInitiators(&facts)
        await self.nameDifferences(&facts)
        if facts.isDeep { await self.readContentsAgain(&facts) }
    }

    /// Who began the transactions that were found prepared says whether it has committed them: after they were seen, or a commit in
    /// between would look like none.
    private func askInitiators(_ facts: inout ClusterFacts) async {
        guard var coordinator = facts.coordinator else { return }
        var gids: [Int: Set<String>] = [:]
        var prepared = coordinator.facts.prepared
        for case .answered(let node) in facts.nodes.values { prepared += node.prepared }
        for transaction in prepared {
            guard let name = CitusTransactionName(transaction.gid) else { continue }
            gids[name.initiator, default: []].insert(transaction.gid)
        }
        for (group, names) in gids.sorted(by: { $0.key < $1.key }) {
            do {
                if group == 0 {
                    let catalog = CitusCatalog(try await self.connectToCoordinator(facts))
                    coordinator.facts.fates = try await self.fates(of: names, catalog)
                } else if let endpoint = facts.leaders[group]?.endpoint,
                    case .answered(var node)? = facts.nodes[endpoint]
                {
                    let connection = try await self.nodes.connect(
                        endpoint, database: facts.database, timeout: Self.connectTimeout)
                    node.fates = try await self.fates(of: names, CitusCatalog(connection))
                    facts.nodes[endpoint] = .answered(node)
                }
            } catch {
                continue  // Then it is not known, and each of them says so.
            }
        }
        facts.coordinator = coordinator
    }

    private func fates(of gids: Set<String>, _ catalog: CitusCatalog) async throws(CitusError) -> TransactionFates {
        try await catalog.prepareToLook()
        let found = try await catalog.transactionFates(of: gids.sorted())
        return TransactionFates(
            committed: found.committed, undecided: found.undecided, sessions: found.sessions)
    }

    /// The local server if it is the coordinator's primary, else the leader of group 0.
    private func coordinator(_ facts: ClusterFacts) async throws -> ClusterFacts.Coordinator {
        let look = try await NodeLook(facts, isCoordinator: true) { try await self.connectToCoordinator(facts) }
        guard var own = try await look.look() else {
            throw CitusError.malformed("the database \(facts.database) has no extension citus")
        }
        let catalog = CitusCatalog(try await self.connectToCoordinator(facts))
        do throws(CitusError) { own.room = ServerRoom(try await catalog.room()) } catch {
            own.unseen[.settings] = try own.unseen[.settings] ?? NodeLook.refusal(error)
        }
        let rows = try await catalog.nodes().map { NodeRow($0) }
        var fenceProblem: String?
        var superseded: [Int: SupersededFence] = [:]
        var missing: [String] = []
        if facts.settings.mode != .observe {
            do throws(CitusError) {
                fenceProblem = try await catalog.fenceProblem()
                if fenceProblem == nil { superseded = try await self.superseded(catalog) }
                missing = try await catalog.missingFunctions(secondaries: facts.settings.registersSecondaries)
            } catch {
                own.unseen[.fence] = try NodeLook.refusal(error)
            }
        }
        var coordinator = ClusterFacts.Coordinator(
            rows: rows, facts: own, fenceProblem: fenceProblem, superseded: superseded)
        coordinator.missingFunctions = missing
        return coordinator
    }

    private func superseded(_ catalog: CitusCatalog) async throws(CitusError) -> [Int: SupersededFence] {
        let cluster = self.clusterID
        var fences: [Int: SupersededFence] = [:]
        for (group, other) in try await catalog.fences(superseding: cluster) {
            fences[group] = SupersededFence(
                by: other, reinstatement: CitusCatalog.statementToReinstate(cluster, group: group))
        }
        return fences
    }

    /// To a node, or, where `endpoint` is nil, to the coordinator.
    func connect(_ endpoint: NodeEndpoint?, _ facts: ClusterFacts) async throws -> PostgresConnection {
        guard let endpoint else { return try await self.connectToCoordinator(facts) }
        return try await self.nodes.connect(endpoint, database: facts.database, timeout: Self.connectTimeout)
    }

    func connectToCoordinator(_ facts: ClusterFacts) async throws -> PostgresConnection {
        let isHere = self.citus.core.group == 0 && (facts.leaders[0].map { $0.name == self.settings.member } ?? true)
        if !isHere {
            // The server of this node is another: what it says must not be taken for the coordinator's.
            guard let endpoint = facts.leaders[0]?.endpoint else {
                throw CitusError.malformed(
                    facts.etcdProblem.map { "etcd, which knows where it is, cannot be read: \($0)" }
                        ?? "etcd names no leader of group 0, or not where it is")
            }
            return try await self.nodes.connect(endpoint, database: facts.database, timeout: Self.connectTimeout)
        }
        return try await PostgresConnector(resolver: self.nodes.resolver).connect(
            self.settings.postgres.conninfo, database: facts.database, timeout: Self.connectTimeout)
    }

    private func node(_ endpoint: NodeEndpoint, _ facts: ClusterFacts) async -> NodeAnswer {
        do {
            let look = try await NodeLook(facts, isCoordinator: false) { try await self.connect(endpoint, facts) }
            return try await look.look().map { .answered($0) } ?? .withoutCitus
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

    static func reason(_ error: any Error) -> String {
        (error as? PostgresError)?.message.firstLine ?? (error as? CitusError)?.reason ?? "\(error)"
    }
}
