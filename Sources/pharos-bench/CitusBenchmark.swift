// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import EventLoop
import Glibc
import NetworkBed
import PostgresClient

/// From the put of a worker's leader key to the commit that moves its row in `pg_dist_node`; what it costs to look at 1,000
/// rows with nothing to do; how often the database is asked while nothing happens; how long `pharos verify` takes.
///
/// One PostgreSQL with the stand-in for Citus is the coordinator, and both members of the worker's group: they are two
/// loopback addresses of it, so that the new leader accepts writes already and only Pharos's own part is measured.
@EventLoop
struct CitusBenchmark {
    let bed: TestBed
    let runs: Int

    private nonisolated static let scope = "citus"
    private nonisolated static let worker = "citus-w1"
    private nonisolated static let port = 6543

    init(_ bed: TestBed, runs: Int) {
        self.bed = bed
        self.runs = runs
    }

    func run() async throws(BedError) -> CitusResult {
        let postgres = BenchPostgres(self.bed, port: Self.port)
        try await postgres.start(hosts: (1...10).map { "127.0.0.\($0)" })
        let etcd = try self.bed.parts().etcd
        let session = try await postgres.connect()
        let watcher = try await postgres.connect()
        var committedAt: Int64 = 0
        watcher.whenNotified { committedAt = BootClock.microseconds }
        try await query(watcher, "listen bench")
        try await self.prepare(postgres, session)
        for (scope, member, host) in [
            (Self.scope, "n3", "127.0.0.1"), (Self.worker, "a", "127.0.0.2"), (Self.worker, "b", "127.0.0.3"),
        ] {
            let value = #"{"conn_url":"postgres://\#(host):\#(Self.port)/postgres","role":"primary","state":"running"}"#
            try await etcd.put("/service/\(scope)/members/\(member)", value)
        }
        try await etcd.put("/service/\(Self.scope)/leader", "n3")
        try await etcd.put("/service/\(Self.worker)/leader", "a")
        try await etcd.settle(Self.scope)
        let daemon = try self.startDaemon(postgres)
        try await wait(for: "session of the daemon", timeout: .seconds(20)) { () async throws(BedError) in
            try daemon.check()
            let count =
                "select count(*) from pg_stat_activity where application_name = 'pharos' and query like '%pg_dist_node%' and pid <> pg_backend_pid()"
            return try await query(session, count) != [["0"]]
        }
        var result = CitusResult()
        for run in 0...self.runs {
            try await settle()
            committedAt = 0
            let began = BootClock.microseconds
            try await etcd.delete("/service/\(Self.worker)/leader")
            let put = BootClock.microseconds
            try await etcd.put("/service/\(Self.worker)/leader", run.isMultiple(of: 2) ? "b" : "a")
            try await wait(for: "commit", timeout: .seconds(10)) { committedAt >= began }
            // Once unmeasured.
            if run > 0 { result.update.append(Double(committedAt - put) / 1000) }
        }
        try await self.measureRest(session, &result)
        try await self.measureReading(session, &result)
        await self.bed.stop(daemon)
        try await self.measureVerification(session, &result)
        await postgres.stop()
        return result
    }

    /// How many transactions there are in the database while nothing happens. The failure detector's, one in 29 s for each member,
    /// go to another database.
    private func measureRest(_ session: PostgresConnection, _ result: inout CitusResult) async throws(BedError) {
        let count = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
        // What was done before may be counted up to a second later.
        try await pause(.seconds(3))
        guard let before = try await query(session, count).first?.first.flatMap({ Int($0 ?? "") }) else { return }
        try await pause(.seconds(Self.rest))
        guard let after = try await query(session, count).first?.first.flatMap({ Int($0 ?? "") }) else { return }
        // The first question itself.
        result.transactionsAtRest = max(0, after - before - 1)
    }

    /// Seconds of rest.
    nonisolated static let rest = 60

    /// A whole `pharos verify` of 8 workers, all of which answer: each is an address of the same server. What it finds of that
    /// does not matter here.
    private func measureVerification(_ session: PostgresConnection, _ result: inout CitusResult)
        async throws(BedError)
    {
        try await query(session, "delete from pg_dist_node where groupid >= 10")
        try await query(
            session,
            "insert into pg_dist_node (groupid, nodename, nodeport, hasmetadata, metadatasynced, noderole) select g, '127.0.0.' || g + 2, \(Self.port), true, true, 'primary' from generate_series(2, 8) g"
        )
        let command = [self.bed.options.command, "verify", "--json", "-c", "\(self.bed.folder)/citus.yml"]
        for _ in 0..<10 {
            let began = BootClock.microseconds
            // 2: it finds what is wrong with a worker that is the coordinator itself.
            try await NetworkBed.run(command, accepting: [2])
            result.verification.append(Double(BootClock.microseconds - began) / 1000)
        }
    }

    /// What one look at 1,000 rows costs, with the daemon's own question.
    private func measureReading(_ session: PostgresConnection, _ result: inout CitusResult) async throws(BedError) {
        try await query(
            session,
            "insert into pg_dist_node (groupid, nodename, nodeport, hasmetadata, metadatasynced, noderole) select g, 'w' || g, 5432, false, false, 'primary' from generate_series(10, 1009) g"
        )
        let catalog = CitusCatalog(session)
        for _ in 0..<20 {
            let began = BootClock.microseconds
            do throws(CitusError) {
                guard try await catalog.nodes().count > 1000 else { throw CitusError.malformed("rows are missing") }
            } catch {
                throw BedError("\(error)")
            }
            result.reading.append(Double(BootClock.microseconds - began) / 1000)
        }
    }

    // MARK: - The parts

    private func startDaemon(_ postgres: BenchPostgres) throws(BedError) -> Program {
        let file = "\(self.bed.folder)/citus.yml"
        let folder = "\(self.bed.folder)/citus"
        try Files.makeFolder(folder)
        try Files.write(
            file,
            """
            scope: \(Self.scope)
            member: n3
            etcd: { endpoints: ["\(try self.bed.parts().etcd.url)"] }
            postgres: { conninfo: "\(postgres.conninfo)" }
            citus:
              databases: [postgres]
              mode: own
              groups: { 0: \(Self.scope), 1: \(Self.worker) }
              node_conninfo: "user=postgres dbname=postgres"
            detector: { node_conninfo: "user=postgres dbname=template1" }
            status: { socket: \(folder)/pharos.sock }

            """)
        return try self.bed.start(
            "pharos", [self.bed.options.daemon, "--config", file], environment: ["RUNTIME_DIRECTORY=\(folder)"])
    }

    private func prepare(_ postgres: BenchPostgres, _ session: PostgresConnection) async throws(BedError) {
        try await postgres.loadStandIn()
        for sql in CitusCatalog.fenceTable + [
            "select citus_set_coordinator_host('127.0.0.1', \(Self.port))",
            "insert into pg_dist_node (groupid, nodename, nodeport, hasmetadata, metadatasynced, noderole) values (1, '127.0.0.2', \(Self.port), false, false, 'primary')",
            "create table d (a integer)", "select citus_stand_in.distribute('d', 32)",
            "create function bench() returns trigger language plpgsql as $$ begin notify bench; return null; end $$",
            "create trigger bench after update of nodename on pg_dist_node for each row execute function bench()",
        ] { try await query(session, sql) }
    }
}

/// What was measured of Citus, in milliseconds.
struct CitusResult {
    var update: [Double] = []
    var reading: [Double] = []
    var verification: [Double] = []
    /// Within ``CitusBenchmark/rest`` seconds.
    var transactionsAtRest: Int?

    private static let goals: [(name: String, limit: Double)] = [
        ("leader key put to update committed", 25), ("looking at 1,000 rows", 100), ("pharos verify, 8 workers", 1000),
    ]

    var text: String {
        let rows = zip(Self.goals, [self.update, self.reading, self.verification]).compactMap {
            goal, values -> [String]? in
            guard let statistics = Statistics(values) else { return nil }
            let verdict = statistics.median <= goal.limit ? "reached" : "missed"
            return [goal.name] + statistics.cells + [
                "\(statistics.count)", "median at most \(Int(goal.limit))", verdict,
            ]
        }
        let table = Table(["Citus (a stand-in), ms", "median", "p99", "min", "max", "runs", "goal", ""], rows).text
        guard let count = self.transactionsAtRest else { return table }
        let limit = CitusBenchmark.rest / 10 + 1
        return table
            + "\n\nWhile nothing happens: \(count) transactions in \(CitusBenchmark.rest) s; goal: at most one in 10 s,"
            + " \(limit) in all: \(count <= limit ? "reached" : "missed")."
    }

    var json: String {
        let members = [
            "\"is_stand_in\": true", "\"update_ms\": \(Statistics(self.update)?.json ?? "null")",
            "\"read_1000_rows_ms\": \(Statistics(self.reading)?.json ?? "null")",
            "\"verify_8_workers_ms\": \(Statistics(self.verification)?.json ?? "null")",
            "\"transactions_at_rest\": \(self.transactionsAtRest.map(String.init) ?? "null")",
        ]
        return "{\(members.joined(separator: ", "))}"
    }
}
