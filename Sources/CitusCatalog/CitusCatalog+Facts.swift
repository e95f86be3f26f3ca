// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// Who one server is.
public struct CitusIdentity: Sendable, Equatable {
    public let isInRecovery: Bool
    /// `pg_dist_local_group`; nil where it has no row.
    public let localGroup: Int?
    /// Of the extension, such as `13.2-1`; nil where `pg_extension` does not list it.
    public let citusVersion: String?
    /// Such as `15.18`.
    public let postgresVersion: String
    /// The system identifier of its cluster, and when it was started: no two servers share both.
    public let system: String?
    public let started: String?
    /// The timeline that it writes, or that its WAL receiver streams.
    public let timeline: Int?
    /// As which it was asked.
    public let role: String?
}

/// A transaction that is prepared on this server.
public struct CitusPrepared: Sendable, Equatable {
    public let gid: String
    public let age: Duration
    /// Nil: the one that is looked at.
    public let database: String?
}

/// What a server shows of its settings to this role.
public struct CitusSettingsShown: Sendable, Equatable {
    /// By name, with the unit that PostgreSQL keeps it in (`30000ms`). What does not exist is absent.
    public var values: [String: String] = [:]
    /// Those that this role may not see.
    public var hidden: [String] = []
}

/// What a server has left.
public struct CitusRoom: Sendable, Equatable {
    /// `max_worker_processes`, and how many of these run.
    public let workers: Int
    public let workersInUse: Int
    /// `reserved_connections`; nil before PostgreSQL 16.
    public let reservedConnections: Int?
    /// Whether this role is a member of `pg_use_reserved_connections`.
    public let isReserveMember: Bool
    public let isSuperuser: Bool
}

/// Each of these is asked on its own: what cannot be seen hides nothing else.
extension CitusCatalog {
    /// Leaves names to nobody's `search_path`, and lets the session see the tables of shards, which Citus hides otherwise. For
    /// sessions that only read. What is given up here ends there too: no query outlasts `limit`, nor this connection.
    public func prepareToLook(limit: Duration = .seconds(14)) async throws(CitusError) {
        _ = try await self.query(
            """
            select set_config('search_path', 'pg_catalog', false), set_config('citus.override_table_visibility', 'off', false),
                set_config('statement_timeout', $1, false), (select set_config(name, '500', false)
                    from pg_catalog.pg_settings where name = 'client_connection_check_interval')
            """, ["\(Self.milliseconds(limit))"])
    }

    /// Nil where this database has no Citus.
    public func identity() async throws(CitusError) -> CitusIdentity? {
        let there = try await self.query(
            """
            select pg_catalog.to_regclass('pg_catalog.pg_dist_local_group') is not null, pg_catalog.pg_is_in_recovery(),
                (select extversion from pg_catalog.pg_extension where extname = 'citus'),
                pg_catalog.current_setting('server_version'),
                (select system_identifier from pg_catalog.pg_control_system()),
                extract(epoch from pg_catalog.pg_postmaster_start_time()),
                case when pg_catalog.pg_is_in_recovery()
                    then (select received_tli from pg_catalog.pg_stat_wal_receiver where status = 'streaming')
                    else ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer
                end, current_user
            """)
        guard there.count == 1, there[0].count == 8, let hasCitus = there[0][0], let version = there[0][3] else {
            throw .malformed("who it is, in \(there.count) rows")
        }
        guard hasCitus == "t" else { return nil }
        let group = try await self.query("select min(groupid) from pg_catalog.pg_dist_local_group")
        return CitusIdentity(
            isInRecovery: there[0][1] != "f", localGroup: group.first?.first?.flatMap { Int($0) },
            citusVersion: there[0][2], postgresVersion: String(version.prefix { $0 != " " }), system: there[0][4],
            started: there[0][5], timeline: there[0][6].flatMap { Int($0) }, role: there[0][7])
    }

    /// The version of the library that this server has loaded, such as `13.2.2`; nil where it does not say.
    public func libraryVersion() async throws(CitusError) -> String? {
        let isThere = try await self.query(
            "select pg_catalog.to_regprocedure('pg_catalog.citus_version()') is not null")
        guard isThere == [["t"]] else { return nil }
        // `Citus 13.2.2 on x86_64-pc-linux-gnu, …`
        let words = try await self.query("select pg_catalog.left(pg_catalog.citus_version(), 100)").first?.first ?? nil
        return words?.split(separator: " ").dropFirst().first.map(String.init)
    }

    /// At most 100, those of this database before others', the oldest first.
    public func preparedTransactions() async throws(CitusError) -> [CitusPrepared] {
        let rows = try await self.query(
            """
            select gid, greatest(0, extract(epoch from clock_timestamp() - prepared))::bigint,
                nullif(database, current_database())
            from pg_catalog.pg_prepared_xacts order by database <> current_database(), prepared limit 100
            """, byteLimit: Self.rowsLimit)
        return rows.compactMap { row in
            guard row.count == 3, let gid = row[0], let age = row[1].flatMap({ Int64($0) }) else { return nil }
            return CitusPrepared(gid: gid, age: .seconds(age), database: row[2])
        }
    }

    /// What this node knows of transactions that it began on others with two phases: those that it has committed; those of which its
    /// record alone does not say so (`outer_xid`, Citus 12.2 and later: they follow a transaction of another database); and the
    /// process ids of its sessions, whatever they are, asked for first, as Citus's own recovery does.
    public func transactionFates(of gids: [String]) async throws(CitusError)
        -> (committed: Set<String>, undecided: Set<String>, sessions: Set<Int>)
    {
        let sessions = try await self.query(
            "select pid from pg_catalog.pg_stat_activity", byteLimit: Self.rowsLimit)
        let list = "{" + gids.map { "\"\($0)\"" }.joined(separator: ",") + "}"
        let records = try await self.query(
            """
            select gid, coalesce(pg_catalog.to_jsonb(t) ->> 'outer_xid', '') from pg_catalog.pg_dist_transaction t
            where gid = any ($1::text[])
            """, [list], byteLimit: Self.rowsLimit)
        func names(where isWanted: (String) -> Bool) -> Set<String> {
            Set(records.compactMap { row in isWanted(row[1] ?? "") ? row[0] : nil })
        }
        return (
            names { $0.isEmpty }, names { !$0.isEmpty },
            Set(sessions.compactMap { row in row.first?.flatMap { Int($0) } })
        )
    }

    /// `pg_settings` leaves out what this role may not see; each of those is asked for by its name.
    public func settings(_ names: [String]) async throws(CitusError) -> CitusSettingsShown {
        let list = "{" + names.map { "\"\($0)\"" }.joined(separator: ",") + "}"
        let rows = try await self.query(
            "select name, setting || coalesce(unit, '') from pg_catalog.pg_settings where name = any ($1::text[])",
            [list])
        var shown = CitusSettingsShown()
        for row in rows { if let name = row[0], let value = row[1] { shown.values[name] = value } }
        for name in names where shown.values[name] == nil {
            do throws(CitusError) {
                let value = try await self.query("select pg_catalog.current_setting($1, true)", [name])
                shown.values[name] = value.first?.first ?? nil
            } catch {
                // insufficient_privilege: it exists, for others.
                guard case .database(let cause) = error, cause.sqlState == "42501" else { throw error }
                shown.hidden.append(name)
            }
        }
        return shown
    }

    /// What this server has left of background workers and of connections.
    public func room() async throws(CitusError) -> CitusRoom {
        let rows = try await self.query(
            """
            select pg_catalog.current_setting('max_worker_processes'),
                (select count(*) from pg_catalog.pg_stat_activity where backend_type <> all ('{\(Self.otherProcesses)}')),
                (select count(*) from pg_catalog.pg_stat_activity where backend_type is null),
                pg_catalog.current_setting('reserved_connections', true),
                exists (select from pg_catalog.pg_roles where rolname = 'pg_use_reserved_connections'
                    and pg_catalog.pg_has_role(current_user, oid, 'usage')),
                (select rolsuper from pg_catalog.pg_roles where rolname = current_user)
            """)
        guard rows.count == 1, rows[0].count == 6, let workers = rows[0][0].flatMap({ Int($0) }),
            let inUse = rows[0][1].flatMap({ Int($0) }), let unseen = rows[0][2].flatMap({ Int($0) })
        else { throw .malformed("what is left of background workers, in \(rows.count) rows") }
        guard unseen == 0 else {
            throw .malformed("what \(unseen) processes are is shown only to members of pg_read_all_stats")
        }
        return CitusRoom(
            workers: workers, workersInUse: inUse, reservedConnections: rows[0][3].flatMap { Int($0) },
            isReserveMember: rows[0][4] == "t", isSuperuser: rows[0][5] == "t")
    }

    /// What `pg_stat_activity` names that takes no place of `max_worker_processes`.
    private static let otherProcesses = [
        "client backend", "autovacuum launcher", "autovacuum worker", "background writer", "checkpointer", "archiver",
        "startup", "walreceiver", "walsender", "walwriter", "walsummarizer", "slotsync worker", "standalone backend",
        "logger", "io worker", "stats collector",
    ].map { "\"\($0)\"" }.joined(separator: ",")

    /// The tables of this node's shards that do not exist, at most 1000. After ``prepareToLook()``.
    public func missingShards() async throws(CitusError) -> [String] {
        let rows = try await self.query(
            """
            select name from (
                select \(CitusIrregularity.shardTable) as name
                from pg_catalog.pg_dist_placement p
                    join pg_catalog.pg_dist_shard s on s.shardid = p.shardid
                    join pg_catalog.pg_class c on c.oid = s.logicalrelid
                    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                where p.shardstate = 1 and p.groupid in (select groupid from pg_catalog.pg_dist_local_group)) shards
            where pg_catalog.to_regclass(name) is null order by 1 limit 1000
            """, byteLimit: Self.rowsLimit)
        return rows.compactMap(\.first).compactMap { $0 }
    }

    /// The functions of the schema `pharos` that this role needs and may not call.
    public func missingFunctions(secondaries: Bool) async throws(CitusError) -> [String] {
        let rows = try await self.query(
            """
            select p.proname from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
            where n.nspname = 'pharos' and pg_catalog.has_schema_privilege(n.oid, 'usage')
                and pg_catalog.has_function_privilege(p.oid, 'execute')
            """)
        let there = Set(rows.compactMap { $0.first ?? nil })
        let needed = ["interrupt_metadata_sync"] + (secondaries ? ["add_secondary_node", "remove_secondary_node"] : [])
        return needed.filter { !there.contains($0) }.map { "pharos." + $0 }
    }

    /// The groups whose fence says that the etcd cluster `cluster` was replaced, and by which one.
    public func fences(superseding cluster: UInt64) async throws(CitusError) -> [Int: UInt64] {
        let rows = try await self.query(
            "select groupid, etcd_cluster from pharos.citus_fence where $1::numeric = any (superseded)", ["\(cluster)"],
            byteLimit: Self.rowsLimit)
        let pairs = rows.compactMap { row -> (Int, UInt64)? in
            guard row.count == 2, let group = row[0].flatMap({ Int($0) }), let other = row[1].flatMap({ UInt64($0) })
            else { return nil }
            return (group, other)
        }
        return Dictionary(pairs) { $1 }
    }

    /// The statement that lets the etcd cluster `cluster` be the one in force for a group again.
    public nonisolated static func statementToReinstate(_ cluster: UInt64, group: Int) -> String {
        """
        update pharos.citus_fence set superseded = array_append(array_remove(superseded, \(cluster)), etcd_cluster), etcd_cluster = \(cluster), revision = 0, applied = now() where groupid = \(group) and \(cluster) = any (superseded)
        """
    }

    /// Runs statements that a person has asked for, in one transaction.
    public func run(_ statements: [String]) async throws(CitusError) {
        _ = try await self.query("begin")
        for statement in statements { _ = try await self.query(statement) }
        _ = try await self.query("commit")
    }

    /// Why the fence cannot be used by this role; nil if it can.
    public func fenceProblem() async throws(CitusError) -> String? {
        let rows = try await self.query(
            """
            with fence as (
                select c.oid as id, n.oid as schema from pg_catalog.pg_class c
                    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                where n.nspname = 'pharos' and c.relname = 'citus_fence')
            select case when not exists (select from fence) then 'it does not exist'
                when not (select has_schema_privilege(schema, 'usage') from fence)
                    then 'the role ' || current_user || ' may not use the schema pharos'
                when not (select has_table_privilege(id, 'select') and has_table_privilege(id, 'insert')
                        and has_table_privilege(id, 'update') from fence)
                    then 'the role ' || current_user || ' lacks rights on it'
                when exists (select from pg_catalog.pg_dist_partition where logicalrelid = (select id from fence))
                    then 'it is a distributed table, on a worker whose failover could not be written then: '
                        || 'drop it, and run pharos grant-sql again'
            end
            """)
        return rows.first?.first ?? nil
    }
}
