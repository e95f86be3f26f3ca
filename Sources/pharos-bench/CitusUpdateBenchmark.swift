// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import EventLoop
import LenientJSON
import NetworkBed
import PostgresClient

/// From the put of a worker's leader key to the commit that moves its row in `pg_dist_node`: of one group, of two at once, and of one
/// while another is down for good; what it costs to look at 1,000 rows with nothing to do; how often the database is asked
/// while nothing happens.
///
/// One PostgreSQL is the coordinator, and both members of each worker's group: they are loopback addresses of it, so that the new
/// leader accepts writes already and only Pharos's own part is measured.
@EventLoop
final class CitusUpdateBenchmark {
    private let bed: TestBed
    private let runs: Int
    private let site: CitusSite
    private let postgres: BenchPostgres
    /// When each group's row was last moved, as its notification told.
    private var committed: [Int: Int64] = [:]
    /// Who leads.
    private var leaders = [1: "a", 2: "a", 3: "a"]

    private nonisolated static let port = 6543
    /// Where each group's members are. Of the third one b is nobody.
    private nonisolated static let hosts = [
        1: ["a": "127.0.0.2", "b": "127.0.0.3"], 2: ["a": "127.0.0.4", "b": "127.0.0.5"],
        3: ["a": "127.0.0.6", "b": TestBed.address(99)],
    ]

    init(_ bed: TestBed, runs: Int) {
        self.bed = bed
        self.runs = runs
        self.postgres = BenchPostgres(bed, port: Self.port)
        self.site = CitusSite(bed: bed, coordinator: self.postgres, scope: "citus", workers: 1...3, user: "postgres")
    }

    func run(_ result: inout CitusResult) async throws(BedError) {
        try await self.postgres.start(
            hosts: (1...6).map { "127.0.0.\($0)" }, settings: BenchPostgres.citusSettings)
        let session = try await self.postgres.connect()
        try await self.prepare(session)
        var watchers: [PostgresConnection] = []
        for group in self.site.workers {
            let watcher = try await self.postgres.connect()
            watcher.whenNotified { [unowned self] in self.committed[group] = BootClock.microseconds }
            try await query(watcher, "listen bench\(group)")
            watchers.append(watcher)
        }
        let daemon = try await self.site.startDaemon(watchedBy: session)
        // Once unmeasured.
        for run in 0...self.runs {
            let round = try await self.round(session)
            if run > 0 { result.add(round) }
            // A connection that only listens is hung up on in the end, as a server that talks unasked.
            for watcher in watchers { try await query(watcher, "select 1") }
        }
        try await self.measureRest(session, &result)
        try await self.measureReading(session, &result)
        await self.bed.stop(daemon)
        await self.postgres.stop()
    }

    /// One of each, in turn: what was done a moment ago is done faster again, and the machine has its moods.
    private func round(_ session: PostgresConnection) async throws(BedError) -> CitusResult.Round {
        try await settle()
        let one = try await self.change([1])
        try await settle()
        let two = try await self.change([1, 2])
        try await self.site.lead(3, "b")
        try await settle()
        let besideDown = try await self.change([1])
        try await self.site.lead(3, "a")
        try await settle()
        return CitusResult.Round(one: one, two: two, besideDown: besideDown, floor: try await self.floor(session))
    }

    /// The groups' leaders change at once; answers the milliseconds from the put of their keys to the last commit.
    private func change(_ groups: [Int]) async throws(BedError) -> Double {
        let etcd = try self.bed.parts().etcd
        for group in groups {
            try await etcd.delete(self.site.leaderKey(group))
            self.leaders[group] = self.leaders[group] == "a" ? "b" : "a"
        }
        let put = BootClock.microseconds
        try await etcd.put(groups.map { (key: self.site.leaderKey($0), value: self.leaders[$0] ?? "a") })
        func last() -> Int64 { groups.map { self.committed[$0] ?? 0 }.min() ?? 0 }
        try await wait(for: "commit", timeout: .seconds(10)) { last() >= put }
        return milliseconds(from: put, to: groups.compactMap { self.committed[$0] }.max() ?? put)
    }

    /// What one group's change needs at least, one step after the other: the put, a connection to the new leader that is asked once, and
    /// as many round trips to the coordinator as the update takes.
    private func floor(_ session: PostgresConnection) async throws(BedError) -> Double {
        let update = CitusUpdate(
            [CitusUpdate.Part(group: 1, steps: [.move(nodeID: 2, host: "", port: 1)], revision: 1)], etcdCluster: 1)
        let began = BootClock.microseconds
        try await self.bed.parts().etcd.put("/bench/floor", "a")
        let leader = try await self.postgres.connect(" host=127.0.0.2")
        try await query(leader, "select pg_is_in_recovery()")
        for _ in 0..<update.roundTrips { try await query(session, "select 1") }
        return milliseconds(from: began, to: BootClock.microseconds)
    }

    /// How many transactions there are in the database while nothing happens. The failure detector's, one in 29 s for each member,
    /// go to another database.
    private func measureRest(_ session: PostgresConnection, _ result: inout CitusResult) async throws(BedError) {
        let count = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
        // After a change of leaders the daemon verifies the whole cluster once.
        let changed = BootClock.microseconds
        try await wait(for: "verification", timeout: .seconds(240)) { () async throws(BedError) in
            let age = try await daemonStatus(self.site.socket)["citus"]?["verification"]?["seconds_ago"]?.int64
            return age.map { $0 * 1_000_000 < BootClock.microseconds - changed } ?? false
        }
        // What a session did is counted with its next statement that reads a table, up to 10 s after it: a mere "select 1", of which
        // this session has done many, is not counted before.
        try await query(session, count)
        try await pause(.seconds(12))
        guard let before = try await query(session, count).first?.first.flatMap({ Int($0 ?? "") }) else { return }
        try await pause(.seconds(CitusResult.rest))
        guard let after = try await query(session, count).first?.first.flatMap({ Int($0 ?? "") }) else { return }
        // The first question itself.
        result.transactionsAtRest = max(0, after - before - 1)
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
            result.reading.append(milliseconds(from: began, to: BootClock.microseconds))
        }
    }

    private func prepare(_ session: PostgresConnection) async throws(BedError) {
        try await self.postgres.loadCitus()
        for sql in CitusCatalog.fenceTable + [
            "select citus_set_coordinator_host('127.0.0.1', \(Self.port))",
            "insert into pg_dist_node (groupid, nodename, nodeport, hasmetadata, metadatasynced, noderole) select g, '127.0.0.' || 2 * g, \(Self.port), false, false, 'primary' from generate_series(1, 3) g",
            "create table d (a integer)", "select citus_stand_in.distribute('d', 32)",
            "create function bench() returns trigger language plpgsql as $$ begin perform pg_notify('bench' || new.groupid, ''); return null; end $$",
            "create trigger bench after update of nodename on pg_dist_node for each row execute function bench()",
        ] { try await query(session, sql) }
        try await self.site.putMember(0, "n3", "127.0.0.1", Self.port)
        try await self.site.lead(0, "n3")
        for (group, hosts) in Self.hosts.sorted(by: { $0.key < $1.key }) {
            for (member, host) in hosts.sorted(by: { $0.key < $1.key }) {
                try await self.site.putMember(group, member, host, Self.port)
            }
            try await self.site.lead(group, "a")
        }
        try await self.site.writeFile()
    }
}
