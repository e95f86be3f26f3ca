-- SPDX-License-Identifier: Apache-2.0
-- A stand-in for the Citus extension on machines that do not offer it: the catalogs and functions by which nodes are
-- described, in SQL and PL/pgSQL only, for PostgreSQL 15. Written from observed behavior of Citus 13.2.2 and checked
-- against recorded calls (CitusStandInTests). It routes no query: what tables contain is not its business.
--
-- Run once per database by a superuser. The schema citus_stand_in holds what Citus does not have.
\set ON_ERROR_STOP on
set client_min_messages = warning;
begin;

create schema citus_stand_in;
grant usage on schema citus_stand_in to public;
create extension dblink schema citus_stand_in;

-- Catalogs. A relation cannot be made in pg_catalog, but moved there.
create type pg_catalog.noderole as enum ('primary', 'secondary', 'unavailable');
set local search_path = citus_stand_in, pg_catalog;

create sequence pg_dist_node_nodeid_seq as integer;
create sequence pg_dist_groupid_seq as integer;
create sequence pg_dist_placement_placementid_seq;
create sequence pg_dist_shardid_seq start 102008;
create sequence pg_dist_colocationid_seq as integer;
create table pg_dist_node (
    nodeid integer primary key default nextval('pg_dist_node_nodeid_seq'),
    groupid integer not null default nextval('pg_dist_groupid_seq'),
    nodename text not null,
    nodeport integer not null default 5432,
    noderack text not null default 'default',
    hasmetadata boolean not null default false,
    isactive boolean not null default true,
    noderole noderole not null default 'primary',
    nodecluster name not null default 'default',
    metadatasynced boolean default false,
    shouldhaveshards boolean not null default true,
    nodeisclone boolean not null default false,
    nodeprimarynodeid integer not null default 0,
    unique (nodename, nodeport),
    constraint primaries_are_only_allowed_in_the_default_cluster
        check (not (nodecluster <> 'default' and noderole = 'primary'))
);
create table pg_dist_local_group (groupid integer primary key);
insert into pg_dist_local_group values (0);
create table pg_dist_partition (
    logicalrelid regclass not null unique, partmethod "char" not null, partkey text,
    colocationid integer not null default 0, repmodel "char" not null default 'c', autoconverted boolean default false
);
create table pg_dist_shard (
    logicalrelid regclass not null, shardid bigint not null unique, shardstorage "char" not null,
    shardminvalue text, shardmaxvalue text
);
create table pg_dist_placement (
    placementid bigint not null unique default nextval('pg_dist_placement_placementid_seq'),
    shardid bigint not null, shardstate integer not null, shardlength bigint not null, groupid integer not null,
    constraint placement_shardid_groupid_unique_index unique (shardid, groupid)
);
create index pg_dist_placement_groupid_index on pg_dist_placement (groupid);
create table pg_dist_colocation (
    colocationid integer primary key, shardcount integer not null, replicationfactor integer not null,
    distributioncolumntype oid not null, distributioncolumncollation oid not null
);
create table pg_dist_poolinfo (nodeid integer primary key, poolinfo text not null,
    constraint poolinfo_valid check (poolinfo ~ '^\s*((dbname|host|port)\s*=\s*(''[^'']*''|[^\s'']+)\s*)*$'));
create table pg_dist_transaction (groupid integer not null, gid text not null, outer_xid xid8, unique (groupid, gid));
create table pg_dist_authinfo (
    nodeid integer not null, rolename name not null, authinfo text not null, unique (rolename, nodeid)
);
create table pg_dist_object (
    classid oid not null, objid oid not null, objsubid integer not null, type text, object_names text[], object_args text[],
    distribution_argument_index integer, colocationid integer, force_delegation boolean, primary key (classid, objid, objsubid)
);
create table pg_dist_schema (schemaid oid primary key, colocationid integer not null unique);
create table pg_dist_cleanup (
    record_id bigint primary key, operation_id bigint not null, object_type integer not null, object_name text not null,
    node_group_id integer not null, policy_type integer not null
);
create type citus_job_status as enum ('scheduled', 'running', 'finished', 'cancelling', 'cancelled', 'failing', 'failed');
create type citus_task_status as enum (
    'blocked', 'runnable', 'running', 'done', 'cancelling', 'error', 'unscheduled', 'cancelled');
create table pg_dist_background_job (
    job_id bigint primary key, state citus_job_status not null default 'scheduled', job_type name not null,
    description text not null, started_at timestamptz, finished_at timestamptz
);
create table pg_dist_background_task (
    job_id bigint not null references pg_dist_background_job, task_id bigint primary key,
    owner regrole not null default current_user::regrole, pid integer, status citus_task_status not null default 'runnable',
    command text not null, retry_count integer, not_before timestamptz, message text not null default '',
    nodes_involved integer[]
);
create view citus_shards as
    select s.logicalrelid as table_name, s.shardid, s.logicalrelid::text || '_' || s.shardid as shard_name,
        case when p.partmethod = 'n' and p.repmodel = 't' then 'reference' else 'distributed' end as citus_table_type,
        p.colocationid as colocation_id, n.nodename, n.nodeport, null::bigint as shard_size
    from pg_dist_shard s
    join pg_dist_partition p using (logicalrelid)
    join pg_dist_placement l using (shardid)
    join pg_dist_node n using (groupid);

alter sequence pg_dist_groupid_seq set schema pg_catalog;
alter sequence pg_dist_node_nodeid_seq set schema pg_catalog;
alter sequence pg_dist_placement_placementid_seq set schema pg_catalog;
alter sequence pg_dist_shardid_seq set schema pg_catalog;
alter sequence pg_dist_colocationid_seq set schema pg_catalog;
alter table pg_dist_node set schema pg_catalog;
alter table pg_dist_local_group set schema pg_catalog;
alter table pg_dist_partition set schema pg_catalog;
alter table pg_dist_shard set schema pg_catalog;
alter table pg_dist_placement set schema pg_catalog;
alter table pg_dist_colocation set schema pg_catalog;
alter table pg_dist_poolinfo set schema pg_catalog;
alter table pg_dist_transaction set schema pg_catalog;
alter table pg_dist_authinfo set schema pg_catalog;
alter table pg_dist_object set schema pg_catalog;
alter table pg_dist_schema set schema pg_catalog;
alter table pg_dist_cleanup set schema pg_catalog;
alter type citus_job_status set schema pg_catalog;
alter type citus_task_status set schema pg_catalog;
alter table pg_dist_background_job set schema pg_catalog;
alter table pg_dist_background_task set schema pg_catalog;
alter view citus_shards set schema pg_catalog;
grant select on pg_dist_object, pg_dist_schema, pg_dist_cleanup, pg_dist_background_job, pg_dist_background_task, pg_dist_node, pg_dist_local_group, pg_dist_partition, pg_dist_shard, pg_dist_placement,
    pg_dist_colocation, pg_dist_poolinfo, pg_dist_transaction, citus_shards to public;
-- Nothing that the functions do may depend on what a caller finds first.
set local search_path = pg_catalog, citus_stand_in;

-- Direct changes of pg_dist_node may not make a second primary; the functions themselves are not asked.
create function citus_stand_in.refuse_second_primary() returns trigger language plpgsql as $$
begin
    if new.noderole = 'primary' and current_setting('citus_stand_in.internal', true) is distinct from 'on'
        and exists (select from pg_dist_node where groupid = new.groupid and noderole = 'primary' and nodeid <> new.nodeid)
    then
        raise exception 'there cannot be two primary nodes in a group';
    end if;
    return new;
end $$;
create trigger pg_dist_node_trigger before insert or update on pg_dist_node
    for each row execute function citus_stand_in.refuse_second_primary();

-- Connections to other nodes.

-- Opens dblink's connection `link`; what is said of a refusal is libpq's, without its first clause. Citus rewrites other
-- nodes' copies as the extension's owner, whoever asked for it.
create function citus_stand_in.try_connect(link text, host text, port integer, out reason text) language plpgsql as $$
begin
    perform citus_stand_in.dblink_connect(link, format(
        'host=%L port=%s user=%L dbname=%L connect_timeout=3 tcp_user_timeout=3000 application_name=citus_stand_in',
        host, port, case link when 'citus_sync' then 'postgres' else current_user end, current_database()));
exception when sqlstate '08001' then
    get stacked diagnostics reason = pg_exception_detail;
    reason := regexp_replace(rtrim(reason, E'\n'), '^connection to server at .*? failed: ', '');
end $$;

create function citus_stand_in.connection_failure(host text, port integer, reason text) returns text
language sql immutable as $$
    select format('connection to the remote node %s@%s:%s failed with the following error: %s',
        session_user, host, port, reason)
$$;

-- Why the node cannot be reached from here, or null.
create function citus_stand_in.refusal(host text, port integer) returns text language plpgsql as $$
declare reason text := citus_stand_in.try_connect('citus_check', host, port);
begin
    if reason is null then perform citus_stand_in.dblink_disconnect('citus_check'); end if;
    return reason;
end $$;

create function citus_stand_in.require_reachable(host text, port integer) returns void language plpgsql as $$
declare reason text := citus_stand_in.refusal(host, port);
begin
    if reason is not null then
        raise exception '%', citus_stand_in.connection_failure(host, port, reason) using errcode = '08006';
    end if;
end $$;

create function citus_stand_in.workers() returns setof pg_dist_node language sql stable as $$
    select * from pg_dist_node where groupid <> 0 and noderole = 'primary' and isactive order by nodeid
$$;

-- What is checked first.

create function citus_stand_in.require_coordinator() returns void language plpgsql as $$
begin
    if (select groupid from pg_dist_local_group) <> 0 then
        raise exception 'operation is not allowed on this node'
            using errcode = 'XX000', hint = 'Connect to the coordinator and run it again.';
    end if;
end $$;

create function citus_stand_in.require_node(host text, port integer) returns pg_dist_node language plpgsql as $$
declare node pg_dist_node;
begin
    select * into node from pg_dist_node where nodename = host and nodeport = port;
    if not found then
        raise exception 'node at "%:%" does not exist', host, port using errcode = 'XX000';
    end if;
    return node;
end $$;

-- Every worker has the metadata, and can be reached.
create function citus_stand_in.require_workers() returns void language plpgsql as $$
declare node pg_dist_node;
begin
    for node in select * from citus_stand_in.workers() where hasmetadata and not metadatasynced loop
        raise exception '%:% is a metadata node, but is out of sync', node.nodename, node.nodeport
            using errcode = '55000', hint = 'If the node is up, wait until metadata gets synced to it and try again.';
    end loop;
    for node in select * from citus_stand_in.workers() loop
        perform citus_stand_in.require_reachable(node.nodename, node.nodeport);
    end loop;
end $$;

create function citus_stand_in.require_no_only_placement(node pg_dist_node) returns void language plpgsql as $$
declare placement record;
begin
    if node.noderole <> 'primary' then return; end if;
    select s.shardid, s.logicalrelid::regclass into placement
        from pg_dist_placement p join pg_dist_shard s using (shardid)
        where p.groupid = node.groupid
            and not exists (select from pg_dist_placement o where o.shardid = p.shardid and o.groupid <> p.groupid)
        order by s.shardid limit 1;
    if found then
        raise exception 'cannot remove or disable the node %:% because because it contains the only shard placement for shard %',
            node.nodename, node.nodeport, placement.shardid
            using errcode = 'XX000', detail = format('One of the table(s) that prevents the operation complete successfully is %s',
                (select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where c.oid = placement.logicalrelid)),
            hint = 'To proceed, either drop the tables or use undistribute_table() function to convert them to local tables';
    end if;
end $$;

-- Propagation. Citus does it in a background worker; here the tests call sync().

-- Rewrites the node's copy of the catalogs in one transaction; answers why that failed, or null.
create function citus_stand_in.push(node pg_dist_node) returns text language plpgsql as $$
declare
    reason text := citus_stand_in.try_connect('citus_sync', node.nodename, node.nodeport);
    nodes text := (select json_agg(n) from pg_dist_node n);
begin
    if reason is not null then return reason; end if;
    perform citus_stand_in.dblink_exec('citus_sync', format($sync$
        begin;
        set local citus_stand_in.internal = on;
        delete from pg_catalog.pg_dist_node;
        insert into pg_catalog.pg_dist_node select * from json_populate_recordset(null::pg_catalog.pg_dist_node, %L);
        update pg_catalog.pg_dist_node set metadatasynced = true where hasmetadata;
        update pg_catalog.pg_dist_local_group set groupid = %s;
        commit
        $sync$, nodes, node.groupid));
    perform citus_stand_in.dblink_disconnect('citus_sync');
    return null;
exception when others then
    perform citus_stand_in.dblink_disconnect(link) from unnest(citus_stand_in.dblink_get_connections()) link
        where link = 'citus_sync';
    return sqlerrm;
end $$;

-- One round: every unsynced worker is brought up to date if it can be. Answers how many are left behind.
create function citus_stand_in.sync() returns integer language plpgsql as $$
declare node pg_dist_node; left_behind integer := 0;
begin
    for node in select * from citus_stand_in.workers() where hasmetadata and not metadatasynced loop
        if citus_stand_in.push(node) is null then
            perform set_config('citus_stand_in.internal', 'on', true);
            update pg_dist_node set metadatasynced = true where nodeid = node.nodeid;
            perform set_config('citus_stand_in.internal', 'off', true);
        else
            left_behind := left_behind + 1;
        end if;
    end loop;
    notify metadata_sync;
    return left_behind;
end $$;

-- For the changes that Citus brings to every worker within their own transaction.
create function citus_stand_in.push_all() returns void language plpgsql as $$
declare node pg_dist_node; reason text;
begin
    for node in select * from citus_stand_in.workers() loop
        reason := citus_stand_in.push(node);
        if reason is not null then
            raise exception '%', citus_stand_in.connection_failure(node.nodename, node.nodeport, reason)
                using errcode = '08006';
        end if;
    end loop;
end $$;

-- Locks.

-- Terminates whoever blocks `pid`, every 100 ms, once `cooldown` milliseconds have passed; ends with `pid`'s wish.
create function citus_stand_in.terminate_blockers(pid integer, cooldown integer) returns void language plpgsql as $$
begin
    perform pg_sleep(cooldown / 1000.0);
    loop
        perform pg_stat_clear_snapshot();
        exit when not exists (select from pg_stat_activity a where a.pid = terminate_blockers.pid);
        perform pg_terminate_backend(blocker) from unnest(pg_blocking_pids(pid)) blocker where blocker <> 0;
        perform pg_sleep(0.1);
    end loop;
end $$;

-- A helper that is only hung up on would go on, and one that is cancelled before it has begun would begin.
create function citus_stand_in.end_helper() returns void language plpgsql as $$
begin
    if 'citus_helper' = any (citus_stand_in.dblink_get_connections()) then
        while citus_stand_in.dblink_is_busy('citus_helper') = 1 loop
            perform citus_stand_in.dblink_cancel_query('citus_helper');
            perform pg_sleep(0.001);
        end loop;
        perform citus_stand_in.dblink_disconnect('citus_helper');
    end if;
end $$;

-- The group's shards, in their order, then pg_dist_node: as long as the transaction lasts.
create function citus_stand_in.lock_group(
    in_group integer, force boolean, cooldown integer, changes_node boolean default true
) returns void
language plpgsql as $$
begin
    -- As if max_worker_processes were used up.
    if force and coalesce(current_setting('citus_stand_in.without_workers', true), '') = 'on' then
        perform set_config('lock_timeout', cooldown::text, true);
        raise warning 'could not start background worker to kill backends with conflicting locks to force the update. Degrading to acquiring locks with a lock time out.'
            using hint = 'Increasing max_worker_processes might help.';
    elsif force then
        perform citus_stand_in.dblink_connect('citus_helper', format(
            'host=%L port=%s user=%L dbname=%L application_name=citus_stand_in_helper',
            split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_user,
            current_database()));
        perform citus_stand_in.dblink_send_query('citus_helper', format(
            'select citus_stand_in.terminate_blockers(%s, %s)', pg_backend_pid(), cooldown));
    end if;
    perform pg_advisory_xact_lock(shardid) from
        (select shardid from pg_dist_placement where groupid = in_group order by shardid) placement;
    if changes_node then lock table pg_dist_node in exclusive mode; end if;
    perform citus_stand_in.end_helper();
exception when query_canceled or others then
    -- `others` does not include a cancellation; without it the helper would stay.
    perform citus_stand_in.end_helper();
    raise;
end $$;

-- The functions of Citus.

create function pg_catalog.citus_update_node(
    node_id integer, new_node_name text, new_node_port integer, force boolean default false,
    lock_cooldown integer default 10000
) returns void language plpgsql strict security definer as $$
declare node pg_dist_node;
begin
    select * into node from pg_dist_node where nodename = new_node_name and nodeport = new_node_port;
    if found and node.nodeid = node_id then return; end if;
    if found then
        raise exception 'there is already another node with the specified hostname and port' using errcode = '55000';
    end if;
    if pg_is_in_recovery() then
        raise exception 'cannot assign TransactionIds during recovery' using errcode = 'XX000';
    end if;
    select * into node from pg_dist_node where nodeid = node_id;
    if not found then raise exception 'node % not found', node_id using errcode = 'P0002'; end if;
    perform citus_stand_in.lock_group(node.groupid, force, lock_cooldown);
    perform set_config('citus_stand_in.internal', 'on', true);
    update pg_dist_node set nodename = new_node_name, nodeport = new_node_port where nodeid = node_id;
    update pg_dist_node set metadatasynced = false where hasmetadata and groupid <> 0;
    perform set_config('citus_stand_in.internal', 'off', true);
end $$;

create function pg_catalog.citus_pause_node_within_txn(
    node_id integer, force boolean default false, lock_cooldown integer default 10000
) returns void language plpgsql strict security definer as $$
declare node pg_dist_node;
begin
    select * into node from pg_dist_node where nodeid = node_id;
    if not found then raise exception 'node % not found', node_id using errcode = 'P0002'; end if;
    -- Only the shards: pg_dist_node is read.
    perform citus_stand_in.lock_group(node.groupid, force, lock_cooldown, changes_node => false);
end $$;

create function pg_catalog.citus_set_coordinator_host(
    host text, port integer default current_setting('port')::integer, node_role noderole default 'primary',
    node_cluster name default 'default'
) returns void language plpgsql strict as $$
begin
    perform citus_stand_in.require_coordinator();
    if not exists (select from pg_dist_node where groupid = 0 and noderole = 'primary') then
        insert into pg_dist_node (groupid, nodename, nodeport, noderole, nodecluster, hasmetadata, metadatasynced, shouldhaveshards)
            values (0, host, port, node_role, node_cluster, true, true, false);
        return;
    end if;
    perform citus_stand_in.require_workers();
    update pg_dist_node set nodename = host, nodeport = port where groupid = 0 and noderole = 'primary';
    perform citus_stand_in.push_all();
end $$;

create function pg_catalog.citus_add_node(
    nodename text, nodeport integer, groupid integer default -1, noderole noderole default 'primary',
    nodecluster name default 'default'
) returns integer language plpgsql strict as $$
#variable_conflict use_column
declare id integer; in_group integer := citus_add_node.groupid;
begin
    perform citus_stand_in.require_coordinator();
    select n.nodeid into id from pg_dist_node n
        where n.nodename = citus_add_node.nodename and n.nodeport = citus_add_node.nodeport;
    if found then return id; end if;
    if citus_add_node.noderole = 'primary' and citus_add_node.nodecluster <> 'default' then
        raise exception 'primaries must be added to the default cluster' using errcode = 'XX000';
    end if;
    if citus_add_node.noderole = 'primary'
        and exists (select from pg_dist_node n where n.groupid = in_group and n.noderole = 'primary')
    then
        raise exception 'group % already has a primary node', in_group using errcode = 'XX000';
    end if;
    id := nextval('pg_dist_node_nodeid_seq');
    if in_group = -1 then in_group := nextval('pg_dist_groupid_seq'); end if;
    perform citus_stand_in.require_reachable(citus_add_node.nodename, citus_add_node.nodeport);
    insert into pg_dist_node (nodeid, groupid, nodename, nodeport, noderole, nodecluster, hasmetadata, metadatasynced)
        values (id, in_group, citus_add_node.nodename, citus_add_node.nodeport, citus_add_node.noderole,
            citus_add_node.nodecluster, true, true);
    perform citus_stand_in.push_all();
    return id;
end $$;

-- The functions below ask for no right to the table on the coordinator. On every worker Citus changes the copy as whoever called
-- them there (CurrentUserName): who has no right to it there, or is not let in, is refused.
create function citus_stand_in.require_rights(caller name) returns void language plpgsql as $$
declare node pg_dist_node; allowed boolean;
begin
    for node in select * from citus_stand_in.workers() where hasmetadata loop
        perform citus_stand_in.dblink_connect('citus_rights', format(
            'host=%L port=%s user=%L dbname=%L connect_timeout=3', node.nodename, node.nodeport, caller, current_database()));
        select answer into allowed from citus_stand_in.dblink('citus_rights',
            'select has_table_privilege(''pg_catalog.pg_dist_node'', ''insert'')') as t (answer boolean);
        perform citus_stand_in.dblink_disconnect('citus_rights');
        if not allowed then
            raise exception 'permission denied for table pg_dist_node' using errcode = '42501';
        end if;
    end loop;
end $$;

create function citus_stand_in.add_secondary_node(
    caller name, nodename text, nodeport integer, primaryname text, primaryport integer, nodecluster name
) returns integer language plpgsql strict security definer as $$
#variable_conflict use_column
declare id integer; leader pg_dist_node;
begin
    perform citus_stand_in.require_coordinator();
    leader := citus_stand_in.require_node(primaryname, primaryport);
    select n.nodeid into id from pg_dist_node n
        where n.nodename = add_secondary_node.nodename and n.nodeport = add_secondary_node.nodeport;
    if found then return id; end if;
    perform citus_stand_in.require_workers();
    perform citus_stand_in.require_rights(caller);
    insert into pg_dist_node (groupid, nodename, nodeport, noderole, nodecluster)
        values (leader.groupid, add_secondary_node.nodename, add_secondary_node.nodeport, 'secondary',
            add_secondary_node.nodecluster)
        returning pg_dist_node.nodeid into id;
    perform citus_stand_in.push_all();
    return id;
end $$;

create function pg_catalog.citus_add_secondary_node(
    nodename text, nodeport integer, primaryname text, primaryport integer, nodecluster name default 'default'
) returns integer language sql strict as $$
    select citus_stand_in.add_secondary_node(current_user, $1, $2, $3, $4, $5)
$$;

create function citus_stand_in.remove_node(caller name, nodename text, nodeport integer) returns void
language plpgsql strict security definer as $$
declare node pg_dist_node;
begin
    perform citus_stand_in.require_coordinator();
    node := citus_stand_in.require_node(nodename, nodeport);
    perform citus_stand_in.require_no_only_placement(node);
    perform citus_stand_in.require_workers();
    perform citus_stand_in.require_rights(caller);
    delete from pg_dist_poolinfo where nodeid = node.nodeid;
    if node.noderole = 'primary' then delete from pg_dist_placement where groupid = node.groupid; end if;
    delete from pg_dist_node where nodeid = node.nodeid;
    perform citus_stand_in.push_all();
end $$;

create function pg_catalog.citus_remove_node(nodename text, nodeport integer) returns void language sql strict as $$
    select citus_stand_in.remove_node(current_user, $1, $2)
$$;

create function pg_catalog.citus_disable_node(nodename text, nodeport integer, synchronous boolean default false)
returns void language plpgsql strict as $$
declare node pg_dist_node;
begin
    perform citus_stand_in.require_coordinator();
    node := citus_stand_in.require_node(nodename, nodeport);
    if node.groupid = 0 then
        raise exception 'cannot change "isactive" field of the coordinator node' using errcode = 'XX000';
    end if;
    if not synchronous and node.nodeid = (select min(nodeid) from citus_stand_in.workers()) then
        raise exception 'disabling the first worker node in the metadata is not allowed' using errcode = '55000',
            detail = 'Citus uses the first worker node in the metadata for certain internal operations when replicated '
                'tables are modified. Synchronous mode ensures that all nodes have the same view of the first worker '
                'node, which is used for certain locking operations.',
            hint = format('You can force disabling node, SELECT citus_disable_node(%L, %s, synchronous:=true);',
                node.nodename, node.nodeport);
    end if;
    perform citus_stand_in.require_no_only_placement(node);
    update pg_dist_node set isactive = false where nodeid = node.nodeid;
    perform citus_stand_in.push_all();
end $$;

create function pg_catalog.citus_activate_node(nodename text, nodeport integer) returns integer
language plpgsql strict as $$
declare node pg_dist_node;
begin
    perform citus_stand_in.require_coordinator();
    node := citus_stand_in.require_node(nodename, nodeport);
    perform citus_stand_in.require_workers();
    update pg_dist_node set isactive = true where nodeid = node.nodeid;
    perform citus_stand_in.push_all();
    return node.nodeid;
end $$;

create function pg_catalog.citus_set_node_property(nodename text, nodeport integer, property text, value boolean)
returns void language plpgsql strict as $$
declare node pg_dist_node;
begin
    perform citus_stand_in.require_coordinator();
    node := citus_stand_in.require_node(nodename, nodeport);
    if property <> 'shouldhaveshards' then
        raise exception 'only the ''shouldhaveshards'' property can be set using this function' using errcode = 'XX000';
    end if;
    perform citus_stand_in.require_workers();
    update pg_dist_node set shouldhaveshards = value where nodeid = node.nodeid;
    perform citus_stand_in.push_all();
end $$;

create function pg_catalog.start_metadata_sync_to_node(nodename text, nodeport integer) returns void
language plpgsql strict as $$
declare node pg_dist_node;
begin
    perform citus_stand_in.require_coordinator();
    node := citus_stand_in.require_node(nodename, nodeport);
    perform citus_stand_in.require_reachable(nodename, nodeport);
    update pg_dist_node set hasmetadata = true, metadatasynced = false where nodeid = node.nodeid;
    perform citus_stand_in.sync();
end $$;

create function pg_catalog.citus_create_restore_point(text) returns pg_lsn language plpgsql strict as $$
begin
    if not (select usesuper from pg_user where usename = current_user) then
        raise exception 'operation is not allowed' using errcode = 'XX000', hint = 'Run the command with a superuser.';
    end if;
    perform citus_stand_in.require_coordinator();
    perform citus_stand_in.require_workers();
    lock table pg_dist_node in exclusive mode;
    return pg_create_restore_point($1);
end $$;

create function pg_catalog.citus_check_connection_to_node(nodename text, nodeport integer default 5432) returns boolean
language plpgsql strict as $$
declare reason text := citus_stand_in.refusal(nodename, nodeport);
begin
    if reason is not null then
        raise warning '%', citus_stand_in.connection_failure(nodename, nodeport, reason);
    end if;
    return reason is null;
end $$;

create function pg_catalog.citus_check_cluster_node_health(
    out from_nodename text, out from_nodeport integer, out to_nodename text, out to_nodeport integer, out result boolean
) returns setof record language plpgsql strict as $$
declare here pg_dist_node; there pg_dist_node; reason text; refusal text;
begin
    for here in select * from pg_dist_node where noderole = 'primary' order by nodename, nodeport loop
        reason := citus_stand_in.try_connect('citus_health', here.nodename, here.nodeport);
        if reason is not null then
            raise warning '%', citus_stand_in.connection_failure(here.nodename, here.nodeport, reason);
        end if;
        for there in select * from pg_dist_node where noderole = 'primary' order by nodename, nodeport loop
            from_nodename := here.nodename; from_nodeport := here.nodeport;
            to_nodename := there.nodename; to_nodeport := there.nodeport;
            result := null;
            if reason is null then
                select answer into refusal from citus_stand_in.dblink('citus_health',
                    format('select citus_stand_in.refusal(%L, %s)', there.nodename, there.nodeport)) as t (answer text);
                result := refusal is null;
                if not result then
                    raise warning '%', citus_stand_in.connection_failure(there.nodename, there.nodeport, refusal);
                end if;
            end if;
            return next;
        end loop;
        if reason is null then perform citus_stand_in.dblink_disconnect('citus_health'); end if;
    end loop;
end $$;

create function pg_catalog.run_command_on_all_nodes(
    command text, parallel boolean default true, give_warning_for_connection_errors boolean default false,
    out nodeid integer, out success boolean, out result text
) returns setof record language plpgsql as $$
declare node pg_dist_node; reason text;
begin
    for node in select * from pg_dist_node n where n.noderole = 'primary' and n.isactive order by n.nodeid loop
        nodeid := node.nodeid;
        success := false;
        reason := citus_stand_in.try_connect('citus_command', node.nodename, node.nodeport);
        result := citus_stand_in.connection_failure(node.nodename, node.nodeport, reason);
        if reason is not null then return next; continue; end if;
        begin
            success := true;
            select answer into result from citus_stand_in.dblink('citus_command', command) as t (answer text);
        exception when others then
            success := false;
            result := 'ERROR: ' || sqlerrm;
        end;
        perform citus_stand_in.dblink_disconnect('citus_command');
        return next;
    end loop;
end $$;

create function pg_catalog.run_command_on_workers(
    command text, parallel boolean default true, out nodename text, out nodeport integer, out success boolean,
    out result text
) returns setof record language sql as $$
    select n.nodename, n.nodeport, c.success, c.result
    from run_command_on_all_nodes(command, parallel) c join pg_dist_node n using (nodeid)
    where n.groupid <> 0
$$;

create function pg_catalog.citus_get_active_worker_nodes(out node_name text, out node_port bigint) returns setof record
language sql strict as $$ select nodename, nodeport from citus_stand_in.workers() $$;

create function pg_catalog.citus_nodename_for_nodeid(nodeid integer) returns text language sql stable strict as $$
    select n.nodename from pg_dist_node n where n.nodeid = $1
$$;
create function pg_catalog.citus_nodeport_for_nodeid(nodeid integer) returns integer language sql stable strict as $$
    select n.nodeport from pg_dist_node n where n.nodeid = $1
$$;
create function pg_catalog.citus_coordinator_nodeid() returns integer language sql stable strict as $$
    select coalesce((select nodeid from pg_dist_node where groupid = 0 and noderole = 'primary'), 0)
$$;
create function pg_catalog.citus_is_coordinator() returns boolean language sql volatile strict as $$
    select groupid = 0 and exists (select from pg_dist_node where groupid = 0) from pg_dist_local_group
$$;
create function pg_catalog.citus_is_primary_node() returns boolean language plpgsql strict as $$
begin
    if not exists (select from pg_dist_node join pg_dist_local_group using (groupid)) then
        raise warning 'could not find the current node in pg_dist_node' using
            detail = 'If this is the coordinator node, consider adding it into the metadata by using '
                'citus_set_coordinator_host() UDF. Otherwise, if you''re going to use this node as a worker node for a '
                'new cluster, make sure to add this node into the metadata from the coordinator by using '
                'citus_add_node() UDF.';
        return null;
    end if;
    return not pg_is_in_recovery();
end $$;

-- Ends the prepared transactions that this node began on others: commits those it has a record of, rolls back the rest.
create function pg_catalog.recover_prepared_transactions() returns integer language plpgsql strict security definer as $$
declare node pg_dist_node; name text; recovered integer := 0; own integer := (select groupid from pg_dist_local_group);
begin
    for node in select * from citus_stand_in.workers() where groupid <> own loop
        if citus_stand_in.try_connect('citus_recovery', node.nodename, node.nodeport) is not null then
            raise warning 'transaction recovery cannot connect to %:%', node.nodename, node.nodeport;
            continue;
        end if;
        for name in select gid from citus_stand_in.dblink('citus_recovery', format(
            'select gid from pg_prepared_xacts where gid like %L and database = current_database() order by gid',
            'citus\_' || own || '\_%')) as t (gid text)
        loop
            perform citus_stand_in.dblink_exec('citus_recovery', format('%s prepared %L',
                case when exists (select from pg_dist_transaction t where t.groupid = node.groupid and t.gid = name)
                    then 'commit' else 'rollback' end, name));
            delete from pg_dist_transaction t where t.groupid = node.groupid and t.gid = name;
            recovered := recovered + 1;
        end loop;
        perform citus_stand_in.dblink_disconnect('citus_recovery');
    end loop;
    return recovered;
end $$;

revoke execute on function
    citus_update_node, citus_pause_node_within_txn, citus_set_coordinator_host, citus_add_node,
    citus_add_secondary_node, citus_remove_node, citus_disable_node, citus_activate_node, citus_set_node_property,
    start_metadata_sync_to_node, recover_prepared_transactions
    from public;
revoke execute on all functions in schema citus_stand_in from public;
grant execute on function citus_stand_in.add_secondary_node, citus_stand_in.remove_node to public;

-- The name of a shard's table, as a query would write it: without the schema for `public` alone. One that would be longer than a name
-- may be is cut, and has a hash of the table's name before its number (Citus's AppendShardIdToName).
create function pg_catalog.shard_name(object_name regclass, shard_id bigint) returns text language sql stable as $$
    select case when n.nspname <> 'public' then quote_ident(n.nspname) || '.' else '' end
        || quote_ident(case when octet_length(c.relname::text) + octet_length(number) < 64 then c.relname || number
            else left(c.relname::text, 64 - octet_length(number) - 10) || '_'
                || lpad(to_hex(hashtext(c.relname::text)), 8, '0') || number end)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join (select '_' || shard_id) s (number)
    where c.oid = object_name
$$;

-- The stand-in's tables are distributed by their first column.
create function pg_catalog.column_to_column_name(table_name regclass, column_var_text text) returns text
language sql stable strict as $$
    select attname from pg_attribute where attrelid = table_name and attnum = 1
$$;

-- What tests need to have something to lock: rows that describe tables, as create_distributed_table would leave them.

create function citus_stand_in.distribute(relation regclass, shards integer) returns void language plpgsql as $$
declare
    groups integer[] := array(select groupid from citus_stand_in.workers());
    colocation integer := nextval('pg_dist_colocationid_seq');
    width bigint := 4294967296 / shards; shard bigint;
begin
    insert into pg_dist_colocation values (colocation, shards, 1, 'integer'::regtype, 0);
    insert into pg_dist_partition values (relation, 'h', null, colocation, 's');
    for i in 0 .. shards - 1 loop
        shard := nextval('pg_dist_shardid_seq');
        insert into pg_dist_shard values (relation, shard, 't', -2147483648 + i * width, -2147483649 + (i + 1) * width);
        insert into pg_dist_placement (shardid, shardstate, shardlength, groupid)
            values (shard, 1, 0, groups[1 + i % cardinality(groups)]);
    end loop;
end $$;

create function citus_stand_in.reference(relation regclass) returns void language plpgsql as $$
declare colocation integer := nextval('pg_dist_colocationid_seq'); shard bigint := nextval('pg_dist_shardid_seq');
begin
    insert into pg_dist_colocation values (colocation, 1, -1, 0, 0);
    insert into pg_dist_partition values (relation, 'n', null, colocation, 't');
    insert into pg_dist_shard values (relation, shard, 't', null, null);
    insert into pg_dist_placement (shardid, shardstate, shardlength, groupid)
        select shard, 1, 0, groupid from pg_dist_node where noderole = 'primary' order by groupid;
end $$;

create function citus_stand_in.columns(relation regclass, with_defaults boolean default false) returns text
language sql stable as $$
    select coalesce(string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod)
        || case when with_defaults and adbin is not null then ' default ' || pg_get_expr(adbin, adrelid) else '' end,
        ', ' order by attnum), '')
    from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attrelid = relation and attnum > 0 and not attisdropped
$$;

-- A row into the first shard of a table, where that is; real.sql has Citus route it.
create function citus_stand_in.insert_row(relation regclass, row_values text) returns void language plpgsql as $$
declare shard bigint := (select min(shardid) from pg_dist_shard where logicalrelid = relation); node pg_dist_node;
begin
    select n.* into node from pg_dist_placement p join pg_dist_node n using (groupid)
        where p.shardid = shard and n.noderole = 'primary' limit 1;
    perform citus_stand_in.dblink_exec(format('host=%s port=%s user=postgres dbname=%s', node.nodename, node.nodeport,
        current_database()), format('insert into %s values (%s)', shard_name(relation, shard), row_values));
end $$;

-- Gives every worker what create_distributed_table would have left there: the table, the rows that describe its shards, and
-- an empty table for each shard that the worker has; and such tables on the coordinator for what is placed there.
create function citus_stand_in.share_shards() returns void language plpgsql as $$
declare
    node pg_dist_node; statement text;
    tables text := (select json_agg(json_build_object('relation', logicalrelid::regclass::text, 'method', partmethod,
        'colocation', colocationid, 'model', repmodel)) from pg_dist_partition);
    shards text := (select json_agg(json_build_object('relation', logicalrelid::regclass::text, 'shardid', shardid,
        'storage', shardstorage, 'low', shardminvalue, 'high', shardmaxvalue)) from pg_dist_shard);
    placements text := (select json_agg(p) from pg_dist_placement p);
    colocations text := (select json_agg(c) from pg_dist_colocation c);
begin
    for statement in
        select format('create table if not exists %s (%s)', shard_name(logicalrelid, shardid),
                citus_stand_in.columns(logicalrelid))
            from pg_dist_placement join pg_dist_shard using (shardid) where groupid = 0
    loop
        execute statement;
    end loop;
    for node in select * from citus_stand_in.workers() loop
        perform citus_stand_in.dblink_connect('citus_share', format('host=%s port=%s user=postgres dbname=%s',
            node.nodename, node.nodeport, current_database()));
        for statement in
            select format('create sequence if not exists %s', pg_get_serial_sequence(logicalrelid::regclass::text, attname))
                from pg_dist_partition join pg_attribute on attrelid = logicalrelid and attnum > 0 and not attisdropped
                where pg_get_serial_sequence(logicalrelid::regclass::text, attname) is not null
            union all
            -- As Citus does where the column is not a bigint: no worker can take a value.
            select format('alter sequence %s restart with 2147483647',
                    pg_get_serial_sequence(logicalrelid::regclass::text, attname))
                from pg_dist_partition join pg_attribute on attrelid = logicalrelid and attnum > 0 and not attisdropped
                where pg_get_serial_sequence(logicalrelid::regclass::text, attname) is not null
            union all
            select format('create table if not exists %s (%s)', logicalrelid::regclass,
                citus_stand_in.columns(logicalrelid, true)) from pg_dist_partition
            union all
            select format('create table if not exists %s (%s)', shard_name(logicalrelid, shardid),
                    citus_stand_in.columns(logicalrelid))
                from pg_dist_placement join pg_dist_shard using (shardid) where groupid = node.groupid
            union all
            select format($share$
                begin;
                delete from pg_catalog.pg_dist_partition;
                delete from pg_catalog.pg_dist_shard;
                delete from pg_catalog.pg_dist_placement;
                delete from pg_catalog.pg_dist_colocation;
                insert into pg_catalog.pg_dist_colocation
                    select * from json_populate_recordset(null::pg_catalog.pg_dist_colocation, %L);
                insert into pg_catalog.pg_dist_partition (logicalrelid, partmethod, colocationid, repmodel)
                    select t.relation::regclass, t.method, t.colocation, t.model
                    from json_to_recordset(%L) t(relation text, method "char", colocation integer, model "char");
                insert into pg_catalog.pg_dist_shard select s.relation::regclass, s.shardid, s.storage, s.low, s.high
                    from json_to_recordset(%L) s(relation text, shardid bigint, storage "char", low text, high text);
                insert into pg_catalog.pg_dist_placement
                    select * from json_populate_recordset(null::pg_catalog.pg_dist_placement, %L);
                commit
                $share$, colocations, tables, shards, placements)
        loop
            perform citus_stand_in.dblink_exec('citus_share', statement);
        end loop;
        perform citus_stand_in.dblink_disconnect('citus_share');
    end loop;
end $$;
-- A connection for writes to the shard's node, kept by the session as Citus keeps its own; answers its name.
create function citus_stand_in.connect_to_shard(shard bigint) returns text language plpgsql as $$
declare node pg_dist_node; link text; reason text;
begin
    select n.* into node from pg_dist_placement p join pg_dist_node n using (groupid)
        where p.shardid = shard and n.noderole = 'primary';
    if not found then
        raise exception 'the shard % has no primary node', shard using errcode = 'XX000';
    end if;
    link := format('citus_write_%s:%s', node.nodename, node.nodeport);
    if link = any (citus_stand_in.dblink_get_connections()) then return link; end if;
    reason := citus_stand_in.try_connect(link, node.nodename, node.nodeport);
    if reason is not null then
        raise exception '%', citus_stand_in.connection_failure(node.nodename, node.nodeport, reason)
            using errcode = '08006';
    end if;
    return link;
end $$;

-- A client's write through the coordinator, as Citus would route it: to a row of the worker's table of the same name. The
-- shard is locked as Citus locks it for a write, then the row of pg_dist_node is read. It is connected to before that, too:
-- Citus can be interrupted while it connects, dblink cannot, and would hold the lock for so long.
create function citus_stand_in.write(relation regclass, key integer) returns void language plpgsql security definer as $$
declare shard bigint; link text;
begin
    select s.shardid into shard from (
        select shardid, row_number() over (order by shardid) - 1 as number, count(*) over () as shards
        from pg_dist_shard where logicalrelid = relation) s where s.number = abs(write.key) % s.shards;
    perform citus_stand_in.connect_to_shard(shard);
    perform pg_advisory_xact_lock_shared(shard);
    link := citus_stand_in.connect_to_shard(shard);
    perform citus_stand_in.dblink_exec(link, format(
        'insert into %1$s values (%2$s, 1) on conflict (key) do update set count = %1$s.count + 1', relation, write.key));
exception when others then
    -- What failed once is not used again.
    perform citus_stand_in.dblink_disconnect(l) from unnest(citus_stand_in.dblink_get_connections()) l where l = link;
    raise;
end $$;
revoke execute on function citus_stand_in.connect_to_shard from public;
-- What a coordinator's session takes for a write to one of the group's shards.
create function citus_stand_in.write_to_group(relation regclass, in_group integer) returns void language sql as $$
    select pg_advisory_xact_lock_shared(min(s.shardid)) from pg_dist_shard s join pg_dist_placement p using (shardid)
        where s.logicalrelid = relation and p.groupid = in_group
$$;
grant execute on function citus_stand_in.write, citus_stand_in.write_to_group to public;
revoke execute on function citus_stand_in.distribute, citus_stand_in.reference, citus_stand_in.share_shards from public;

-- What Citus does in workers of its own, which SQL cannot have: a session that a test gives to it plays it.

-- One round of Citus's synchronization that meets a node which does not answer. It keeps pg_dist_node in row exclusive mode while it
-- connects (metadata_sync.c), up to citus.node_connection_timeout, and a cancelled query ends that. It goes by Citus's name; only that
-- it is a client's session, no background worker, cannot be played: pharos.interrupt_metadata_sync cancels no such one.
create function citus_stand_in.meet_silent_node() returns void language plpgsql as $$
begin
    perform set_config('application_name', 'Citus Metadata Sync Daemon', false);
    lock table pg_dist_node in row exclusive mode;
    perform pg_sleep(extract(epoch from current_setting('citus.node_connection_timeout')::interval));
end $$;

-- An operation that runs keeps what it has noted in pg_dist_cleanup, as long as the transaction lasts.
create function citus_stand_in.run_operation(id bigint) returns void language sql as $$
    select pg_advisory_xact_lock(2147483647, id::integer)
$$;

-- One round of the shard cleaner, as citus.defer_shard_delete_interval lets it (maintenanced.c, shard_cleaner.c): drops what is noted
-- and whose operation does not run, on the node of its group; what cannot be reached stays noted. Answers how much it has dropped.
create function citus_stand_in.clean_up() returns integer language plpgsql as $$
declare noted record; node pg_dist_node; dropped integer := 0;
begin
    if current_setting('citus.defer_shard_delete_interval') in ('-1', '-1ms') then return 0; end if;
    for noted in select * from pg_dist_cleanup where object_type = 1 order by record_id loop
        continue when not pg_try_advisory_xact_lock(2147483647, noted.operation_id::integer);
        select * into node from pg_dist_node where groupid = noted.node_group_id and noderole = 'primary';
        continue when not found;
        continue when citus_stand_in.try_connect('citus_cleaner', node.nodename, node.nodeport) is not null;
        perform citus_stand_in.dblink_exec('citus_cleaner', format('drop table if exists %s cascade', noted.object_name));
        perform citus_stand_in.dblink_disconnect('citus_cleaner');
        delete from pg_dist_cleanup where record_id = noted.record_id;
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;
revoke execute on function citus_stand_in.meet_silent_node, citus_stand_in.run_operation, citus_stand_in.clean_up from public;

commit;
