// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import PostgresClient
import Settings
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// Every drift that really arises, injected into the stand-in for Citus, and found.
    @Suite(.serialized)
    struct CitusVerifyTests {
        init() { EventLoop.shared.executor.startThread() }

        @Test @EventLoop func `a cluster in order has no findings, and each drift has its own`() async throws {
            let bench = try await VerifyBench()
            #expect(try await bench.codes() == [])
            let ports = bench.scene.citus.ports
            // As Citus does after a change of its own: every copy is made anew.
            let sync = [
                "update pg_dist_node set metadatasynced = false where hasmetadata and groupid <> 0",
                "select citus_stand_in.sync()",
            ]
            func row(_ id: Int, port: Int) -> String {
                "update pg_dist_node set nodeport = \(port) where nodeid = \(id)"
            }
            try await bench.drift(
                ["no-metadata 1"], ["update pg_dist_node set hasmetadata = false where nodeid = 2"] + sync,
                undo: ["update pg_dist_node set hasmetadata = true where nodeid = 2"] + sync)
            // Citus itself has brought it up to date before anybody has looked twice.
            if !LocalCitus.isReal {
                try await bench.drift(
                    ["not-synchronized 1"], ["update pg_dist_node set metadatasynced = false where nodeid = 2"],
                    undo: ["update pg_dist_node set metadatasynced = true where nodeid = 2"])
            }
            try await bench.drift(
                ["inactive 2"], ["update pg_dist_node set isactive = false where nodeid = 3"] + sync,
                undo: ["update pg_dist_node set isactive = true where nodeid = 3"] + sync)
            try await bench.drift(
                ["group-without-primary 1"],
                ["update pg_dist_node set noderole = 'unavailable' where nodeid = 2"] + sync,
                undo: ["update pg_dist_node set noderole = 'primary' where nodeid = 2"] + sync)
            try await bench.drift(
                ["local-group-wrong 1"], on: "w1", ["update pg_dist_local_group set groupid = 0"],
                undo: ["update pg_dist_local_group set groupid = 1"])
            // The remedy that is told for it.
            try await bench.on("w1", ["update pg_dist_local_group set groupid = 2"])
            let remedy = try #require(try await bench.findings().first?.remedy.sql.first)
            try await bench.on("c", [remedy, "select citus_stand_in.sync()"])
            #expect(try await bench.codes() == [])
            try await bench.drift(
                ["nodes-differ 2"], on: "w2",
                ["update pg_dist_node set noderack = 'elsewhere' where nodeid = 2"],
                undo: ["update pg_dist_node set noderack = 'default' where nodeid = 2"])
            try await bench.drift(
                ["placements-differ 1"], on: "w1",
                ["update pg_dist_placement set groupid = 2 where shardid = 102008"],
                undo: ["update pg_dist_placement set groupid = 1 where shardid = 102008"])
            try await bench.drift(
                ["shards-differ 1"], on: "w1",
                ["update pg_dist_shard set shardmaxvalue = '0' where shardid = 102008"],
                undo: [
                    "update pg_dist_shard set shardmaxvalue = (select shardminvalue::bigint + 536870911 from pg_dist_shard where shardid = 102008)::text where shardid = 102008"
                ])
            try await bench.drift(
                ["shard-missing 1"], deep: true, on: "w1",
                ["set citus.enable_manual_changes_to_shards to on", "drop table d_102008"],
                undo: ["create table d_102008 ()"])
            // A row at a standby: everything looks right, but for writes.
            try await bench.scene.citus.addStandby()
            try await bench.drift(
                ["row-not-leader 1", "row-in-recovery 1", "not-synchronized 1", "nodes-differ 1"],
                [row(2, port: ports[3])] + sync,
                undo: [row(2, port: ports[1])] + sync)
            try await bench.drift(
                ["row-not-leader 1", "row-unreachable 1", "not-synchronized 1"], [row(2, port: ports[5])] + sync,
                undo: [row(2, port: ports[1])] + sync)
            // Two primaries: the trigger that forbids it can be bypassed.
            // On the workers Citus's own trigger refuses it, so nothing is brought to them any more.
            let behind = ["not-synchronized 1", "nodes-differ 1", "not-synchronized 2", "nodes-differ 2"]
            try await bench.drift(
                ["two-primaries 1", "row-unreachable 1"] + (LocalCitus.isReal ? behind : []) + ["no-metadata 1"],
                [
                    "set session_replication_role = replica",
                    "insert into pg_dist_node (nodeid, groupid, nodename, nodeport, hasmetadata, metadatasynced, noderole) values (9, 1, '127.0.0.1', \(ports[5]), false, false, 'primary')",
                ] + sync, undo: ["delete from pg_dist_node where nodeid = 9"] + sync)
            bench.scene.stop()
        }

        @Test @EventLoop func `what is safe is repaired, gated and fenced; the rest is refused with the reason`()
            async throws
        {
            let bench = try await VerifyBench()
            let ports = bench.scene.citus.ports
            try await bench.on("c", ["update pg_dist_node set nodeport = \(ports[5]) where nodeid = 2"])
            let verifier = try #require(ClusterVerifier(bench.settings))
            let facts = try #require(await verifier.gather(isDeep: false, isAfterRestore: false).first)
            let found = verify(facts)
            let moved = try #require(found.first { $0.code == .rowNotLeader })
            #expect(moved.remedy.refusal == nil && moved.severity == .critical)
            #expect(moved.remedy.changes.map(\.sql) == ["select citus_update_node(2, '127.0.0.1', \(ports[1]))"])
            #expect(await verifier.repair([moved], in: facts) == nil)
            #expect(try await bench.scene.row(1) == bench.scene.place(1))
            // What an older leader key says is refused, here too.
            try await bench.on(
                "c",
                [
                    "update pg_dist_node set nodeport = \(ports[5]) where nodeid = 2",
                    "update pharos.citus_fence set revision = revision + 1000",
                ])
            #expect(await verifier.repair([moved], in: facts)?.hasPrefix("older revision") == true)
            for finding in found where finding.code != .rowNotLeader {
                #expect(finding.remedy.refusal != nil, "\(finding.code) is repaired")
            }
            bench.scene.stop()
        }

        @Test @EventLoop func `nothing hangs: a node that does not answer costs its time limit, once`() async throws {
            let bench = try await VerifyBench()
            bench.scene.citus.servers["w1"]?.freeze()
            bench.scene.citus.servers["w2"]?.freeze()
            let verifier = try #require(ClusterVerifier(bench.settings))
            let begin = ContinuousClock.now
            let facts = await verifier.gather(isDeep: false, isAfterRestore: false)
            let span = ContinuousClock.now - begin
            let found = facts.flatMap { verify($0) }.filter { $0.severity > .note }
                .map { "\($0.code.rawValue) \($0.group.map(String.init) ?? "-")" }
            bench.scene.citus.servers["w1"]?.thaw()
            bench.scene.citus.servers["w2"]?.thaw()
            #expect(
                found == [
                    "row-unreachable 1", "row-unreachable 2", "shards-out-of-reach 1", "shards-out-of-reach 2",
                ])
            #expect(span < .seconds(6), "one after the other it would be more: \(span)")
            bench.scene.stop()
        }

        @Test @EventLoop func `a group that is lost takes along what no other group has`() async throws {
            let bench = try await VerifyBench()
            for statement in [
                "create table r (k integer)", "select citus_stand_in.reference('r')",
                "select citus_stand_in.share_shards()",
                // As citus_update_table_statistics measures.
                "update pg_dist_placement set shardlength = 8192 where groupid = 1",
            ] { _ = try await bench.scene.session.query(statement, timeout: .seconds(30)) }
            let counts = try await bench.scene.session.query(
                "select count(*), min(p.shardid) from pg_dist_placement p join pg_dist_shard s using (shardid) where groupid = 1 and logicalrelid = 'd'::regclass"
            )
            let expected = try #require(counts.first?.first.flatMap { $0.flatMap { Int($0) } })
            let first = try #require(counts.first?.last.flatMap { $0.flatMap { Int64($0) } })
            bench.scene.citus.servers["w1"]?.kill()
            let verifier = try #require(ClusterVerifier(bench.settings))
            func look() async throws -> (losses: [Int: ShardLoss], codes: [String]) {
                let facts = try #require(await verifier.gather(isDeep: false, isAfterRestore: false).first)
                let losses = try #require(facts.coordinator?.losses)
                let found = verify(facts).filter { $0.code == .shardsOutOfReach && $0.severity == .critical }
                return (losses, found.map { "\($0.group ?? -1)" })
            }
            let one = try await look()
            #expect(one.codes == ["1"] && one.losses.keys.sorted() == [1])
            let loss = try #require(one.losses[1])
            #expect(loss.shards == expected && loss.elsewhere == 1 && loss.bytes == Int64(expected) * 8192)
            #expect(loss.tableCount == 1 && loss.tables.map(\.name) == ["public.d"])
            #expect(loss.tables.first?.examples.first == first && loss.tables.first?.examples.count == min(3, expected))
            // Of a shard that two groups have, one is left; when both are gone, none is.
            _ = try await bench.scene.session.query(
                "insert into pg_dist_placement (shardid, shardstate, shardlength, groupid) values (\(first), 1, 0, 2)")
            let replicated = try await look()
            #expect(replicated.losses[1]?.shards == expected - 1 && replicated.losses[1]?.elsewhere == 2)
            bench.scene.citus.servers["w2"]?.kill()
            let both = try await look()
            #expect(both.codes == ["1", "2"] && both.losses[1]?.shards == expected)
            bench.scene.stop()
        }

        @Test @EventLoop func `a primary whose member key has ended is found where a member was`() async throws {
            let bench = try await VerifyBench()
            // A copy of w1 that was cut off: it accepts writes, and etcd does not name it.
            try await bench.scene.citus.addStandby()
            let old = NodeEndpoint("127.0.0.1", bench.scene.citus.ports[3])
            let session = try await PostgresConnection(bench.scene.citus.conninfo("w1s"))
            let verifier = try #require(ClusterVerifier(bench.settings))
            let cluster = try await bench.scene.client.range(.key("x"), limit: 1).header.clusterID
            var places = KnownPlaces(cluster: cluster)
            places.learn(old, of: 1)
            // Where nobody listens, and where somebody does and says nothing.
            places.learn(NodeEndpoint("127.0.0.1", bench.scene.citus.ports[5]), of: 2)
            let silent = try silentPort()
            defer { closeRaw(silent.descriptor) }
            places.learn(NodeEndpoint("127.0.0.1", silent.port), of: 2)
            // Of another cluster: an address that somebody else has now.
            places.learn(NodeEndpoint("127.0.0.1", bench.scene.citus.ports[1]), of: 2)
            func found(_ places: KnownPlaces) async throws -> [String] {
                var knowledge = PriorKnowledge()
                knowledge.places = RememberedPlaces(places)
                let facts = try #require(
                    await verifier.gather(isDeep: false, isAfterRestore: false, knowing: knowledge).first)
                return verify(facts).filter { ![.restorePointsNotSafe, .failoverMayHang].contains($0.code) }
                    .map { "\($0.code.rawValue) \($0.severity) \($0.group ?? -1)" }
            }
            #expect(try await found(places) == ["not-looked-at note 2"], "a standby is none, and nobody is none")
            _ = try await session.query("select pg_promote()", timeout: .seconds(30))
            #expect(try await found(places) == ["second-primary critical 1", "not-looked-at note 2"])
            // What another etcd cluster has told belongs to somebody else.
            var others = KnownPlaces(cluster: cluster &+ 1)
            others.learn(old, of: 1)
            #expect(
                try await found(others) == ["not-looked-at note -1"], "where members of this cluster were is not known")
            // After a restore etcd may be new: whoever was a member by the old one may be up still.
            var knowledge = PriorKnowledge()
            knowledge.places = RememberedPlaces(others)
            let restored = try #require(
                await verifier.gather(isDeep: false, isAfterRestore: true, knowing: knowledge).first)
            #expect(verify(restored).contains { $0.code == .secondPrimary && $0.node == old })
            bench.scene.stop()
        }

        @Test @EventLoop func `who began a transaction is asked where it leads, also if its row has another name`()
            async throws
        {
            let bench = try await VerifyBench()
            let (committed, lost) = ("citus_2_77_5_3", "citus_2_78_5_4")
            // On worker 1, begun by worker 2, which has a record of the one and not of the other.
            for gid in [committed, lost] {
                let outcome = try await bench.scene.citus.psql(
                    "w1", ["-c", "begin; select txid_current(); prepare transaction '\(gid)'"])
                #expect(outcome.exitCode == 0, "\(outcome.text)")
            }
            try await bench.on("w2", ["insert into pg_dist_transaction (groupid, gid) values (1, '\(committed)')"])
            try await bench.on(
                "c",
                [
                    "update pg_dist_node set nodename = 'localhost' where nodeid = 3",
                    "update pg_dist_node set metadatasynced = false where hasmetadata and groupid <> 0",
                    "select citus_stand_in.sync()",
                ])
            let verifier = try #require(ClusterVerifier(bench.settings))
            func statements() async throws -> [[String]] {
                let facts = try #require(await verifier.gather(isDeep: false, isAfterRestore: true).first)
                return verify(facts).filter { $0.code == .orphanedPrepared }.map(\.remedy.sql).sorted { $0[0] < $1[0] }
            }
            let expected = [["commit prepared '\(committed)'"], ["rollback prepared '\(lost)'"]]
            #expect(try await statements() == expected)
            // The row of the group where they are names nobody: they hold their locks all the same.
            try await bench.on(
                "c", ["update pg_dist_node set nodeport = \(bench.scene.citus.ports[5]) where nodeid = 2"])
            #expect(try await statements() == expected)
            for gid in [committed, lost] { try await bench.on("w1", ["rollback prepared '\(gid)'"]) }
            bench.scene.stop()
        }

        /// The stand-in has no library.
        @Test(.enabled(if: LocalCitus.isReal)) @EventLoop
        func `a library that is not the extension's is found`() async throws {
            let bench = try await VerifyBench()
            let now = try #require(
                try await bench.scene.session.query("select extversion from pg_extension where extname = 'citus'")
                    .first?.first ?? nil)
            func install(_ version: String) -> [String] {
                ["update pg_extension set extversion = '\(version)' where extname = 'citus'"]
            }
            // Of all nodes' extensions, and of the one node's own library; and Citus refuses to say what stands in its catalogs.
            try await bench.drift(
                ["versions-differ 1", "not-looked-at 1", "versions-differ -"], on: "w1", install("11.0-1"),
                undo: install(now))
            bench.scene.stop()
        }

        @Test @EventLoop func `a worker's database without Citus is a finding of its own`() async throws {
            let bench = try await VerifyBench()
            let ports = bench.scene.citus.ports
            try await bench.scene.citus.createDatabase("bare")
            let dropped = try await bench.scene.citus.psql(
                "w1", ["-c", "drop database bare with (force)", "-c", "create database bare"])
            #expect(dropped.exitCode == 0, "\(dropped.text)")
            let session = try await PostgresConnection(
                bench.scene.citus.conninfo("c"), overriding: [(keyword: "dbname", value: "bare")])
            for (id, group) in [(1, 0), (2, 1)] {
                _ = try await session.query(
                    "insert into pg_dist_node (nodeid, groupid, nodename, nodeport, hasmetadata, metadatasynced, noderole) values (\(id), \(group), '127.0.0.1', \(ports[group]), true, true, 'primary')"
                )
            }
            let verifier = try #require(ClusterVerifier(try bench.scene.settings(.observe, databases: ["bare"])))
            let facts = try #require(await verifier.gather(isDeep: false, isAfterRestore: false).first)
            let found = verify(facts).filter { $0.severity == .critical && $0.group == 1 }.map(\.code)
            #expect(found == [.extensionMissing], "\(found)")
            bench.scene.stop()
        }

        @Test @EventLoop func `a pool follows the leader, and a second coordinator is found`() async throws {
            let bench = try await VerifyBench()
            let ports = bench.scene.citus.ports
            var settings = bench.settings
            settings.citus?.core.poolInfo = [1: "host={host} port=6432"]
            let verifier = try #require(ClusterVerifier(settings))
            // A member of the coordinator's group that accepts writes, and does not lead.
            try await bench.scene.member(0, "old", port: ports[2], role: "replica")
            let facts = try #require(await verifier.gather(isDeep: false, isAfterRestore: true).first)
            let codes = verify(facts).filter { $0.severity > .note }.map(\.code)
            #expect(
                codes == [
                    .secondCoordinator, .systemWrong, .restoreRecoversPrepared, .restoreDropsShards, .restoreRunsTasks,
                    .poolDiffers,
                ])
            let pool = try #require(verify(facts).first { $0.code == .poolDiffers })
            #expect(await verifier.repair([pool], in: facts) == nil)
            let info = try await bench.scene.session.query("select nodeid, poolinfo from pg_dist_poolinfo")
            #expect(info == [["2", "host=127.0.0.1 port=6432"]])
            bench.scene.stop()
        }
    }
}
