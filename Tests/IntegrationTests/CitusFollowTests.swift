// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import PostgresClient
import TestSupport
import Testing

@testable import Supervisor

extension IntegrationTests {
    /// The daemon and `pg_dist_node`, against the stand-in for Citus.
    @Suite(.serialized)
    struct CitusFollowTests {
        init() { EventLoop.shared.executor.startThread() }

        @EventLoop
        private static func scene() async throws -> CitusScene {
            let scene = try await CitusScene()
            for statement in CitusCatalog.fenceTable { _ = try await scene.session.query(statement) }
            return scene
        }

        @Test @EventLoop func `a worker's failover reaches pg_dist_node, and its copies`() async throws {
            let scene = try await Self.scene()
            try await scene.citus.addStandby()
            try await scene.member(1, "w1s", port: scene.citus.ports[3], role: "replica")
            try scene.start()
            try await scene.expect { scene.records(.citusWriterChanged).count == 1 }
            #expect(try await scene.row(1) == scene.place(1))
            scene.citus.servers["w1"]?.kill()
            try await scene.delete("/service/demo/1/members/w1")
            try await scene.lead(1, "w1s")
            // The leader is still in recovery: nothing may be changed.
            try await scene.expect { scene.records(.citusDrift).count == 1 }
            try await EventLoop.sleep(for: .milliseconds(300))
            #expect(try await scene.row(1) == scene.place(1))
            let standby = try await PostgresConnection(scene.citus.conninfo("w1s"))
            _ = try await standby.query("select pg_promote()")
            try await scene.expect { try await scene.row(1) == scene.place(3) }
            try await scene.expect { scene.records(.citusUpdated).count == 1 }
            #expect(scene.records(.citusSynchronized).isEmpty)
            _ = try await scene.session.query("select citus_stand_in.sync()")
            try await scene.expect { scene.records(.citusSynchronized).count == 1 }
            #expect(scene.records(.citusSynchronized)[0]["UNVERIFIED"] == "")
            let copy = try await standby.query("select nodeport from pg_dist_node where groupid = 1")
            #expect(copy == [["\(scene.citus.ports[3])"]])
            #expect(scene.records(.citusUpdateFailed).isEmpty)
            scene.stop()
        }
    }
}

extension LogRecord {
    subscript(field: String) -> String? { self.fields.first { $0.name == field }?.value }
}
