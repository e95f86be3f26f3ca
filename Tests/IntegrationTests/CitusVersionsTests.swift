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
    /// What the daemon makes of a version that lacks something: the stand-in without it.
    @Suite(.serialized, .enabled(if: !LocalCitus.isReal))
    struct CitusVersionsTests {
        init() { EventLoop.shared.executor.startThread() }

        @EventLoop
        private static func scene() async throws -> CitusScene {
            let scene = try await CitusScene()
            let grants = CitusGrants(writes: true, secondaries: false, pools: false)
            for (_, sql) in grants.statements(role: CitusScene.role) { _ = try await scene.session.query(sql) }
            try await scene.citus.shareRole(CitusScene.role)
            return scene
        }

        @Test @EventLoop func `the writer knows what runs, and tells what it cannot do with it`() async throws {
            let scene = try await Self.scene()
            for statement in LocalCitus.pretendedVersion("12.0-1") { _ = try await scene.session.query(statement) }
            try scene.start()
            try await scene.expect { scene.records(.citusVersions).count == 1 }
            let told = try #require(scene.records(.citusVersions).first)
            #expect(told["VERSION"]?.hasPrefix("Citus 12.0-1 on PostgreSQL 15.") == true)
            #expect(told["REASON"] == VersionLimit.holdsNothing.text)
            let versions = scene.shell?.core.citusStatus?.databases.first?.versions
            #expect(versions?.citus == "12.0-1" && versions?.postgres.hasPrefix("15.") == true)
            // The next connection finds another one, as after an upgrade.
            for statement in LocalCitus.pretendedVersion("13.2-1") { _ = try await scene.session.query(statement) }
            _ = try await scene.session.query(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = '\(CitusScene.role)'")
            try await scene.expect(within: .seconds(40)) { scene.records(.citusVersions).count == 2 }
            #expect(scene.records(.citusVersions)[1]["REASON"] == "")
            scene.stop()
        }

        @Test @EventLoop func `before Citus 12.1 nothing is held, and that is said`() async throws {
            let scene = try await Self.scene()
            _ = try await scene.session.query("drop function citus_pause_node_within_txn")
            try scene.start()
            try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 3 }
            try await scene.put(scene.key(1, "failover"), #"{"leader":"w1","member":"w1s"}"#)
            try await scene.expect { scene.records(.citusHoldEnded).count == 1 }
            #expect(
                scene.records(.citusHoldEnded)[0]["REASON"]
                    == "Citus before 12.1 cannot let writes wait: those to the old leader fail")
            #expect(scene.records(.citusHolding).isEmpty)
            _ = try await scene.session.query("select citus_stand_in.write_to_group('d', 1)")
            scene.stop()
        }
    }
}
