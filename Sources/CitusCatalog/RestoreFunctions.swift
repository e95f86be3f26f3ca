// SPDX-License-Identifier: Apache-2.0

/// The functions, in each database on every node, by which restore points are made and looked at, and the contents of tables are
/// compared. They run as the superuser who makes them, and answer counts, digests and names: none of them shows what a table holds.
public enum RestoreFunctions {
    /// Those that are called, with their arguments' types: what the role is granted.
    static let names = [
        "pharos.block_commits()", "pharos.make_restore_point(text)", "pharos.switch_wal()", "pharos.restored_from()",
        "pharos.copy_digests()", "pharos.sequences_behind()", "pharos.unreachable_nodes()",
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
            language sql volatile strict security definer set search_path = pg_catalog as $pharos$
            select coalesce(pg_catalog.pg_read_file('pg_wal/'
                || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) || '.history',
                0, 65536, true), '')
        $pharos$
        """

    /// Count and digest of each shard of which several nodes have a copy. What a row looks like as text depends on settings, which are
    /// therefore the same everywhere.
    private static let copyDigests = """
        create or replace function pharos.copy_digests(out shard bigint, out name text, out count bigint, out digest text)
            returns setof record language plpgsql volatile strict security definer
            set search_path = pg_catalog set datestyle = 'ISO, YMD' set timezone = 'UTC' set intervalstyle = 'iso_8601'
            set extra_float_digits = 1 set bytea_output = 'hex' as $pharos$
        declare held record;
        begin
            perform pg_catalog.set_config('citus.override_table_visibility', 'off', true);
            for held in
                select s.shardid, \(CitusIrregularity.shardTable) as name
                from pg_catalog.pg_dist_placement p
                    join pg_catalog.pg_dist_shard s on s.shardid = p.shardid
                    join pg_catalog.pg_class c on c.oid = s.logicalrelid
                    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                where p.shardstate = 1 and p.groupid = (select groupid from pg_catalog.pg_dist_local_group)
                    and exists (select from pg_catalog.pg_dist_placement o
                        where o.shardid = p.shardid and o.groupid <> p.groupid and o.shardstate = 1)
                order by s.shardid
            loop
                continue when pg_catalog.to_regclass(held.name) is null;
                shard := held.shardid;
                name := held.name;
                execute 'select count(*), coalesce(sum(pg_catalog.hashtextextended(t::text, 0)::numeric), 0)::text from only '
                    || held.name || ' t' into count, digest;
                return next;
            end loop;
        end $pharos$
        """

    /// Sequences of distributed and reference tables whose last value is below what their column holds in the sequence's range: the next
    /// row would fail with 23505.
    private static let sequencesBehind = """
        create or replace function pharos.sequences_behind(out sequence text, out last bigint, out highest bigint)
            returns setof record language plpgsql volatile strict security definer set search_path = pg_catalog as $pharos$
        declare used record;
        begin
            for used in
                select pg_catalog.format('%I.%I', sn.nspname, sc.relname) as sequence,
                    pg_catalog.format('%I.%I', tn.nspname, tc.relname) as relation, pg_catalog.quote_ident(a.attname) as attribute,
                    q.seqmin, q.seqmax
                from pg_catalog.pg_dist_partition t
                    join pg_catalog.pg_class tc on tc.oid = t.logicalrelid
                    join pg_catalog.pg_namespace tn on tn.oid = tc.relnamespace
                    join pg_catalog.pg_attribute a on a.attrelid = tc.oid and a.attnum > 0 and not a.attisdropped
                        and a.atttypid in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
                    left join pg_catalog.pg_attrdef d on d.adrelid = tc.oid and d.adnum = a.attnum
                    join pg_catalog.pg_depend u on
                        (u.classid = 'pg_catalog.pg_attrdef'::regclass and u.objid = d.oid
                            and u.refclassid = 'pg_catalog.pg_class'::regclass)
                    join pg_catalog.pg_sequence q on q.seqrelid = u.refobjid
                    join pg_catalog.pg_class sc on sc.oid = q.seqrelid
                    join pg_catalog.pg_namespace sn on sn.oid = sc.relnamespace
                where t.partmethod in ('h', 'n') and q.seqincrement > 0
                union
                select pg_catalog.format('%I.%I', sn.nspname, sc.relname),
                    pg_catalog.format('%I.%I', tn.nspname, tc.relname), pg_catalog.quote_ident(a.attname), q.seqmin, q.seqmax
                from pg_catalog.pg_dist_partition t
                    join pg_catalog.pg_class tc on tc.oid = t.logicalrelid
                    join pg_catalog.pg_namespace tn on tn.oid = tc.relnamespace
                    join pg_catalog.pg_depend u on u.refobjid = tc.oid and u.refclassid = 'pg_catalog.pg_class'::regclass
                        and u.classid = 'pg_catalog.pg_class'::regclass and u.deptype in ('a', 'i')
                    join pg_catalog.pg_attribute a on a.attrelid = tc.oid and a.attnum = u.refobjsubid
                    join pg_catalog.pg_sequence q on q.seqrelid = u.objid
                    join pg_catalog.pg_class sc on sc.oid = q.seqrelid
                    join pg_catalog.pg_namespace sn on sn.oid = sc.relnamespace
                where t.partmethod in ('h', 'n') and q.seqincrement > 0
                order by 1
            loop
                sequence := used.sequence;
                execute pg_catalog.format('select case when is_called then last_value else last_value - 1 end from %s',
                    used.sequence) into last;
                -- On a worker a sequence begins at its group's number times 2^48; the coordinator's has what is below.
                execute pg_catalog.format('select max(%1$s) from %2$s where %1$s between %3$s and %4$s',
                    used.attribute, used.relation, used.seqmin,
                    case when used.seqmin < 281474976710656 then least(used.seqmax, 281474976710655) else used.seqmax end)
                    into highest;
                if highest > last then return next; end if;
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

    /// All that is to be made, in this order.
    static let statements = [
        "create schema if not exists pharos", Self.table, Self.blockCommits, Self.makeRestorePoint, Self.switchWAL,
        Self.restoredFrom, Self.copyDigests, Self.sequencesBehind, Self.unreachableNodes,
    ]
}
