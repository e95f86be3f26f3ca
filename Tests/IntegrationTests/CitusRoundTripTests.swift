// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed
import PostgresClient
import TestSupport
import Testing

@testable import CitusCatalog

/// Counts how often what the client says comes after what it has heard.
@EventLoop
private final class RoundTrips: RelayPolicy {
    private(set) var count = 0
    private var hasHeard = true

    func fate(of piece: ArraySlice<UInt8>, _ direction: TCPRelay.Direction) -> TCPRelay.Fate {
        switch direction {
        case .toServer:
            if self.hasHeard { self.count += 1 }
            self.hasHeard = false
        case .toClient: self.hasHeard = true
        }
        return .passed
    }
}

extension IntegrationTests {
    /// How often an update of `pg_dist_node` waits for its server, and what must stay true with several things said at once.
    @Suite(.serialized)
    struct CitusRoundTripTests {
        init() { EventLoop.shared.executor.startThread() }

        /// A coordinator with a relay before it, and rows of 20 groups.
        @EventLoop
        private struct Cluster {
            let citus: LocalCitus
            let session: PostgresConnection
            let relay: TCPRelay
            let port: Int

            init() async throws {
                let citus = try await LocalCitus()
                self.citus = citus
                self.session = try await PostgresConnection(citus.conninfo("c"))
                for statement in CitusCatalog.fenceTable + [
                    "select citus_set_coordinator_host('127.0.0.1', \(citus.ports[0]))",
                    "insert into pg_dist_node (nodeid, groupid, nodename, nodeport) select g + 1, g, 'w' || g, 5432 from generate_series(1, 20) g",
                ] { _ = try await self.session.query(statement) }
                let descriptor = try TCPSocket.listen("127.0.0.1", 0)
                self.port = Int(TCPSocket.port(of: descriptor))
                self.relay = TCPRelay(listening: descriptor, to: "127.0.0.1", UInt16(citus.ports[0])) {
                    .served(RoundTrips())
                }
            }

            /// A connection, and the count of its round trips since.
            func connect() async throws -> (CitusCatalog, () -> Int) {
                let known = self.relay.policies.map { ObjectIdentifier($0) }
                let connection = try await PostgresConnection(
                    "host=127.0.0.1 port=\(self.port) user=postgres dbname=postgres sslmode=disable")
                let mine = try #require(self.relay.policies.first { !known.contains(ObjectIdentifier($0)) })
                let trips = try #require(mine as? RoundTrips)
                let before = trips.count
                return (CitusCatalog(connection), { trips.count - before })
            }

            func names(of groups: ClosedRange<Int>) async throws -> Set<String?> {
                let rows = try await self.session.query(
                    "select nodename from pg_dist_node where groupid between \(groups.lowerBound) and \(groups.upperBound)"
                )
                return Set(rows.map { $0[0] })
            }
        }

        private static func update(
            _ groups: ClosedRange<Int>, to host: String, revision: Int64 = 5, steps: Int = 1
        ) -> CitusUpdate {
            CitusUpdate(
                groups.reversed().map { group in
                    CitusUpdate.Part(
                        group: group,
                        steps: (0..<steps).map { .move(nodeID: group + 1, host: host, port: 7000 + group + 100 * $0) },
                        revision: revision)
                }, etcdCluster: 7)
        }

        @Test @EventLoop func `one group's row is moved in three round trips; each further change costs one`()
            async throws
        {
            let cluster = try await Cluster()
            for (groups, steps, expected) in [(1...1, 1, 3), (1...2, 1, 4), (1...2, 3, 8), (1...20, 1, 24)] {
                let (catalog, trips) = try await cluster.connect()
                let update = Self.update(groups, to: "n\(groups.upperBound)-\(steps)", steps: steps)
                #expect(try await catalog.apply(update) == .applied)
                #expect(trips() == expected && update.roundTrips == expected)
                #expect(try await cluster.names(of: groups) == ["n\(groups.upperBound)-\(steps)"])
            }
            // A hold begins with one and the pause, and is committed in as many as an update.
            let (catalog, trips) = try await cluster.connect()
            #expect(try await catalog.hold(Self.update(1...1, to: ""), nodeID: 2, limit: .seconds(20)) == nil)
            #expect(trips() == 2)
            #expect(try await catalog.commitHeld(Self.update(1...1, to: "held")) == .applied)
            #expect(trips() == 5)
            #expect(try await cluster.names(of: 1...1) == ["held"])
        }

        @Test @EventLoop func `a fence that refuses, the ninth or the twentieth too, keeps all rows and fences`()
            async throws
        {
            let cluster = try await Cluster()
            let (catalog, _) = try await cluster.connect()
            let fences = "select groupid, revision from pharos.citus_fence order by 1"
            for group in [9, 20] {
                #expect(
                    try await catalog.apply(Self.update(group...group, to: "later", revision: 50)) == .applied)
                let before = try await cluster.session.query(fences)
                #expect(
                    try await catalog.apply(Self.update(1...group, to: "past"))
                        == .refused(.olderRevision(group: group, applied: 50)))
                #expect(try await cluster.session.query(fences) == before)
                #expect(try await !cluster.names(of: 1...20).contains("past"))
                // The past of one only.
                _ = try await cluster.session.query("delete from pharos.citus_fence where groupid = \(group)")
            }
        }

        /// The limits are in force before the first fence is waited for, and it is told whose it is.
        @Test(arguments: [1, 2, 12]) @EventLoop
        func `a fence that somebody keeps is waited for as long as the limit says, and is the group's that it is`(
            group: Int
        ) async throws {
            let cluster = try await Cluster()
            let (catalog, _) = try await cluster.connect()
            #expect(try await catalog.apply(Self.update(1...20, to: "first")) == .applied)
            let other = try await PostgresConnection(cluster.citus.conninfo("c"))
            _ = try await other.query("begin")
            _ = try await other.query("update pharos.citus_fence set applied = now() where groupid = \(group)")
            var update = Self.update(1...20, to: "second", revision: 6)
            (update.lockTimeout, update.statementTimeout) = (.milliseconds(100), .seconds(30))
            let error = await #expect(throws: CitusError.self) { try await catalog.apply(update) }
            guard case .change(group, let cause) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(cause.sqlState == "55P03")
            _ = try await other.query("rollback")
            #expect(try await cluster.names(of: 1...20) == ["first"])
            // The same connection serves the next attempt.
            #expect(try await catalog.apply(update) == .applied)
        }

        @Test @EventLoop func `where the gate refuses, no fence is touched or waited for`() async throws {
            let cluster = try await Cluster()
            let worker = try await PostgresConnection(cluster.citus.conninfo("w1"))
            // Citus itself lets no worker make objects that all nodes are to have.
            let here = ["set citus.enable_ddl_propagation = off"]
            for statement in here + CitusCatalog.fenceTable + [
                "update pg_dist_local_group set groupid = 3",
                "insert into pharos.citus_fence (groupid, etcd_cluster, revision) values (1, 7, 4)",
                // No rollback takes this back.
                "create sequence touched",
                "create function touch() returns trigger language plpgsql as $$ begin perform nextval('touched'); return new; end $$",
                "create trigger touch before insert on pharos.citus_fence for each row execute function touch()",
            ] { _ = try await worker.query(statement) }
            let other = try await PostgresConnection(cluster.citus.conninfo("w1"))
            _ = try await other.query("begin")
            _ = try await other.query("update pharos.citus_fence set applied = now()")
            let refused = try await CitusCatalog(worker).apply(Self.update(1...1, to: "new"))
            #expect(refused == .refused(.notCoordinator(group: 3)))
            #expect(try await worker.query("select is_called from touched") == [["f"]])
            // Not where there is no fence, either.
            _ = try await other.query("rollback")
            _ = try await worker.query("drop table pharos.citus_fence")
            #expect(
                try await CitusCatalog(worker).apply(Self.update(1...1, to: "new"))
                    == .refused(.notCoordinator(group: 3)))
            #expect(worker.isUsable)
        }
    }
}
