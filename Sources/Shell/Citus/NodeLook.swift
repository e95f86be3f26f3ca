// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import PostgresClient

/// What one server says of itself, each thing asked on its own, over one connection, or another one where a question has used that up.
@EventLoop
final class NodeLook {
    typealias Connect = @EventLoop () async throws -> PostgresConnection

    private var catalog: CitusCatalog
    private let connect: Connect
    private let isDeep: Bool
    private let isAfterRestore: Bool
    private let isCoordinator: Bool

    nonisolated static let settingNames =
        SettingRule.names + [
            "citus.recover_2pc_interval", "citus.defer_shard_delete_interval", "citus.background_task_queue_interval",
        ]
    /// For what reads whole tables.
    static let longTimeout: Duration = .seconds(120)
    /// Between two reads of the same contents: what differs by then is being written.
    private static let contentsPause: Duration = .seconds(1)

    init(_ facts: ClusterFacts, isCoordinator: Bool, _ connect: @escaping Connect) async throws {
        self.catalog = CitusCatalog(try await connect())
        self.connect = connect
        self.isDeep = facts.isDeep
        self.isAfterRestore = facts.isAfterRestore
        self.isCoordinator = isCoordinator
    }

    /// Nil where it has no Citus. Throws where it does not answer.
    func look() async throws(CitusError) -> NodeFacts? {
        try await self.catalog.prepareToLook()
        guard let identity = try await self.catalog.identity() else { return nil }
        var facts = NodeFacts(
            isInRecovery: identity.isInRecovery, localGroup: identity.localGroup, citusVersion: identity.citusVersion,
            postgresVersion: identity.postgresVersion)
        if let system = identity.system, let started = identity.started {
            facts.server = .server(system: system, started: started, isInRecovery: identity.isInRecovery)
        }
        (facts.timeline, facts.role) = (identity.timeline, identity.role)
        do throws(CitusError) { facts.citusLibrary = try await self.catalog.libraryVersion() } catch {
            facts.unseen[.library] = try await self.refusal(error)
        }
        do throws(CitusError) {
            for table in CitusTable.allCases {
                guard let digest = try await self.catalog.digest(of: table), let its = CatalogTable(table) else {
                    continue
                }
                facts.digests[its] = digest
            }
        } catch { facts.unseen[.copies] = try await self.refusal(error) }
        do throws(CitusError) {
            facts.prepared = try await self.catalog.preparedTransactions().map {
                PreparedTransaction(gid: $0.gid, age: $0.age, database: $0.database)
            }
        } catch { facts.unseen[.prepared] = try await self.refusal(error) }
        try await self.lookAtSettings(&facts)
        do throws(CitusError) {
            for kind in Irregularity.allCases {
                guard let its = CitusIrregularity(rawValue: kind.rawValue),
                    self.isDeep || !CitusIrregularity.deep.contains(its)
                else { continue }
                facts.irregularities[kind] = try await self.catalog.list(its)
            }
        } catch { facts.unseen[.catalogs] = try await self.refusal(error) }
        guard self.isDeep else { return facts }
        do throws(CitusError) { facts.missingShards = try await self.catalog.missingShards() } catch {
            facts.unseen[.shards] = try await self.refusal(error)
        }
        // What follows is for servers that accept writes: a standby has what its primary has.
        if !facts.isInRecovery { try await self.lookDeep(&facts) }
        return facts
    }

    private func lookAtSettings(_ facts: inout NodeFacts) async throws(CitusError) {
        do throws(CitusError) {
            let shown = try await self.catalog.settings(Self.settingNames)
            facts.settings = shown.values
            if !shown.hidden.isEmpty {
                facts.unseen[.settings] =
                    "\(shown.hidden.joined(separator: ", ")) are shown only to members of pg_read_all_settings"
            }
        } catch { facts.unseen[.settings] = try await self.refusal(error) }
    }

    /// With the functions that `pharos grant-sql --restore` makes on each node.
    private func lookDeep(_ facts: inout NodeFacts) async throws(CitusError) {
        let missing = try await self.catalog.missingRestoreFunctions()
        guard missing.isEmpty else {
            let reason = "there is no \(missing[0]) for this role: pharos grant-sql --restore"
            for aspect in self.deepAspects { facts.unseen[aspect] = reason }
            return
        }
        if self.isAfterRestore {
            do throws(CitusError) {
                let (ends, written) = try await self.catalog.timelineEnds()
                facts.restored = RestoredServer(
                    ends: ends.map {
                        RestoredServer.TimelineEnd(timeline: $0.timeline, lsn: $0.lsn, reason: $0.reason)
                    },
                    markers: try await self.catalog.restoreMarkers().map {
                        RestoredServer.Marker(id: $0.id, name: $0.name, made: $0.made)
                    }, written: written)
            } catch { facts.unseen[.restorePoint] = try await self.refusal(error) }
        }
        try await self.catalog.prepareToLook(limit: Self.longTimeout - .seconds(1))
        do throws(CitusError) { facts.copies = try await self.contents() } catch {
            facts.unseen[.contents] = try await self.refusal(error)
        }
        try await self.catalog.prepareToLook(limit: Self.longTimeout - .seconds(1))
        do throws(CitusError) {
            facts.sequences = try await self.catalog.sequenceValues(timeout: Self.longTimeout).map {
                SequenceValue(name: $0.name, range: $0.range, last: $0.last, highest: $0.highest)
            }
        } catch { facts.unseen[.sequences] = try await self.refusal(error) }
        guard self.isCoordinator else { return }
        try await self.catalog.prepareToLook(limit: Self.longTimeout - .seconds(1))
        do throws(CitusError) {
            facts.unreachable = try await self.catalog.unreachableNodes(timeout: Self.longTimeout)
        } catch { facts.unseen[.reachability] = try await self.refusal(error) }
    }

    private var deepAspects: [NodeFacts.Aspect] {
        [.contents, .sequences] + (self.isAfterRestore ? [.restorePoint] : [])
            + (self.isCoordinator ? [.reachability] : [])
    }

    private func contents() async throws(CitusError) -> [ShardID: ShardCopyDigest] {
        let before = try await self.catalog.shardCopies(timeout: Self.longTimeout)
        guard !before.isEmpty else { return [:] }
        do throws(WaitError) { try await EventLoop.sleep(for: Self.contentsPause) } catch { return [:] }
        let known = Dictionary(before.map { ($0.shard, $0.digest) }) { $1 }
        return Dictionary(
            try await self.catalog.shardCopies(timeout: Self.longTimeout).map {
                let isChanging = known[$0.shard] != $0.digest
                return (
                    $0.shard, ShardCopyDigest(name: $0.name, count: $0.count, digest: $0.digest, isChanging: isChanging)
                )
            }
        ) { $1 }
    }

    /// Why a server that is up has not let something be seen. Throws where it is not up any more. What has taken too long, or was too
    /// much, hides nothing else: what comes next is asked over a new connection.
    private func refusal(_ error: CitusError) async throws(CitusError) -> String {
        guard case .database(let cause) = error else { return error.reason }
        switch cause.kind {
        case .query: return error.reason
        case .timeout, .resultTooLarge, .cancelled, .busy:
            do {
                self.catalog = CitusCatalog(try await self.connect())
            } catch {
                // It does not answer at all.
                throw .database(cause)
            }
            try await self.catalog.prepareToLook()
            return error.reason
        case .connection, .notAsked, .authentication: throw error
        }
    }

    /// Why a question to the coordinator's own tables was not answered. Throws where the server is not up.
    static func refusal(_ error: CitusError) throws(CitusError) -> String {
        guard case .database(let cause) = error else { return error.reason }
        if case .query = cause.kind { return error.reason }
        throw error
    }
}

extension CatalogTable {
    init?(_ table: CitusTable) { self.init(rawValue: table.rawValue) }
}
