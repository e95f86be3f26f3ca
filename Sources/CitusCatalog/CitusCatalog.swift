// SPDX-License-Identifier: Apache-2.0
public import EventLoop
public import PostgresClient

/// What is read from and written to Citus's catalogs in one database, through one connection.
///
/// Every write is one transaction that checks by itself that it may happen:
/// - **gated**: on a standby, and on any node but the coordinator, it changes nothing. Citus itself does not check
///   (`citus_update_node` on a worker edits that worker's copy only).
/// - **fenced**: `pharos.citus_fence` keeps, per group, the etcd cluster and revision last applied. An older revision
///   changes nothing, nor does a cluster that another has replaced. The row's lock lets one writer in at a time.
///
/// After any error that makes ``PostgresConnection/isUsable`` false: drop it together with its connection.
@EventLoop
public struct CitusCatalog {
    private let connection: PostgresConnection

    public init(_ connection: PostgresConnection) { self.connection = connection }

    /// False after an error that ended the connection.
    public var isUsable: Bool { self.connection.isUsable }

    /// For what follows in the session, new tables are plain ones, also where schemas are sharded or local tables managed.
    nonisolated static let plainTables = """
        select set_config(name, 'off', false) from pg_catalog.pg_settings
            where name in ('citus.enable_schema_based_sharding', 'citus.use_citus_managed_tables')
        """

    /// The schema and the table that ``apply(_:)`` needs, a statement each; they change nothing where both exist. Where schemas
    /// are sharded (Citus 12), or local tables managed, the fence must stay a plain table all the same: it must be writable
    /// while a worker is down.
    public nonisolated static let fenceTable = [
        Self.plainTables,
        RestoreFunctions.ownSchema,
        "create schema if not exists pharos",
        """
        create table if not exists pharos.citus_fence (
            groupid integer primary key,
            etcd_cluster numeric(20) not null,
            revision bigint not null,
            superseded numeric(20)[] not null default '{}',
            applied timestamptz not null default now()
        )
        """,
    ]

    /// Bytes of an answer: the rows of more groups than can be followed; and one value.
    package nonisolated static let rowsLimit = 1 << 20
    package nonisolated static let valueLimit = 16 << 10

    /// How many replaced etcd clusters are remembered.
    static let supersededLimit = 32

    /// All rows of `pg_dist_node` with what `pg_dist_poolinfo` says of them, in the order of their ids.
    public func nodes() async throws(CitusError) -> [CitusNode] {
        let rows = try await self.query(CitusNode.query, byteLimit: Self.rowsLimit)
        var nodes: [CitusNode] = []
        for row in rows {
            guard let node = CitusNode(row: row) else {
                throw .malformed("a row of pg_dist_node: \(row.map { $0 ?? "NULL" }.joined(separator: ", "))")
            }
            nodes.append(node)
        }
        return nodes
    }

    /// A digest of `pg_dist_node` that is the same on every node whose copy is up to date.
    public func digest() async throws(CitusError) -> String {
        let rows = try await self.query(CitusTable.nodes.digest)
        guard rows.count == 1, let digest = rows[0].first ?? nil else { throw .malformed("no digest") }
        return digest
    }

    /// Applies `update` whole or not at all. On an error the transaction is rolled back, by us or by the end of the
    /// connection. `unforced` is called with each group whose change is to be forced and cannot be: no background worker was free to
    /// terminate the sessions in its way.
    public func apply(
        _ update: CitusUpdate, unforced: @EventLoop (Int) -> Void = { _ in }
    ) async throws(CitusError) -> CitusUpdateOutcome {
        try await self.finish(update, begins: true, unforced)
    }

    func finish(
        _ update: CitusUpdate, begins: Bool, _ unforced: @EventLoop (Int) -> Void
    ) async throws(CitusError) -> CitusUpdateOutcome {
        do throws(CitusError) {
            if let refusal = try await self.refusal(of: update, idle: update.statementTimeout, begins: begins) {
                _ = try await self.query("rollback")
                return .refused(refusal)
            }
            for part in update.parts {
                let isDone = try await self.carryOut(part, of: update, unforced)
                guard isDone else {
                    _ = try await self.query("rollback")
                    return .refused(.rowChanged(group: part.group))
                }
            }
        } catch {
            await self.rollBack()
            throw error
        }
        do throws(PostgresError) { _ = try await self.connection.query("commit") } catch {
            // A refusal is an answer; anything else is none.
            if case .query = error.kind { throw .database(error) }
            throw .outcomeUnknown(error)
        }
        return .applied
    }

    /// The cause is what counts. A rollback that gets no answer ends the connection, and so the transaction.
    func rollBack() async {
        guard self.connection.isUsable else { return }
        do throws(CitusError) { _ = try await self.query("rollback") } catch {}
    }

    // MARK: - The steps of an update

    /// Answers whether every row still named the place that it was to be moved from. A row may have been changed since it was read: by
    /// a person, by Patroni's handler, or because it was read from a standby that was promoted since.
    private func carryOut(
        _ part: CitusUpdate.Part, of update: CitusUpdate, _ unforced: @EventLoop (Int) -> Void
    ) async throws(CitusError) -> Bool {
        do throws(CitusError) {
            for step in part.steps {
                let (sql, arguments) = Self.statement(step, part.blockers)
                // The server's own limit comes first: it tells what was waited for, and leaves the connection usable.
                let timeout = update.statementTimeout + .seconds(2)
                let rows: [[String?]]
                do throws(CitusError) { rows = try await self.query(sql, arguments, timeout: timeout) } catch {
                    if self.wasUnforced { unforced(part.group) }
                    throw error
                }
                // Citus has made the cooldown the limit of every lock to come.
                if self.wasUnforced {
                    unforced(part.group)
                    let limit = "\(Self.milliseconds(update.lockTimeout))"
                    _ = try await self.query("select set_config('lock_timeout', $1, true)", [limit])
                }
                if case .move(_, _, _, .some) = step, rows.isEmpty { return false }
            }
            return true
        } catch {
            throw error.of(part.group)
        }
    }

    /// What Citus says where `force` finds no free background worker (node_metadata.c, CheckBackgroundWorkerToObtainLocks), in every
    /// language. Then it waits for its locks for the cooldown.
    private static let unforcedWarning = "could not start background worker to kill backends"

    private var wasUnforced: Bool {
        self.connection.notices.contains { $0.message.hasPrefix(Self.unforcedWarning) }
    }

    private static func statement(_ step: CitusUpdate.Step, _ blockers: CitusUpdate.Blockers) -> (String, [String?]) {
        switch step {
        case .move(let id, let host, let port, let from):
            var arguments: [String?] = ["\(id)", host, "\(port)", "false", "10000"]
            if case .terminate(let cooldown) = blockers {
                arguments[3...4] = ["true", "\(Self.milliseconds(cooldown))"]
            }
            let call = "select pg_catalog.citus_update_node($1, $2, $3, $4, $5)"
            guard let from else { return (call, arguments) }
            let place = " from pg_catalog.pg_dist_node where nodeid = $1 and nodename = $6 and nodeport = $7"
            return (call + place, arguments + [from.host, "\(from.port)"])
        case .pool(let id, let text):
            let sql = """
                insert into pg_catalog.pg_dist_poolinfo (nodeid, poolinfo) values ($1, $2)
                on conflict (nodeid) do update set poolinfo = excluded.poolinfo
                """
            return (sql, ["\(id)", text])
        case .addSecondary(let host, let port, let primaryHost, let primaryPort):
            return (
                "select pharos.add_secondary_node($1, $2, $3, $4)",
                [host, "\(port)", primaryHost, "\(primaryPort)"]
            )
        case .remove(let host, let port):
            return ("select pharos.remove_secondary_node($1, $2)", [host, "\(port)"])
        }
    }

    func together(
        _ statements: [PostgresStatement], timeout: Duration
    ) async throws(CitusError) -> PipelineAnswer {
        do throws(PostgresError) {
            return try await self.connection.pipeline(statements, timeout: timeout, byteLimit: Self.valueLimit)
        } catch {
            throw .database(error)
        }
    }

    func query(
        _ sql: String, _ parameters: [String?] = [], timeout: Duration = .seconds(5), rowLimit: Int = 10_000,
        byteLimit: Int = CitusCatalog.valueLimit
    ) async throws(CitusError) -> [[String?]] {
        do throws(PostgresError) {
            return try await self.connection.query(
                sql, parameters: parameters, timeout: timeout, rowLimit: rowLimit, byteLimit: byteLimit)
        } catch {
            throw .database(error)
        }
    }

    /// Whole milliseconds, at least one: to PostgreSQL 0 means without limit.
    static func milliseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
