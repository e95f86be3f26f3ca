// SPDX-License-Identifier: Apache-2.0

/// A catalog of which every node with metadata has a copy: what of it is the same on all nodes, as one text per row.
///
/// Object ids differ from node to node, so names stand for them. What the coordinator alone keeps is left out
/// (`metadatasynced`), and so are tables that Citus copies to no worker: those that are neither hash-distributed nor without a
/// distribution column. Placements that only wait to be dropped (`shardstate` 4, Citus before 11.2) do not count.
public enum CitusTable: String, Sendable, CaseIterable {
    case nodes = "pg_dist_node"
    case placements = "pg_dist_placement"
    case shards = "pg_dist_shard"
    case tables = "pg_dist_partition"
    case colocations = "pg_dist_colocation"
    /// Types, functions, roles and whatever else Citus brings to every node.
    case objects = "pg_dist_object"
    /// Citus 12.0 and later.
    case schemas = "pg_dist_schema"

    private static let copiedMethods = "('h', 'n')"

    /// Of what such a query yields, in an order that no collation changes.
    var digest: String {
        """
        select md5(coalesce(string_agg(line, ',' order by line collate "C"), '')) from (\(self.lines)) lines (line)
        """
    }

    var lines: String {
        switch self {
        case .nodes:
            """
            select concat_ws('|', nodeid, groupid, nodename, nodeport, noderack, hasmetadata, isactive, noderole,
                nodecluster, shouldhaveshards) from pg_catalog.pg_dist_node
            """
        case .placements:
            """
            select concat_ws('|', p.shardid, p.groupid) from pg_catalog.pg_dist_placement p
                join pg_catalog.pg_dist_shard s on s.shardid = p.shardid
                join pg_catalog.pg_dist_partition t on t.logicalrelid = s.logicalrelid
            where p.shardstate = 1 and t.partmethod in \(Self.copiedMethods)
            """
        case .shards:
            """
            select concat_ws('|', s.shardid, n.nspname, c.relname, s.shardminvalue, s.shardmaxvalue)
            from pg_catalog.pg_dist_shard s
                join pg_catalog.pg_dist_partition t on t.logicalrelid = s.logicalrelid
                join pg_catalog.pg_class c on c.oid = s.logicalrelid
                join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where t.partmethod in \(Self.copiedMethods)
            """
        case .tables:
            """
            select concat_ws('|', n.nspname, c.relname, t.partmethod,
                coalesce(pg_catalog.column_to_column_name(t.logicalrelid, t.partkey), '-'), t.colocationid, t.repmodel)
            from pg_catalog.pg_dist_partition t
                join pg_catalog.pg_class c on c.oid = t.logicalrelid
                join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where t.partmethod in \(Self.copiedMethods)
            """
        case .colocations:
            """
            select concat_ws('|', d.colocationid, d.shardcount, d.replicationfactor,
                coalesce(n.nspname || '.' || t.typname, '-'), coalesce(c.collname, '-'))
            from pg_catalog.pg_dist_colocation d
                left join pg_catalog.pg_type t on t.oid = d.distributioncolumntype
                left join pg_catalog.pg_namespace n on n.oid = t.typnamespace
                left join pg_catalog.pg_collation c on c.oid = d.distributioncolumncollation
            """
        case .objects:
            """
            select concat_ws('|', i.type, coalesce(i.identity, '(gone)'), coalesce(o.distribution_argument_index, -1),
                coalesce(o.colocationid, 0), coalesce(o.force_delegation, false))
            from pg_catalog.pg_dist_object o
                cross join lateral pg_catalog.pg_identify_object(o.classid, o.objid, o.objsubid) i
            """
        case .schemas:
            """
            select concat_ws('|', n.nspname, d.colocationid) from pg_catalog.pg_dist_schema d
                left join pg_catalog.pg_namespace n on n.oid = d.schemaid
            """
        }
    }
}

extension CitusCatalog {
    /// The same text on every node whose copy is up to date; nil where this version has no such table.
    public func digest(of table: CitusTable) async throws(CitusError) -> String? {
        // Asked for by its name: a query of a table that does not exist is an error.
        let isThere = try await self.query(
            "select pg_catalog.to_regclass($1) is not null", ["pg_catalog." + table.rawValue])
        guard isThere == [["t"]] else { return nil }
        let rows = try await self.query(table.digest, timeout: .seconds(15))
        guard rows.count == 1, let digest = rows[0].first ?? nil else {
            throw .malformed("no digest of \(table.rawValue)")
        }
        return digest
    }

    /// What stands in it, for people who want to know what differs.
    public func lines(of table: CitusTable) async throws(CitusError) -> Set<String> {
        let rows = try await self.query(
            table.lines, timeout: .seconds(15), rowLimit: Self.lineLimit, byteLimit: Self.linesLimit)
        return Set(rows.compactMap { $0.first ?? nil })
    }

    private nonisolated static let linesLimit = 8 << 20
    private nonisolated static let lineLimit = 200_000
}
