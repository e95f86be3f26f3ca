// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import PostgresClient
import Settings
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// docs/restore.md, with real base backups and archives: a coordinator and two workers, the stand-in for Citus or Citus itself. Only
    /// Citus itself has transactions over several nodes, and so something to lose half of.
    @Suite(.serialized)
    struct RestorePlayTests {
        init() { EventLoop.shared.executor.startThread() }

        private static let names = ["c", "w1", "w2"]

        /// A cluster with base backups, and two restore points; writers go on all the time.
        @EventLoop
        private final class Play {
            let bench: VerifyBench
            let citus: LocalCitus
            private var isWriting = true
            /// Pairs that were acknowledged, before the second point was asked for and before the first.
            private(set) var pairs: [Int: Int] = [:]
            private var writers: [Task<Void, Never>] = []
            /// The servers that have the backups, and run no more once their place was taken.
            let backups: [String: LocalPostgres]

            init() async throws {
                let bench = try await VerifyBench()
                self.bench = bench
                self.citus = bench.scene.citus
                for statement in [
                    "create table pairs (key bigint primary key, pair bigint)",
                    "select citus_stand_in.distribute('pairs', 8)",
                    "create table r (k integer)", "select citus_stand_in.reference('r')",
                    "select citus_stand_in.share_shards()",
                ] { _ = try await bench.scene.session.query(statement, timeout: .seconds(30)) }
                self.backups = bench.scene.citus.servers
                for (_, server) in bench.scene.citus.servers { try await server.takeBackup() }
                guard LocalCitus.isReal else { return }
                // Through the coordinator, and through a worker.
                for (number, name) in ["c", "w1", "c", "w2"].enumerated() {
                    self.writers.append(EventLoop.task { await self.write(number, through: name) })
                }
            }

            /// Each transaction writes two rows, as a rule on two nodes: both are there or none is.
            private func write(_ number: Int, through name: String) async {
                do {
                    let session = try await PostgresConnection(self.citus.conninfo(name))
                    var pair = number * 1_000_000
                    while self.isWriting {
                        pair += 1
                        _ = try await session.query(
                            "insert into pairs values (\(pair) * 7, \(pair)), (\(pair) * 7 + 1, \(pair))",
                            timeout: .seconds(20))
                        self.pairs[number] = pair - number * 1_000_000
                    }
                } catch {
                    Issue.record("writer \(number): \(error)")
                }
            }

            /// Begins to move a shard between the workers; nil: the stand-in moves none.
            func moveShard() async throws -> Task<Void, Never>? {
                guard LocalCitus.isReal else { return nil }
                let sql = """
                    select citus_move_shard_placement(min(s.shardid), '127.0.0.1', \(self.citus.ports[1]), '127.0.0.1', \(self.citus.ports[2]), 'force_logical')
                    from pg_dist_shard s join pg_dist_placement p using (shardid)
                    where s.logicalrelid = 'pairs'::regclass and p.groupid = 1
                    """
                let session = try await PostgresConnection(self.citus.conninfo("c"))
                let move = EventLoop.task {
                    do {
                        _ = try await session.query(sql, timeout: .seconds(60))
                    } catch {
                        // It may give way to the point.
                        print("the move: \(error)")
                    }
                }
                let isUnderWay = try await eventually(within: .seconds(20)) {
                    try await self.count(
                        "select count(*) from pg_replication_slots where slot_name ~ '^citus_shard_move'", on: "w1") > 0
                }
                #expect(isUnderWay)
                return move
            }

            func stopWriting() async {
                self.isWriting = false
                for writer in self.writers { await writer.value }
            }

            func point(_ name: String) async throws -> RestorePoint {
                guard let maker = RestorePointMaker(self.bench.settings, progress: { print($0) }) else {
                    throw TestSupportError("no Citus is configured")
                }
                return try await maker.make(name, attempts: 5)
            }

            /// Until every node's archive has the point.
            func archived(_ point: RestorePoint) async throws {
                let list = RestorePointList(self.bench.settings)
                let isThere = try await eventually(within: .seconds(60)) {
                    try await list.refreshed().points.first { $0.id == point.id }?.isArchived == true
                }
                #expect(isThere)
            }

            func walk() async throws -> (proof: RestorePointProof?, findings: [Finding]) {
                // The coordinator's server is another one by now, with a socket of its own.
                let verifier = try #require(ClusterVerifier(try self.bench.scene.settings(.own)))
                let found = try #require(await verifier.verified(isDeep: true, isAfterRestore: true).first)
                return (
                    found.facts.restorePoint,
                    found.findings.filter { $0.severity > .note || $0.code.isOfTheUnseen }
                )
            }

            /// What a person is told to do about transactions that were left prepared.
            func settle(_ findings: [Finding]) async throws {
                for finding in findings where finding.code == .orphanedPrepared {
                    guard case .server(let place)? = finding.remedy.place else {
                        throw TestSupportError("no server: \(finding.remedy)")
                    }
                    guard let index = self.citus.ports.firstIndex(of: place.port) else {
                        throw TestSupportError("no server at \(place)")
                    }
                    let name = RestorePlayTests.names[index]
                    try await self.bench.on(name, finding.remedy.sql)
                }
            }

            func count(_ sql: String, on name: String = "c") async throws -> Int {
                let session = try await PostgresConnection(self.citus.conninfo(name))
                return Int(try await session.query(sql, timeout: .seconds(30)).first?.first.flatMap { $0 } ?? "") ?? -1
            }
        }

        @Test @EventLoop func `all nodes at one point may be opened, and every pair of rows is whole`() async throws {
            let play = try await Play()
            try await EventLoop.sleep(for: .seconds(1))
            _ = try await play.point("early")
            try await EventLoop.sleep(for: .seconds(1))
            let move = try await play.moveShard()
            let before = play.pairs
            let point = try await play.point("hourly")
            let after = play.pairs
            try await EventLoop.sleep(for: .seconds(1))
            await play.stopWriting()
            await move?.value
            try await play.archived(point)
            for name in RestorePlayTests.names {
                try await play.citus.restore(name, from: try #require(play.backups[name]), to: "hourly")
            }
            var (proof, findings) = try await play.walk()
            guard case .proven(let marker)? = proof else {
                throw TestSupportError("\(String(describing: proof)): \(findings.map(\.evidence))")
            }
            #expect(marker.id == point.id && marker.name == "hourly")
            print("\(findings.count) transactions in doubt; \(findings.map(\.evidence))")
            // What a move that was under way has left, on Citus itself.
            let ofMove: Set<Finding.Code> = LocalCitus.isReal ? [.cleanupPending, .moveLeftovers, .shardLeftovers] : []
            findings.removeAll { ofMove.contains($0.code) }
            #expect(findings.allSatisfy { $0.code == .orphanedPrepared && !$0.remedy.sql.isEmpty })
            try await play.settle(findings)
            (proof, findings) = try await play.walk()
            #expect(findings.filter { !ofMove.contains($0.code) } == [])
            if LocalCitus.isReal {
                #expect(
                    try await play.count(
                        "select count(*) from (select pair from pairs group by pair having count(*) <> 2) p") == 0)
                for (number, low) in before {
                    let there = try await play.count(
                        "select count(distinct pair) from pairs where pair / 1000000 = \(number)")
                    // All that was acknowledged before the point was asked for, and nothing that was begun after it.
                    #expect(
                        there >= low && there <= after[number, default: 0] + 1,
                        "writer \(number): \(low) \(there) \(after)")
                }
            }
            play.bench.scene.stop()
        }

        @Test @EventLoop func `a node behind, a node at the end of its log, and a coordinator alone are refused`()
            async throws
        {
            let play = try await Play()
            let early = try await play.point("early")
            try await EventLoop.sleep(for: .seconds(1))
            let point = try await play.point("hourly")
            await play.stopWriting()
            try await play.archived(point)
            #expect(early.isComplete)
            let backups = play.backups
            // The coordinator alone, at an earlier point.
            try await play.citus.restore("c", from: try #require(backups["c"]), to: "early")
            let alone = try await play.walk()
            #expect(alone.findings.map(\.code).contains(.restorePointsDiffer))
            guard case .different(let places)? = alone.proof else {
                throw TestSupportError("\(String(describing: alone.proof))")
            }
            #expect(places[0].contains("\"early\"") && places[1].contains("was not restored"))
            // All at one point, but for one node that is behind: nobody has made a table in between.
            try await play.citus.restore("c", from: try #require(backups["c"]), to: "hourly")
            try await play.citus.restore("w1", from: try #require(backups["w1"]), to: "hourly")
            try await play.citus.restore("w2", from: try #require(backups["w2"]), to: "early")
            let behind = try await play.walk()
            #expect(behind.findings.map(\.code).contains(.restorePointsDiffer))
            // And one that was restored to the end of its log.
            try await play.citus.restore("w2", from: try #require(backups["w2"]), to: nil)
            let ahead = try await play.walk()
            #expect(ahead.findings.map(\.code).contains(.restorePointsDiffer))
            #expect(ahead.findings.contains { $0.evidence.contains("no recovery target specified") })
            play.bench.scene.stop()
        }

        /// The same as below, with the stand-in: a move is played step by step, and the cleaner is let once.
        @Test(.enabled(if: !LocalCitus.isReal)) @EventLoop
        func `a coordinator alone at an earlier point forgets a move, and its cleaner would drop the only copy`()
            async throws
        {
            let play = try await Play()
            let shard = try await play.count(
                "select min(shardid) from pg_dist_placement join pg_dist_shard using (shardid) where logicalrelid = 'pairs'::regclass and groupid = 1"
            )
            try await play.bench.on("w1", ["insert into pairs_\(shard) values (1, 1), (2, 1)"])
            // What a move notes first, so that a copy that was not finished is removed.
            try await play.bench.on(
                "c", ["insert into pg_dist_cleanup values (1, 1, 1, 'public.pairs_\(shard)', 2, 1)"])
            let early = try await play.point("early")
            // The move comes to its end.
            try await play.bench.on(
                "w2",
                [
                    "create table pairs_\(shard) (key bigint, pair bigint)",
                    "insert into pairs_\(shard) values (1, 1), (2, 1)",
                ])
            for name in Self.names {
                try await play.bench.on(name, ["update pg_dist_placement set groupid = 2 where shardid = \(shard)"])
            }
            try await play.bench.on("c", ["delete from pg_dist_cleanup"])
            try await play.bench.on("w1", ["drop table pairs_\(shard)"])
            try await play.archived(early)

            try await play.citus.restore("c", from: try #require(play.backups["c"]), to: "early")
            let codes = Set(try await play.walk().findings.map(\.code))
            #expect(codes.isSuperset(of: [.restorePointsDiffer, .cleanupPending, .placementsDiffer]), "\(codes)")
            // The daemons are off, as step 3 of docs/restore.md has them.
            #expect(try await play.count("select citus_stand_in.clean_up()") == 0)
            #expect(try await play.count("select count(*) from pairs_\(shard)", on: "w2") == 2)
            let session = try await PostgresConnection(play.citus.conninfo("c"))
            _ = try await session.query("set citus.defer_shard_delete_interval = '15s'")
            #expect(try await session.query("select citus_stand_in.clean_up()", timeout: .seconds(20)) == [["1"]])
            #expect(
                try await play.count("select count(*) from pg_class where relname = 'pairs_\(shard)'", on: "w2") == 0,
                "were this to fail, step 3 of docs/restore.md asks for more than it has to")
            play.bench.scene.stop()
        }

        /// The stand-in moves no shards.
        @Test(.enabled(if: LocalCitus.isReal)) @EventLoop
        func `a coordinator alone at an earlier point loses a shard that was moved since, once its clean-up is let`()
            async throws
        {
            let play = try await Play()
            let shard = try await play.count(
                """
                select min(shardid) from pg_dist_placement join pg_dist_shard using (shardid)
                where logicalrelid = 'pairs'::regclass and groupid = 1
                """)
            let move = try await play.moveShard()
            let isNoted = try await eventually(within: .seconds(20)) {
                try await play.count(
                    "select count(*) from pg_dist_cleanup where node_group_id = 2 and object_name ~ 'pairs_\(shard)$'")
                    > 0
            }
            #expect(isNoted)
            // A transaction that writes to the shard keeps the move from its end.
            let keeper = try await PostgresConnection(play.citus.conninfo("c"))
            let key = try await play.count(
                "select min(k) from generate_series(-1000, -1) k where get_shard_id_for_distribution_column('pairs', k) = \(shard)"
            )
            for statement in ["begin", "insert into pairs values (\(key), \(key))"] {
                _ = try await keeper.query(statement, timeout: .seconds(10))
            }
            let early = try await play.point("early")
            _ = try await keeper.query("commit", timeout: .seconds(10))
            await move?.value
            let placed = "select groupid from pg_dist_placement where shardid = \(shard)"
            if try await play.count(placed) == 1 {
                // It gave way to the point.
                try await play.bench.on(
                    "c",
                    [
                        "select citus_move_shard_placement(\(shard), '127.0.0.1', \(play.citus.ports[1]), '127.0.0.1', \(play.citus.ports[2]), 'block_writes')"
                    ])
            }
            try await play.bench.on("c", ["call citus_cleanup_orphaned_resources()"])
            await play.stopWriting()
            try await play.archived(early)
            let rows = "select count(*) from pairs_\(shard)"
            let all = try await play.count(rows, on: "w2")
            #expect(try await play.count(placed) == 2)
            #expect(
                try await play.count("select count(*) from pg_class where relname = 'pairs_\(shard)'", on: "w1") == 0)
            #expect(all > 0)

            try await play.citus.restore("c", from: try #require(play.backups["c"]), to: "early")
            let walk = try await play.walk()
            let codes = Set(walk.findings.map(\.code))
            // It looks for the shard where it was, and would drop it where it is.
            #expect(codes.isSuperset(of: [.restorePointsDiffer, .cleanupPending, .placementsDiffer]), "\(codes)")
            #expect(try await play.count(rows, on: "w2") == all, "with its daemons off nothing is lost")
            // What the daemon calls when it is let.
            try await play.bench.on("c", ["call citus_cleanup_orphaned_resources()"])
            #expect(
                try await play.count("select count(*) from pg_class where relname = 'pairs_\(shard)'", on: "w2") == 0,
                "were this to fail, step 3 of docs/restore.md asks for more than it has to")
            print("\(all) rows were in the only copy of shard \(shard)")
            play.bench.scene.stop()
        }
    }
}
