// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import Audit

/// Counts, exit statuses, and what was accepted.
struct AuditReportTests {
    private static func day(_ text: String) throws -> AuditDate { try #require(AuditDate(text)) }

    private func accepted(_ code: String, until: String) throws -> AcceptedFinding {
        AcceptedFinding(code: code, reason: "it is so", until: try Self.day(until))
    }

    @Test func `a healthy cluster exits with 0`() throws {
        let report = AuditReport(.healthy, today: try Self.day("2027-01-01"))
        #expect(report.exitStatus == 0 && report.entries.isEmpty)
    }

    @Test func `reds come first, and decide the exit status`() throws {
        var facts = AuditFacts.healthy
        facts.set(["check_timeline": nil])
        #expect(AuditReport(facts, today: try Self.day("2027-01-01")).exitStatus == 1)
        facts.set(["pause": .bool(true), "primary_stop_timeout": nil])
        facts.node.swap = .unlooked(why: "no")
        let report = AuditReport(facts, today: try Self.day("2027-01-01"))
        #expect(report.exitStatus == 2)
        #expect(
            report.entries.map(\.finding.code) == ["paused", "timeline-unchecked", "swap-full", "stop-timeout-none"])
    }

    @Test func `what could not be looked at is a status of its own`() throws {
        var facts = AuditFacts.healthy
        facts.node.swap = .unlooked(why: "no")
        #expect(AuditReport(facts, today: try Self.day("2027-01-01")).exitStatus == 3)
        let accepted = [try self.accepted("swap-full", until: "2027-01-01")]
        #expect(AuditReport(facts, accepted: accepted, today: try Self.day("2027-01-01")).exitStatus == 0)
    }

    @Test func `an acceptance holds through its last day, and not longer`() throws {
        var facts = AuditFacts.healthy
        facts.set(["pause": .bool(true)])
        let accepted = [try self.accepted("paused", until: "2027-02-28")]
        let before = AuditReport(facts, accepted: accepted, today: try Self.day("2027-02-28"))
        #expect(before.exitStatus == 0 && before.acceptedCount == 1 && before.entries[0].expired == nil)
        let after = AuditReport(facts, accepted: accepted, today: try Self.day("2027-03-01"))
        #expect(after.exitStatus == 2 && after.acceptedCount == 0 && after.entries[0].expired == accepted[0])
    }

    @Test func `an acceptance of what is not found any more is told`() throws {
        let accepted = [try self.accepted("paused", until: "2027-02-28")]
        #expect(AuditReport(.healthy, accepted: accepted, today: try Self.day("2027-01-01")).needless == accepted)
    }

    @Test(arguments: [
        "2027-02-29", "2027-13-01", "2027-00-10", "2027-1-1", "27-01-01", "2027-01-01x", "", "2027-04-31", "+027-01-01",
    ])
    func `what is no day is refused`(text: String) { #expect(AuditDate(text) == nil) }

    @Test(arguments: [
        (0, "1970-01-01"), (86_399, "1970-01-01"), (951_782_400, "2000-02-29"), (1_795_996_800, "2026-11-30"),
        (4_102_444_800, "2100-01-01"),
    ])
    func `seconds are days, and days are seconds`(seconds: Int64, text: String) throws {
        let day = AuditDate(secondsSince1970: seconds)
        #expect("\(day)" == text && AuditDate(text) == day)
        #expect(day.daysSince1970 == seconds / 86_400)
    }
}
