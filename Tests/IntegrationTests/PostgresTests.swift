// SPDX-License-Identifier: Apache-2.0
import CPostgres
import EventLoop
import TestSupport
import Testing

@testable import PostgresClient

/// The error that `operation` throws.
@EventLoop
private func failure(_ operation: @EventLoop () async throws -> Void) async -> PostgresError? {
    await #expect(throws: PostgresError.self) { try await operation() }
}

extension IntegrationTests {
    @Suite(.serialized)
    struct PostgresTests {
        init() { EventLoop.shared.executor.startThread() }

        @Test(arguments: [
            ("user=pharos", false), ("user=pharos dbname=app", true), ("postgresql://pharos@h/app", true),
            ("postgresql://pharos@h", false), ("", false), ("no conninfo", false),
        ]) func `a conninfo names a database, or does not`(conninfo: String, names: Bool) {
            #expect(PostgresConnection.namesDatabase(conninfo) == names)
        }

        @Test(
            arguments: [
                ("host=/nonexistent", [], "disable"), ("host=/nonexistent gssencmode=prefer", [], "prefer"),
                ("postgresql:///d?host=/nonexistent&gssencmode=prefer", [], "prefer"),
                ("host=/nonexistent gssencmode=prefer", [("gssencmode", "disable")], "disable"),
            ] as [(String, [(keyword: String, value: String)], String)])
        @EventLoop func `there is no encryption by GSSAPI unless somebody says so`(
            conninfo: String, options: [(keyword: String, value: String)], expected: String
        ) throws {
            let connection = try #require(PostgresConnection.start(conninfo, options))
            defer { PQfinish(connection) }
            // What libpq itself holds to be in effect.
            let parameters = try #require(PQconninfo(connection))
            defer { PQconninfoFree(parameters) }
            var parameter = parameters
            while let keyword = parameter.pointee.keyword, String(cString: keyword) != "gssencmode" { parameter += 1 }
            #expect(parameter.pointee.val.map { String(cString: $0) } == expected)
        }

        /// A server that accepts connections.
        @EventLoop
        private func server() async throws -> LocalPostgres {
            let server = try await LocalPostgres()
            let deadline = ContinuousClock.now + .seconds(30)
            while true {
                do throws(PostgresError) {
                    _ = try await PostgresConnection(server.conninfo)
                    return server
                } catch {
                    #expect(error.kind == .connection)
                    guard ContinuousClock.now < deadline else { throw error }
                    try await EventLoop.sleep(for: .milliseconds(20))
                }
            }
        }

        @Test @EventLoop func `statements, parameters, errors and limits`() async throws {
            let server = try await self.server()
            let connection = try await PostgresConnection(server.conninfo)
            let rows = try await connection.query(
                "select $1::int + 1, $2::text, $3::text, ''",
                parameters: ["41", nil, "é'\"\n"]
            )
            #expect(rows == [["42", nil, "é'\"\n", ""]])
            #expect(try await connection.query("select current_setting('application_name')") == [["pharos"]])
            #expect(try await connection.query("select 1 where false") == [])
            #expect(try await connection.query("") == [])
            #expect(try await connection.query("create table t (a int)") == [])
            #expect(try await connection.query("do $$ begin raise notice 'quiet'; end $$") == [])
            #expect(connection.notices == [PostgresNotice(severity: "NOTICE", message: "quiet")])
            _ = try await connection.query("do $$ begin raise warning '%', repeat('é', 4000); end $$")
            #expect(connection.notices.map(\.severity) == ["WARNING"])
            #expect(connection.notices[0].message.utf8.count == PostgresNotice.limit)
            _ = try await connection.query("do $$ begin for n in 1..100 loop raise notice '%', n; end loop; end $$")
            #expect(connection.notices.map(\.message) == (1...PostgresNotice.countLimit).map(String.init))
            #expect(try await connection.query("select 1") == [["1"]])
            #expect(connection.notices.isEmpty, "those of the statement before")
            // Also of one that fails.
            _ = await failure {
                _ = try await connection.query("do $$ begin raise warning 'first'; raise exception 'then'; end $$")
            }
            #expect(connection.notices == [PostgresNotice(severity: "WARNING", message: "first")])
            let huge = String(repeating: "x", count: 3 << 20)
            #expect(try await connection.query("select length($1)", parameters: [huge]) == [["\(3 << 20)"]])
            let division = await failure { _ = try await connection.query("select 1/0") }
            #expect(division?.kind == .query(sqlState: "22012") && division?.message == "division by zero")
            let syntax = await failure { _ = try await connection.query("selec 1") }
            #expect(syntax?.kind == .query(sqlState: "42601"))
            // The first rows come before the error.
            let late = await failure { _ = try await connection.query("select 1/(5-n) from generate_series(1, 9) n") }
            #expect(late?.kind == .query(sqlState: "22012"))
            #expect(connection.isUsable)
            #expect(try await connection.query("select n from generate_series(1, 10000) n").count == 10000)
            let rowsOver = await failure { _ = try await connection.query("select generate_series(1, 10001)") }
            #expect(rowsOver?.kind == .resultTooLarge && !connection.isUsable)
            #expect(await failure { _ = try await connection.query("select 1") }?.kind == .connection)
            let other = try await PostgresConnection(server.conninfo)
            let bytesOver = await failure {
                _ = try await other.query("select repeat('x', 1000) from generate_series(1, 99)", byteLimit: 50_000)
            }
            #expect(bytesOver?.kind == .resultTooLarge)
            let copying = try await PostgresConnection(server.conninfo)
            #expect(await failure { _ = try await copying.query("copy t to stdout") }?.kind == .connection)
        }

        @Test @EventLoop func `statements that are sent together`() async throws {
            let server = try await self.server()
            let connection = try await PostgresConnection(server.conninfo)
            let all = try await connection.pipeline([
                PostgresStatement("create table t (a int primary key)"),
                PostgresStatement("insert into t select $1::int returning a, null", ["7"]),
                PostgresStatement(""),
                PostgresStatement("select n::text || $1 from generate_series(1, 3) n", ["é"]),
                PostgresStatement("select 1 where false"),
            ])
            #expect(all == PipelineAnswer(rows: [[], [["7", nil]], [], [["1é"], ["2é"], ["3é"]], []], refusal: nil))
            // What comes after a refusal is not carried out; without a transaction, nor is what came before it.
            let refused = try await connection.pipeline([
                PostgresStatement("insert into t values (8)"), PostgresStatement("insert into t values (7)"),
                PostgresStatement("insert into t values (9)"),
            ])
            #expect(refused.rows == [[]] && refused.refusal?.kind == .query(sqlState: "23505"))
            #expect(try await connection.query("select a from t") == [["7"]])
            // A transaction that was begun is the caller's to end.
            let begun = try await connection.pipeline([
                PostgresStatement("begin"), PostgresStatement("insert into t values (8)"),
            ])
            #expect(begun.refusal == nil)
            #expect(try await connection.pipeline([PostgresStatement("select 1/0")]).refusal?.sqlState == "22012")
            #expect(try await connection.pipeline([PostgresStatement("select 1")]).refusal?.sqlState == "25P02")
            #expect(try await connection.query("rollback") == [])
            #expect(try await connection.query("select a from t") == [["7"]])
            #expect(try await connection.pipeline([]) == PipelineAnswer())
            // What a query before them has asked of libpq, each row by itself, is still in force for the first of them.
            #expect(try await connection.query("select 1") == [["1"]])
            let many = PostgresStatement("select n from generate_series(1, 3) n")
            let rows = [["1"], ["2"], ["3"]] as [[String?]]
            #expect(try await connection.pipeline([many, many]) == PipelineAnswer(rows: [rows, rows]))
            // Its limits end the connection.
            let pid = connection.backendPID
            let late = await failure {
                _ = try await connection.pipeline(
                    [PostgresStatement("select 1"), PostgresStatement("select pg_sleep(60)")],
                    timeout: .milliseconds(50))
            }
            #expect(late?.kind == .timeout && !connection.isUsable)
            let other = try await PostgresConnection(server.conninfo)
            #expect(other.backendPID != pid)
            let long = PostgresStatement("select repeat('x', 1000) from generate_series(1, 30)")
            let bytesOver = await failure { _ = try await other.pipeline([long, long], byteLimit: 50_000) }
            #expect(bytesOver?.kind == .resultTooLarge && !other.isUsable)
            let copying = try await PostgresConnection(server.conninfo)
            let copy = await failure {
                _ = try await copying.pipeline([
                    PostgresStatement("copy t to stdout"), PostgresStatement("select 1"),
                ])
            }
            #expect(copy?.kind == .connection && !copying.isUsable)
            let ending = try await PostgresConnection(server.conninfo)
            let ended = await failure {
                _ = try await ending.pipeline([
                    PostgresStatement("select 1"), PostgresStatement("select pg_terminate_backend(pg_backend_pid())"),
                    PostgresStatement("select 2"),
                ])
            }
            #expect(ended?.kind == .connection && ended?.sqlState == "57P01" && !ending.isUsable)
        }

        @Test @EventLoop func `time limits, cancellation and lost connections`() async throws {
            let server = try await self.server()
            let slow = try await PostgresConnection(server.conninfo)
            let late = await failure { _ = try await slow.query("select pg_sleep(60)", timeout: .milliseconds(50)) }
            #expect(late?.kind == .timeout && !slow.isUsable)
            // Many short waits do not prolong the limit.
            let chatty = try await PostgresConnection(server.conninfo)
            let clock = ContinuousClock()
            let took = await clock.measure {
                let error = await failure {
                    _ = try await chatty.query(
                        "select pg_sleep(0.01), repeat('x', 9000) from generate_series(1, 3000)",
                        timeout: .milliseconds(300),
                        byteLimit: 1 << 30
                    )
                }
                #expect(error?.kind == .timeout)
            }
            #expect(took < .seconds(10))
            let waiting = try await PostgresConnection(server.conninfo)
            var outcome: PostgresError.Kind?
            let task = EventLoop.spawn {
                do throws(PostgresError) { _ = try await waiting.query("select pg_sleep(60)") } catch {
                    outcome = error.kind
                }
            }
            let observer = try await PostgresConnection(server.conninfo)
            let sleepers =
                "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'"
            try await waitUntil { try await observer.query(sleepers) == [["2"]] }
            #expect(await failure { _ = try await waiting.query("select 1") }?.kind == .busy)
            task.cancel()
            await task.value
            #expect(outcome == .cancelled && !waiting.isUsable)
            let ended = await failure { _ = try await observer.query("select pg_terminate_backend(pg_backend_pid())") }
            #expect(ended?.kind == .connection && ended?.sqlState == "57P01" && !observer.isUsable)
            server.freeze()
            let frozen = await failure {
                _ = try await PostgresConnection(server.conninfo, timeout: .milliseconds(100))
            }
            #expect(frozen?.kind == .timeout)
            server.thaw()
            _ = try await PostgresConnection(server.conninfo)
        }

        @Test @EventLoop func `an idle connection tells its end once, and nothing else`() async throws {
            let server = try await self.server()
            let admin = try await PostgresConnection(server.conninfo)
            let idle = try await PostgresConnection(server.conninfo)
            var ends = 0
            idle.whenEnded { ends += 1 }
            // What a server says unasked is no end …
            _ = try await admin.query("alter system set application_name = 'other'")
            _ = try await admin.query("select pg_reload_conf()")
            // … nor is an answer.
            #expect(try await idle.query("select 1") == [["1"]])
            #expect(ends == 0 && idle.isUsable)
            let others =
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and query = 'select 1'"
            _ = try await admin.query(others)
            let deadline = ContinuousClock.now + .seconds(10)
            while ends == 0, ContinuousClock.now < deadline { try await EventLoop.sleep(for: .milliseconds(5)) }
            #expect(ends == 1 && !idle.isUsable)
            // An end in the middle of a question is that question's error, and nobody's news.
            let busy = try await PostgresConnection(server.conninfo)
            var busyEnds = 0
            busy.whenEnded { busyEnds += 1 }
            #expect(await failure { _ = try await busy.query("select pg_terminate_backend(pg_backend_pid())") } != nil)
            try await EventLoop.sleep(for: .milliseconds(20))
            #expect(busyEnds == 0)
        }

        @Test @EventLoop func `refusals to connect, without secrets`() async throws {
            let server = try await self.server()
            let admin = try await PostgresConnection(server.conninfo)
            _ = try await admin.query("create role guarded login password 's3cret'")
            let guarded = "host=\(server.socketDirectory) dbname=postgres user=guarded"
            #expect(try await PostgresConnection(guarded + " password=s3cret").query("select 1") == [["1"]])
            let wrong = await failure { _ = try await PostgresConnection(guarded + " password=wr0ng") }
            #expect(wrong?.kind == .authentication && wrong?.sqlState == "28P01")
            #expect(wrong?.message.contains("wr0ng") == false && wrong?.message.contains("\n") == false)
            let missing = await failure { _ = try await PostgresConnection(guarded + " passfile=/nonexistent") }
            #expect(missing?.kind == .authentication)
            let noRole = await failure { _ = try await PostgresConnection(server.conninfo + " user=nobody") }
            #expect(noRole?.kind == .authentication && noRole?.sqlState == "28000")
            let noDatabase = await failure { _ = try await PostgresConnection(server.conninfo + " dbname=none") }
            #expect(noDatabase?.kind == .connection && noDatabase?.sqlState == "3D000")
            for conninfo in ["password s3cret", "s3cret", "password='s3cret", "nonsense=s3cret"] {
                let malformed = await failure { _ = try await PostgresConnection(conninfo) }
                #expect(malformed?.kind == .notAsked && malformed?.description.contains("s3cret") == false)
            }
            let nowhere = await failure { _ = try await PostgresConnection("host=/nonexistent") }
            #expect(nowhere?.kind == .connection && nowhere?.sqlState == nil)
            let hostile = try ScriptedServer { connection in
                try await connection.write([UInt8](repeating: 0x52, count: 1 << 16))
            }
            let garbage = await failure {
                _ = try await PostgresConnection("hostaddr=127.0.0.1 port=\(hostile.port) sslmode=disable")
            }
            #expect(garbage?.kind == .connection)
        }
    }
}
