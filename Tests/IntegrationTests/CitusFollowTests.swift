// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import Journal
import PostgresClient
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// The daemon and `pg_dist_node`, against the stand-in for Citus.
    @Suite(.serialized)
    struct CitusFollowTests {
        init() { EventLoop.shared.executor.startThread() }

        @EventLoop
        private static func scene(
            _ grants: CitusGrants = CitusGrants(writes: true, secondaries: false, pools: false),
            settings: [String] = []
        ) async throws -> CitusScene {
            let scene = try await CitusScene(settings: settings)
            for (_, sql) in grants.statements(role: CitusScene.role) { _ = try await scene.session.query(sql) }
            try await scene.citus.shareRole(CitusScene.role)
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
            _ = try await standby.query("select pg_promote(false)")
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

        @Test @EventLoop func `writers wait through a planned switchover, and none fails`() async throws {
            let scene = try await Self.scene()
            try await scene.citus.addStandby()
            try await scene.member(1, "w1s", port: scene.citus.ports[3], role: "replica")
            try scene.start()
            try await scene.expect { scene.records(.citusWriterChanged).count == 1 }
            try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 3 }
            try await scene.put("/service/demo/1/failover", #"{"leader":"w1","member":"w1s"}"#)
            try await scene.expect { scene.records(.citusHolding).count == 1 }
            // What a coordinator's session takes for a write to one of the group's shards.
            let writer = try await PostgresConnection(scene.citus.conninfo("c"))
            var hasWritten = false
            let write = EventLoop.spawn {
                do {
                    _ = try await writer.query("select citus_stand_in.write_to_group('d', 1)", timeout: .seconds(20))
                    hasWritten = true
                } catch {
                    Issue.record("a writer fails: \(error)")
                }
            }
            try await EventLoop.sleep(for: .milliseconds(200))
            #expect(!hasWritten)
            scene.citus.servers["w1"]?.kill()
            try await scene.delete("/service/demo/1/leader")
            try await scene.put("/service/demo/1/leader", "w1s")
            let standby = try await PostgresConnection(scene.citus.conninfo("w1s"))
            _ = try await standby.query("select pg_promote(false)")
            try await scene.expect { scene.records(.citusUpdated).count == 1 }
            await write.value
            #expect(hasWritten)
            #expect(try await scene.row(1) == scene.place(3))
            #expect(scene.records(.citusUpdateFailed).isEmpty && scene.records(.citusHoldEnded).isEmpty)
            scene.stop()
        }

        @Test @EventLoop func `a switchover that does not come, and a daemon that is killed, let the writers go`()
            async throws
        {
            let scene = try await Self.scene()
            try scene.start()
            try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 3 }
            try await scene.put("/service/demo/1/failover", #"{"leader":"w1","member":"w1s"}"#)
            try await scene.expect { scene.records(.citusHolding).count == 1 }
            try await scene.put("/service/demo/1/failover", "{}")
            try await scene.expect { scene.records(.citusHoldEnded).count == 1 }
            let lock = "select citus_stand_in.write_to_group('d', 1)"
            _ = try await scene.session.query(lock)
            #expect(try await scene.row(1) == scene.place(1))
            // Another leadership, another switchover; then the process is gone, and its connections with it.
            try await scene.lead(1, "w1")
            try await scene.put("/service/demo/1/failover", #"{"leader":"w1"}"#)
            try await scene.expect { scene.records(.citusHolding).count == 2 }
            scene.stop()
            _ = try await scene.session.query(lock)
            #expect(try await scene.session.query("select count(*) from pg_prepared_xacts") == [["0"]])
        }

        @Test @EventLoop func `a registered secondary that is promoted swaps rows with the old primary`() async throws {
            let scene = try await Self.scene()
            try await scene.citus.addStandby()
            _ = try await scene.session.query(
                "select citus_add_secondary_node('127.0.0.1', \(scene.citus.ports[3]), '127.0.0.1', \(scene.citus.ports[1]))"
            )
            try await scene.member(1, "w1s", port: scene.citus.ports[3], role: "replica")
            try scene.start()
            try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 4 }
            scene.citus.servers["w1"]?.kill()
            let standby = try await PostgresConnection(scene.citus.conninfo("w1s"))
            _ = try await standby.query("select pg_promote(false)")
            try await scene.lead(1, "w1s")
            try await scene.expect { scene.records(.citusUpdated).count == 1 }
            let rows = try await scene.session.query(
                "select nodeid, noderole, nodeport from pg_dist_node where groupid = 1 order by nodeid")
            #expect(
                rows == [
                    ["2", "primary", "\(scene.citus.ports[3])"], ["4", "secondary", "\(scene.citus.ports[1])"],
                ])
            scene.stop()
        }

        @Test @EventLoop func `mode reconcile repairs what nobody else did, and observe nothing`() async throws {
            for mode in [CitusMode.reconcile, .observe] {
                let scene = try await Self.scene()
                // Where the group's leader was once.
                try await scene.member(1, "old", port: 1, role: "replica")
                try scene.start(mode, settle: .seconds(1))
                try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 3 }
                // The group's leader is the other worker's server: somebody else's change was lost.
                try await scene.member(1, "w3", port: scene.citus.ports[5], role: "primary")
                _ = try await scene.session.query("select citus_update_node(2, '127.0.0.1', 1)")
                try await scene.lead(1, "w1")
                if mode == .reconcile {
                    try await scene.expect(within: .seconds(20)) { try await scene.row(1) == scene.place(1) }
                } else {
                    try await scene.expect(within: .seconds(20)) { scene.records(.citusDrift).count == 1 }
                    try await EventLoop.sleep(for: .seconds(2))
                    #expect(try await scene.row(1) == "127.0.0.1:1")
                }
                scene.stop()
            }
        }

        @Test @EventLoop func `who is in the way is told, and an update never piles up`() async throws {
            let scene = try await Self.scene()
            try await scene.citus.addStandby()
            let standby = try await PostgresConnection(scene.citus.conninfo("w1s"))
            _ = try await standby.query("select pg_promote()", timeout: .seconds(30))
            try scene.start()
            try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 3 }
            let writer = try await PostgresConnection(scene.citus.conninfo("c"))
            _ = try await writer.query("begin")
            _ = try await writer.query("select citus_stand_in.write_to_group('d', 1)")
            let pid = writer.backendPID
            // The leader is where it was, under another name: nobody is known to have failed.
            try await scene.member(1, "w1", port: scene.citus.ports[3], role: "primary")
            try await scene.expect { scene.records(.citusBlocked).count >= 1 }
            #expect(scene.records(.citusBlocked)[0]["SESSIONS"]?.hasPrefix("pid \(pid), user postgres") == true)
            let updates =
                "select count(*) from pg_stat_activity where query like '%citus_update_node(%' and pid <> pg_backend_pid()"
            #expect(try await scene.session.query(updates + " and state = 'active'") == [["1"]])
            // Two attempts wait; the third ends the session.
            try await scene.expect(within: .seconds(20)) { scene.records(.citusUpdated).count == 1 }
            #expect(scene.records(.citusUpdateFailed).count == 2)
            #expect(try await scene.row(1) == scene.place(3))
            await #expect(throws: PostgresError.self) { try await writer.query("commit") }
            scene.stop()
        }

        @Test @EventLoop func `a standby of the coordinator has its connection before it is promoted`() async throws {
            let scene = try await Self.scene()
            // Somebody else leads; this node's daemon keeps a connection all the same.
            try await scene.member(0, "other", port: scene.citus.ports[5], role: "primary")
            try await scene.lead(0, "other")
            try scene.start()
            let kept =
                "select pid from pg_stat_activity where usename = '\(CitusScene.role)' and backend_type = 'client backend' and query like 'listen%'"
            try await scene.expect { try await scene.session.query(kept).count == 1 }
            #expect(scene.records(.citusWriterChanged).isEmpty)
            // All others are used up, and it becomes the leader.
            let pid = try await scene.session.query(kept)
            _ = try await scene.session.query("alter role \(CitusScene.role) connection limit 1")
            try await scene.lead(0, "c")
            try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 3 }
            #expect(
                try await scene.session.query("select pid from pg_stat_activity where usename = '\(CitusScene.role)'")
                    == pid)
            scene.stop()
        }

        @Test @EventLoop func `settings under which a failover hangs are told by the writer`() async throws {
            let scene = try await Self.scene(
                settings: LocalCitus.withoutWorkers + ["citus.node_connection_timeout=30s"])
            try scene.start()
            try await scene.expect(within: .seconds(30)) { scene.records(.citusSettings).count == 1 }
            let problems = try #require(scene.records(.citusSettings).first?["PROBLEMS"])
            #expect(problems.contains("citus.node_connection_timeout is 30"))
            #expect(problems.contains("max_worker_processes is 1, and 1 run") == LocalCitus.isReal)
            #expect(!problems.contains("node_conninfo") && !problems.contains("could not be looked at"))
            scene.stop()
        }

        @Test @EventLoop func `the daemon verifies by itself, and tells what it has found`() async throws {
            let scene = try await Self.scene()
            try scene.start()
            try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 3 }
            _ = try await scene.session.query("update pg_dist_node set isactive = false where groupid = 2")
            // Not before a minute has passed since the groups' leaders became known.
            try await scene.expect(within: .seconds(150)) { scene.shell?.core.citusStatus?.verification != nil }
            let verification = try #require(scene.shell?.core.citusStatus?.verification)
            #expect(verification.failure == nil && verification.databases.map(\.database) == ["postgres"])
            #expect(scene.records(.citusFinding).contains { $0["CODE"] == "inactive" && $0["GROUP"] == "2" })
            #expect(scene.records(.citusUnverified).isEmpty)
            scene.stop()
        }

        @Test @EventLoop func `where no background worker is free, sessions in the way are waited for in earnest`()
            async throws
        {
            let scene = try await Self.scene(settings: LocalCitus.withoutWorkers)
            try await scene.citus.addStandby()
            let standby = try await PostgresConnection(scene.citus.conninfo("w1s"))
            _ = try await standby.query("select pg_promote()", timeout: .seconds(30))
            try await scene.member(1, "w1s", port: scene.citus.ports[3], role: "replica")
            try scene.start()
            try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 3 }
            let writer = try await PostgresConnection(scene.citus.conninfo("c"))
            _ = try await writer.query("begin")
            _ = try await writer.query("select citus_stand_in.write_to_group('d', 1)")
            // It has failed: the sessions that wait for it are to be terminated at once.
            try await scene.delete("/service/demo/1/members/w1")
            try await scene.lead(1, "w1s")
            try await scene.expect { scene.records(.citusUnforced).count == 1 }
            #expect(scene.records(.citusUnforced)[0]["GROUP"] == "1")
            try await scene.expect { scene.records(.citusUpdateFailed).count == 1 }
            // The next attempt waits for long enough to be told.
            try await scene.expect { scene.records(.citusBlocked).count == 1 }
            #expect(scene.records(.citusUnforced).count == 1)
            _ = try await writer.query("commit")
            try await scene.expect(within: .seconds(20)) { scene.records(.citusUpdated).count == 1 }
            #expect(try await scene.row(1) == scene.place(3))
            scene.stop()
        }
    }
}

extension LogRecord {
    subscript(field: String) -> String? { self.fields.first { $0.name == field }?.value }
}
