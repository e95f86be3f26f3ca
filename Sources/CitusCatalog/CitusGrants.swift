// SPDX-License-Identifier: Apache-2.0

/// The SQL that gives a role exactly what Pharos needs: in each database with the extension, run by a superuser on the
/// coordinator. Every statement may be run again.
public struct CitusGrants: Sendable {
    /// Whether Pharos writes `pg_dist_node` (modes own and reconcile) or only reads it (observe).
    public var writes: Bool
    /// Whether it registers and removes secondaries.
    public var secondaries: Bool
    /// Whether it keeps `pg_dist_poolinfo`.
    public var pools: Bool
    /// Whether there is Citus at all.
    public var citus: Bool

    public init(writes: Bool, secondaries: Bool, pools: Bool, citus: Bool = true) {
        self.citus = citus
        self.writes = writes
        self.secondaries = secondaries
        self.pools = pools
    }

    /// The statements, each with the reason for it.
    public func statements(role: String) -> [(reason: String, sql: String)] {
        let name = Self.identifier(role)
        var statements = [
            (
                reason: "The role itself. It needs no password where it logs in through the local socket (peer).",
                sql: Self.roleItself(role)
            )
        ]
        func grant(_ reason: String, _ sql: String) { statements.append((reason: reason, sql: sql)) }
        grant(
            "To see what a standby's WAL receiver hears, and who stands in an update's way.",
            Self.membership(role, in: "pg_read_all_stats"))
        guard self.citus else { return statements }
        grant(
            "To see settings of Citus that only superusers see otherwise, such as citus.node_conninfo: pharos verify looks at them.",
            Self.membership(role, in: "pg_read_all_settings"))
        guard self.writes else { return statements }
        grant(
            "What follows is the coordinator's alone: it can be made while another node is down.",
            "select set_config('citus.enable_ddl_propagation', 'off', true)")
        grant(
            "To find a connection free when the sessions that pile up in a failover use all others. (PostgreSQL 16 and later; set reserved_connections = 3, by patronictl edit-config.)",
            Self.membership(role, in: "pg_use_reserved_connections"))
        for sql in CitusCatalog.fenceTable { grant("What was applied last: nothing older is ever applied.", sql) }
        grant("", "grant usage on schema pharos to \(name)")
        grant("", "grant select, insert, update on pharos.citus_fence to \(name)")
        grant(
            "To interrupt Citus's own synchronization where it waits for a dead node and keeps a row from being moved.",
            CitusCatalog.interruptSynchronization)
        grant("", "revoke execute on function pharos.interrupt_metadata_sync(integer) from public")
        grant("", "grant execute on function pharos.interrupt_metadata_sync(integer) to \(name)")
        grant(
            "To move a node's row.",
            "grant execute on function pg_catalog.citus_update_node(integer, text, integer, boolean, integer) to \(name)"
        )
        grant(
            "To let writes wait through a planned switchover.",
            """
            do $pharos$ begin
                -- Citus 12.1 and later.
                if pg_catalog.to_regprocedure('pg_catalog.citus_pause_node_within_txn(integer, boolean, integer)') is not null then
                    grant execute on function pg_catalog.citus_pause_node_within_txn(integer, boolean, integer) to \(name);
                end if;
            end $pharos$
            """)
        if self.pools {
            grant("poolinfo: to keep it.", "grant select, insert, update on pg_catalog.pg_dist_poolinfo to \(name)")
        }
        if self.secondaries {
            for sql in CitusCatalog.secondaryFunctions {
                grant("secondaries: register. Citus changes the workers' copies as whoever calls it.", sql)
            }
            for function in CitusCatalog.secondaryFunctionNames {
                grant("", "revoke execute on function \(function) from public")
                grant("", "grant execute on function \(function) to \(name)")
            }
        }
        return statements
    }

    /// What `pharos restore-point`, `verify --deep` and `verify --after-restore` need: in each database on every node's leader.
    public static func restoreStatements(role: String) -> [(reason: String, sql: String)] {
        let name = Self.identifier(role)
        var statements = [
            (
                reason: "What follows is this node's alone: each node gets it by itself.",
                sql: "select set_config('citus.enable_ddl_propagation', 'off', true)"
            ),
            // Of these two not every version has both.
            (reason: "", sql: CitusCatalog.plainTables),
            (reason: "", sql: Self.roleItself(role)),
            (
                reason:
                    "To see on this node, too, whether Citus's maintenance daemon runs, and settings that only superusers see otherwise.",
                sql: Self.membership(role, in: "pg_read_all_stats")
            ),
            (reason: "", sql: Self.membership(role, in: "pg_read_all_settings")),
        ]
        statements += RestoreFunctions.statements.enumerated().map { number, sql in
            (
                reason: number == 0
                    ? "Restore points on all nodes at once, and what proves them; counts and digests of what several nodes have a copy of."
                    : "", sql: sql
            )
        }
        statements.append((reason: "", sql: "grant usage on schema pharos to \(name)"))
        statements.append((reason: "", sql: "grant select, insert, delete on pharos.restore_points to \(name)"))
        for function in RestoreFunctions.names {
            statements.append((reason: "", sql: "revoke execute on function \(function) from public"))
            statements.append((reason: "", sql: "grant execute on function \(function) to \(name)"))
        }
        return statements
    }

    private static func roleItself(_ role: String) -> String {
        """
        do $pharos$ begin
            if not exists (select from pg_catalog.pg_roles where rolname = \(Self.literal(role))) then
                create role \(Self.identifier(role)) login;
            end if;
        end $pharos$
        """
    }

    /// Where there is such a role; and not granted again: Citus brings a grant of a role to every node, of which one may be down.
    private static func membership(_ role: String, in group: String) -> String {
        """
        do $pharos$ begin
            if exists (select from pg_catalog.pg_roles where rolname = '\(group)')
                and not exists (select from pg_catalog.pg_auth_members m join pg_catalog.pg_roles r on r.oid = m.member
                join pg_catalog.pg_roles g on g.oid = m.roleid
                where r.rolname = \(Self.literal(role)) and g.rolname = '\(group)') then
                grant \(group) to \(Self.identifier(role));
            end if;
        end $pharos$
        """
    }

    private static func identifier(_ text: String) -> String {
        "\"\(text.replacing("\"" as Character, with: "\"\""))\""
    }
    private static func literal(_ text: String) -> String { "'\(text.replacing("'" as Character, with: "''"))'" }
}

extension String {
    /// The text with every `old` character replaced.
    fileprivate func replacing(_ old: Character, with new: String) -> String {
        self.reduce(into: "") { $0 += $1 == old ? new : String($1) }
    }
}
