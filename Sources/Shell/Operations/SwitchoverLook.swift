// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import PatroniClient
import PatroniValues
import PostgresClient

/// Looks at the facts by which a switchover is judged: Patroni's keys by one linearizable read, etcd's members, and PostgreSQL of the
/// leader and of the candidate. All of it by the plane that looks at others; each part within its own limit.
@EventLoop
final class SwitchoverLook {
    private let etcd: EtcdClient
    private let patroniKeys: PatroniKeys
    /// Where a daemon claims the group's switchover.
    private let claim: String
    private let nodes: NodeConnections

    /// Of Patroni's members.
    nonisolated static let memberLimit = 1000
    /// For connecting to one PostgreSQL, and for its answer, each.
    nonisolated static let timeout: Duration = .seconds(2)
    /// Bytes of that answer.
    nonisolated static let answerLimit = 64 << 10

    init(_ etcd: EtcdClient, _ patroniKeys: PatroniKeys, claim: String, nodes: NodeConnections) {
        (self.etcd, self.patroniKeys, self.claim, self.nodes) = (etcd, patroniKeys, claim, nodes)
    }

    /// `sight`: what this daemon sees of the group.
    func facts(group: Int, to wanted: String?, _ sight: SwitchoverSight) async -> SwitchoverFacts {
        var facts = SwitchoverFacts(
            keys: .unseen(reason: "not read"), sight: sight, etcd: .unseen(reason: "not asked"),
            leader: .unseen(reason: "not asked"), candidate: .unseen(reason: "not asked"))
        guard group == sight.ownGroup else { return facts }
        let began = Instant.now
        do throws(EtcdError) {
            facts.keys = .seen(try await self.read())
        } catch {
            facts.keys = .unseen(reason: error.description)
            return facts
        }
        guard let keys = facts.keys.value,
            let pair = SwitchoverReview.pair(to: wanted, keys, sight, in: group)
        else { return facts }
        let (leader, candidate) = (sight.members[pair.leader]?.endpoint, sight.members[pair.candidate]?.endpoint)
        let members = EventLoop.task { await self.members() }
        let asked = EventLoop.task { await self.ask(leader) }
        facts.candidate = await self.ask(candidate)
        (facts.leader, facts.etcd) = (await asked.value, await members.value)
        facts.keys = .seen(keys, ago: Instant.now - began)
        return facts
    }

    // MARK: - etcd

    private func read() async throws(EtcdError) -> SwitchoverFacts.Keys {
        let keys = self.patroniKeys
        let response = try await self.etcd.commit(
            Transaction(
                compares: [],
                success: [keys.leader, keys.config, keys.failover, keys.sync, self.claim].map {
                    .range(.key($0), limit: 1)
                } + [.range(.prefix(keys.members), limit: Self.memberLimit)]))
        let found = response.responses.map { operation -> [KeyValue] in
            if case .range(let pairs) = operation { pairs } else { [] }
        }
        guard found.count == 6 else {
            throw EtcdError(kind: .malformed, message: "an answer of \(found.count) parts, not 6", endpoint: "")
        }
        return self.keys(found.prefix(5).map(\.first), members: found[5])
    }

    private func keys(_ single: [KeyValue?], members: [KeyValue]) -> SwitchoverFacts.Keys {
        let (leader, config, failover, sync, claim) = (single[0], single[1], single[2], single[3], single[4])
        var keys = SwitchoverFacts.Keys(
            revisions: PatroniRevisions(
                config: config?.modRevision ?? 0, failover: failover?.modRevision ?? 0, sync: sync?.modRevision ?? 0))
        if let leader, let name = patroniLeader(leader.value) { keys.leader = (name, leader.createRevision) }
        if let config {
            let config = PatroniConfig(value: config.value)
            keys.isPaused = config.isPaused
            keys.isSynchronousMode = config.synchronousMode != .off
            keys.maximumLag = config.maximumLagOnFailover
        }
        keys.isRequested = failover.map { PatroniFailover(value: $0.value).isPending } ?? false
        keys.synchronous = sync.map { Set(PatroniSync(value: $0.value).standbys) }
        keys.claimant = claim.map { pair in
            DetectorKeys.claimant(pair.value) + (DetectorKeys.person(pair.value).map { ", for \($0)" } ?? "")
        }
        for pair in members {
            let name = String(pair.keyText.dropFirst(self.patroniKeys.members.count))
            guard patroniLeader(Array(name.utf8)) != nil, !name.contains("/") else { continue }
            let member = PatroniMember(name: name, value: pair.value)
            keys.members[name] = SwitchoverFacts.Member(
                isRunning: member.state == "running" || member.state == "streaming", mayLead: !member.tags.noFailover,
                timeline: member.timeline, position: member.xlogLocation, isRestartPending: member.isRestartPending)
        }
        return keys
    }

    /// Who votes, by what the endpoints that answer say; and who of them answers.
    private func members() async -> Looked<SwitchoverFacts.EtcdMembers> {
        var (voters, answering, reason): (Set<UInt64>, Set<UInt64>, String) = ([], [], "no endpoint is known")
        for (_, answer) in await self.etcd.members() {
            switch answer {
            case .success(let list):
                answering.insert(list.header.memberID)
                voters = Set(list.members.filter { !$0.isLearner }.map(\.id))
            case .failure(let error): reason = error.description
            }
        }
        guard !voters.isEmpty else { return .unseen(reason: reason) }
        return .seen(.init(count: voters.count, lost: voters.subtracting(answering).count))
    }

    // MARK: - PostgreSQL

    private static let question = """
        select pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), \
        (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() \
        and xact_start < clock_timestamp() - interval '60 seconds'), \
        (select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)::bigint from pg_stat_activity \
        where backend_type = 'client backend' and pid <> pg_backend_pid()), \
        (select count(*) from pg_prepared_xacts), \
        (select count(*) from pg_stat_progress_basebackup) + (select count(*) from pg_stat_activity \
        where backend_type = 'client backend' and application_name ~* '^(pgbackrest|barman|wal-g)'), \
        coalesce((select string_agg(slot_name::text, ',') from pg_replication_slots \
        where slot_type = 'logical' and not temporary), '')
        """

    private func ask(_ endpoint: NodeEndpoint?) async -> Looked<SwitchoverFacts.Server> {
        guard let endpoint else { return .unseen(reason: "its key in etcd has no conn_url that can be read") }
        let began = Instant.now
        do throws(PostgresError) {
            let connection = try await self.nodes.connect(endpoint, timeout: Self.timeout)
            let rows = try await connection.query(
                Self.question, timeout: Self.timeout, rowLimit: 1, byteLimit: Self.answerLimit)
            guard let server = rows.first.flatMap(Self.server) else { return .unseen(reason: "an unexpected answer") }
            return .seen(server, ago: Instant.now - began)
        } catch {
            return .unseen(reason: error.message.firstLine)
        }
    }

    nonisolated static func server(_ row: [String?]) -> SwitchoverFacts.Server? {
        guard row.count == 6, let long = row[1].flatMap({ Int($0) }), let oldest = row[2].flatMap({ Int64($0) }),
            let prepared = row[3].flatMap({ Int($0) }), let backups = row[4].flatMap({ Int($0) }), let slots = row[5]
        else { return nil }
        var server = SwitchoverFacts.Server()
        server.preparedTransactions = prepared
        server.logicalSlots = Set(slots.split(separator: ",").map(String.init))
        // Without the privilege other users' sessions look idle, and backups like nothing.
        guard row[0] == "t" else { return server }
        (server.longTransactions, server.backups) = (long, backups)
        server.oldestTransaction = .seconds(min(max(0, oldest), 1 << 40))
        return server
    }
}
