// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import Journal
import PostgresClient
import Settings
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// Layouts that nobody else serves, and what becomes of them when etcd or the coordinator is replaced.
    @Suite(.serialized)
    struct CitusLayoutTests {
        init() { EventLoop.shared.executor.startThread() }

        private static let grants = CitusGrants(writes: true, secondaries: false, pools: false)

        @EventLoop
        private static func grant(_ scene: CitusScene, _ session: PostgresConnection) async throws {
            for (_, sql) in Self.grants.statements(role: CitusScene.role) { _ = try await session.query(sql) }
        }

        @EventLoop
        private static func makeRoles(_ scene: CitusScene) async throws {
            try await scene.citus.shareRole(CitusScene.role)
        }

        @Test @EventLoop func `groups that are scopes of their own, and two databases`() async throws {
            let scopes = [0: "demo", 1: "demo-w1", 2: "demo-w2"]
            let scene = try await CitusScene(scopes: scopes)
            try await Self.grant(scene, scene.session)
            try await Self.makeRoles(scene)
            try await scene.citus.createDatabase("other")
            let other = try await PostgresConnection(
                scene.citus.conninfo("c"), overriding: [(keyword: "dbname", value: "other")])
            try await scene.register(other)
            try await Self.grant(scene, other)
            try scene.start(.own, databases: ["postgres", "other"]) { $0.scopes = scopes }
            try await scene.expect {
                scene.shell?.core.citusStatus?.databases.map(\.rowCount) == [3, 3]
            }
            // Worker 1 and worker 2 change places: an address that two rows share for a moment is refused, and tried again.
            try await scene.citus.addStandby()
            let standby = try await PostgresConnection(scene.citus.conninfo("w1s"))
            _ = try await standby.query("select pg_promote()", timeout: .seconds(30))
            try await scene.member(1, "w1s", port: scene.citus.ports[3], role: "replica")
            scene.citus.servers["w1"]?.kill()
            try await scene.lead(1, "w1s")
            let row = "select nodeport from pg_dist_node where groupid = 1"
            for session in [scene.session, other] {
                try await scene.expect { try await session.query(row) == [["\(scene.citus.ports[3])"]] }
            }
            try await scene.expect { scene.records(.citusUpdated).count == 2 }
            #expect(Set(scene.records(.citusUpdated).map { $0["DATABASE"] }) == ["postgres", "other"])
            scene.stop()
        }

        @Test @EventLoop func `a database that is gone holds no other up`() async throws {
            let scene = try await CitusScene()
            try await Self.grant(scene, scene.session)
            try await Self.makeRoles(scene)
            try scene.start(.own, databases: ["missing", "postgres"])
            try await scene.expect { scene.shell?.core.citusStatus?.databases.last?.rowCount == 3 }
            try await scene.expect { scene.records(.citusUnreachable).count == 1 }
            #expect(scene.records(.citusUnreachable)[0]["DATABASE"] == "missing")
            try await scene.citus.addStandby()
            let standby = try await PostgresConnection(scene.citus.conninfo("w1s"))
            _ = try await standby.query("select pg_promote()", timeout: .seconds(30))
            try await scene.member(1, "w1s", port: scene.citus.ports[3], role: "replica")
            try await scene.lead(1, "w1s")
            try await scene.expect { try await scene.row(1) == scene.place(3) }
            scene.stop()
        }

        @Test @EventLoop func `an etcd that was rebuilt, under another number or the same, is no past`() async throws {
            let scene = try await CitusScene()
            try await Self.grant(scene, scene.session)
            try await Self.makeRoles(scene)
            // What an etcd of before has applied: one under another number, and one under this one's.
            let cluster = try await scene.client.range(.key("/x")).header.clusterID
            let fence = "insert into pharos.citus_fence (groupid, etcd_cluster, revision) values ($1, $2, 100000)"
            for (group, id) in [("1", "\(cluster &- 1)"), ("2", "\(cluster)")] {
                _ = try await scene.session.query(fence, parameters: [group, id])
            }
            for id in [2, 3] {
                try await scene.member(id - 1, "old", port: id, role: "replica")
                _ = try await scene.session.query("update pg_dist_node set nodeport = \(id) where nodeid = \(id)")
            }
            try scene.start()
            try await scene.expect { try await scene.row(1) == scene.place(1) }
            try await scene.expect { try await scene.row(2) == scene.place(2) }
            // Under the same number it is refused first, and passes when a read has proven the rebuild: where that takes longer
            // than the retry does, it is refused once more.
            let refusals = scene.records(.citusUpdateFailed)
            #expect((1...3).contains(refusals.count))
            for refusal in refusals {
                #expect(
                    refusal["GROUP"] == "2" && refusal["REASON"]?.hasPrefix("older revision") == true,
                    "\(refusal.message)")
            }
            let fences = try await scene.session.query(
                "select groupid, etcd_cluster, revision < 100000 from pharos.citus_fence order by groupid")
            #expect(fences == [["1", "\(cluster)", "t"], ["2", "\(cluster)", "t"]])
            scene.stop()
        }

        @Test @EventLoop
        func `a coordinator's daemon begins to write when its member leads, and ends when it does not`()
            async throws
        {
            let scene = try await CitusScene()
            try await Self.grant(scene, scene.session)
            try await Self.makeRoles(scene)
            try await scene.lead(0, "another")
            for group in 0...1 { try await scene.member(group, "old", port: 2 - group, role: "replica") }
            try scene.start()
            try await scene.expect { scene.shell?.core.citusStatus?.groups.count == 3 }
            _ = try await scene.session.query("update pg_dist_node set nodeport = 1 where nodeid = 2")
            try await EventLoop.sleep(for: .milliseconds(500))
            #expect(try await scene.row(1) == "127.0.0.1:1")
            // Its row is that of the coordinator before.
            _ = try await scene.session.query("update pg_dist_node set nodeport = 2 where nodeid = 1")
            try await scene.lead(0, "c")
            try await scene.expect { try await scene.row(0) == scene.place(0) }
            try await scene.expect { try await scene.row(1) == scene.place(1) }
            try await scene.lead(0, "another")
            try await scene.expect { scene.records(.citusWriterChanged).last?["WRITER"] == "0" }
            _ = try await scene.session.query("update pg_dist_node set nodeport = 1 where nodeid = 2")
            try await EventLoop.sleep(for: .milliseconds(500))
            #expect(try await scene.row(1) == "127.0.0.1:1")
            scene.stop()
        }
    }
}
