// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import Audit

/// Each rule on its own: what it finds, and that it finds nothing where nothing is wrong.
struct AuditRuleTests {
    @Test func `nothing is found in a cluster with which nothing is wrong`() {
        for rule in AuditRule.all {
            let findings = rule.findings(in: .healthy)
            #expect(findings.isEmpty, "\(rule.code): \(findings.map(\.what))")
        }
    }

    @Test(arguments: Fault.all) func `what is wrong is found, by its rule, and said`(fault: Fault) throws {
        let rule = try #require(AuditRule.all.first { $0.code == fault.code })
        var facts = AuditFacts.healthy
        fault.spoil(&facts)
        let findings = rule.findings(in: facts).filter { $0.grade != .unlooked }
        let finding = try #require(
            findings.first { $0.what.contains(fault.says) || $0.should.contains(fault.says) }, "\(findings.map(\.what))"
        )
        #expect(finding.grade == fault.grade)
        #expect(!finding.steps.isEmpty, "it does not say what to type")
        #expect(!finding.should.isEmpty)
    }

    @Test func `every rule has a fault that it finds`() {
        let covered = Set(Fault.all.map(\.code))
        for rule in AuditRule.all { #expect(covered.contains(rule.code), "\(rule.code) has no fault in the tests") }
    }

    /// The rules that say nothing, rightly, where nothing is configured that they could judge.
    private static let conditional: Set<String> = [
        "address-not-listened-on", "arp-ignored", "detection-long", "interface-outside-subnet", "nonlocal-bind",
    ]

    @Test func `what could not be looked at is never taken for fine`() {
        var facts = AuditFacts()
        facts.citus = .init()
        for rule in AuditRule.all where !Self.conditional.contains(rule.code) && rule.code != "citus-several-databases"
        {
            let findings = rule.findings(in: facts)
            #expect(
                findings.contains { $0.grade == .unlooked }, "\(rule.code) says nothing though nothing was looked at")
            #expect(findings.allSatisfy { $0.grade == .unlooked }, "\(rule.code) judges what nobody looked at")
        }
        // With something configured these, too.
        facts.pharos.addresses = AuditFacts.healthy.pharos.addresses
        for rule in AuditRule.all where Self.conditional.contains(rule.code) && rule.code != "detection-long" {
            #expect(rule.findings(in: facts).contains { $0.grade == .unlooked }, "\(rule.code)")
        }
    }

    @Test func `one server that does not answer is told, and the others are judged`() throws {
        var facts = AuditFacts.healthy
        facts.servers["n3"] = .unlooked(why: "no answer within 2 s")
        facts.servers["n2"]?.change { $0.set("fsync", "off") }
        let rule = try #require(AuditRule.all.first { $0.code == "durability-off" })
        let findings = rule.findings(in: facts)
        #expect(findings.map(\.what) == ["n2: fsync is off", "PostgreSQL of n3: no answer within 2 s"])
        #expect(findings.map(\.grade) == [.red, .unlooked])
    }

    @Test func `a setting that the role may not see is told with the grant`() throws {
        var facts = AuditFacts.healthy
        facts.servers["n2"]?.change {
            $0.settings["shared_preload_libraries"] = nil
            $0.hidden = ["shared_preload_libraries"]
        }
        let rule = try #require(AuditRule.all.first { $0.code == "libraries-differ" })
        let finding = try #require(rule.findings(in: facts).first)
        #expect(finding.grade == .unlooked)
        #expect(finding.what.contains("GRANT pg_read_all_settings"))
    }

    @Test func `what is to be typed names Patroni's file, and the group`() throws {
        var facts = AuditFacts.healthy
        facts.patroniConfig = "/etc/patroni/config.yml"
        facts.servers["n2"]?.change { $0.set("hot_standby", "off") }
        let rule = try #require(AuditRule.all.first { $0.code == "hot-standby-off" })
        let finding = try #require(rule.findings(in: facts).first)
        #expect(
            finding.steps.map(\.command) == [
                "patronictl -c /etc/patroni/config.yml edit-config --group 0 --pg 'hot_standby=on'",
                "patronictl -c /etc/patroni/config.yml restart --group 0 demo --pending --role replica; patronictl -c /etc/patroni/config.yml restart --group 0 demo --pending",
            ])
        #expect(AuditStep("n1", "systemctl status patroni").completed(facts).command == "systemctl status patroni")
    }

    @Test func `codes are plain, and none is given twice`() {
        var seen: Set<String> = []
        for rule in AuditRule.all {
            #expect(seen.insert(rule.code).inserted, "\(rule.code) twice")
            #expect(
                rule.code.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 },
                "\(rule.code)")
            #expect(rule.why.hasSuffix(".") && !rule.looksFor.hasSuffix("."), "\(rule.code)")
            #expect(!rule.source.isEmpty)
        }
    }

    @Test func `Citus's rules are silent where Citus is not followed`() {
        var facts = AuditFacts.healthy
        facts.citus = nil
        for name in ["n1", "n2", "n3"] { facts.servers[name]?.change { $0.set("max_prepared_transactions", "0") } }
        for rule in AuditRule.all where rule.area == .citus {
            #expect(rule.findings(in: facts).isEmpty, "\(rule.code)")
        }
    }

    @Test(arguments: [
        ("10.0.0.3", "255.255.255.255", false), ("10.0.0.0", "255.255.255.252", true), ("all", "", true),
        ("samehost", "", false),
    ])
    func `pg_hba's addresses are read as PostgreSQL reads them`(address: String, mask: String, lets: Bool) throws {
        var facts = AuditFacts.healthy
        facts.servers["n2"]?.change {
            $0.hba.change { ($0[0].address, $0[0].mask) = (address, mask.isEmpty ? nil : mask) }
        }
        let rule = try #require(AuditRule.all.first { $0.code == "replication-refused" })
        let refused = rule.findings(in: facts).filter { $0.what.contains("from n1 (10.0.0.1)") }
        #expect(refused.isEmpty == lets)
    }

    @Test func `a line that rejects comes before one that lets in`() throws {
        var facts = AuditFacts.healthy
        facts.servers["n2"]?.change {
            $0.hba.change {
                var reject = $0[0]
                (reject.address, reject.mask, reject.method) = ("10.0.0.1", "255.255.255.255", "reject")
                $0.insert(reject, at: 0)
            }
        }
        let rule = try #require(AuditRule.all.first { $0.code == "replication-refused" })
        #expect(rule.findings(in: facts).map(\.what) == ["n2: pg_hba lets no replication in from n1 (10.0.0.1)"])
    }

    @Test(arguments: [(100, "100 bytes"), (1536, "1.5 KiB"), (20 << 30, "20 GiB")]) func `sizes are short`(
        bytes: Int64, text: String
    ) {
        #expect(Quantity.bytes(bytes) == text)
    }

    @Test(arguments: [(90.0, "90 s"), (600, "10 min"), (9000, "2.5 h"), (259_200, "3 days")])
    func `times are short`(seconds: Double, text: String) { #expect(Quantity.seconds(seconds) == text) }
}
