// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import Audit

/// Which rules the daemon judges: all of which it has the facts, and no other.
struct DaemonRulesTests {
    /// What a daemon knows of a healthy cluster.
    private static var facts: AuditFacts {
        var facts = AuditFacts.healthy
        facts.isOfDaemon = true
        facts.file = .unlooked(why: AuditFacts.notByDaemon)
        facts.servers = [:]
        facts.node = .init()
        facts.citus?.coordinatorHasShards = .unlooked(why: AuditFacts.notByDaemon)
        for name in ["n1", "n2", "n3"] {
            facts.rest[name]?.change { answer in
                let version = answer.version
                answer = AuditFacts.RestAnswer()
                answer.version = version
            }
        }
        facts.etcd.change { etcd in
            etcd.figures = [:]
            for url in etcd.statuses.keys {
                etcd.statuses[url]?.change { status in
                    let number = status.memberID
                    status = AuditFacts.Etcd.Status()
                    status.memberID = number
                }
            }
        }
        return facts
    }

    /// These would say nothing where they have no facts, or take what the daemon has for something else.
    private static let silent: Set<String> = [
        "etcd-nearly-full", "etcd-versions-differ", "scope-shared", "restart-pending", "rest-unreachable",
        "failsafe-member-unreachable", "work-scheduled", "standby-not-streaming",
        "commits-may-be-lost",
        // Nothing is configured that they could judge.
        "address-not-listened-on", "arp-ignored", "interface-outside-subnet", "nonlocal-bind",
    ]

    @Test func `each rule that the daemon judges looks at what the daemon knows`() {
        #expect(AuditRule.ofDaemon.count == AuditRule.codesOfDaemon.count, "a code that there is not")
        for rule in AuditRule.ofDaemon {
            #expect(rule.findings(in: Self.facts).isEmpty, "\(rule.code): \(rule.findings(in: Self.facts).map(\.what))")
        }
    }

    @Test func `every other rule lacks facts there`() {
        for rule in AuditRule.all where !AuditRule.codesOfDaemon.contains(rule.code) && !Self.silent.contains(rule.code)
        {
            let findings = rule.findings(in: Self.facts)
            #expect(
                !findings.isEmpty && findings.allSatisfy { $0.grade == .unlooked },
                "\(rule.code) could be judged by the daemon, too")
        }
    }

    @Test(arguments: Fault.all.filter { AuditRule.codesOfDaemon.contains($0.code) })
    func `what the command finds of these, the daemon finds`(fault: Fault) throws {
        let rule = try #require(AuditRule.ofDaemon.first { $0.code == fault.code })
        var facts = Self.facts
        fault.spoil(&facts)
        #expect(rule.findings(in: facts).contains { $0.what.contains(fault.says) || $0.should.contains(fault.says) })
    }

    @Test func `a failure is accepted by the rule that finds the same cause, until its day`() throws {
        var facts = Self.facts
        facts.keys.change { for index in 1...2 { $0.members[index].mayLead = false } }
        let until = try #require(AuditDate("2027-01-31"))
        let accepted = [AcceptedFinding(code: "no-candidate", reason: "a test cluster", until: until)]
        func acceptances(_ day: String) throws -> [String] {
            let report = AuditReport(
                facts, accepted: accepted, today: try #require(AuditDate(day)), rules: AuditRule.ofDaemon)
            return try #require(report.readiness.first { $0.group == 0 }).lines
                .filter { report.acceptance(of: $0) != nil }.map { "\($0.failure)" }
        }
        #expect(try acceptances("2027-01-31") == ["leaderNode", "leaderPatroni", "leaderNetwork"])
        #expect(try acceptances("2027-02-01").isEmpty)
    }
}
