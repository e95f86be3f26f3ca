// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import PostgresClient
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// What `pharos verify` finds where it cannot look, where the daemon could do nothing, and where a failover would hang.
    @Suite(.serialized)
    struct CitusBlindTests {
        init() { EventLoop.shared.executor.startThread() }

        @Test @EventLoop func `rights, settings and secondaries under which nothing can be followed`() async throws {
            let bench = try await VerifyBench()
            let (role, ports) = (CitusScene.role, bench.scene.citus.ports)
            #expect(try await bench.codes() == [])
            // Here alone: Citus itself alters a role everywhere.
            let here = "set citus.enable_ddl_propagation = off"
            try await bench.drift(
                ["row-unverified 1"], on: "w1", [here, "alter role \(role) nologin"],
                undo: [here, "alter role \(role) login"])
            try await bench.drift(
                ["fence-unusable 0"], ["revoke update on pharos.citus_fence from \(role)"],
                undo: ["grant update on pharos.citus_fence to \(role)"])
            try await bench.drift(
                ["failover-may-hang -"], ["alter role \(role) set citus.node_connection_timeout = '30s'"],
                undo: ["alter role \(role) reset citus.node_connection_timeout"])
            if !LocalCitus.isReal {
                try await bench.on("c", LocalCitus.pretendedVersion("13.2-1"))
                // A worker that reaches nobody: what its own connections end in.
                try await bench.on(
                    "w1",
                    [
                        "create or replace function citus_stand_in.refusal(host text, port integer) returns text language sql as $$select 'no route'$$"
                    ])
                #expect(try await bench.codes(deep: true) == ["nodes-unreachable 0"])
            }
            #expect(try await bench.all().contains { $0.code == .restorePointsNotSafe && $0.severity == .note })
            // A registered secondary that somebody has promoted.
            try await bench.scene.citus.addStandby()
            try await bench.on(
                "c", ["select citus_add_secondary_node('127.0.0.1', \(ports[3]), '127.0.0.1', \(ports[1]))"])
            #expect(try await bench.codes() == [])
            let standby = try await PostgresConnection(bench.scene.citus.conninfo("w1s"))
            _ = try await standby.query("select pg_promote()", timeout: .seconds(30))
            #expect(try await bench.codes() == ["secondary-is-primary 1"])
            bench.scene.stop()
        }

        @Test @EventLoop
        func `what a person has to settle: a fence, a pool, functions, and transactions of another database`()
            async throws
        {
            let bench = try await VerifyBench()
            try await bench.drift(
                ["pool-unmanaged 1"], ["insert into pg_dist_poolinfo select 2, 'host=127.0.0.1'"],
                undo: ["delete from pg_dist_poolinfo"])
            let function = "pharos.interrupt_metadata_sync(integer)"
            try await bench.drift(
                ["grants-outdated 0"], ["revoke execute on function \(function) from \(CitusScene.role)"],
                undo: ["grant execute on function \(function) to \(CitusScene.role)"])
            // As after a failback: another site's etcd has replaced the one that is read.
            let cluster = try await bench.scene.client.range(.key("x"), limit: 1).header.clusterID
            try await bench.on(
                "c",
                [
                    "insert into pharos.citus_fence (groupid, etcd_cluster, revision, superseded) values (1, 7, 1, '{\(cluster)}')"
                ])
            let verifier = try #require(ClusterVerifier(bench.settings))
            let facts = try #require(await verifier.gather(isDeep: false, isAfterRestore: false).first)
            let fence = try #require(verify(facts).first { $0.code == .fenceSuperseded })
            #expect(fence.severity == .critical && fence.group == 1 && fence.remedy.refusal == nil)
            #expect(await verifier.repair([fence], in: facts) == nil)
            #expect(try await bench.codes() == [])
            // Of another database, and after a restore, whatever its age.
            let stray = [
                "-c", "create database crm", "-c", "\\connect crm", "-c", "begin", "-c", "select txid_current()", "-c",
                "prepare transaction 'stray'",
            ]
            let made = try await bench.scene.citus.psql("w1", stray)
            #expect(made.exitCode == 0, "\(made.text)")
            let restored = try #require(await verifier.gather(isDeep: false, isAfterRestore: true).first)
            let found = verify(restored).filter { $0.code == .preparedElsewhere }
            #expect(found.map(\.group) == [1] && found.first?.evidence.contains("database crm") == true)
            bench.scene.stop()
        }

        @Test @EventLoop func `an etcd that does not answer, and a coordinator that is down`() async throws {
            let bench = try await VerifyBench()
            bench.scene.etcd.kill(0)
            #expect(try await bench.codes() == ["etcd-unreadable -"])
            bench.scene.citus.servers["c"]?.kill()
            #expect(try await bench.codes() == ["coordinator-unreachable 0", "etcd-unreadable -"])
            bench.scene.stop()
        }
    }
}
