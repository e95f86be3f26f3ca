-- SPDX-License-Identifier: Apache-2.0
-- For servers that offer Citus itself: the names by which tests ask the stand-in for what Citus does, or does unasked.
\set ON_ERROR_STOP on
begin;
create schema citus_stand_in;
grant usage on schema citus_stand_in to public;

-- Citus synchronizes in the background: waits for that. Answers how many nodes are left behind.
create function citus_stand_in.sync() returns integer language plpgsql as $$
begin
    for attempt in 1 .. 100 loop
        exit when not exists (select from pg_dist_node where hasmetadata and not metadatasynced);
        perform pg_sleep(0.1);
    end loop;
    return (select count(*) from pg_dist_node where hasmetadata and not metadatasynced);
end $$;

create function citus_stand_in.distribute(relation regclass, shards integer) returns void language plpgsql as $$
begin
    perform create_distributed_table(relation,
        (select attname from pg_attribute where attrelid = relation and attnum = 1), shard_count => shards);
end $$;

create function citus_stand_in.reference(relation regclass) returns void language plpgsql as $$
begin
    perform create_reference_table(relation);
end $$;

create function citus_stand_in.share_shards() returns void language sql as '';

create function citus_stand_in.write(relation regclass, key integer) returns void language plpgsql as $$
begin
    execute format('insert into %1$s values ($1, 1) on conflict (key) do update set count = %1$s.count + 1', relation)
        using key;
end $$;
create function citus_stand_in.insert_row(relation regclass, row_values text) returns void language plpgsql as $$
begin
    execute format('insert into %s values (%s)', relation, row_values);
end $$;
-- A write to one of the group's shards; the first column is the distribution column, and a number.
create function citus_stand_in.write_to_group(relation regclass, in_group integer) returns void language plpgsql as $$
begin
    for key in 1 .. 10000 loop
        continue when not exists (select from pg_dist_placement
            where shardid = get_shard_id_for_distribution_column(relation, key) and groupid = in_group);
        execute format('insert into %s values ($1)', relation) using key;
        return;
    end loop;
end $$;
commit;
