// SPDX-License-Identifier: Apache-2.0
import Audit
import EventLoop
import PostgresClient

/// One server's answers, question by question: what it refuses, or does not know, hides nothing else.
@EventLoop
struct ServerInterview {
    private let connection: PostgresConnection

    init(_ connection: PostgresConnection) { self.connection = connection }

    /// The settings that any rule looks at.
    nonisolated static let settingNames = [
        "archive_mode", "citus.node_conninfo", "citus.node_connection_timeout", "citus.recover_2pc_interval",
        "citus.shard_replication_factor", "client_connection_check_interval", "data_checksums", "fsync",
        "full_page_writes",
        "hot_standby", "idle_in_transaction_session_timeout", "listen_addresses", "max_connections",
        "max_locks_per_transaction",
        "max_prepared_transactions", "max_replication_slots", "max_slot_wal_keep_size", "max_wal_senders",
        "max_worker_processes",
        "recovery_min_apply_delay", "reserved_connections", "restore_command", "shared_preload_libraries",
        "superuser_reserved_connections", "synchronous_commit", "tcp_keepalives_idle", "tcp_user_timeout",
        "wal_keep_size",
        "wal_level", "wal_log_hints", "wal_segment_size",
    ]

    /// Rows of an answer.
    private nonisolated static let rowLimit = 2000

    /// Throws where it does not answer at all.
    func server() async throws(PostgresError) -> AuditFacts.Server {
        var server = AuditFacts.Server()
        let before = Double(WallClock.milliseconds) / 1000
        let basics = try await self.ask(
            "select pg_is_in_recovery(), current_setting('server_version_num'), extract(epoch from clock_timestamp())")
        let after = Double(WallClock.milliseconds) / 1000
        guard let row = basics.first, row.count == 3, let version = row[1].flatMap({ Int($0) }) else {
            throw PostgresError(kind: .connection, message: "an unexpected answer to its version")
        }
        server.isInRecovery = row[0] == "t"
        server.version = version
        if let its = row[2].flatMap({ Double($0) }) {
            server.clockOffset = .known(its - (before + after) / 2, source: "clock_timestamp()")
        }
        (server.settings, server.hidden) = try await self.settings()
        server.senders = await self.senders()
        server.slots = await self.slots(isInRecovery: server.isInRecovery)
        server.archiver = await self.archiver()
        (server.connections, server.workers) = await self.processes()
        server.prepared = await self.fact(
            "select extract(epoch from now() - prepared) from pg_prepared_xacts", "pg_prepared_xacts"
        ) { rows in rows.map { $0[0].flatMap { Double($0) } ?? 0 } }
        server.walRate = await self.walRate(version)
        server.transactionAge = await self.fact("select max(age(datfrozenxid)) from pg_database", "pg_database") {
            rows in
            rows.first?[0].flatMap { Int64($0) }
        }
        server.collations = await self.collations(version)
        server.hba = await self.hba()
        server.citusVersion = await self.fact(
            "select extversion from pg_extension where extname = 'citus'", "pg_extension"
        ) {
            rows in rows.first?[0] ?? ""
        }.value.flatMap { $0.isEmpty ? nil : $0 }
        return server
    }

    /// Whether the coordinator is meant to hold shards.
    func coordinatorHasShards() async -> Fact<Bool> {
        await self.fact(
            "select coalesce(bool_or(shouldhaveshards), false) from pg_dist_node where groupid = 0 and noderole = 'primary'",
            "pg_dist_node"
        ) { rows in rows.first.map { $0[0] == "t" } }
    }

    private func ask(_ sql: String, _ parameters: [String?] = []) async throws(PostgresError) -> [[String?]] {
        try await self.connection.query(
            sql, parameters: parameters, timeout: AuditCollector.serverTimeout, rowLimit: Self.rowLimit)
    }

    /// `read` answers nil for what was not expected.
    private func fact<Value: Sendable>(
        _ sql: String, _ source: String, _ read: ([[String?]]) -> Value?
    ) async -> Fact<Value> {
        do throws(PostgresError) {
            guard let value = read(try await self.ask(sql)) else {
                return .unlooked(why: "an unexpected answer of \(source)")
            }
            return .known(value, source: source)
        } catch {
            return .unlooked(why: "\(source): \(error.message.firstLine)")
        }
    }

    private func settings() async throws(PostgresError) -> ([String: AuditFacts.Server.Setting], Set<String>) {
        let list = "{" + Self.settingNames.map { "\"\($0)\"" }.joined(separator: ",") + "}"
        // Over a unix socket the settings of TCP are shown as 0, whatever they are.
        let rows = try await self.ask(
            "select name, case when name like 'tcp%' then reset_val else setting end, unit, pending_restart from pg_settings where name = any ($1::text[])",
            [list])
        var (settings, hidden): ([String: AuditFacts.Server.Setting], Set<String>) = ([:], [])
        for row in rows {
            guard row.count == 4, let name = row[0], let value = row[1] else { continue }
            settings[name] = AuditFacts.Server.Setting(value, unit: row[2], isPending: row[3] == "t")
        }
        for name in Self.settingNames where settings[name] == nil {
            do throws(PostgresError) {
                _ = try await self.ask("select current_setting($1, true)", [name])
            } catch {
                // insufficient_privilege: it is there, for others.
                guard case .query(sqlState: "42501") = error.kind else { throw error }
                hidden.insert(name)
            }
        }
        return (settings, hidden)
    }

    private func senders() async -> Fact<[AuditFacts.Server.Sender]> {
        await self.fact(
            "select application_name, state, sync_state, pg_wal_lsn_diff(sent_lsn, replay_lsn) from pg_stat_replication",
            "pg_stat_replication"
        ) { rows in
            rows.map { row in
                var sender = AuditFacts.Server.Sender()
                sender.name = row[0] ?? ""
                sender.state = row[1] ?? "hidden"
                sender.isSynchronous = ["sync", "quorum"].contains(row[2] ?? "")
                sender.lag = row[3].flatMap { Int64($0) }
                return sender
            }
        }
    }

    private func slots(isInRecovery: Bool) async -> Fact<[AuditFacts.Server.Slot]> {
        let position = isInRecovery ? "pg_last_wal_replay_lsn()" : "pg_current_wal_lsn()"
        return await self.fact(
            "select slot_name, active, pg_wal_lsn_diff(\(position), restart_lsn), wal_status from pg_replication_slots",
            "pg_replication_slots"
        ) { rows in
            rows.map { row in
                var slot = AuditFacts.Server.Slot()
                slot.name = row[0] ?? ""
                slot.isActive = row[1] == "t"
                slot.retained = row[2].flatMap { Int64($0) }
                slot.walStatus = row[3]
                return slot
            }
        }
    }

    private func archiver() async -> Fact<AuditFacts.Server.Archiver> {
        await self.fact(
            "select failed_count, extract(epoch from now() - last_archived_time), extract(epoch from now() - last_failed_time) from pg_stat_archiver",
            "pg_stat_archiver"
        ) { rows in
            rows.first.map { row in
                var archiver = AuditFacts.Server.Archiver()
                archiver.failures = row[0].flatMap { Int64($0) } ?? 0
                archiver.lastSuccess = row[1].flatMap { Double($0) }
                archiver.lastFailure = row[2].flatMap { Double($0) }
                return archiver
            }
        }
    }

    /// Processes that `max_worker_processes` does not count.
    private nonisolated static let otherProcesses = [
        "archiver", "autovacuum launcher", "autovacuum worker", "background writer", "checkpointer", "client backend",
        "io worker",
        "logger", "slotsync worker", "startup", "walreceiver", "walsender", "walsummarizer", "walwriter",
    ]

    private func processes() async -> (connections: Fact<Int64>, workers: Fact<Int64>) {
        let others = Self.otherProcesses.map { "'\($0)'" }.joined(separator: ", ")
        let counts: Fact<[Int64]> = await self.fact(
            "select count(*) filter (where backend_type = 'client backend'), count(*) filter (where backend_type not in (\(others))), count(*) filter (where backend_type is null) from pg_stat_activity",
            "pg_stat_activity"
        ) { rows in rows.first.map { $0.compactMap { $0.flatMap { Int64($0) } } } }
        switch counts {
        case .unlooked(let why): return (.unlooked(why: why), .unlooked(why: why))
        case .known(let counts, let source):
            guard counts.count == 3, counts[2] == 0 else {
                let why =
                    "pg_stat_activity shows what processes are only to members of pg_read_all_stats (GRANT pg_read_all_stats TO the role that asks)"
                return (.unlooked(why: why), .unlooked(why: why))
            }
            return (.known(counts[0], source: source), .known(counts[1], source: source))
        }
    }

    private func walRate(_ version: Int) async -> Fact<Double> {
        guard version >= 140_000 else { return .unlooked(why: "the rate of writing: PostgreSQL keeps it from 14 on") }
        return await self.fact(
            "select wal_bytes / greatest(extract(epoch from now() - stats_reset), 1) from pg_stat_wal", "pg_stat_wal"
        ) { rows in rows.first?[0].flatMap { Double($0) } }
    }

    private func collations(_ version: Int) async -> Fact<[String]> {
        guard version >= 150_000 else {
            return .unlooked(why: "versions of collations: PostgreSQL keeps those of databases from 15 on")
        }
        return await self.fact(
            "select datname from pg_database where datallowconn and datcollversion is not null and datcollversion is distinct from pg_database_collation_actual_version(oid)",
            "pg_database"
        ) { rows in rows.compactMap { $0[0] } }
    }

    private func hba() async -> Fact<[AuditFacts.Server.HBALine]> {
        let fact: Fact<[AuditFacts.Server.HBALine]> = await self.fact(
            "select type, array_to_string(database, ','), array_to_string(user_name, ','), address, netmask, auth_method, error from pg_hba_file_rules order by line_number",
            "pg_hba_file_rules"
        ) { rows in
            rows.map { row in
                var line = AuditFacts.Server.HBALine()
                line.type = row[0] ?? ""
                line.databases = (row[1] ?? "").split(separator: ",").map(String.init)
                line.users = (row[2] ?? "").split(separator: ",").map(String.init)
                line.address = row[3]
                line.mask = row[4]
                line.method = row[5] ?? ""
                line.error = row[6]
                return line
            }
        }
        guard let why = fact.why, why.contains("permission denied") else { return fact }
        return .unlooked(
            why:
                "\(why) (GRANT SELECT ON pg_hba_file_rules, GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO the role that asks)"
        )
    }
}
