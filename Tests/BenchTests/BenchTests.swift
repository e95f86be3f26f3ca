// SPDX-License-Identifier: Apache-2.0
import Lab
import LenientJSON
import NetworkBed
import TestSupport
import Testing

@testable import pharos_bench

struct BenchTests {
    @Test func `statistics are the nearest ranks of the sorted values`() throws {
        #expect(Statistics([]) == nil)
        let one = try #require(Statistics([3]))
        #expect(one.cells == ["3.00", "3.00", "3.00", "3.00"])
        let even = try #require(Statistics([4, 1, 3, 2]))
        #expect(even.median == 2.5 && even.minimum == 1 && even.maximum == 4 && even.p99 == 4 && even.count == 4)
        let many = try #require(Statistics((1...200).map(Double.init)))
        #expect(many.p99 == 198 && many.median == 100.5)
    }

    @Test(arguments: [
        (0.004, "0.00"), (0.005, "0.01"), (-0.004, "0.00"), (-1.5, "-1.50"), (12.345, "12.35"), (100, "100.00"),
    ])
    func `numbers have two digits after the point`(value: Double, text: String) {
        #expect(decimal(value) == text)
    }

    @Test func `a table's columns are aligned`() {
        #expect(
            Table(["a", "long"], [["longer", "b"]]).text == "| a      | long |\n|--------|------|\n| longer | b    |")
    }

    /// n1 leads and holds both addresses; at 1 s it goes, n2 accepts writes 50 ms and has the addresses 60 ms later.
    private static let timeline = Timeline(
        ["10.0.0.3", "fd00::3"].flatMap { address in
            [
                LabEvent(at: 1000, .addressAppeared, node: "n1", address: address),
                LabEvent(at: 1_010_000, .addressDisappeared, node: "n1", address: address),
                LabEvent(at: 1_060_000, .addressAppeared, node: "n2", address: address),
                LabEvent(at: 1_100_000, .writesFailing, address: address, since: 1_005_000, text: "no answer"),
                LabEvent(at: 1_130_000, .writesWorking, address: address, since: 1_005_000),
            ]
        } + [
            LabEvent(at: 900, .writable, node: "n1"), LabEvent(at: 1_050_000, .writable, node: "n2"),
            LabEvent(at: 1_002_000, .leader, node: nil), LabEvent(at: 1_049_000, .leader, node: "n2"),
        ])

    @Test func `a leader change is measured from the new primary's first writes`() throws {
        let moves = LeaderMove.all(in: Self.timeline, since: 1_000_000, addresses: ["10.0.0.3", "fd00::3"])
        #expect(moves.map(\.isIPv6) == [false, true])
        for move in moves { #expect(move.gap == 125 && move.appearance == 10 && move.added == 80) }
        // What has not ended is no measurement.
        #expect(LeaderMove.all(in: Self.timeline, since: 1_200_000, addresses: ["10.0.0.3"]).isEmpty)
        #expect(LeaderMove.all(in: Self.timeline, since: 1_000_000, addresses: ["10.0.0.4"]).isEmpty)
    }

    @Test func `a missed goal is called missed`() throws {
        var result = ClientResult()
        result.switchovers = LeaderMove.all(in: Self.timeline, since: 1_000_000, addresses: ["10.0.0.3"])
        result.restarts = [90, 99]
        result.overlap = 0.5
        let lines = result.text.split(separator: "\n")
        #expect(
            lines.contains {
                $0.contains("switchover, IPv4: first write") && $0.contains("80.00") && $0.contains("missed")
            })
        #expect(
            lines.contains { $0.contains("restart of the daemon") && $0.contains("94.50") && $0.contains("reached") })
        #expect(lines.contains { $0.contains("two nodes held") && $0.contains("missed") })
        #expect(!result.text.contains("power-off"))
        let json = try #require(JSON.parse(Array(result.json.utf8)))
        #expect(json["switchover_ipv4_first_write_ms"]?["median"] != nil && json["overlap_ms"] != nil)
    }

    @Test func `figures of Citus are compared with one group's, and what was not measured is left out`() throws {
        var result = CitusResult()
        #expect(!result.text.contains("verify") && !result.text.contains("errors"))
        result.add(CitusResult.Round(one: 20, two: 25, besideDown: 24, floor: 8))
        result.deepVerification = [10_001]
        result.switchoverPauses = [300]
        result.switchoverAdditions = [40]
        result.switchoverErrors = 1
        result.transactionsAtRest = 7
        let lines = result.text.split(separator: "\n")
        func told(_ parts: String...) -> Bool { lines.contains { line in parts.allSatisfy { line.contains($0) } } }
        #expect(lines[0].contains(BenchPostgres.hasCitus ? "Citus itself" : "a stand-in"))
        #expect(told("one group / the floor", "2.50"))
        #expect(told("two groups at once / one", "1.25", "at most 1.30", "reached"))
        #expect(told("one while another is down / one", "1.20", "at most 1.10", "missed"))
        #expect(told("--deep, 10,000 shards", "10001.00", "missed"))
        #expect(told("after the new primary accepts writes", "40.00", "reached"))
        #expect(told("errors of 16 sessions in 1 switchovers", "missed"))
        #expect(told("transactions in 60 s", "at most 7", "reached"))
        #expect(!result.text.contains("restore-point"))
        let json = try #require(JSON.parse(Array(result.json.utf8)))
        #expect(json["update_ms"]?["median"] != nil && json["two_to_one"] == .fraction(1.25))
        #expect(json["restore_point_wait_ms"] == nil && json["switchover_errors"] == .integer(1))
    }

    @Test func `the longest turn is told as the median of all daemons, with the processor's part`() throws {
        func turn(_ duration: Int, _ onProcessor: Int) throws -> LoopTurn {
            let loop =
                "{\"longest_turn_microseconds\": \(duration), \"of_these_on_processor\": \(onProcessor), \"seconds_ago\": 7}"
            return try LoopTurn(status: try #require(JSON.parse(Array("{\"loop\": {\"since_start\": \(loop)}}".utf8))))
        }
        let turns = [try turn(9_000, 1_000), try turn(30_000, 2_000), try turn(11_000, 12_000)]
        #expect(turns[0] == LoopTurn(duration: 9, onProcessor: 1, age: 7))
        #expect(
            LoopTurn.rows("Turn", turns) == [
                ["Turn, median of 3 daemons, ms", "11.00", "at most 10", "missed"],
                ["of that on the processor", "2.00", "", ""],
            ])
        #expect(LoopTurn.rows("Turn", [turns[0]])[0] == ["Turn, ms", "9.00", "at most 10", "reached"])
        #expect(LoopTurn.rows("Turn", []).isEmpty && LoopTurn.limited(turns) == 2)
        #expect(
            LoopTurn.json("x_", turns) == ["\"x_longest_turn_ms\": 11.00", "\"x_longest_turn_processor_ms\": 2.00"])
        #expect(throws: (any Error).self) { try LoopTurn(status: try #require(JSON.parse(Array("{}".utf8)))) }
        var idle = IdleResult(seconds: 60)
        idle.turn = turns[1]
        #expect(idle.text.split(separator: "\n").contains { $0.contains("Longest turn") && $0.contains("missed") })
        #expect(idle.limited["turn_processor_ms"] == 2)
        #expect(JSON.parse(Array(idle.json.utf8))?["longest_turn_ms"] != nil)
    }

    @Test func `what is above its threshold fails, and what was not measured is left out`() throws {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let thresholds = try Thresholds(file: root + "/Benchmarks/thresholds.json")
        var result = UnreachableResult()
        #expect(thresholds.judge(result.limited).isPassed)
        result.lapses = 1
        let verdict = thresholds.judge(result.limited)
        #expect(!verdict.isPassed && verdict.text.split(separator: "\n").count { $0.contains("ABOVE") } == 1)
        // Each name that is measured is one of the file's, and no other is told.
        #expect(verdict.text.split(separator: "\n").count == 2 + result.limited.count)
        let json = try #require(JSON.parse(Array(result.json.utf8)))
        #expect(json["lapses"]?.int64 == 1)
    }

    private struct Figures: Measured {
        let text = "| a | b |"
        let json = #"{"a": 1}"#
    }

    @Test func `a part that is measured writes its own page, and touches no other`() throws {
        let folder = try TemporaryDirectory("bench")
        try folder.write("idle.md", "as before")
        try Report(
            .citus, Figures(), machine: Machine.read(), etcdData: "on disk", command: ["/build/pharos-bench", "all"]
        ).write(to: folder.path)
        let page = String(decoding: folder.read("citus.md"), as: UTF8.self)
        #expect(
            page.hasPrefix("# Citus\n") && page.contains("- Command: `pharos-bench all`\n- etcd: Debian's")
                && page.contains("| a | b |"))
        let json = try #require(JSON.parse(folder.read("citus.json")))
        #expect(json["part"]?.string == "citus" && json["measured"]?["a"]?.int64 == 1)
        #expect(String(decoding: folder.read("idle.md"), as: UTF8.self) == "as before")
    }

    @Test func `docs have a page of each part, and no other`() throws {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let index = try #require(Files.read(root + "/docs/benchmarks.md"))
        for part in BenchPart.allCases {
            let page = Files.read("\(root)/docs/benchmarks/\(part.rawValue).md")
            #expect(page?.hasPrefix("# \(part.title)\n") == true, "\(part.rawValue)")
            #expect(
                Files.read("\(root)/docs/benchmarks/\(part.rawValue).json").map { JSON.parse(Array($0.utf8)) } != nil)
            #expect(index.contains("(benchmarks/\(part.rawValue).md)"))
        }
        #expect(index.split(separator: "\n").count { $0.contains("](benchmarks/") } == BenchPart.allCases.count)
    }
}
