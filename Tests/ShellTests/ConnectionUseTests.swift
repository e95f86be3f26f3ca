// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import PostgresClient
import TestSupport
import Testing

@testable import Shell

/// Calls on a database that do not come back.
@Suite(.serialized)
struct ConnectionUseTests {
    init() { EventLoop.shared.executor.startThread() }

    /// A server that lets everybody in and answers nothing; told when a connection has been ended from the other side.
    @EventLoop
    private final class Silence {
        private(set) var ended = 0
        private var server: ScriptedServer?
        var conninfo: String { "host=127.0.0.1 port=\(self.server?.port ?? 0) user=a dbname=a sslmode=disable" }
        var connectionCount: Int { self.server?.connectionCount ?? 0 }

        init() throws {
            self.server = try ScriptedServer { [weak self] connection in
                _ = try await connection.read()
                // AuthenticationOk and ReadyForQuery.
                try await connection.write([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5A, 0, 0, 0, 5, 0x49])
                do { while let bytes = try await connection.read(), !bytes.isEmpty {} } catch {}
                self?.ended += 1
            }
        }

        /// Many tests run at a time: some connections time out.
        func connection() async throws -> PostgresConnection {
            let deadline = Instant.now + .seconds(60)
            while true {
                do throws(PostgresError) { return try await PostgresConnection(self.conninfo) } catch {
                    guard Instant.now < deadline else { throw error }
                }
            }
        }

        func database() -> CoordinatorDatabase {
            CoordinatorDatabase(
                "app", conninfo: self.conninfo,
                nodes: NodeConnections(conninfo: self.conninfo, database: "app", resolver: HostResolver()),
                deliver: { _ in })
        }
    }

    private static func isWithin(_ limit: Duration, _ begin: Instant) -> Bool { Instant.now - begin < limit }

    @Test @EventLoop func `a call that does not end is answered for at its limit, and its connection is ended before`()
        async throws
    {
        let server = try Silence()
        let connection = try await server.connection()
        var wasCancelled = false
        let answer = await ConnectionUse.run(within: .milliseconds(200), late: "late") { use in
            do {
                try use.begin(connection)
                try await EventLoop.sleep(for: .seconds(600))
            } catch { wasCancelled = true }
            return "in time"
        }
        #expect(answer == "late" && !connection.isUsable)
        // Whatever it does now reaches nobody.
        await #expect(throws: PostgresError.self) { try await connection.query("commit") }
        try await waitUntil { server.ended > 0 && wasCancelled }
    }

    @Test @EventLoop func `a connection that comes when the call's time is over is ended`() async throws {
        let server = try Silence()
        let connection = try await server.connection()
        var failure: CitusError?
        var hasEnded = false
        let answer = await ConnectionUse.run(within: .milliseconds(50), late: "late") { use in
            do { try await EventLoop.sleep(for: .seconds(600)) } catch {}
            do throws(CitusError) { try use.begin(connection) } catch { failure = error }
            hasEnded = true
            return "in time"
        }
        #expect(answer == "late")
        try await waitUntil { hasEnded }
        #expect(failure != nil && !connection.isUsable)
    }

    @Test @EventLoop func `a call that ends in time keeps its connection`() async throws {
        let server = try Silence()
        let connection = try await server.connection()
        let answer = await ConnectionUse.run(within: .seconds(60), late: "late") { use in
            do throws(CitusError) { try use.begin(connection) } catch {}
            return "in time"
        }
        #expect(answer == "in time" && connection.isUsable)
    }

    @Test @EventLoop func `one of each kind waits for its turn, and who comes meanwhile is told at once`() async throws
    {
        let turns = Turns<String>()
        var order: [String] = []
        func take(_ kind: String, _ name: String) -> Task<String, Never> {
            EventLoop.task {
                await turns.take(kind, busy: "busy") {
                    order.append(name)
                    do { try await EventLoop.sleep(for: .milliseconds(50)) } catch {}
                    return name
                }
            }
        }
        let tasks = [("rows", "1"), ("rows", "2"), ("rows", "3"), ("update", "4"), ("update", "5")].map(take)
        var answers: [String] = []
        for task in tasks { answers.append(await task.value) }
        #expect(answers == ["1", "2", "busy", "4", "busy"] && order == ["1", "2", "4"])
        #expect(await take("rows", "6").value == "6", "the turns go on")
    }

    @Test @EventLoop func `questions to a database that does not answer do not pile up`() async throws {
        let server = try Silence()
        let database = server.database()
        let begin = Instant.now
        let tasks = (0..<20).map { _ in EventLoop.task { await database.readRows(askedAt: begin) } }
        var busy = 0
        for task in tasks.dropFirst(2) {
            if case .rowsUnread(_, "an earlier question is still waiting") = await task.value { busy += 1 }
        }
        #expect(busy == 18 && Self.isWithin(.seconds(2), begin))
        for task in tasks.prefix(2) {
            guard case .rowsUnread(_, let reason) = await task.value else {
                Issue.record("it was read")
                continue
            }
            #expect(reason != "an earlier question is still waiting")
        }
        #expect(server.connectionCount <= 2)
    }

    @Test @EventLoop func `one call at a time has the kept connection, whatever asks for it`() async throws {
        let server = try Silence()
        var (inUse, most, calls) = (0, 0, 0)
        let kept = KeptConnection(
            open: { () async throws(PostgresError) in try await PostgresConnection(server.conninfo) },
            prepare: { _ in true })
        func use(_ kind: KeptConnection.Kind, _ limit: Duration = .seconds(60), stays: Bool = false) -> Task<
            String, Never
        > {
            EventLoop.task {
                await kept.use(
                    for: kind, within: limit, busy: "busy", late: "late", failed: { $0.reason },
                    { connection in
                        (inUse, calls) = (inUse + 1, calls + 1)
                        most = max(most, inUse)
                        do { try await EventLoop.sleep(for: stays ? .seconds(600) : .milliseconds(20)) } catch {}
                        inUse -= 1
                        return connection.isUsable ? "done" : "ended"
                    })
            }
        }
        let tasks = (0..<20).flatMap { _ in [use(.rows), use(.update)] }
        var answers: [String] = []
        for task in tasks { answers.append(await task.value) }
        #expect(most == 1 && calls == answers.count { $0 == "done" } && calls >= 2 && server.connectionCount == 1)
        #expect(answers.allSatisfy { ["done", "busy"].contains($0) })
        // One that does not end is ended with its connection; the next one has another.
        let (stuck, next) = (use(.rows, .milliseconds(200), stays: true), use(.update))
        #expect(await stuck.value == "late")
        #expect(await next.value == "done")
        #expect(server.connectionCount == 2)
        try await waitUntil { server.ended == 1 && inUse == 0 }
    }

    @Test @EventLoop func `of many nodes only so many are asked side by side, and each is answered for in its order`()
        async
    {
        var (inUse, most) = (0, 0)
        let answers = await inBatches(Array(0..<10), of: 4) { number in
            inUse += 1
            most = max(most, inUse)
            do { try await EventLoop.sleep(for: .milliseconds(10)) } catch {}
            inUse -= 1
            return number
        }
        #expect(answers == Array(0..<10) && most == 4 && inUse == 0)
        #expect(await inBatches([Int](), of: 4) { $0 } == [])
    }

    @Test func `the core waits for an update until the shell and the server have surely ended it`() {
        let (place, authority) = (NodeEndpoint("a", 1), GroupAuthority(clusterID: 1, revision: 1))
        // A swap of three moves and a pool is the most that one update changes.
        let changes: [RowChange] = [
            .move(id: 1, from: place, place), .move(id: 2, from: place, place), .move(id: 1, from: place, place),
            .pool(id: 1, "a"),
        ]
        for blockers in [RowUpdate.Blockers.wait, .terminate(after: .zero), .terminate(after: .seconds(1))] {
            let update = CitusUpdate([
                RowUpdate(group: 1, changes: changes, authority: authority, blockers: blockers)
            ])
            #expect(update.statementTimeout <= .seconds(7))
            #expect(
                update.limit + update.statementTimeout <= AnswerLimits().update + AnswerLimits.change * changes.count)
        }
    }
}
