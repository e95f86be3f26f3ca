// SPDX-License-Identifier: Apache-2.0
import Audit
import LenientJSON
import Testing

@testable import pharos

/// What `pharos audit` prints.
struct AuditTextTests {
    private static func facts() -> AuditFacts {
        var facts = AuditFacts()
        (facts.scope, facts.member) = ("demo", "n1")
        facts.node.swap = .known((total: 1 << 30, free: 1 << 20), source: "test")
        facts.config = .known(DynamicConfiguration(.object(["pause": .bool(true)])), source: "test")
        return facts
    }

    private static func report(_ accepted: [AcceptedFinding] = []) throws -> AuditReport {
        AuditReport(Self.facts(), accepted: accepted, today: try #require(AuditDate("2027-01-01")))
    }

    @Test func `reds come first, with what to do and where`() throws {
        let lines = AuditText(Self.facts(), try Self.report()).text.split(separator: "\n").map(String.init)
        let start = try #require(lines.firstIndex { $0.hasPrefix("RED ") })
        #expect(
            Array(lines[start..<start + 5]) == [
                "RED   paused: Patroni is in maintenance mode: nobody takes over, whatever fails",
                "      should be: off, as soon as the work is done. In maintenance mode Patroni",
                "      lets no member take over, and starts no server again. (Patroni",
                "      documentation, Pause/Resume mode for the cluster)",
                "    > any node: patronictl resume demo",
            ])
    }

    @Test func `no line is wider than a terminal but for a command, which stays whole`() throws {
        for line in AuditText(Self.facts(), try Self.report()).text.split(separator: "\n")
        where !line.hasPrefix("    > ") {
            #expect(line.count <= 80, "\(line)")
        }
    }

    @Test func `what is the same on several members is told once`() throws {
        var facts = Self.facts()
        for name in ["n1", "n2"] {
            var server = AuditFacts.Server()
            server.settings["fsync"] = .init("off")
            facts.servers[name] = .known(server, source: "test")
        }
        let report = AuditReport(facts, today: try #require(AuditDate("2027-01-01")))
        #expect(AuditText(facts, report).text.contains("RED   durability-off: n1: fsync is off; n2: fsync is off\n"))
        #expect(report.count(.red) == 3)
    }

    @Test func `what was not looked at is told by its reason, once`() throws {
        let text = AuditText(Self.facts(), try Self.report()).text
        let parts = text.split(separator: "Not looked at:\n")
        try #require(parts.count == 2)
        #expect(parts[1].contains("it was not asked for: "))
        #expect(parts[1].split(separator: "? ").count < 40)
        #expect(text.hasSuffix("\(AuditRule.all.count) rules\n"))
    }

    @Test func `what was accepted is told as that until its day`() throws {
        let until = try #require(AuditDate("2027-03-31"))
        let accepted = AcceptedFinding(code: "paused", reason: "disks", until: until)
        let text = AuditText(Self.facts(), try Self.report([accepted])).text
        #expect(text.contains("ok    paused: accepted until 2027-03-31: disks") && !text.contains("RED "))
    }

    @Test func `what came over the network does not steer the terminal`() throws {
        var facts = Self.facts()
        facts.scope = "demo\u{1b}[2J"
        #expect(!AuditText(facts, try Self.report()).text.contains("\u{1b}"))
    }

    @Test func `JSON has the whole`() throws {
        let until = try #require(AuditDate("2026-12-31"))
        let expired = AcceptedFinding(code: "paused", reason: "disks", until: until)
        let json = try #require(JSON.parse(Array(AuditJSON(Self.facts(), try Self.report([expired])).text.utf8)))
        #expect(json["scope"]?.string == "demo" && json["status"]?.int64 == 2 && json["counts"]?["red"]?.int64 == 1)
        let first = try #require(json["findings"]?.array?.first)
        #expect(first["code"]?.string == "paused" && first["grade"]?.string == "red")
        #expect(first["steps"]?.array?.first?["command"]?.string == "patronictl resume demo")
        #expect(first["accepted"] == nil && first["acceptance_ended"]?["until"]?.string == "2026-12-31")
        let failures = try #require(json["readiness"]?.array?.first?["failures"]?.array)
        #expect(
            failures.first?["failure"]?.string == "leaderNode" && failures.first?["outcome"]?.string == "not_survived")
        // All but the coordinator's, of which group 0 has no line.
        #expect(failures.count == Readiness.Failure.allCases.count - 1)
    }
}
