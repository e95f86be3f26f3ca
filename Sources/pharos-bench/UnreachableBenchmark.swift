// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import NetworkBed

/// What it costs a coordinator's daemon that holds the address when 600 members in 200 groups drop whatever is sent to them:
/// the case for which there is a failure detector.
///
/// There is no Patroni and no PostgreSQL: their keys are written once, and nothing listens anywhere. Between the daemon and etcd
/// stands a proxy that keeps a record.
@EventLoop
struct UnreachableBenchmark {
    let bed: TestBed
    let seconds: Int

    nonisolated static let members = 600
    private nonisolated static let scope = "unreachable"
    private nonisolated static let port: UInt16 = 2379
    private nonisolated static let network = "10.99.0.0/16"

    init(_ bed: TestBed, seconds: Int) {
        self.bed = bed
        self.seconds = seconds
    }

    func run() async throws(BedError) -> UnreachableResult {
        let (etcd, observer) = try self.bed.parts()
        let own = TestBed.address(TestBed.Node.bench.number)
        try await self.bed.ip(["route", "add", "blackhole", Self.network])
        try await self.bed.ip(["-n", TestBed.Node.a.namespace, "route", "add", Self.network, "via", own])
        let proxy = RecordingProxy(listening: try RecordingProxy.listen(own, Self.port), to: etcd.address, Self.port)
        try await etcd.settle(Self.scope + "/0")
        try await etcd.put("/service/\(Self.scope)/0/leader", TestBed.Node.a.member)
        let daemon = try self.startDaemon(etcd: "http://\(own):\(Self.port)")
        try await wait(for: "address", timeout: .seconds(60)) { () async throws(BedError) in
            try daemon.check()
            return observer.isHeld(Daemon.address, on: TestBed.Node.a.id)
        }
        let held = BootClock.microseconds
        try await self.write(etcd)
        // Until all of them have been asked once.
        try await pause(.seconds(30))
        complain("unreachable: \(Self.members) members; watching for \(self.seconds) s")

        var result = UnreachableResult()
        let before = try ProcessFigures(process: daemon.process)
        let (began, requestsBefore) = (BootClock.microseconds, proxy.requests.count)
        for _ in 0..<self.seconds {
            try await pause(.seconds(1))
            result.pending = max(result.pending, Self.pendingConnections(of: daemon.process))
        }
        let after = try ProcessFigures(process: daemon.process)
        let passed = Double(BootClock.microseconds - began) / 1000
        result.cpuPercent = Double(after.ownMilliseconds - before.ownMilliseconds) * 100 / passed
        result.residentKiB = after.residentKiB
        result.threads = after.threads
        // Asking costs CPU time, too.
        result.turns = try await self.turns()
        result.requests = Self.durations(proxy.requests[requestsBefore...])
        observer.receive()
        result.lapses = observer.events.count {
            $0.at >= held && $0.address == Daemon.address && !$0.isPresent
        }
        try daemon.check()
        guard result.pending > 64 else {
            throw BedError("no more than \(result.pending) connections were pending: that is not what was meant")
        }
        await self.bed.stop(daemon)
        withExtendedLifetime(proxy) {}
        return result
    }

    private func write(_ etcd: EtcdServer) async throws(BedError) {
        var pairs: [(key: String, value: String)] = []
        for index in 0..<Self.members {
            let (prefix, name) = ("/service/\(Self.scope)/\(index / 3 + 1)/", "m\(index)")
            let host = "10.99.\(index / 250).\(index % 250 + 1)"
            let leads = index % 3 == 0
            let value =
                #"{"conn_url":"postgres://\#(host):5432/postgres","api_url":"http://\#(host):8008/patroni","#
                + #""state":"running","role":"\#(leads ? "primary" : "replica")","version":"4.0.7","timeline":1}"#
            pairs.append((prefix + "members/" + name, value))
            if leads { pairs.append((prefix + "leader", name)) }
        }
        try await etcd.put(pairs)
    }

    private var folder: String { "\(self.bed.folder)/\(Self.scope)" }

    private func startDaemon(etcd url: String) throws(BedError) -> Program {
        try Files.makeFolder(self.folder)
        let file = self.folder + "/pharos.yml"
        try Files.write(
            file,
            """
            scope: \(Self.scope)
            member: \(TestBed.Node.a.member)
            group: 0
            etcd: { endpoints: ["\(url)"] }
            addresses:
              - { address: \(Daemon.address)/24, interface: \(TestBed.interface), acquire: leader_key }
            lease: { ttl: 10s }
            citus: { databases: [app] }
            status: { socket: \(self.folder)/pharos.sock }

            """)
        return try self.bed.start(
            "pharos", [self.bed.options.daemon, "--config", file], on: .a,
            environment: ["RUNTIME_DIRECTORY=\(self.folder)", "STATE_DIRECTORY=\(self.folder)"])
    }

    /// TCP connections in the process's namespace that were begun and not answered: state 2, SYN_SENT.
    private static func pendingConnections(of process: Int32) -> Int {
        (Files.read("/proc/\(process)/net/tcp") ?? "").split(separator: "\n").count {
            $0.split(separator: " ").dropFirst(3).first == "02"
        }
    }

    /// How long the daemon's loop kept a question waiting, in milliseconds: each of a sixth of the time, one after another.
    private func turns() async throws(BedError) -> [Double] {
        let http = HTTPClient()
        defer { http.close() }
        var request = HTTPRequest(.get, "http://localhost/health")
        request.unixSocket = self.folder + "/pharos.sock"
        let end = BootClock.microseconds + Int64(self.seconds) * 1_000_000 / 6
        var turns: [Double] = []
        while BootClock.microseconds < end {
            let began = BootClock.microseconds
            do throws(HTTPError) { _ = try await http.send(request) } catch { throw BedError(error.message) }
            turns.append(Double(BootClock.microseconds - began) / 1000)
            try await pause(.milliseconds(5))
        }
        return turns
    }

    /// In milliseconds, of what was answered; a watch is answered once.
    private static func durations(_ requests: ArraySlice<RecordingProxy.Request>) -> [Double] {
        requests.compactMap { request in
            guard let answered = request.answeredAt else { return nil }
            return (answered - request.begunAt) / .milliseconds(1)
        }
    }
}

struct UnreachableResult: Sendable {
    var cpuPercent = 0.0
    var residentKiB = 0
    var threads = 0
    /// Connections begun and not answered, at most at any time.
    var pending = 0
    /// In milliseconds.
    var turns: [Double] = []
    var requests: [Double] = []
    /// How often the address went from the kernel.
    var lapses = 0

    var text: String {
        let mebibytes = Double(self.residentKiB) / 1024
        let slow = self.requests.count { $0 > 100 }
        let rows = [
            ["CPU, % of one processor", decimal(self.cpuPercent), "at most 5", verdict(self.cpuPercent <= 5)],
            ["Resident memory (VmRSS), MiB", decimal(mebibytes), "at most 64", verdict(mebibytes <= 64)],
            ["Threads", "\(self.threads)", "at most 2", verdict(self.threads <= 2)],
            ["Connections pending at once", "\(self.pending)", "", ""],
            ["Longest turn of the loop, ms", decimal(self.turns.max() ?? 0), "", ""],
            ["Slowest request to etcd, ms", decimal(self.requests.max() ?? 0), "", ""],
            ["of \(self.requests.count), slower than 100 ms", "\(slow)", "0", verdict(slow == 0)],
            ["Times that the address went", "\(self.lapses)", "0", verdict(self.lapses == 0)],
        ]
        return Table(
            ["\(UnreachableBenchmark.members) members that do not answer, 30 s x 5", "measured", "goal", ""], rows
        ).text
    }

    var json: String {
        "{\"members\": \(UnreachableBenchmark.members), \"cpu_percent\": \(decimal(self.cpuPercent)), "
            + "\"resident_kib\": \(self.residentKiB), \"threads\": \(self.threads), \"pending\": \(self.pending), "
            + "\"longest_turn_ms\": \(decimal(self.turns.max() ?? 0)), "
            + "\"slowest_request_ms\": \(decimal(self.requests.max() ?? 0)), \"lapses\": \(self.lapses)}"
    }

    /// What does not depend on the machine's speed, by the name of its threshold.
    var limited: [String: Double] {
        [
            "unreachable_resident_kib": Double(self.residentKiB), "unreachable_threads": Double(self.threads),
            "unreachable_lapses": Double(self.lapses),
        ]
    }
}
