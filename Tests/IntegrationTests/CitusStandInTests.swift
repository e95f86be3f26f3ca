// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import EventLoop
import PostgresClient
import TestSupport
import Testing

extension IntegrationTests {
    /// The stand-in for Citus answers as the real one was recorded to, where it claims to.
    @Suite(.serialized, .enabled(if: !LocalCitus.isReal, "the server offers Citus itself: no stand-in is used"))
    struct CitusStandInTests {
        init() { EventLoop.shared.executor.startThread() }

        /// The recorded calls that the stand-in answers otherwise, and why.
        private static let exceptions = [
            "dead.0": "routes no query", "dead.1": "routes no query", "dead.2": "routes no command",
            "unsynced.1": "routes no command", "upd.unavail": "routes no query",
            "worker.7": "the recorded call waited, and was canceled by its client; the stand-in refuses it at once",
        ]

        /// A registered coordinator (node 1) and workers (2 and 3), a distributed table `d` and a reference table `r`.
        @EventLoop
        private func cluster() async throws -> LocalCitus {
            let citus = try await LocalCitus()
            for (position, call) in ["citus_set_coordinator_host", "citus_add_node", "citus_add_node"].enumerated() {
                try await self.run(citus, "select \(call)('127.0.0.1', \(citus.ports[position]))")
            }
            try await self.makeTables(citus)
            return citus
        }

        @EventLoop
        private func makeTables(_ citus: LocalCitus) async throws {
            try await self.run(citus, "create table d (a integer)")
            try await self.run(citus, "create table r (a integer, b text)")
            try await self.run(citus, "select citus_stand_in.distribute('d', 8), citus_stand_in.reference('r')")
        }

        @EventLoop
        private func run(_ citus: LocalCitus, _ sql: String) async throws {
            _ = try await PostgresConnection(citus.conninfo("c")).query(sql)
        }

        /// What happened between the recorded calls.
        @EventLoop
        private func prepare(_ citus: LocalCitus, for id: String) async throws {
            switch id {
            case "shards": try await self.makeTables(citus)
            case "plain.0": try await self.run(citus, "create role plain login")
            case "w1standby.0": try await citus.addStandby()
            case "dead.0": citus.servers["w1"]?.kill()
            case "unsynced.nodes_after6s": try await self.run(citus, "select citus_stand_in.sync()")
            default: break  // Most calls follow one another.
            }
        }

        /// Calls as the recording did, and reads the answer as it did.
        @EventLoop
        private func call(_ call: RecordedCall, in citus: LocalCitus) async throws -> RecordedCall.Answer {
            let directory = try TemporaryDirectory("call")
            let formats = ["-F", "\u{1F}", "-R", "\u{1E}", "-P", "null=\u{1D}", "-v", "VERBOSITY=verbose"]
            let arguments = formats + ["-v", "SHOW_CONTEXT=never", "-o", directory.file("rows"), "-c", call.sql]
            let outcome = try await citus.psql(call.node, user: call.user, arguments)
            let messages = RecordedCall.Message.parse(outcome.text)
            if let refusal = messages.first(where: { $0.severity == "ERROR" }) { return .refusal(refusal) }
            guard outcome.exitCode == 0 else { throw TestSupportError(outcome.text) }
            let table = try await ChildProcess(["/bin/cat", directory.file("rows")]).run().text
            let rows = table.dropLast().split(separator: "\u{1E}", omittingEmptySubsequences: false).map { row in
                row.split(separator: "\u{1F}", omittingEmptySubsequences: false).map { $0 == "\u{1D}" ? nil : "\($0)" }
            }
            // Notices were recorded without their SQLSTATE.
            let notices = messages.map { message in
                var message = message
                message.sqlState = nil
                return message
            }
            return .rows(rows, notices: notices)
        }

        @Test @EventLoop func `the stand-in answers as Citus was recorded to`() async throws {
            let citus = try await LocalCitus()
            let calls = try RecordedCall.load(ports: citus.ports)
            #expect(calls.count == 86)
            var answeredOtherwise: Set<String> = []
            for recorded in calls {
                try await self.prepare(citus, for: recorded.id)
                if let setup = recorded.setup { try await self.run(citus, setup) }
                let answer = try await self.call(recorded, in: citus)
                guard answer != recorded.answer else { continue }
                answeredOtherwise.insert(recorded.id)
                #expect(Self.exceptions[recorded.id] != nil, "\(recorded.id): \(answer) instead of \(recorded.answer)")
            }
            #expect(answeredOtherwise == Set(Self.exceptions.keys))
            print("The stand-in for Citus: \(calls.count - answeredOtherwise.count) of \(calls.count) recorded calls")
        }

        /// Waits for up to 10 s for the helpers of forced updates to be gone.
        @EventLoop
        private func expectNoHelper(_ observer: PostgresConnection) async throws {
            let sql = "select count(*) from pg_stat_activity where application_name = 'citus_stand_in_helper'"
            let deadline = ContinuousClock.now + .seconds(10)
            var count = try await observer.query(sql)
            while count != [["0"]], ContinuousClock.now < deadline {
                try await EventLoop.sleep(for: .milliseconds(20))
                count = try await observer.query(sql)
            }
            #expect(count == [["0"]])
        }

        @Test @EventLoop func `an update waits for a group's writers, or ends them`() async throws {
            let citus = try await self.cluster()
            let observer = try await PostgresConnection(citus.conninfo("c"))
            let updater = try await PostgresConnection(citus.conninfo("c"))
            func update(_ arguments: String) async throws -> PostgresError? {
                do throws(PostgresError) {
                    _ = try await updater.query("select citus_update_node(\(arguments))")
                    return nil
                } catch {
                    return error
                }
            }
            // A writer through the coordinator to a shard of group 1.
            let writer = try await PostgresConnection(citus.conninfo("c"))
            _ = try await writer.query("begin")
            _ = try await writer.query("select pg_advisory_xact_lock_shared(102008)")

            _ = try await updater.query("set lock_timeout = '100ms'")
            #expect(try await update("2, 'elsewhere', 1")?.sqlState == "55P03")
            #expect(try await update("3, 'elsewhere', 1") == nil)
            // A forced call that is canceled while it waits takes its helper with it, and nobody was ended.
            _ = try await updater.query("set lock_timeout = 0")
            _ = try await updater.query("set statement_timeout = '300ms'")
            #expect(try await update("2, 'elsewhere', 2, true, 60000")?.sqlState == "57014")
            try await self.expectNoHelper(observer)
            #expect(try await writer.query("select 1") == [["1"]])
            // Without a cooldown the writer is ended at once.
            _ = try await updater.query("set statement_timeout = '20s'")
            #expect(try await update("2, 'elsewhere', 2, true, 0") == nil)
            let ended = await #expect(throws: PostgresError.self) { try await writer.query("select 1") }
            #expect(ended?.sqlState == "57P01")
            let rows =
                "select nodeid, nodename, nodeport, metadatasynced from pg_dist_node where groupid > 0 order by 1"
            #expect(
                try await observer.query(rows) == [["2", "elsewhere", "2", "f"], ["3", "elsewhere", "1", "f"]])
            // Where nobody is in the way the call may be over before its helper has begun.
            for port in 3...100 { #expect(try await update("2, 'elsewhere', \(port), true, 0") == nil) }
            try await self.expectNoHelper(observer)
        }

        @Test @EventLoop func `a swap through a temporary name commits as one, is prepared, and is synchronized`()
            async throws
        {
            let citus = try await self.cluster()
            let session = try await PostgresConnection(citus.conninfo("c"))
            let (first, second) = (citus.ports[1], citus.ports[2])
            for statement in [
                "begin", "select citus_update_node(2, 'swap', 1)",
                "select citus_update_node(3, '127.0.0.1', \(first))",
                "select citus_update_node(2, '127.0.0.1', \(second))", "prepare transaction 'citus_0_1_2_3'",
            ] { _ = try await session.query(statement) }
            let ports = "select nodeport from pg_dist_node where groupid > 0 order by nodeid"
            #expect(try await session.query(ports) == [["\(first)"], ["\(second)"]])
            // An orphaned prepared update blocks every other.
            _ = try await session.query("set lock_timeout = '100ms'")
            let blocked = await #expect(throws: PostgresError.self) {
                try await session.query("select citus_update_node(2, 'x', 1)")
            }
            #expect(blocked?.sqlState == "55P03")
            _ = try await session.query("commit prepared 'citus_0_1_2_3'")
            #expect(try await session.query(ports) == [["\(second)"], ["\(first)"]])
            #expect(try await session.query("select citus_stand_in.sync()") == [["0"]])
            // Each worker's copy is the coordinator's, and says which group the worker is.
            let copies = """
                select count(distinct result) from run_command_on_all_nodes(
                    'select md5(string_agg((n.nodeid, n.groupid, n.nodeport)::text, '','' order by nodeid)) from pg_dist_node n')
                """
            #expect(try await session.query(copies) == [["1"]])
            let groups =
                "select nodeport, result from run_command_on_workers('select groupid from pg_dist_local_group') order by 1"
            #expect(try await session.query(groups) == [["\(first)", "2"], ["\(second)", "1"]])
        }

        /// What a role that is no superuser sees of a setting that Citus hides: SQL can make none that is hidden.
        @Test(.enabled(if: !LocalCitus.isReal)) @EventLoop
        func `a setting of the stand-in's is hidden from nobody`() async throws {
            let citus = try await LocalCitus()
            try await self.run(citus, "create role plain login")
            let plain = try await PostgresConnection(citus.conninfo("c") + " user=plain")
            #expect(
                try await plain.query("select current_setting('citus.node_conninfo') like 'sslmode=prefer%'")
                    == [["t"]])
            // What it would say if it were: PostgreSQL's own words, for one of its own.
            let hidden = await #expect(throws: PostgresError.self) {
                try await plain.query("select current_setting('data_directory')")
            }
            #expect(hidden?.sqlState == "42501")
        }

        @Test(.enabled(if: !LocalCitus.isReal)) @EventLoop
        func
            `a synchronization that meets a silent node keeps an update waiting, is told as that, and can be cancelled`()
            async throws
        {
            let citus = try await self.cluster()
            let (session, updater, worker) = (
                try await PostgresConnection(citus.conninfo("c")), try await PostgresConnection(citus.conninfo("c")),
                try await PostgresConnection(citus.conninfo("c"))
            )
            for statement in CitusCatalog.fenceTable + [CitusCatalog.interruptSynchronization] {
                _ = try await session.query(statement)
            }
            _ = try await worker.query("set citus.node_connection_timeout = '60s'")
            var ended: PostgresError?
            let silence = EventLoop.spawn {
                do throws(PostgresError) {
                    _ = try await worker.query("select citus_stand_in.meet_silent_node()", timeout: .seconds(60))
                } catch {
                    ended = error
                }
            }
            let holds = "select from pg_locks where relation = 'pg_dist_node'::regclass and mode = 'RowExclusiveLock'"
            #expect(try await eventually(within: .seconds(10)) { try await !session.query(holds).isEmpty })
            var rows: [[String?]]?
            let update = EventLoop.spawn {
                do throws(PostgresError) {
                    rows = try await updater.query(
                        "select citus_update_node(2, 'elsewhere', 1)", timeout: .seconds(30))
                } catch {
                    Issue.record("\(error)")
                }
            }
            let catalog = CitusCatalog(session)
            #expect(
                try await eventually(within: .seconds(10)) {
                    try await catalog.blockers(of: updater.backendPID).map(\.application)
                        == [CitusCatalog.synchronizationWorker]
                })
            // It is a client's session here, which nobody's right reaches; Citus's worker is what CitusCatalogTests interrupt.
            #expect(try await catalog.interruptSynchronization(blocking: updater.backendPID) == 0)
            #expect(rows == nil && ended == nil)
            _ = try await session.query("select pg_cancel_backend(\(worker.backendPID))")
            await silence.value
            await update.value
            #expect(ended?.sqlState == "57014" && rows?.count == 1)
        }

        @Test(.enabled(if: !LocalCitus.isReal)) @EventLoop
        func `the cleaner drops what is noted, but not while it is off, its operation runs, or its node is down`()
            async throws
        {
            let citus = try await self.cluster()
            let session = try await PostgresConnection(citus.conninfo("c"))
            for name in ["w1", "w2"] {
                let made = try await citus.psql(name, ["-c", "create table left_over ()"])
                #expect(made.exitCode == 0, "\(made.text)")
            }
            _ = try await session.query(
                "insert into pg_dist_cleanup select n, n, 1, 'public.left_over', n, 1 from generate_series(1, 2) n")
            func clean() async throws -> String? {
                try await session.query("select citus_stand_in.clean_up()", timeout: .seconds(20)).first?.first ?? nil
            }
            func isThere(_ name: String) async throws -> Bool {
                try await citus.psql(name, ["-c", "select to_regclass('left_over') is not null"]).text.hasPrefix("t")
            }
            _ = try await session.query("set citus.defer_shard_delete_interval = '-1'")
            #expect(try await clean() == "0")
            _ = try await session.query("reset citus.defer_shard_delete_interval")
            let move = try await PostgresConnection(citus.conninfo("c"))
            _ = try await move.query("begin")
            _ = try await move.query("select citus_stand_in.run_operation(1)")
            #expect(try await clean() == "1", "the other one")
            #expect(try await isThere("w1"))
            #expect(try await !isThere("w2"))
            citus.servers["w1"]?.freeze()
            _ = try await move.query("rollback")
            #expect(try await clean() == "0")
            citus.servers["w1"]?.thaw()
            #expect(try await clean() == "1")
            #expect(try await !isThere("w1"))
            #expect(try await session.query("select count(*) from pg_dist_cleanup") == [["0"]])
        }
    }
}
