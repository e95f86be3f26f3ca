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
                ["shard-leftovers 1"], deep: true, on: "w1", ["create table d_999999 ()"], undo: ["drop table d_999999"]
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
    }
}
