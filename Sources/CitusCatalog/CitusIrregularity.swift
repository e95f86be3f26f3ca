// SPDX-License-Identifier: Apache-2.0

/// What one node's catalogs can hold that should not be there, each with the query that lists it: one text per row.
///
/// Where Citus's versions differ, a table that does not exist holds nothing.
public enum CitusIrregularity: String, Sendable, CaseIterable {
    /// A placement in a group that has no row in `pg_dist_node`.
    case placementsWithoutNode
    /// A placement of a shard that is not described.
    case placementsWithoutShard
    /// A shard that no group holds.
    case shardsWithoutPlacement
    /// A shard of a table that does not exist, or is not distributed any more.
    case shardsWithoutTable
    /// A placement that is not used, because a write to it has failed. (Those that wait to be dropped are none: `shardstate` 4.)
    case inactivePlacements
    /// What Citus has yet to clean up (`pg_dist_cleanup`, Citus 11.2 and later).
    case cleanup
    /// Background tasks that have not ended (`pg_dist_background_task`, Citus 11.1 and later).
    case tasks
    /// Background tasks that have failed, of jobs after which none of their kind was begun.
    case failedTasks
    /// Replication slots of shard moves and splits that nobody reads from.
    case moveSlots
    case movePublications
    case moveSubscriptions
    /// Records of transactions that were committed on a group which has no row any more: nobody ever removes them.
    case commitRecordsWithoutNode
    /// One row where the node remembers very many transactions that it began on others.
    case commitRecords
    /// One row where Citus is loaded, and its maintenance daemon does not run for this database.
    case maintenanceDaemonMissing
    /// One row where this role does not see whether it runs.
    case maintenanceDaemonUnseen
    /// Tables of shards that other groups hold.
    case unplacedShardTables
    /// Tables with the name of a shard that no catalog knows.
    case unknownShardTables

    /// What is looked for only where somebody wants every shard looked at.
    public static let deep: Set<CitusIrregularity> = [.unplacedShardTables, .unknownShardTables]

    /// How many are listed.
    public static let limit = 100
    /// So many records of one node are more than Citus's recovery, once a minute, leaves.
    static let recordLimit = 10_000

    /// How far beyond the highest shard that a node knows a shard may be that it does not know: made since the metadata were restored.
    static let unknownShards = 10_000

    /// The table that not every version has.
    var table: String? {
        switch self {
        case .cleanup: "pg_catalog.pg_dist_cleanup"
        case .tasks, .failedTasks: "pg_catalog.pg_dist_background_task"
        default: nil  // Every version that is supported has theirs.
        }
    }

    private static let ownGroup = "(select groupid from pg_catalog.pg_dist_local_group)"

    /// The name of a shard's table; `shard_name` leaves the schema out for `public` alone.
    static let shardTable = """
        case when n.nspname = 'public' then 'public.' else '' end || pg_catalog.shard_name(s.logicalrelid, s.shardid)
        """

    /// Processes of other roles are seen by members of `pg_read_all_stats` only.
    private static let seesProcesses = "pg_catalog.pg_has_role('pg_read_all_stats', 'usage')"

    var query: String {
        switch self {
        case .placementsWithoutNode:
            """
            select 'shard ' || p.shardid || ' in group ' || p.groupid from pg_catalog.pg_dist_placement p
            where not exists (select from pg_catalog.pg_dist_node n where n.groupid = p.groupid) order by p.shardid
            """
        case .placementsWithoutShard:
            """
            select 'shard ' || p.shardid || ' in group ' || p.groupid from pg_catalog.pg_dist_placement p
            where not exists (select from pg_catalog.pg_dist_shard s where s.shardid = p.shardid) order by p.shardid
            """
        case .shardsWithoutPlacement:
            """
            select 'shard ' || s.shardid || ' of ' || s.logicalrelid::text from pg_catalog.pg_dist_shard s
            where not exists (select from pg_catalog.pg_dist_placement p where p.shardid = s.shardid) order by s.shardid
            """
        case .shardsWithoutTable:
            """
            select 'shard ' || s.shardid || ' of ' || s.logicalrelid::text from pg_catalog.pg_dist_shard s
            where not exists (select from pg_catalog.pg_class c where c.oid = s.logicalrelid)
                or not exists (select from pg_catalog.pg_dist_partition t where t.logicalrelid = s.logicalrelid)
            order by s.shardid
            """
        case .inactivePlacements:
            """
            select 'shard ' || shardid || ' in group ' || groupid from pg_catalog.pg_dist_placement
            where shardstate not in (1, 4) order by shardid
            """
        case .cleanup:
            "select object_name || ' in group ' || node_group_id from pg_catalog.pg_dist_cleanup order by record_id"
        case .tasks:
            """
            select 'task ' || t.task_id || ' (' || t.status::text || ') of job ' || t.job_id || coalesce(': ' || j.description, '')
            from pg_catalog.pg_dist_background_task t
                left join pg_catalog.pg_dist_background_job j on j.job_id = t.job_id
            where t.status::text in ('blocked', 'runnable', 'running', 'cancelling') order by t.task_id
            """
        case .failedTasks:
            """
            select 'task ' || t.task_id || ' (' || t.status::text || ') of job ' || t.job_id || ': ' || j.description
            from pg_catalog.pg_dist_background_task t join pg_catalog.pg_dist_background_job j on j.job_id = t.job_id
            where t.status::text = 'error' and not exists (
                select from pg_catalog.pg_dist_background_job l where l.job_type = j.job_type and l.job_id > j.job_id)
            order by t.task_id
            """
        case .moveSlots:
            """
            select slot_name::text from pg_catalog.pg_replication_slots
            where slot_name ~ '^citus_shard_(move|split)_' and not active and database = pg_catalog.current_database()
            order by 1
            """
        case .movePublications:
            "select pubname::text from pg_catalog.pg_publication where pubname ~ '^citus_shard_(move|split)_' order by 1"
        case .moveSubscriptions:
            """
            select s.subname::text from pg_catalog.pg_subscription s
                join pg_catalog.pg_database d on d.oid = s.subdbid
            where s.subname ~ '^citus_shard_(move|split)_' and d.datname = pg_catalog.current_database() order by 1
            """
        case .commitRecordsWithoutNode:
            """
            select t.gid || ' in group ' || t.groupid from pg_catalog.pg_dist_transaction t
            where not exists (select from pg_catalog.pg_dist_node n where n.groupid = t.groupid) order by 1
            """
        case .commitRecords:
            """
            select count(*)::text || ' records' from (
                select from pg_catalog.pg_dist_transaction limit \(Self.recordLimit + 1)) t
            having count(*) > \(Self.recordLimit)
            """
        case .maintenanceDaemonMissing:
            """
            select pg_catalog.current_database()::text
            where \(Self.seesProcesses) and pg_catalog.to_regproc('pg_catalog.citus_version') is not null
                and not pg_catalog.pg_is_in_recovery() and not exists (
                    select from pg_catalog.pg_stat_activity a
                    where a.application_name = 'Citus Maintenance Daemon' and a.datname = pg_catalog.current_database())
            """
        case .maintenanceDaemonUnseen:
            """
            select pg_catalog.current_database()::text
            where not \(Self.seesProcesses) and pg_catalog.to_regproc('pg_catalog.citus_version') is not null
                and not pg_catalog.pg_is_in_recovery()
            """
        case .unplacedShardTables:
            """
            select name from (
                select \(Self.shardTable) as name
                from pg_catalog.pg_dist_shard s
                    join pg_catalog.pg_class c on c.oid = s.logicalrelid
                    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                where not exists (
                    select from pg_catalog.pg_dist_placement p
                    where p.shardid = s.shardid and p.groupid = \(Self.ownGroup))) shards
            where pg_catalog.to_regclass(name) is not null order by 1
            """
        case .unknownShardTables:
            """
            select n.nspname || '.' || c.relname
            from (
                select oid, relname, relnamespace,
                    pg_catalog.substring(relname::text, '^(.*)_[0-9]{6,18}$')::name as base,
                    pg_catalog.substring(relname::text, '_([0-9]{6,18})$')::bigint as shardid
                from pg_catalog.pg_class where relkind in ('r', 'p') and relname ~ '_[0-9]{6,18}$' offset 0) c
                join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                join pg_catalog.pg_class t on t.relnamespace = c.relnamespace and t.relname = c.base
                join pg_catalog.pg_dist_partition d on d.logicalrelid = t.oid
            where not exists (select from pg_catalog.pg_dist_shard s where s.shardid = c.shardid)
                and not exists (select from pg_catalog.pg_dist_partition o where o.logicalrelid = c.oid)
                -- A plain table may be called so: orders_202401 beside a distributed table orders. Shards are numbered in turn, the
                -- first one 102008, and a shard's indexes carry its number, as those of a plain table do not.
                and c.shardid between 102008
                    and (select max(shardid) + \(Self.unknownShards) from pg_catalog.pg_dist_shard)
                and (not exists (select from pg_catalog.pg_index i where i.indrelid = t.oid)
                    or exists (select from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
                        where i.indrelid = c.oid and x.relname ~ ('_' || c.shardid || '$')))
            order by 1
            """
        }
    }
}

extension CitusCatalog {
    /// What there is of it in this database, at most ``CitusIrregularity/limit`` and one more. After ``prepareToLook()``.
    public func list(_ irregularity: CitusIrregularity) async throws(CitusError) -> [String] {
        if let table = irregularity.table {
            let isThere = try await self.query("select pg_catalog.to_regclass($1) is not null", [table])
            guard isThere == [["t"]] else { return [] }
        }
        let rows = try await self.query(
            "select pg_catalog.left(listed.what, 200) from (\(irregularity.query)) listed (what) limit \(CitusIrregularity.limit + 1)",
            timeout: .seconds(15), byteLimit: Self.rowsLimit)
        return rows.compactMap { $0.first ?? nil }
    }
}
