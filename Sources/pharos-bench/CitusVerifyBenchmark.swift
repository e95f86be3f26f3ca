// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import EventLoop
import LenientJSON
import NetworkBed
import PostgresClient

/// How long `pharos verify` takes with eight workers, with `--deep` and 10,000 shards too, and for how long those who commit wait
/// for a restore point of all of them.
///
/// Nine PostgreSQLs, each with an identity of its own, in order: what is critical `verify` looks at twice, with 2 s in between.
@EventLoop
final class CitusVerifyBenchmark {
    private let bed: TestBed
    private let site: CitusSite
    private let servers: [BenchPostgres]

    private nonisolated static let role = "pharos"
    private nonisolated static let workers = 8
    private nonisolated static let shards = 10_000
    private nonisolated static let ports = 6600...6600 + workers
    /// Small, and without waiting for the disk: nothing is to be kept.
    private nonisolated static let settings =
        BenchPostgres.citusSettings + ["shared_buffers=16MB", "fsync=off", "max_connections=40"]

    init(_ bed: TestBed) {
        self.bed = bed
        self.servers = Self.ports.map { BenchPostgres(bed, port: $0) }
        self.site = CitusSite(
            bed: bed, coordinator: self.servers[0], scope: "verified", workers: 1...Self.workers, user: Self.role)
    }

    func run(_ result: inout CitusResult) async throws(BedError) {
        for server in self.servers { try await server.start(hosts: ["127.0.0.1"], settings: Self.settings) }
        let session = try await self.servers[0].connect()
        try await self.prepare(session)
        for _ in 0..<10 { result.verification.append(try await self.verify([])) }
        for number in 1...5 { try await self.makePoint("bench-\(number)", &result) }
        try await self.distribute("e", Self.shards, session)
        for _ in 0..<3 { result.deepVerification.append(try await self.verify(["--deep"])) }
        for server in self.servers { await server.stop() }
    }

    /// Milliseconds of a whole `pharos verify` that finds nothing critical.
    private func verify(_ options: [String]) async throws(BedError) -> Double {
        let command = [self.bed.options.command, "verify", "--json", "-c", self.site.file] + options
        let began = BootClock.microseconds
        try await NetworkBed.run(command, accepting: [0, 1])
        return milliseconds(from: began, to: BootClock.microseconds)
    }

    // MARK: - A restore point

    /// Commits as Citus's distributed transactions do, on the coordinator and on each worker, while a point is made.
    private func makePoint(_ name: String, _ result: inout CitusResult) async throws(BedError) {
        var committers: [Committer] = []
        for server in self.servers { committers.append(Committer(try await server.connect())) }
        let tasks = committers.map { committer in EventLoop.task { await committer.run() } }
        try await pause(.milliseconds(300))
        try await NetworkBed.run([self.bed.options.command, "restore-point", name, "--json", "-c", self.site.file])
        try await pause(.milliseconds(100))
        for committer in committers { committer.hasEnded = true }
        for task in tasks { if let problem = await task.value { throw BedError("\(name): \(problem)") } }
        result.restorePointWaits.append(committers.map(\.longest).max() ?? 0)
    }

    /// One session that commits again and again.
    @EventLoop
    private final class Committer {
        private let session: PostgresConnection
        var hasEnded = false
        /// Milliseconds of the longest commit.
        private(set) var longest = 0.0

        init(_ session: PostgresConnection) { self.session = session }

        /// Answers why one failed; nil: none did.
        func run() async -> String? {
            do throws(BedError) {
                var number = 0
                while !self.hasEnded {
                    number += 1
                    // The last number is the connection's; recovery looks for none of that group.
                    let gid = "citus_999_\(self.session.backendPID)_\(number)_0"
                    let began = BootClock.microseconds
                    try await query(
                        self.session, "insert into pg_dist_transaction (groupid, gid) values (999, '\(gid)')")
                    self.longest = max(self.longest, milliseconds(from: began, to: BootClock.microseconds))
                    try await query(self.session, "delete from pg_dist_transaction where gid = '\(gid)'")
                    try await pause(.milliseconds(2))
                }
                return nil
            } catch { return error.message }
        }
    }

    // MARK: - The cluster

    private func distribute(_ table: String, _ shards: Int, _ session: PostgresConnection) async throws(BedError) {
        try await query(session, "create table \(table) (a integer)")
        try await query(session, "select citus_stand_in.distribute('\(table)', \(shards))", timeout: .seconds(120))
        try await query(session, "select citus_stand_in.share_shards()", timeout: .seconds(120))
    }

    private func prepare(_ session: PostgresConnection) async throws(BedError) {
        for server in self.servers { try await server.loadCitus() }
        for grant in CitusGrants(writes: true, secondaries: false, pools: false).statements(role: Self.role) {
            try await query(session, grant.sql)
        }
        try await query(session, "select citus_set_coordinator_host('127.0.0.1', \(Self.ports.lowerBound))")
        for (group, server) in self.servers.enumerated() {
            let session = try await server.connect()
            try await query(session, "begin")
            for grant in CitusGrants.restoreStatements(role: Self.role) { try await query(session, grant.sql) }
            for right in ["pg_read_all_stats", "pg_read_all_settings"] {
                try await query(session, "grant \(right) to \(Self.role)")
            }
            try await query(session, "commit")
            try await self.site.putMember(group, group == 0 ? "n3" : "a", "127.0.0.1", server.port)
            try await self.site.lead(group, group == 0 ? "n3" : "a")
        }
        for server in self.servers.dropFirst() {
            try await query(session, "select citus_add_node('127.0.0.1', \(server.port))")
        }
        try await self.distribute("d", 32, session)
        try await query(session, "select citus_stand_in.sync()")
        try await self.site.writeFile()
    }
}
