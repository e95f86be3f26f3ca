// SPDX-License-Identifier: Apache-2.0
import EventLoop
import LenientJSON
import NetworkBed

/// The limits on what does not depend on the machine's speed, as they stand in Benchmarks/thresholds.json.
struct Thresholds: Sendable {
    private let limits: [(name: String, limit: Double)]

    private static let names = [
        "resident_kib", "threads", "wakeups_per_second", "etcd_requests_per_second", "turn_processor_ms",
        "overlap_ms", "failover_turn_processor_ms",
        "unreachable_resident_kib", "unreachable_threads", "unreachable_lapses",
    ]

    init(file: String) throws(BedError) {
        guard let text = Files.read(file), let json = JSON.parse(Array(text.utf8)) else {
            throw BedError("\(file) cannot be read, or is not JSON")
        }
        var limits: [(String, Double)] = []
        for name in Self.names {
            switch json[name] {
            case .integer(let value): limits.append((name, Double(value)))
            case .fraction(let value): limits.append((name, value))
            case .null, .bool, .unsigned, .string, .array, .object, nil:
                throw BedError("\(file): a number is expected for \(name)")
            }
        }
        self.limits = limits
    }

    struct Verdict {
        let text: String
        let isPassed: Bool
    }

    /// Prints the verdict; answers the exit status.
    func tell(_ values: [String: Double]) -> Int32 {
        let verdict = self.judge(values)
        printLine(verdict.text)
        return verdict.isPassed ? 0 : 1
    }

    /// `values`: what was measured, by the names of its thresholds; the others are left out.
    func judge(_ values: [String: Double]) -> Verdict {
        var rows: [[String]] = []
        var isPassed = true
        for (name, limit) in self.limits {
            guard let value = values[name] else { continue }
            rows.append([name, decimal(value), decimal(limit), value <= limit ? "ok" : "ABOVE"])
            isPassed = isPassed && value <= limit
        }
        return Verdict(text: Table(["Threshold", "measured", "limit", ""], rows).text, isPassed: isPassed)
    }
}

/// A few leader changes between two daemons, several times with new ones: two nodes never have the address at once, and no turn of
/// the loop takes long.
@EventLoop
struct OverlapCheck {
    let bed: TestBed

    private static let rounds = 3

    struct Result {
        /// During which both had the address, in milliseconds.
        var overlap = 0.0
        /// Of each daemon.
        var turns: [LoopTurn] = []

        var text: String {
            Table(
                ["Changes of leader", "measured", "goal", ""], LoopTurn.rows("Longest turn of the loop", self.turns)
            ).text
        }

        /// By the names of its thresholds.
        var limited: [String: Double] {
            ["overlap_ms": self.overlap, "failover_turn_processor_ms": LoopTurn.limited(self.turns)]
        }
    }

    init(_ bed: TestBed) { self.bed = bed }

    func run() async throws(BedError) -> Result {
        var result = Result()
        for _ in 0..<Self.rounds {
            let subject = try await PharosSubject.start(self.bed)
            try await self.play(subject)
            result.turns += try await subject.longestTurns()
            for daemon in subject.daemons { await self.bed.stop(daemon.program) }
        }
        result.overlap = try self.bed.parts().observer.overlap(of: Daemon.address)
        return result
    }

    private func play(_ subject: PharosSubject) async throws(BedError) {
        let observer = try self.bed.parts().observer
        for node in [TestBed.Node.b, .a, .b, .a, .b] {
            try await subject.name(node)
            try await wait(for: "address on \(node.member)", timeout: .seconds(10)) {
                observer.isHeld(subject.address, on: node.id)
            }
            try await pause(.milliseconds(300))
        }
    }
}
