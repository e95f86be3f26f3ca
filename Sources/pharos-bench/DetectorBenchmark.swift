// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import LenientJSON
import NetworkBed
import StatusServer

/// What the failure detector costs a coordinator's daemon that watches 1,000 members in 300 groups, with the profile
/// `hyperscale`; and whether an event costs more where more are watched.
///
/// Every leader is one PostgreSQL and every other member another one, its standby: addresses of two real servers. Patroni's
/// REST API is a stand-in that answers everything with 200. Patroni's keys are written as 1,000 Patronis write them.
@EventLoop
struct DetectorBenchmark {
    let bed: TestBed
    let seconds: Int

    nonisolated static let members = 1000
    nonisolated static let groups = 300
    private nonisolated static let scope = "scale"
    private nonisolated static let primaryPort = 6543
    private nonisolated static let standbyPort = 6544
    private nonisolated static let apiPort: UInt16 = 8008
    /// Between two writes of one member's key: Patroni's `loop_wait`, in seconds.
    private nonisolated static let round = 10

    init(_ bed: TestBed, seconds: Int) {
        self.bed = bed
        self.seconds = seconds
    }

    func run() async throws(BedError) -> DetectorResult {
        var result = DetectorResult()
        result.eventNanoseconds = EventCost.measure()
        let patroni: StatusServer
        do throws(StatusServerError) {
            patroni = try StatusServer(.tcp(address: "127.0.0.1", port: Self.apiPort)) { _ in .init(body: "{}") }
        } catch {
            throw BedError("\(error)")
        }
        let (primary, standby) = (
            BenchPostgres(self.bed, port: Self.primaryPort), BenchPostgres(self.bed, port: Self.standbyPort)
        )
        try await primary.start(hosts: ["*"])
        try await self.prepare(primary)
        try await standby.start(hosts: ["*"], standbyOf: primary)
        let etcd = try self.bed.parts().etcd
        try await etcd.settle(Self.scope)
        try await self.write(etcd, round: 0)
        try await etcd.put(
            (0..<Self.groups).map { (key: "/service/\(Self.scope)/\($0)/leader", value: Self.name($0)) })
        let daemon = try self.startDaemon(primary, etcd)
        // Everybody is asked once before it counts.
        complain("detector: \(Self.members) members; watching for \(self.seconds) s")
        try await self.letPatronisWrite(etcd, seconds: 40)
        try daemon.check()
        let before = try ProcessFigures(process: daemon.process)
        let began = BootClock.microseconds
        try await self.letPatronisWrite(etcd, seconds: self.seconds)
        let after = try ProcessFigures(process: daemon.process)
        let passed = Double(BootClock.microseconds - began) / 1000
        let cpu =
            after.ownMilliseconds + after.childrenMilliseconds - before.ownMilliseconds - before.childrenMilliseconds
        result.cpuPercent = Double(cpu) * 100 / passed
        result.residentKiB = after.residentKiB
        try await self.checkVerdicts()
        for path in DetectorResult.paths { result.answers[path] = try await self.answers(path) }
        await self.bed.stop(daemon)
        await standby.stop()
        await primary.stop()
        withExtendedLifetime(patroni) {}
        return result
    }

    private nonisolated static func name(_ index: Int) -> String { "m\(index)" }

    /// Each member in its place: the first of each group leads it.
    private nonisolated static func place(_ index: Int) -> (group: Int, leads: Bool, host: String) {
        (index % self.groups, index < self.groups, "127.1.\(index / 250).\(index % 250 + 1)")
    }

    /// What the members' Patronis write.
    private func write(_ etcd: EtcdServer, round: Int) async throws(BedError) {
        let keys = (0..<Self.members).map { index -> (key: String, value: String) in
            let (group, leads, host) = Self.place(index)
            let port = leads ? Self.primaryPort : Self.standbyPort
            let value =
                #"{"conn_url":"postgres://\#(host):\#(port)/postgres","api_url":"http://127.0.0.1:\#(Self.apiPort)/patroni","#
                + #""state":"running","role":"\#(leads ? "primary" : "replica")","#
                + #""version":"4.1.5","timeline":1,"xlog_location":\#(67_108_864 + round)}"#
            return ("/service/\(Self.scope)/\(group)/members/\(Self.name(index))", value)
        }
        for start in stride(from: 0, to: keys.count, by: 50) {
            try await etcd.put(Array(keys[start..<min(start + 50, keys.count)]))
        }
    }

    /// Spread over each round, as theirs are.
    private func letPatronisWrite(_ etcd: EtcdServer, seconds: Int) async throws(BedError) {
        let end = BootClock.microseconds + Int64(seconds) * 1_000_000
        var round = 0
        while BootClock.microseconds < end {
            round += 1
            let due = BootClock.microseconds + Int64(Self.round) * 1_000_000
            try await self.write(etcd, round: round)
            try await pause(.microseconds(max(0, min(due, end) - BootClock.microseconds)))
        }
    }

    private func prepare(_ primary: BenchPostgres) async throws(BedError) {
        try await primary.loadCitus(isStandIn: true)
        let session = try await primary.connect()
        try await query(session, "select citus_set_coordinator_host('\(Self.place(0).host)', \(Self.primaryPort))")
        for group in 1..<Self.groups {
            try await query(
                session,
                "insert into pg_dist_node (groupid, nodename, nodeport, hasmetadata, metadatasynced, noderole) values (\(group), '\(Self.place(group).host)', \(Self.primaryPort), false, false, 'primary')"
            )
        }
    }

    private var socket: String { "\(self.bed.folder)/scale/pharos.sock" }

    private func startDaemon(_ primary: BenchPostgres, _ etcd: EtcdServer) throws(BedError) -> Program {
        let folder = "\(self.bed.folder)/scale"
        try Files.makeFolder(folder)
        let patroni = "\(folder)/patroni.yml"
        try Files.write(
            patroni,
            """
            scope: \(Self.scope)
            name: \(Self.name(0))
            etcd3: { hosts: "\(etcd.url.dropFirst(7))" }
            citus: { group: 0, database: postgres }

            """)
        let file = "\(folder)/pharos.yml"
        try Files.write(
            file,
            """
            patroni_config: \(patroni)
            postgres: { conninfo: "\(primary.conninfo)" }
            citus: { mode: observe, node_conninfo: "user=postgres dbname=postgres" }
            status: { socket: \(self.socket) }

            """)
        return try self.bed.start(
            "pharos", [self.bed.options.daemon, "--config", file],
            environment: ["RUNTIME_DIRECTORY=\(self.bed.folder)/scale"])
    }

    /// How long the daemon takes to answer, in milliseconds: for that long its loop does nothing else.
    private func answers(_ path: String) async throws(BedError) -> [Double] {
        let http = HTTPClient()
        defer { http.close() }
        var request = HTTPRequest(.get, "http://localhost\(path)")
        request.unixSocket = self.socket
        request.timeout = .seconds(5)
        var answers: [Double] = []
        for _ in 0..<20 {
            let asked = BootClock.microseconds
            let status: Int
            do throws(HTTPError) { status = try await http.send(request).status } catch {
                throw BedError("\(path): \(error)")
            }
            guard status == 200 else { throw BedError("\(path) is answered with \(status)") }
            answers.append(Double(BootClock.microseconds - asked) / 1000)
            try await pause(.milliseconds(100))
        }
        return answers
    }

    /// Throws unless every member was reached: what was measured would be something else.
    private func checkVerdicts() async throws(BedError) {
        let command = [self.bed.options.command, "status", "--json", "--socket", self.socket]
        let outcome: ChildProcess.Outcome
        do throws(ChildProcessError) { outcome = try await ChildProcess(command, outputLimit: 1 << 24).run() } catch {
            throw BedError(error.description)
        }
        let targets = JSON.parse(Array(outcome.text.utf8), limit: 1 << 24)?["detector"]?["targets"]?.array ?? []
        let unwell = targets.filter { $0["verdict"]?.string != "well" }
        guard targets.count == Self.members, unwell.isEmpty else {
            let example = unwell.first.map { "\($0["member"]?.string ?? "?"): \($0["reason"]?.string ?? "?")" } ?? ""
            throw BedError("\(unwell.count) of \(targets.count) members were not found well, as \(example)")
        }
    }
}
