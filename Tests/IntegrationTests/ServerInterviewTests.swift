// SPDX-License-Identifier: Apache-2.0
import Audit
import EventLoop
import PostgresClient
import TestSupport
import Testing

@testable import Shell

/// What a real PostgreSQL is asked for an audit.
@Suite(.serialized)
struct ServerInterviewTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop private static func connection(_ server: LocalPostgres, _ more: String = "") async throws
        -> PostgresConnection
    {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do throws(PostgresError) { return try await PostgresConnection(server.conninfo + more) } catch {
                guard ContinuousClock.now < deadline else { throw error }
                try await EventLoop.sleep(for: .milliseconds(100))
            }
        }
    }

    @Test @EventLoop func `every question is answered to a superuser`() async throws {
        let server = try await LocalPostgres(settings: ["max_slot_wal_keep_size=64MB"])
        let connection = try await Self.connection(server)
        _ = try await connection.query("select pg_create_physical_replication_slot('idle', true)")
        let answers = try await ServerInterview(connection).server()
        #expect(!answers.isInRecovery && answers.version >= 150_000 && answers.hidden.isEmpty)
        #expect(answers.settings["fsync"]?.value == "off")
        #expect(answers.settings["max_slot_wal_keep_size"] == .init("64", unit: "MB"))
        #expect(answers.settings["wal_segment_size"] == .init("16777216", unit: "B"))
        #expect(answers.settings["citus.node_conninfo"] == nil)
        #expect(answers.senders.value?.isEmpty == true)
        #expect(answers.slots.value?.map(\.name) == ["idle"] && answers.slots.value?.first?.isActive == false)
        #expect(answers.archiver.value?.failures == 0)
        #expect(answers.connections.value == 1)
        // The logical replication launcher.
        #expect(answers.workers.value == 1)
        #expect(answers.prepared.value == [])
        #expect(answers.walRate.value.map { $0 >= 0 } == true, "\(answers.walRate)")
        #expect(answers.transactionAge.value.map { $0 > 0 } == true)
        #expect(answers.collations.value == [])
        #expect(answers.hba.value?.contains { $0.address == "127.0.0.1" && $0.mask == "255.255.255.255" } == true)
        #expect(answers.clockOffset.value.map { abs($0) < 5 } == true)
        #expect(answers.citusVersion == nil)
    }

    @Test @EventLoop func `a role with few rights is told what it may not see, and the rest is answered`() async throws
    {
        let server = try await LocalPostgres()
        let connection = try await Self.connection(server)
        _ = try await connection.query("create role few login")
        let answers = try await ServerInterview(try await Self.connection(server, " user=few")).server()
        #expect(answers.hidden.contains("shared_preload_libraries"), "\(answers.hidden)")
        #expect(answers.settings["max_connections"]?.value == "20")
        #expect(answers.hba.why?.contains("GRANT SELECT ON pg_hba_file_rules") == true, "\(answers.hba)")
        #expect(answers.connections.why?.contains("pg_read_all_stats") == true, "\(answers.connections)")
        #expect(answers.transactionAge.value != nil && answers.collations.value == [])
    }

    @Test @EventLoop func `with the grants that the manual names everything is seen`() async throws {
        let server = try await LocalPostgres()
        let connection = try await Self.connection(server)
        for sql in [
            "create role pharos login", "grant pg_read_all_stats to pharos", "grant pg_read_all_settings to pharos",
            "grant select on pg_hba_file_rules to pharos", "grant execute on function pg_hba_file_rules() to pharos",
        ] { _ = try await connection.query(sql) }
        let answers = try await ServerInterview(try await Self.connection(server, " user=pharos")).server()
        #expect(answers.hidden.isEmpty && answers.hba.value?.isEmpty == false, "\(answers.hba)")
        let reasons = [
            answers.senders.why, answers.slots.why, answers.archiver.why, answers.connections.why, answers.workers.why,
        ]
        #expect(reasons.allSatisfy { $0 == nil }, "\(reasons)")
    }
}
