// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import PostgresClient
import Settings
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// What is left over, lost or different in the catalogs and in what several nodes have a copy of, and found.
    @Suite(.serialized)
    struct CitusLeftoversTests {
        init() { EventLoop.shared.executor.startThread() }

        @Test @EventLoop func `metadata that name what is not there, and copies that differ`() async throws {
            let bench = try await VerifyBench()
            #expect(try await bench.codes() == [])
            try await bench.drift(
                ["placements-differ 1", "placements-differ 2", "placements-orphaned 0"],
                ["insert into pg_dist_placement values (999999, 102008, 1, 0, 9)"],
                undo: ["delete from pg_dist_placement where groupid = 9"])
            try await bench.drift(
                ["shards-differ 1", "shards-differ 2", "shards-orphaned 0"],
                ["insert into pg_dist_shard values ('d', 1, 't', '0', '0')"],
                undo: ["delete from pg_dist_shard where shardid = 1"])
            try await bench.drift(
                ["tables-differ 1"], on: "w1", ["update pg_dist_partition set repmodel = 'c'"],
                undo: ["update pg_dist_partition set repmodel = 's'"])
            try await bench.drift(
                ["colocations-differ 2"], on: "w2", ["update pg_dist_colocation set shardcount = shardcount + 1"],
                undo: ["update pg_dist_colocation set shardcount = shardcount - 1"])
            // Citus brings no definition to other nodes then.
            let here = "set citus.enable_ddl_propagation to off"
            let object = "('pg_namespace'::regclass, 'here'::regnamespace, 0)"
            try await bench.drift(
                ["objects-differ 1", "objects-differ 2"],
                [
                    here, "create schema here",
                    "insert into pg_dist_object (classid, objid, objsubid) values \(object)",
                ],
                undo: [
                    "delete from pg_dist_object where (classid, objid, objsubid) = \(object)",
                    here, "drop schema here",
                ])
            try await bench.drift(
                ["move-leftovers 1"], on: "w1", [here, "create publication citus_shard_move_publication_1_10"],
                undo: [here, "drop publication citus_shard_move_publication_1_10"])
            try await bench.drift(
                ["commit-records-left 0"], ["insert into pg_dist_transaction values (9, 'citus_0_1_2_3')"],
                undo: ["delete from pg_dist_transaction where groupid = 9"])
            // What Citus is going to remove is nothing that anybody must look at.
            try await bench.drift(
                [], on: "w1", [here, "create publication citus_shard_move_publication_1_10"],
                undo: [here, "drop publication citus_shard_move_publication_1_10"],
                beforehand: [
                    "insert into pg_dist_cleanup values (1, 1, 4, 'citus_shard_move_publication_1_10', 1, 0)"
                ])
            bench.scene.stop()
        }

        @Test @EventLoop func `a look into the nodes finds shards' tables, copies' contents and sequences`()
            async throws
        {
            let bench = try await VerifyBench()
            for statement in [
                "create table r (k integer)", "select citus_stand_in.reference('r')",
                "create table s (a bigint, b serial)", "select citus_stand_in.distribute('s', 2)",
                "select citus_stand_in.share_shards()",
            ] { _ = try await bench.scene.session.query(statement, timeout: .seconds(30)) }
            #expect(try await bench.codes(deep: true) == [])
            try await bench.drift(
                ["shard-leftovers 1"], deep: true, on: "w1", ["create table d_102999 ()"], undo: ["drop table d_102999"]
            )
            // A reference table's copy on one node has a row more.
            let shard = try #require(
                try await bench.scene.session.query(
                    "select min(shardid) from pg_dist_shard where logicalrelid = 'r'::regclass"
                )
                .first?.first ?? nil)
            let byHand = "set citus.enable_manual_changes_to_shards to on"
            try await bench.drift(
                ["copies-of-shard-differ 0"], deep: true, on: "w2",
                [byHand, "insert into r_\(shard) default values"], undo: [byHand, "delete from r_\(shard)"])
            let found = try await bench.findings(deep: true)
            #expect(found.isEmpty)
            try await bench.drift(
                ["sequences-behind 0"], deep: true, ["select citus_stand_in.insert_row('s', '1, 50')"],
                undo: ["select setval('s_b_seq', 50)"])
            bench.scene.stop()
        }

        @Test @EventLoop
        func `a reference table's shard that the coordinator lacks, and shards whose names are shortened`()
            async throws
        {
            let bench = try await VerifyBench()
            // 60 bytes: with its number a shard's name would be longer than a name may be.
            let long = "orders_of_all_customers_in_all_countries_of_the_world_by_day"
            for statement in [
                "create table r (k integer)", "select citus_stand_in.reference('r')",
                "create table \(long) (a integer)", "select citus_stand_in.distribute('\(long)', 2)",
                "select citus_stand_in.share_shards()",
            ] { _ = try await bench.scene.session.query(statement, timeout: .seconds(30)) }
            #expect(try await bench.codes(deep: true) == [])
            let byHand = "set citus.enable_manual_changes_to_shards to on"
            func shard(of table: String) async throws -> String {
                let rows = try await bench.scene.session.query(
                    "select min(shard_name(logicalrelid, shardid)) from pg_dist_shard join pg_dist_placement using (shardid) where logicalrelid = '\(table)'::regclass and groupid = \(table == "r" ? 0 : 1)"
                )
                return try #require(rows.first?.first ?? nil)
            }
            let reference = try await shard(of: "r")
            try await bench.drift(
                ["shard-missing 0"], deep: true, [byHand, "alter table \(reference) rename to gone"],
                undo: [byHand, "alter table gone rename to \(reference)"])
            let shortened = try await shard(of: long)
            #expect(shortened.utf8.count == 63 && !shortened.hasPrefix(long))
            try await bench.drift(
                ["shard-missing 1"], deep: true, on: "w1", [byHand, "alter table \(shortened) rename to gone"],
                undo: [byHand, "alter table gone rename to \(shortened)"])
            bench.scene.stop()
        }

        /// Citus before 11.2 leaves a placement that it has moved away behind, with `shardstate` 4, until its table is dropped.
        @Test @EventLoop func `a placement that waits to be dropped is none`() async throws {
            let bench = try await VerifyBench()
            let shard = "(select min(shardid) from pg_dist_placement where groupid = 1 and shardstate = 1)"
            let insert = "insert into pg_dist_placement (placementid, shardid, shardstate, shardlength, groupid) values"
            try await bench.on("c", ["\(insert) (900001, \(shard), 4, 0, 2)"])
            // No copy differs by it, it is not out of use, and nobody looks for its table, on the node that it is on neither.
            try await bench.on("w2", ["\(insert) (900001, \(shard), 4, 0, 2)"])
            #expect(try await bench.codes(deep: true) == [])
            // With another state it is a placement.
            try await bench.on("c", ["update pg_dist_placement set shardstate = 3 where shardstate = 4"])
            #expect(try await bench.codes(deep: true) == ["placements-inactive 0"])
            try await bench.on("c", ["update pg_dist_placement set shardstate = 1 where shardstate = 3"])
            #expect(try await bench.codes(deep: true).contains("placements-differ 1"))
            bench.scene.stop()
        }

        @Test @EventLoop func `plain tables with numbers in their names are no shards`() async throws {
            let bench = try await VerifyBench()
            for statement in [
                "create table orders (id integer primary key, at date)", "create index on orders (at)",
                "select citus_stand_in.distribute('orders', 2)", "select citus_stand_in.share_shards()",
            ] { _ = try await bench.scene.session.query(statement, timeout: .seconds(30)) }
            // The stand-in leaves indexes out on the workers.
            if !LocalCitus.isReal { try await bench.on("w1", ["alter table orders add primary key (id)"]) }
            let here = "set citus.enable_ddl_propagation to off"
            // By month: beside a table without an index, and beside one whose shards have indexes with their number.
            let plain = ["d_202401", "d_20240131", "orders_202401", "orders_102900"]
            for name in ["c", "w1"] {
                try await bench.on(name, [here] + plain.map { "create table \($0) (id integer primary key, at date)" })
            }
            #expect(try await bench.codes(deep: true) == [])
            // A shard's table that no catalog knows.
            let byHand = ["set citus.enable_manual_changes_to_shards to on", here]
            try await bench.drift(
                ["shard-leftovers 1"], deep: true, on: "w1",
                [here, "create table orders_102901 (id integer constraint orders_pkey_102901 primary key, at date)"],
                undo: byHand + ["drop table orders_102901"])
            bench.scene.stop()
        }

        @Test @EventLoop func `what a move or a rebalance leaves, records, and copies of schemas`() async throws {
            let bench = try await VerifyBench(settings: ["wal_level=logical"])
            #expect(try await bench.codes() == [])
            let here = "set citus.enable_ddl_propagation to off"
            let shard = "(select min(shardid) from pg_dist_placement where groupid = 1)"
            try await bench.drift(
                ["placements-differ 1", "placements-differ 2", "placements-inactive 0"],
                ["update pg_dist_placement set shardstate = 3 where shardid = \(shard)"],
                undo: ["update pg_dist_placement set shardstate = 1 where shardstate = 3"])
            try await bench.drift(
                ["commit-records-left 0"],
                [
                    "insert into pg_dist_transaction (groupid, gid) select 1, 'citus_0_1_' || n || '_1' from generate_series(1, 10001) n"
                ], undo: ["delete from pg_dist_transaction"])
            try await bench.drift(
                ["schemas-differ 1"], on: "w1",
                ["insert into pg_dist_schema (schemaid, colocationid) values ('public'::regnamespace, 99)"],
                undo: ["delete from pg_dist_schema where colocationid = 99"])
            try await bench.drift(
                ["move-leftovers 1"], on: "w1",
                ["select pg_create_logical_replication_slot('citus_shard_move_slot_1_2_3', 'pgoutput')"],
                undo: ["select pg_drop_replication_slot('citus_shard_move_slot_1_2_3')"])
            let subscription = "citus_shard_move_subscription_1"
            try await bench.drift(
                ["move-leftovers 1"], on: "w1",
                [
                    here,
                    "create subscription \(subscription) connection 'host=127.0.0.1 port=1' publication p with (connect = false, slot_name = none)",
                ], undo: [here, "drop subscription \(subscription)"])
            // A shard's table on a node that does not hold it.
            let other = try await bench.scene.session.query(
                "select min(shardid) from pg_dist_placement where groupid = 2")
            let number = try #require(other.first?.first ?? nil)
            let found = try await self.notes(bench, on: "w1", [here, "create table d_\(number) (a integer)"])
            #expect(found.filter { !$0.hasPrefix("not-looked-at") } == ["shard-leftovers 1"])
            let byHand = ["set citus.enable_manual_changes_to_shards to on", here]
            try await bench.on("w1", byHand + ["drop table d_\(number)"])
            if !LocalCitus.isReal {
                // Citus itself would carry the task out.
                let tasks = try await self.notes(
                    bench, on: "c",
                    [
                        "insert into pg_dist_background_job (job_id, job_type, description) values (7, 'rebalance', 'Rebalance all')",
                        "insert into pg_dist_background_task (job_id, task_id, command) values (7, 9, 'select 1')",
                    ])
                #expect(tasks == ["tasks-pending 0"])
                // One that has failed, and stays so until another job of its kind is begun.
                try await bench.drift(
                    ["tasks-failed 0"],
                    [
                        "update pg_dist_background_task set status = 'error', message = 'ERROR: why'",
                        "update pg_dist_background_job set state = 'failed'",
                    ],
                    undo: [
                        "insert into pg_dist_background_job (job_id, job_type, description, state) values (8, 'rebalance', 'Rebalance again', 'finished')"
                    ])
                // Where Citus is loaded; of the stand-in no process runs.
                try await bench.drift(
                    ["maintenance-daemon-missing 0"],
                    ["create function pg_catalog.citus_version() returns text language sql as $$select 'x'$$"],
                    undo: ["drop function pg_catalog.citus_version()"])
                let role = CitusScene.role
                let unseen = try await self.notes(
                    bench, on: "w1",
                    [
                        "create function pg_catalog.citus_version() returns text language sql as $$select 'x'$$",
                        "revoke pg_read_all_stats from \(role)",
                    ])
                #expect(unseen.contains("not-looked-at 1"))
                // What is told to be typed helps: then it is seen that none runs.
                let told = try await bench.all().first { $0.code == .notLookedAt }
                #expect(told?.remedy.place == .server(NodeEndpoint("127.0.0.1", bench.scene.citus.ports[1])))
                try await bench.on("w1", try #require(told?.remedy.sql))
                #expect(try await bench.codes() == ["maintenance-daemon-missing 1"])
            }
            bench.scene.stop()
        }

        /// What is there once something was done, notes too, but for advice.
        @EventLoop
        private func notes(_ bench: VerifyBench, on name: String, _ statements: [String]) async throws -> [String] {
            try await bench.on(name, statements)
            let verifier = try #require(ClusterVerifier(bench.settings))
            let found = await verifier.verified(isDeep: true, isAfterRestore: false).flatMap(\.findings)
            return found.filter { ![.restorePointsNotSafe, .failoverMayHang].contains($0.code) }
                .map { "\($0.code.rawValue) \($0.group ?? -1)" }
        }

        @Test @EventLoop func `tables that Citus copies to no worker, and another search path, are no difference`()
            async throws
        {
            let bench = try await VerifyBench()
            let makeAppend =
                LocalCitus.isReal
                ? [
                    "create table lines (k integer)", "select create_distributed_table('lines', 'k', 'append')",
                    "select master_create_empty_shard('lines')",
                ]
                : [
                    "create table lines (k integer)",
                    "insert into pg_dist_partition values ('lines', 'a', null, 0, 'c')",
                    "insert into pg_dist_shard values ('lines', 900001, 't', null, null)",
                    "insert into pg_dist_placement (shardid, shardstate, shardlength, groupid) values (900001, 1, 0, 1)",
                ]
            try await bench.on("c", makeAppend)
            #expect(try await bench.codes() == [])
            // On the coordinator alone: names that do not depend on it are the same everywhere.
            try await bench.on(
                "c",
                [
                    "set citus.enable_ddl_propagation to off",
                    "alter role \(CitusScene.role) set search_path = elsewhere, pg_catalog",
                ])
            #expect(try await bench.codes() == [])
            bench.scene.stop()
        }
    }
}
