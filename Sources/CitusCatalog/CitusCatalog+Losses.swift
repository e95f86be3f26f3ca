// SPDX-License-Identifier: Apache-2.0

/// What one group has of one table, and of all.
public struct CitusTableLoss: Sendable, Equatable {
    public struct Count: Sendable, Equatable {
        /// Shards of which no group that is left has another placement in use; and those of which one has.
        public let shards: Int
        public let elsewhere: Int
        /// Of ``shards``, as Citus last measured them (`shardlength`); 0: it has not.
        public let bytes: Int64
    }
    public let group: Int
    public let table: String
    public let count: Count
    /// The first few of its ``Count/shards``.
    public let examples: [Int64]
    /// Over all tables of the group, and how many of them have such shards.
    public let total: Count
    public let tableCount: Int

    init?(_ row: [String?]) {
        guard row.count == 10, let group = row[0].flatMap({ Int($0) }), let table = row[1],
            let count = Self.count(row[2...4]), let total = Self.count(row[6...8]),
            let tableCount = row[9].flatMap({ Int($0) })
        else { return nil }
        (self.group, self.table, self.count, self.total, self.tableCount) = (group, table, count, total, tableCount)
        self.examples = (row[5] ?? "").split(separator: ",").compactMap { Int64($0) }
    }

    private static func count(_ values: ArraySlice<String?>) -> Count? {
        let numbers = values.compactMap { $0 }.compactMap { Int64($0) }
        guard numbers.count == 3 else { return nil }
        return Count(shards: Int(numbers[0]), elsewhere: Int(numbers[1]), bytes: numbers[2])
    }
}

extension CitusCatalog {
    /// Which shards stand or fall with each of `groups`, where `lost` are the groups of which no copy counts. A group that has placements, and
    /// no row in `pg_dist_node`, is listed too, and counts for nothing. At most `tables` tables of a group, those with the most first.
    public func losses(of groups: Set<Int>, lost: Set<Int>, tables: Int) async throws(CitusError) -> [CitusTableLoss] {
        let rows = try await self.query(
            Self.losses, [Self.list(groups), Self.list(lost), "\(tables)"], timeout: .seconds(15),
            byteLimit: Self.rowsLimit)
        return rows.compactMap { CitusTableLoss($0) }
    }

    private static func list(_ numbers: Set<Int>) -> String {
        "{" + numbers.sorted().map(String.init).joined(separator: ",") + "}"
    }

    private static let losses = """
        with gone as (
            select distinct p.groupid from pg_catalog.pg_dist_placement p
            where not exists (select from pg_catalog.pg_dist_node n where n.groupid = p.groupid)),
        held as (
            select p.groupid, p.shardid, p.shardlength,
                coalesce(n.nspname || '.' || c.relname, '(no table)') as name,
                exists (select from pg_catalog.pg_dist_placement o
                    where o.shardid = p.shardid and o.shardstate = 1 and o.groupid <> p.groupid
                        and o.groupid <> all ($2::integer[]) and o.groupid not in (select groupid from gone)) as is_elsewhere
            from pg_catalog.pg_dist_placement p
                left join pg_catalog.pg_dist_shard s on s.shardid = p.shardid
                left join pg_catalog.pg_class c on c.oid = s.logicalrelid
                left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where p.shardstate = 1
                and (p.groupid = any ($1::integer[]) or p.groupid in (select groupid from gone))),
        by_table as (
            select groupid, name, count(*) filter (where not is_elsewhere) as shards,
                count(*) filter (where is_elsewhere) as elsewhere,
                coalesce(sum(shardlength) filter (where not is_elsewhere), 0) as bytes,
                array_to_string((array_agg(shardid order by shardid) filter (where not is_elsewhere))[1:3], ',') as examples
            from held group by groupid, name)
        select groupid, name, shards, elsewhere, bytes, examples, all_shards, all_elsewhere, all_bytes, tables from (
            select groupid, name, shards, elsewhere, bytes::bigint, examples,
                sum(shards) over of_group as all_shards, sum(elsewhere) over of_group as all_elsewhere,
                (sum(bytes) over of_group)::bigint as all_bytes,
                count(*) filter (where shards > 0) over of_group as tables,
                row_number() over (partition by groupid order by shards desc, name) as place
            from by_table window of_group as (partition by groupid)) listed
        where place <= $3::integer order by groupid, place
        """
}
