// SPDX-License-Identifier: Apache-2.0

/// Sessions in an update's way.
extension CitusCatalog {
    /// The sessions that the backend `pid` waits for; what this role may not see of them is empty.
    public func blockers(of pid: Int) async throws(CitusError) -> [CitusBlocker] {
        let rows = try await self.query(
            """
            select pid, coalesce(usename, ''), coalesce(application_name, ''), coalesce(state, ''),
                extract(epoch from clock_timestamp() - xact_start)::bigint
            from pg_catalog.pg_stat_activity where pid = any (pg_catalog.pg_blocking_pids($1)) order by pid limit 20
            """, ["\(pid)"])
        return rows.compactMap { row in
            guard row.count == 5, let pid = row[0].flatMap({ Int($0) }) else { return nil }
            return CitusBlocker(
                pid: pid, user: row[1] ?? "", application: row[2] ?? "", state: row[3] ?? "",
                age: row[4].flatMap { Int64($0) }.map { .seconds($0) })
        }
    }

    /// Cancels Citus's own synchronization of metadata where the backend `pid`, of this role, waits for it; answers how many were
    /// cancelled. See ``interruptSynchronization``.
    public func interruptSynchronization(blocking pid: Int) async throws(CitusError) -> Int {
        let rows = try await self.query("select pharos.interrupt_metadata_sync($1)", ["\(pid)"])
        guard rows.count == 1, let count = rows[0].first.flatMap({ $0.flatMap { Int($0) } }) else {
            throw .malformed("pharos.interrupt_metadata_sync answers nothing")
        }
        return count
    }

    /// What Citus calls its worker that synchronizes metadata, in `pg_stat_activity`.
    public nonisolated static let synchronizationWorker = "Citus Metadata Sync Daemon"

    /// The function that ``interruptSynchronization(blocking:)`` needs.
    ///
    /// Citus's worker keeps `pg_dist_node` locked while it connects to each worker, also to one that is dead, for up to
    /// `citus.node_connection_timeout` (30 s by default). `citus_update_node(force)` has it sent SIGTERM, which it looks at between
    /// rounds only (metadata_sync.c); a cancelled query ends it at once, and Citus starts it again. Only a superuser may cancel it: so
    /// the function runs with its owner's rights, and does that and nothing else, and only for a session of the caller's that waits.
    public nonisolated static let interruptSynchronization = """
        create or replace function pharos.interrupt_metadata_sync(waiting integer) returns integer
            language sql volatile strict security definer set search_path = pg_catalog as $pharos$
            select count(*) filter (where pg_catalog.pg_cancel_backend(blocker.pid))::integer
            from pg_catalog.pg_stat_activity blocker, pg_catalog.pg_stat_activity waiter
            where waiter.pid = waiting and waiter.usename = session_user
                and blocker.pid = any (pg_catalog.pg_blocking_pids(waiter.pid))
                and blocker.datname = pg_catalog.current_database()
                and blocker.application_name = '\(Self.synchronizationWorker)'
                and blocker.backend_type <> 'client backend'
        $pharos$
        """
}

extension CitusCatalog {
    /// The functions by which secondaries are registered and removed, as the superuser who makes them.
    ///
    /// `citus_add_secondary_node` and `citus_remove_node` ask for no right to `pg_dist_node` on the coordinator, and change the copy on
    /// each worker as the role that calls them (`CurrentUserName()`): that role would need the right to change the table on every
    /// worker, now and on those that are added later, and to be let in there from the coordinator. What the second one removes is
    /// a secondary.
    public nonisolated static let secondaryFunctions = [
        """
        create or replace function pharos.add_secondary_node(
            nodename text, nodeport integer, primaryname text, primaryport integer) returns integer
            language sql volatile strict security definer set search_path = pg_catalog as $pharos$
            select pg_catalog.citus_add_secondary_node($1, $2, $3, $4)
        $pharos$
        """,
        """
        create or replace function pharos.remove_secondary_node(nodename text, nodeport integer) returns void
            language sql volatile strict security definer set search_path = pg_catalog as $pharos$
            select pg_catalog.citus_remove_node(n.nodename, n.nodeport) from pg_catalog.pg_dist_node n
            where n.nodename = $1 and n.nodeport = $2 and n.noderole = 'secondary'
        $pharos$
        """,
    ]

    nonisolated static let secondaryFunctionNames = [
        "pharos.add_secondary_node(text, integer, text, integer)", "pharos.remove_secondary_node(text, integer)",
    ]
}

/// A session whose locks another waits for.
public struct CitusBlocker: Sendable, Equatable {
    public let pid: Int
    public let user: String
    public let application: String
    public let state: String
    /// For how long its transaction has been open; nil where this role may not see it.
    public let age: Duration?
}
