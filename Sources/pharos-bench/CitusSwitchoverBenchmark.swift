// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import EventLoop
import NetworkBed
import PostgresClient

/// What 16 sessions that write through the coordinator see of a worker's planned switchover, beyond what it takes by itself.
///
/// The worker's group is a PostgreSQL and its standby. The benchmark does what Patroni does, in its order: the switchover is asked for in
/// etcd, the primary stops in order, the leader key is its standby's, which is promoted. What the writers wait from the moment at which
/// the new primary accepts writes is Pharos's part.
@EventLoop
final class CitusSwitchoverBenchmark {
    private let bed: TestBed
    private let switchovers: Int
    private let coordinator: BenchPostgres
    private let members: [(name: String, server: BenchPostgres)]
    private let site: CitusSite

    nonisolated static let sessions = 16

    init(_ bed: TestBed, switchovers: Int) {
        self.bed = bed
        self.switchovers = switchovers
        self.coordinator = BenchPostgres(bed, port: 6700)
        self.members = [("a", BenchPostgres(bed, port: 6701)), ("b", BenchPostgres(bed, port: 6702))]
        self.site = CitusSite(
            bed: bed, coordinator: self.coordinator, scope: "switched", workers: 1...1, user: "postgres")
    }

    func run(_ result: inout CitusResult) async throws(BedError) {
        let settings = BenchPostgres.citusSettings + ["shared_buffers=16MB"]
        try await self.coordinator.start(hosts: ["127.0.0.1"], settings: settings)
        try await self.members[0].server.start(hosts: ["127.0.0.1"], settings: settings)
        let session = try await self.coordinator.connect()
        try await self.prepare(session)
        try await self.members[1].server.start(
            hosts: ["127.0.0.1"], standbyOf: self.members[0].server, settings: settings)
        let daemon = try await self.site.startDaemon(watchedBy: session)
        for number in 0..<self.switchovers {
            try await settle()
            let writers = Writers(self.coordinator, count: Self.sessions)
            let from = self.members[number % 2]
            let to = self.members[(number + 1) % 2]
            let writableAt = try await self.switchOver(from, to, writers)
            try await wait(for: "write after the switchover", timeout: .seconds(20)) {
                writers.first(after: writableAt) != nil
            }
            try await pause(.milliseconds(500))
            await writers.end()
            result.switchoverErrors += writers.errors.count
            if let problem = writers.errors.first { complain("a write failed: \(problem)") }
            if let first = writers.first(after: writableAt), let last = writers.last(before: first) {
                result.switchoverPauses.append(milliseconds(from: last, to: first))
                result.switchoverAdditions.append(milliseconds(from: writableAt, to: first))
            }
            try await self.rejoin(from, to)
        }
        await self.bed.stop(daemon)
        for server in [self.coordinator] + self.members.map(\.server) { await server.stop() }
    }

    /// Answers when the new primary accepted writes.
    private func switchOver(
        _ from: (name: String, server: BenchPostgres), _ to: (name: String, server: BenchPostgres), _ writers: Writers
    ) async throws(BedError) -> Int64 {
        let etcd = try self.bed.parts().etcd
        let failover = "/service/\(self.site.scope(of: 1))/failover"
        try await pause(.seconds(1))
        guard writers.successes.count > Self.sessions else {
            throw BedError("nothing can be written: \(writers.errors.first ?? "no answer")")
        }
        try await etcd.put(failover, #"{"leader":"\#(from.name)","member":"\#(to.name)"}"#)
        // Patroni's leader looks at it, and asks the candidate whether it can.
        try await pause(.milliseconds(200))
        let standby = try await to.server.connect()
        // So that the stop itself has little to write: Patroni does the same.
        try await query(try await from.server.connect(), "checkpoint")
        await from.server.stop(isFast: true)
        try await etcd.delete(self.site.leaderKey(1))
        try await etcd.delete(failover)
        try await etcd.put(self.site.leaderKey(1), to.name)
        try await query(standby, "select pg_promote(false)")
        try await wait(for: "promotion", timeout: .seconds(20)) { () async throws(BedError) in
            try await query(standby, "select pg_is_in_recovery()") == [["f"]]
        }
        return BootClock.microseconds
    }

    /// The old primary becomes the new one's standby.
    private func rejoin(
        _ old: (name: String, server: BenchPostgres), _ new: (name: String, server: BenchPostgres)
    ) async throws(BedError) {
        try await self.site.putMember(1, new.name, "127.0.0.1", new.server.port)
        try await old.server.start(following: new.server)
        try await self.site.putMember(1, old.name, "127.0.0.1", old.server.port, role: "replica")
        let primary = try await new.server.connect()
        try await wait(for: "streaming of the standby", timeout: .seconds(30)) { () async throws(BedError) in
            try await query(primary, "select 1 from pg_stat_replication where state = 'streaming'") == [["1"]]
        }
    }

    private func prepare(_ session: PostgresConnection) async throws(BedError) {
        let table = "create table items (key integer primary key, count integer)"
        for server in [self.coordinator, self.members[0].server] { try await server.loadCitus() }
        let worker = try await self.members[0].server.connect()
        if !BenchPostgres.hasCitus { try await query(worker, table) }
        for sql in CitusCatalog.fenceTable + [
            "select citus_set_coordinator_host('127.0.0.1', \(self.coordinator.port))",
            "select citus_add_node('127.0.0.1', \(self.members[0].server.port))", table,
            "select citus_stand_in.distribute('items', 8)", "select citus_stand_in.share_shards()",
        ] { try await query(session, sql) }
        try await self.site.putMember(0, "n3", "127.0.0.1", self.coordinator.port)
        try await self.site.lead(0, "n3")
        for (number, member) in self.members.enumerated() {
            try await self.site.putMember(
                1, member.name, "127.0.0.1", member.server.port, role: number == 0 ? "primary" : "replica")
        }
        try await self.site.lead(1, "a")
        try await self.site.writeFile()
    }
}

/// Sessions that write one row after another through the coordinator, each with patience, and connect anew after an error.
@EventLoop
private final class Writers {
    private let server: BenchPostgres
    /// When a write had succeeded, in ascending order.
    private(set) var successes: [Int64] = []
    private(set) var errors: [String] = []
    private var hasEnded = false
    private var tasks: [Task<Void, Never>] = []

    init(_ server: BenchPostgres, count: Int) {
        self.server = server
        self.tasks = (0..<count).map { number in EventLoop.spawn { await self.write(number) } }
    }

    func first(after moment: Int64) -> Int64? { self.successes.first { $0 > moment } }
    func last(before moment: Int64) -> Int64? { self.successes.last { $0 < moment } }

    func end() async {
        self.hasEnded = true
        for task in self.tasks { await task.value }
    }

    private func write(_ number: Int) async {
        while !self.hasEnded, self.errors.count < 10_000 {
            do throws(BedError) {
                let session = try await self.server.connect()
                while !self.hasEnded {
                    try await query(session, "select citus_stand_in.write('items', \(number))")
                    self.successes.append(BootClock.microseconds)
                    try await pause(.milliseconds(5))
                }
            } catch {
                self.errors.append(error.message)
                do throws(BedError) { try await pause(.milliseconds(20)) } catch { return }
            }
        }
    }
}
