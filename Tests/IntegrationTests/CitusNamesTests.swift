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
    /// Rows of `pg_dist_node` that name a server otherwise than Patroni does.
    @Suite(.serialized)
    struct CitusNamesTests {
        init() { EventLoop.shared.executor.startThread() }

        /// CIT-01: nothing has failed over, and somebody writes while the daemon starts.
        @Test @EventLoop
        func `a row by a name that leads to the leader is right: nothing is changed, no session ended`()
            async throws
        {
            let scene = try await CitusScene()
            let grants = CitusGrants(writes: true, secondaries: false, pools: false)
            for (_, sql) in grants.statements(role: CitusScene.role) { _ = try await scene.session.query(sql) }
            try await scene.citus.shareRole(CitusScene.role)
            _ = try await scene.session.query("update pg_dist_node set nodename = 'localhost' where groupid = 1")
            let writer = try await PostgresConnection(scene.citus.conninfo("c"))
            _ = try await writer.query("begin")
            _ = try await writer.query("select citus_stand_in.write_to_group('d', 1)")

            try scene.start()
            try await scene.expect { scene.shell?.core.citusStatus?.databases.first?.rowCount == 3 }
            // Longer than it settles, and than the first attempts take.
            try await EventLoop.sleep(for: .seconds(6))
            #expect(try await scene.row(1) == "localhost:\(scene.citus.ports[1])")
            let said: Set<LogKind> = [.citusDrift, .citusBlocked, .citusUpdateFailed, .citusUpdated, .citusRefused]
            let told = scene.records.filter { said.contains($0.kind) }
            #expect(told.isEmpty, "\(told.map(\.message))")
            let database = try #require(scene.shell?.core.citusStatus?.databases.first)
            #expect(database.drifts.isEmpty && database.refusals.isEmpty)
            _ = try await writer.query("commit")
            scene.stop()
        }
    }
}
