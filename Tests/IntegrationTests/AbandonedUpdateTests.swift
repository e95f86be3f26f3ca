// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import PostgresClient
import TestSupport
import Testing

@testable import CitusCatalog
@testable import Shell

extension IntegrationTests {
    /// Updates of `pg_dist_node` of whose end nobody hears, against the stand-in for Citus.
    @Suite(.serialized)
    struct AbandonedUpdateTests {
        init() { EventLoop.shared.executor.startThread() }

        @EventLoop
        private static func cluster() async throws -> (citus: LocalCitus, session: PostgresConnection) {
            let citus = try await LocalCitus()
            let session = try await PostgresConnection(citus.conninfo("c"))
            for statement in CitusCatalog.fenceTable + [
                "select citus_set_coordinator_host('127.0.0.1', \(citus.ports[0]))",
                "select citus_add_node('127.0.0.1', \(citus.ports[1]))",
                "select citus_add_node('127.0.0.1', \(citus.ports[2]))",
                "create table d (a integer)", "select citus_stand_in.distribute('d', 8)",
            ] { _ = try await session.query(statement) }
            return (citus, session)
        }

        private static func update(to host: String, revision: Int64) -> CitusUpdate {
            var update = CitusUpdate(
                [
                    CitusUpdate.Part(
                        group: 1, steps: [.move(nodeID: 2, host: host, port: 6432)], revision: revision)
                ], etcdCluster: 7)
            (update.lockTimeout, update.statementTimeout) = (.seconds(60), .seconds(60))
            return update
        }

        /// Until `query` answers no row, or for half a minute.
        @EventLoop
        private static func untilNone(_ query: String, _ session: PostgresConnection) async throws {
            let deadline = Instant.now + .seconds(30)
            while try await !session.query(query).isEmpty, Instant.now < deadline {
                try await EventLoop.sleep(for: .milliseconds(50))
            }
            #expect(try await session.query(query).isEmpty)
        }

        /// Of a shard, and of what is said in one piece with the transaction's beginning. Citus itself reads its local group with the
        /// first statement of a session, whatever that is: who waits for that has no limits yet (Tests/CitusStandIn/README.md).
        private nonisolated static let locks =
            [
                "select citus_stand_in.write_to_group('d', 1)",
                "lock table pharos.citus_fence in access exclusive mode",
            ] + (LocalCitus.isReal ? [] : ["lock table pg_dist_local_group in access exclusive mode"])

        @Test(arguments: locks)
        @EventLoop
        func `one that is abandoned while it waits for a lock ends on the server, and changes nothing`(
            lock: String
        ) async throws {
            let (citus, session) = try await Self.cluster()
            let before = try await session.query("select nodename, nodeport from pg_dist_node order by nodeid")
            let writer = try await PostgresConnection(citus.conninfo("c"))
            _ = try await writer.query("begin")
            _ = try await writer.query(lock)
            let connection = try await PostgresConnection(citus.conninfo("c"))
            let (pid, update) = (connection.backendPID, Self.update(to: "new", revision: 5))
            let answer = await ConnectionUse.run(within: .seconds(2), late: "unknown") { use in
                do throws(CitusError) {
                    try use.begin(connection)
                    return "\(try await CitusCatalog(connection).apply(update))"
                } catch { return "failed" }
            }
            #expect(answer == "unknown")
            // Long before the locks are free, or its own limits have passed.
            try await Self.untilNone("select 1 from pg_stat_activity where pid = \(pid)", session)
            _ = try await writer.query("rollback")
            #expect(try await session.query("select nodename, nodeport from pg_dist_node order by nodeid") == before)
            #expect(try await session.query("select 1 from pharos.citus_fence").isEmpty)
            // The next one is not in its way.
            #expect(try await CitusCatalog(session).apply(Self.update(to: "next", revision: 5)) == .applied)
        }

        @Test @EventLoop func `one that is stuck between two statements is ended by the server`() async throws {
            let (citus, session) = try await Self.cluster()
            let connection = try await PostgresConnection(citus.conninfo("c"))
            var update = Self.update(to: "new", revision: 5)
            update.statementTimeout = .seconds(1)
            #expect(try await CitusCatalog(connection).refusal(of: update, idle: .seconds(1), begins: true) == nil)
            try await Self.untilNone("select 1 from pg_stat_activity where pid = \(connection.backendPID)", session)
        }
    }
}
