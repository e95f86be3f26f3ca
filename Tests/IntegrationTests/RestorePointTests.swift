// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import PostgresClient
import Settings
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// A restore point of a coordinator and two workers, real PostgreSQL with the stand-in for Citus or Citus itself.
    @Suite(.serialized)
    struct RestorePointTests {
        init() { EventLoop.shared.executor.startThread() }

        @EventLoop
        private static func make(_ name: String, _ bench: VerifyBench, attempts: Int = 1) async -> Result<
            RestorePoint, RestorePointMaker.Failure
        > {
            guard let maker = RestorePointMaker(bench.settings, progress: { print($0) }) else {
                return .failure(.init(description: "no Citus is configured"))
            }
            do throws(RestorePointMaker.Failure) {
                return .success(try await maker.make(name, attempts: attempts))
            } catch {
                return .failure(error)
            }
        }

        @Test @EventLoop func `a point is on every node, with a marker before it, on record, and made once`()
            async throws
        {
            let bench = try await VerifyBench()
            let point = try await Self.make("nightly-1", bench).get()
            #expect(
                point.isComplete && point.places.map(\.group) == [0, 1, 2]
                    && point.places.map(\.member) == ["c", "w1", "w2"])
            for (name, place) in zip(["c", "w1", "w2"], point.places) {
                let session = try await PostgresConnection(bench.scene.citus.conninfo(name))
                let marker = try await session.query("select id, name, groupid from pharos.restore_points")
                #expect(marker == [[point.id, "nightly-1", "\(place.group)"]])
                // What the server's log says where the point is to be.
                let waldump = try await ChildProcess(
                    [
                        "/usr/lib/postgresql/15/bin/pg_waldump", "-p",
                        (bench.scene.citus.servers[name]?.socketDirectory ?? "") + "/data/pg_wal",
                        "--rmgr=XLOG", place.segment,
                    ], timeout: .seconds(30)
                ).run()
                #expect(waldump.text.contains("RESTORE_POINT nightly-1"))
                #expect(place.segment.count == 24 && place.system.count > 15)
            }
            let list = RestorePointList(bench.settings)
            #expect(try await list.read() == [point])
            guard case .failure(let failure) = await Self.make("nightly-1", bench) else {
                throw TestSupportError("a name was used twice")
            }
            #expect(failure.description.contains("nightly-1 already"))
            let second = try await Self.make("nightly-2", bench).get()
            #expect(try await list.read() == [point, second])
            bench.scene.stop()
        }

        @Test @EventLoop
        func `a commit that is under way anywhere keeps the point from being made, and nothing is left`() async throws {
            let bench = try await VerifyBench()
            let busy = try await PostgresConnection(bench.scene.citus.conninfo("w2"))
            // As a transaction that a worker has begun holds it from its commit record to its commit.
            _ = try await busy.query("begin")
            _ = try await busy.query("insert into pg_dist_transaction values (0, 'citus_2_1_2_3')")
            guard case .failure(let failure) = await Self.make("hourly", bench) else {
                throw TestSupportError("it was made all the same")
            }
            #expect(failure.description.contains("w2") && failure.description.contains("block commits"))
            #expect(try await RestorePointList(bench.settings).read() == [])
            for name in ["c", "w1", "w2"] {
                let session = try await PostgresConnection(bench.scene.citus.conninfo(name))
                #expect(try await session.query("select count(*) from pharos.restore_points") == [["0"]])
                // Commits go on.
                if name != "w2" {
                    _ = try await session.query("insert into pg_dist_transaction values (0, 'citus_9_1_2_3')")
                    _ = try await session.query("delete from pg_dist_transaction where gid = 'citus_9_1_2_3'")
                }
            }
            _ = try await busy.query("rollback")
            #expect(try await Self.make("hourly", bench, attempts: 2).get().isComplete)
            bench.scene.stop()
        }

        @Test @EventLoop
        func `no point is made while a group is not where its row says, or a node lacks the functions`() async throws {
            let bench = try await VerifyBench()
            try await bench.on("w1", ["revoke execute on function pharos.make_restore_point from pharos"])
            guard case .failure(let failure) = await Self.make("a", bench) else {
                throw TestSupportError("it was made")
            }
            #expect(failure.description.contains("w1") && failure.description.contains("pharos grant-sql --restore"))
            try await bench.on("w1", ["grant execute on function pharos.make_restore_point to pharos"])
            bench.scene.citus.servers["w2"]?.freeze()
            guard case .failure(let other) = await Self.make("a", bench) else { throw TestSupportError("it was made") }
            bench.scene.citus.servers["w2"]?.thaw()
            #expect(other.description.contains("row-unreachable"))
            #expect(try await Self.make("a", bench).get().isComplete)
            bench.scene.stop()
        }
    }
}
