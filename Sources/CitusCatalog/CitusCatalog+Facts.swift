// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// What one server says of itself, for a comparison with others.
public struct CitusServerFacts: Sendable, Equatable {
    public let isInRecovery: Bool
    /// `pg_dist_local_group`; nil where it has no row.
    public let localGroup: Int?
    /// Digests that are the same on every node whose copies are up to date.
    public let nodesDigest: String
    public let placementsDigest: String
    public let shardsDigest: String
    /// Transactions that are prepared in this database.
    public let prepared: [Prepared]

    public struct Prepared: Sendable, Equatable {
        public let gid: String
        public let age: Duration
    }
}

extension CitusCatalog {
    /// `pg_dist_node` without `metadatasynced`, which the coordinator alone keeps.
    static let nodesDigest = """
        (select md5(coalesce(string_agg(concat_ws('|', nodeid, groupid, nodename, nodeport, noderack, hasmetadata,
            isactive, noderole, nodecluster, shouldhaveshards), ',' order by nodeid), '')) from pg_catalog.pg_dist_node)
        """

    public func serverFacts() async throws(CitusError) -> CitusServerFacts {
        let rows = try await self.query(
            """
            select pg_is_in_recovery(), (select min(groupid) from pg_catalog.pg_dist_local_group), \(Self.nodesDigest),
                (select md5(coalesce(string_agg(concat_ws('|', shardid, groupid), ',' order by shardid, groupid), ''))
                    from pg_catalog.pg_dist_placement),
                (select md5(coalesce(string_agg(
                    concat_ws('|', shardid, logicalrelid::regclass, shardminvalue, shardmaxvalue), ',' order by shardid),
                    '')) from pg_catalog.pg_dist_shard)
            """)
        guard rows.count == 1, rows[0].count == 5, let nodes = rows[0][2], let placements = rows[0][3],
            let shards = rows[0][4]
        else { throw .malformed("the facts have \(rows.count) rows") }
        let prepared = try await self.query(
            """
            select gid, greatest(0, extract(epoch from clock_timestamp() - prepared))::bigint
            from pg_catalog.pg_prepared_xacts where database = current_database() order by prepared limit 100
            """)
        return CitusServerFacts(
            isInRecovery: rows[0][0] != "f", localGroup: rows[0][1].flatMap { Int($0) }, nodesDigest: nodes,
            placementsDigest: placements, shardsDigest: shards,
            prepared: prepared.compactMap { row in
                guard let gid = row[0], let age = row[1].flatMap({ Int64($0) }) else { return nil }
                return CitusServerFacts.Prepared(gid: gid, age: .seconds(age))
            })
    }

    /// The settings of those names that exist, as `current_setting` shows them.
    public func settings(_ names: [String]) async throws(CitusError) -> [String: String] {
        let list = "{" + names.map { "\"\($0)\"" }.joined(separator: ",") + "}"
        let rows = try await self.query(
            "select n, current_setting(n, true) from unnest($1::text[]) n where current_setting(n, true) is not null",
            [list])
        return Dictionary(rows.compactMap { row in row[0].flatMap { name in row[1].map { (name, $0) } } }) { $1 }
    }

    /// The tables of this node's shards that do not exist, at most 1000. (Citus hides them unless told otherwise; names that
    /// it had to shorten are not looked for.)
    public func missingShards() async throws(CitusError) -> [String] {
        _ = try await self.query("select set_config('citus.override_table_visibility', 'off', false)")
        let rows = try await self.query(
            """
            select n.nspname || '.' || c.relname || '_' || s.shardid
            from pg_catalog.pg_dist_placement p
                join pg_catalog.pg_dist_shard s on s.shardid = p.shardid
                join pg_catalog.pg_class c on c.oid = s.logicalrelid
                join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where p.groupid in (select groupid from pg_catalog.pg_dist_local_group)
                and octet_length(c.relname || '_' || s.shardid) < 64
                and not exists (select from pg_catalog.pg_class t
                    where t.relname = c.relname || '_' || s.shardid and t.relnamespace = c.relnamespace)
            order by 1 limit 1000
            """)
        return rows.compactMap(\.first).compactMap { $0 }
    }

    /// Why the fence cannot be used by this role; nil if it can.
    public func fenceProblem() async throws(CitusError) -> String? {
        let rows = try await self.query(
            """
            select case when to_regclass('pharos.citus_fence') is null then 'it does not exist'
                when not has_table_privilege('pharos.citus_fence', 'select, insert, update')
                    then 'the role ' || current_user || ' lacks rights on it' end
            """)
        return rows.first?.first ?? nil
    }
}
