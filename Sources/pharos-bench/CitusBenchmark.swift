// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CitusCatalog
import EventLoop
import NetworkBed
import PostgresClient

/// What Pharos does about Citus: how fast rows of `pg_dist_node` follow leader keys, what a planned switchover and a restore point cost
/// those who write, how long `pharos verify` takes.
@EventLoop
struct CitusBenchmark {
    enum Part: String, CaseIterable, ExpressibleByArgument {
        case updates, verification, switchover
        static let names = allCases.map(\.rawValue).joined(separator: ", ")
    }

    let bed: TestBed
    let runs: Int
    let parts: [Part]

    init(_ bed: TestBed, runs: Int, parts: [Part] = Part.allCases) {
        self.bed = bed
        self.runs = runs
        self.parts = parts
    }

    func run() async throws(BedError) -> CitusResult {
        var result = CitusResult()
        // One after the other: each has the machine for itself.
        if self.parts.contains(.updates) { try await CitusUpdateBenchmark(self.bed, runs: self.runs).run(&result) }
        if self.parts.contains(.verification) { try await CitusVerifyBenchmark(self.bed).run(&result) }
        if self.parts.contains(.switchover) {
            try await CitusSwitchoverBenchmark(self.bed, switchovers: max(2, self.runs / 5)).run(&result)
        }
        return result
    }
}

/// A daemon, or a command, on the coordinator's node: what its configuration says of groups that are Patroni scopes of their own.
@EventLoop
struct CitusSite {
    let bed: TestBed
    let coordinator: BenchPostgres
    /// What the names of the scopes begin with; the coordinator's is that alone.
    let scope: String
    let workers: ClosedRange<Int>
    let user: String

    var file: String { "\(self.bed.folder)/\(self.scope).yml" }

    func scope(of group: Int) -> String { group == 0 ? self.scope : "\(self.scope)-w\(group)" }

    /// What Patroni writes of a member that is up.
    func putMember(
        _ group: Int, _ member: String, _ host: String, _ port: Int, role: String = "primary"
    ) async throws(BedError) {
        let value = #"{"conn_url":"postgres://\#(host):\#(port)/postgres","role":"\#(role)","state":"running"}"#
        try await self.bed.parts().etcd.put("/service/\(self.scope(of: group))/members/\(member)", value)
    }

    /// Where the daemon answers.
    var socket: String { "\(self.bed.folder)/\(self.scope)/pharos.sock" }

    func leaderKey(_ group: Int) -> String { Daemon.leaderKey(self.scope(of: group)) }

    /// The leader key is deleted and made anew, as in a leader change.
    func lead(_ group: Int, _ member: String) async throws(BedError) {
        let etcd = try self.bed.parts().etcd
        try await etcd.delete(self.leaderKey(group))
        try await etcd.put(self.leaderKey(group), member)
    }

    func writeFile() async throws(BedError) {
        let groups = ([0] + self.workers).map { "\($0): \(self.scope(of: $0))" }.joined(separator: ", ")
        let folder = "\(self.bed.folder)/\(self.scope)"
        try Files.makeFolder(folder)
        try Files.write(
            self.file,
            """
            scope: \(self.scope)
            member: n3
            etcd: { endpoints: ["\(try self.bed.parts().etcd.url)"] }
            postgres: { conninfo: "host=\(self.coordinator.folder) port=\(self.coordinator.port) user=\(self.user) dbname=postgres" }
            citus:
              databases: [postgres]
              mode: own
              groups: { \(groups) }
              node_conninfo: "user=\(self.user) dbname=postgres"
            detector: { node_conninfo: "user=postgres dbname=template1" }
            status: { socket: \(self.socket) }

            """)
        try await self.bed.parts().etcd.settle(self.scope)
    }

    /// Starts the daemon; comes back when it has read the rows.
    func startDaemon(watchedBy session: PostgresConnection) async throws(BedError) -> Program {
        let daemon = try self.bed.start(
            "pharos", [self.bed.options.daemon, "--config", self.file],
            environment: ["RUNTIME_DIRECTORY=\(self.bed.folder)/\(self.scope)"])
        try await wait(for: "session of the daemon", timeout: .seconds(20)) { () async throws(BedError) in
            try daemon.check()
            let count =
                "select count(*) from pg_stat_activity where application_name = 'pharos' and query like '%pg_dist_node%' and pid <> pg_backend_pid()"
            return try await query(session, count) != [["0"]]
        }
        return daemon
    }
}
