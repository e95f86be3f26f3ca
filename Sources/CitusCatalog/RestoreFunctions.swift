// SPDX-License-Identifier: Apache-2.0

/// The functions, in each database on every node, by which restore points are made and looked at, and the contents of tables are
/// compared. They run as the superuser who makes them, or, where they read tables, as a role that can only read; and answer counts,
/// digests and names: none of them shows what a table holds.
public enum RestoreFunctions {
    /// Those that are called, with their arguments' types: what the role is granted.
    static let names = [
        "pharos.block_commits()", "pharos.make_restore_point(text)", "pharos.switch_wal()", "pharos.restored_from()",
        "pharos.copy_digests()", "pharos.sequence_values()", "pharos.unreachable_nodes()",
    ]

    /// A marker of each restore point, written on every node before the point is made: a node that was restored to the point has it, and
    /// under the same id as the others.
    static let table = """
        create table if not exists pharos.restore_points (
            id text primary key,
            name text not null,
            groupid integer not null,
            made timestamptz not null default now()
        )
        """

    /// Citus reads and writes `pg_dist_transaction` between preparing a distributed transaction everywhere and committing it
    /// here; while it is locked on every node with metadata, each transaction is either committed where it began or will not be. Citus 14.0
    /// locks the same tables on every node (`citus_create_restore_point.c`), earlier versions on the coordinator alone.
    /// `pg_dist_partition` comes first: a change of a table's definition holds it, and wants the other one to commit.
    private static let blockCommits = """
        create or replace function pharos.block_commits() returns void
            language plpgsql volatile security definer set search_path = pg_catalog as $pharos$
        begin
            if (select groupid from pg_catalog.pg_dist_local_group) = 0 then
                lock table pg_catalog.pg_dist_node in exclusive mode;
            end if;
            lock table pg_catalog.pg_dist_partition in exclusive mode;
            lock table pg_catalog.pg_dist_transaction in exclusive mode;
        end $pharos$
        """

    private static let makeRestorePoint = """
        create or replace function pharos.make_restore_point(
                name text, out lsn text, out segment text, out system text)
            language plpgsql volatile strict security definer set search_path = pg_catalog as $pharos$
        declare place pg_lsn := pg_catalog.pg_create_restore_point(name);
        begin
            lsn := place::text;
            -- Of the byte before: at a segment's edge the name would be the next one's.
            segment := pg_catalog.pg_walfile_name(place - 1);
            system := (select system_identifier::text from pg_catalog.pg_control_system());
        end $pharos$
        """

    /// So that the segment with the point in it is archived at once.
    private static let switchWAL = """
        create or replace function pharos.switch_wal() returns text
            language sql volatile strict security definer set search_path = pg_catalog as
            'select pg_catalog.pg_switch_wal()::text'
        """

    /// The history of this server's timeline, as PostgreSQL writes it: a line for each time at which one ended, with the reason. Empty on
    /// the first one.
    private static let restoredFrom = """
        create or replace function pharos.restored_from() returns text
            language plpgsql volatile strict security definer set search_path = pg_catalog as $pharos$
        declare history text := pg_catalog.pg_read_file('pg_wal/'
            || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) || '.history', 0, 65537, true);
        begin
            if pg_catalog.length(history) > 65536 then raise 'the timeline history is longer than 64 KiB'; end if;
            return coalesce(history, '');
        end $pharos$
        """

    /// Count and digest of each shard of which several nodes have a copy. What a row looks like as text depends on settings, which are
    /// therefore the same everywhere. A row is written out by its type's own function: a cast could be a table owner's.
    private static let copyDigests = """
        create or replace function pharos.copy_digests(out shard bigint, out name text, out count bigint, out digest text)
            returns setof record language plpgsql volatile strict security definer
            set search_path = pg_catalog set datestyle = 'ISO, YMD' set timezone = 'UTC' set intervalstyle = 'iso_8601'
            set extra_float_digits = 1 set bytea_output = 'hex' as $pharos$
        declare held record;
        begin
            perform pg_catalog.set_config('citus.override_table_visibility', 'off', true);
            for held in
                \(Self.ownShards) and exists (select from pg_catalog.pg_dist_placement o
                        where o.shardid = p.shardid and o.groupid <> p.groupid and o.shardstate = 1)
                order by s.shardid
            loop
                continue when not pharos.is_table(held.name);
                shard := held.shardid;
                name := held.name;
                execute 'select count(*), coalesce(sum(pg_catalog.hashtextextended('
                    || 'pg_catalog.textin(pg_catalog.record_out(t.*)), 0)::numeric), 0)::text from only ' || held.name || ' t'
                    into count, digest;
                return next;
            end loop;
        end $pharos$
        """

    /// The shards of this node, as `p`, `s`, `c` and `n`; a condition may follow.
    private static let ownShards = """
        select s.shardid, s.logicalrelid, \(CitusIrregularity.shardTable) as name
        from pg_catalog.pg_dist_placement p
            join pg_catalog.pg_dist_shard s on s.shardid = p.shardid
            join pg_catalog.pg_class c on c.oid = s.logicalrelid
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where p.shardstate = 1 and p.groupid = (select groupid from pg_catalog.pg_dist_local_group)
        """

    /// Locks a table against being replaced, and says whether it is one: a view would run its owner's functions.
    private static let isTable = """
        create or replace function pharos.is_table(name text) returns boolean
            language plpgsql volatile strict set search_path = pg_catalog as $pharos$
        begin
            if pg_catalog.to_regclass(name) is null then return false; end if;
            -- Citus takes a lock of a shard for a change of it.
            perform pg_catalog.set_config('citus.enable_manual_changes_to_shards', 'on', true);
            execute 'lock table only ' || name || ' in access share mode';
            return exists (select from pg_catalog.pg_class c
                where c.oid = pg_catalog.to_regclass(name) and c.relkind in ('r', 'p'));
        end $pharos$
        """

    /// Of each sequence of a distributed or reference table: how far it is on this node (`last`), in which range of values, and the highest
    /// value of its column in this node's shards, by range (`highest`). A range is 2^48 values: on a worker a sequence begins at the
    /// group's number times that, the coordinator's is the first (worker_data_fetch_protocol.c, `AlterSequenceMinMax`).
    private static let sequenceValues = """
        create or replace function pharos.sequence_values(
                out sequence text, out range bigint, out last bigint, out highest bigint)
            returns setof record language plpgsql volatile strict security definer set search_path = pg_catalog as $pharos$
        declare
            used record;
            held record;
        begin
            perform pg_catalog.set_config('citus.override_table_visibility', 'off', true);
            for used in
                select distinct q.seqrelid, t.logicalrelid, pg_catalog.format('%I.%I', sn.nspname, sc.relname) as name,
                    a.attname, q.seqmin
                from pg_catalog.pg_dist_partition t
                    join pg_catalog.pg_attribute a on a.attrelid = t.logicalrelid and a.attnum > 0 and not a.attisdropped
                        and a.atttypid in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
                    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                    join pg_catalog.pg_depend u on
                        -- The default's; or the identity's, or what the sequence is owned by.
                        (u.classid = 'pg_catalog.pg_attrdef'::regclass and u.objid = d.oid
                            and u.refclassid = 'pg_catalog.pg_class'::regclass)
                        or (u.classid = 'pg_catalog.pg_class'::regclass and u.refclassid = 'pg_catalog.pg_class'::regclass
                            and u.refobjid = a.attrelid and u.refobjsubid = a.attnum and u.deptype in ('a', 'i'))
                    join pg_catalog.pg_sequence q on q.seqrelid = case
                        when u.classid = 'pg_catalog.pg_attrdef'::regclass then u.refobjid else u.objid end
                    join pg_catalog.pg_class sc on sc.oid = q.seqrelid
                    join pg_catalog.pg_namespace sn on sn.oid = sc.relnamespace
                where t.partmethod in ('h', 'n') and q.seqincrement > 0
                order by 3
            loop
                sequence := used.name;
                range := used.seqmin >> 48;
                highest := null;
                execute pg_catalog.format('select case when is_called then last_value else last_value - 1 end from %s',
                    used.name) into last;
                return next;
                last := null;
                for held in \(Self.ownShards) and s.logicalrelid = used.logicalrelid loop
                    continue when not pharos.is_table(held.name) or not exists (
                        select from pg_catalog.pg_attribute a where a.attrelid = pg_catalog.to_regclass(held.name)
                            and a.attname = used.attname and not a.attisdropped);
                    for range, highest in execute pg_catalog.format(
                        'select t.%1$I::bigint >> 48, max(t.%1$I)::bigint from only %2$s t where t.%1$I > 0 group by 1',
                        used.attname, held.name)
                    loop
                        return next;
                    end loop;
                end loop;
            end loop;
        end $pharos$
        """

    /// Which nodes cannot reach which, as Citus itself connects.
    private static let unreachableNodes = """
        create or replace function pharos.unreachable_nodes() returns setof text
            language sql volatile strict security definer set search_path = pg_catalog as $pharos$
            select from_nodename || ':' || from_nodeport || ' to ' || to_nodename || ':' || to_nodeport
            from pg_catalog.citus_check_cluster_node_health() where result is distinct from true order by 1
        $pharos$
        """

    /// Whoever may make schemas could have made this one first, and would own what runs as a superuser.
    static let ownSchema = """
        do $pharos$ begin
            if exists (select from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.oid = n.nspowner
                    where n.nspname = 'pharos' and not r.rolsuper)
                or exists (select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
                    join pg_catalog.pg_roles r on r.oid = p.proowner
                    where n.nspname = 'pharos' and not r.rolsuper and r.rolname <> 'pharos_reader')
                or exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                    join pg_catalog.pg_roles r on r.oid = c.relowner where n.nspname = 'pharos' and not r.rolsuper) then
                raise 'the schema pharos, or something in it, is owned by a role that is no superuser: find out who made it, and drop it';
            end if;
        end $pharos$
        """

    /// All that is to be made, in this order.
    static let statements = [
        Self.ownSchema, "create schema if not exists pharos", Self.table, Self.blockCommits, Self.makeRestorePoint,
        Self.switchWAL,
        Self.restoredFrom, Self.unreachableNodes, Self.isTable, Self.copyDigests, Self.sequenceValues, Self.reader,
        "alter function pharos.copy_digests() owner to \(Self.readerName)",
        "alter function pharos.sequence_values() owner to \(Self.readerName)",
        "grant usage on schema pharos to \(Self.readerName)",
    ]

    /// Who reads tables: a role that can do nothing else, and that nobody can log in as. What a table's owner might have hung
    /// on it would run with no more rights than that.
    static let readerName = "pharos_reader"
    private static let reader = """
        do $pharos$ begin
            if not exists (select from pg_catalog.pg_roles where rolname = '\(Self.readerName)') then
                create role \(Self.readerName) nologin;
            end if;
            grant pg_read_all_data to \(Self.readerName);
        end $pharos$
        """
}
