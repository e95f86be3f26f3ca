// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed

/// What the daemon that holds the address costs while nothing happens, with a lease of 30 s (Patroni's default).
@EventLoop
struct IdleBenchmark {
    private static let scope = "idle"
    let bed: TestBed
    let seconds: Int

    init(_ bed: TestBed, seconds: Int) {
        self.bed = bed
        self.seconds = seconds
    }

    func run() async throws(BedError) -> IdleResult {
        let (etcd, observer) = try self.bed.parts()
        try await etcd.settle(Self.scope)
        try await etcd.put(Daemon.leaderKey(Self.scope), TestBed.Node.a.member)
        let daemon = try Daemon.start(self.bed, .a, scope: Self.scope, ttl: 30)
        try await daemon.waitUntilHolding(observer)
        // The announcements of the first seconds are no idling.
        complain("idle: watching for \(self.seconds) s")
        try await pause(.seconds(8))
        let process = daemon.program.process
        let before = try ProcessFigures(process: process)
        let requestsBefore = try await etcd.requestCount()
        let began = BootClock.microseconds
        let patronis = try await self.letPatroniWrite(etcd)
        try daemon.program.check()
        let after = try ProcessFigures(process: process)
        // Patroni's own are not the daemon's.
        let requests = try await etcd.requestCount() - requestsBefore - patronis
        let passed = Double(BootClock.microseconds - began) / 1_000_000
        var result = IdleResult(seconds: passed)
        result.residentKiB = after.residentKiB
        result.proportionalKiB = after.proportionalKiB
        result.threads = after.threads
        result.wakeupsPerSecond = Double(after.voluntarySwitches - before.voluntarySwitches) / passed
        result.requestsPerSecond = Double(requests) / passed
        result.ownPerMinute = Double(after.ownMilliseconds - before.ownMilliseconds) * 60 / passed
        result.childrenPerMinute = Double(after.childrenMilliseconds - before.childrenMilliseconds) * 60 / passed
        // After all else: the answer takes a turn too.
        result.turn = try await daemon.longestTurn()
        await self.bed.stop(daemon.program)
        return result
    }

    /// Writes what Patroni's three members write in every `loop_wait` (10 s), until the time is over; answers in how many
    /// requests.
    private func letPatroniWrite(_ etcd: EtcdServer) async throws(BedError) -> Int {
        let end = BootClock.microseconds + Int64(self.seconds) * 1_000_000
        let members = ["bench", "n1", "n2"]
        var round = 0
        while BootClock.microseconds < end {
            round += 1
            try await etcd.put("/service/\(Self.scope)/status", "{\"optime\":\(67_108_864 + round)}")
            for member in members {
                let state = "{\"state\":\"running\",\"role\":\"replica\",\"xlog_location\":\(67_108_864 + round)}"
                try await etcd.put("/service/\(Self.scope)/members/\(member)", state)
            }
            try await pause(.microseconds(min(10_000_000, max(0, end - BootClock.microseconds))))
        }
        return round * (members.count + 1)
    }
}

/// What the idle benchmark measured.
struct IdleResult: Sendable {
    /// For how long.
    let seconds: Double
    var residentKiB = 0
    var proportionalKiB = 0
    var threads = 0
    var wakeupsPerSecond = 0.0
    var requestsPerSecond = 0.0
    /// CPU time per minute, in milliseconds: of the daemon, and of the commands that it ran to their end.
    var ownPerMinute = 0.0
    var childrenPerMinute = 0.0

    /// Since the start of the daemon: no turn of the idle time was longer.
    var turn: LoopTurn?

    init(seconds: Double) { self.seconds = seconds }

    private var turns: [LoopTurn] { [self.turn].compactMap(\.self) }

    var text: String {
        let mebibytes = { (kibibytes: Int) in decimal(Double(kibibytes) / 1024) }
        let cpu = self.ownPerMinute + self.childrenPerMinute
        let rows = [
            [
                "Resident memory (VmRSS), MiB", mebibytes(self.residentKiB), "at most 20",
                verdict(self.residentKiB <= 20 * 1024),
            ],
            ["its proportional share (Pss), MiB", mebibytes(self.proportionalKiB), "", ""],
            ["Threads", "\(self.threads)", "at most 2", verdict(self.threads <= 2)],
            ["Wake-ups per second", decimal(self.wakeupsPerSecond), "at most 2", verdict(self.wakeupsPerSecond <= 2)],
            [
                "etcd requests per second", decimal(self.requestsPerSecond), "at most 0.5",
                verdict(self.requestsPerSecond <= 0.5),
            ],
            ["CPU per minute, ms", decimal(cpu), "at most 60", verdict(cpu <= 60)],
            ["of which the daemon itself", decimal(self.ownPerMinute), "", ""],
            ["of which `ip` commands", decimal(self.childrenPerMinute), "", ""],
        ]
        let turn = LoopTurn.rows("Longest turn of the loop since the start", self.turns)
        let age = self.turns.map { ["it ended, s before the end", "\($0.age)", "", ""] }
        return Table(
            ["Idle on the holder, watched for \(Int(self.seconds.rounded())) s", "measured", "goal", ""],
            rows + turn + age
        ).text
    }

    var json: String {
        let members = [
            "\"resident_kib\": \(self.residentKiB)", "\"proportional_kib\": \(self.proportionalKiB)",
            "\"threads\": \(self.threads)",
            "\"wakeups_per_second\": \(decimal(self.wakeupsPerSecond))",
            "\"etcd_requests_per_second\": \(decimal(self.requestsPerSecond))",
            "\"cpu_ms_per_minute\": \(decimal(self.ownPerMinute + self.childrenPerMinute))",
            "\"cpu_ms_per_minute_daemon\": \(decimal(self.ownPerMinute))",
            "\"cpu_ms_per_minute_commands\": \(decimal(self.childrenPerMinute))",
        ]
        let turn = LoopTurn.json("", self.turns)
        return "{\n    " + (members + turn).joined(separator: ",\n    ") + "\n  }"
    }

    /// What does not depend on the machine's speed, by the name of its threshold.
    var limited: [String: Double] {
        [
            "resident_kib": Double(self.residentKiB), "threads": Double(self.threads),
            "wakeups_per_second": self.wakeupsPerSecond, "etcd_requests_per_second": self.requestsPerSecond,
            "turn_processor_ms": LoopTurn.limited(self.turns),
        ]
    }
}
