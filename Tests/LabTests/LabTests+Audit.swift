// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// `pharos audit` on real nodes: what is set wrong is found, and gone when it is mended.
extension LabTests {
    @Test @EventLoop func `the audit finds what would keep a failover from succeeding, until it is mended`()
        async throws
    {
        try await Scene.play("pharos audit") { scene in
            let (leader, standby, third) = (scene.leader, scene.others[0], scene.others[1])
            let patronictl = ["patronictl", "-c", "/etc/patroni/config.yml"]
            @EventLoop func audit() async throws -> JSON {
                let outcome = try await scene.lab.exec(leader, ["pharos", "audit", "--json"])
                return try #require(JSON.parse(Array(outcome.text.utf8)), "\(outcome.text)")
            }
            func codes(_ report: JSON, _ grade: String) -> Set<String> {
                let findings = (report["findings"]?.array ?? []).filter { $0["grade"]?.string == grade }
                return Set(findings.compactMap { $0["code"]?.string })
            }
            func outcome(_ report: JSON, _ failure: String) -> String? {
                let failures = report["readiness"]?.array?.first?["failures"]?.array ?? []
                return failures.first { $0["failure"]?.string == failure }?["outcome"]?.string
            }
            print(try await scene.lab.exec(leader, ["pharos", "audit"]).text)
            // Until every member has been asked once by the daemon, and Patroni has told every position.
            try await scene.wait("the leader's node to be spared", .seconds(60)) {
                outcome(try await audit(), "leaderNode") == "survived"
            }
            let before = try await audit()
            // The lab's data live in memory, and its etcd is open to all its nodes.
            #expect(codes(before, "red").isSuperset(of: ["durability-off", "etcd-open", "rest-unauthenticated"]))
            #expect(
                codes(before, "red").isDisjoint(with: [
                    "paused", "etcd-member-down", "no-candidate", "etcd-members-few", "daemon-missing",
                ]))
            #expect(outcome(before, "etcdMember") == "survived" && outcome(before, "thisDaemon") == "survived")

            try await scene.lab.run(leader, patronictl + ["pause", "--wait"])
            let paused = try await audit()
            #expect(codes(paused, "red").contains("paused") && outcome(paused, "leaderNode") == "not_survived")
            try await scene.lab.run(leader, patronictl + ["resume", "--wait"])
            #expect(!codes(try await audit(), "red").contains("paused"))

            try await scene.run(standby, "systemctl", "stop", "etcd")
            let alone = try await audit()
            #expect(codes(alone, "red").contains("etcd-member-down"), "\(codes(alone, "red"))")
            #expect(outcome(alone, "etcdMember") == "not_survived" && outcome(alone, "leaderNode") == "not_survived")
            try await scene.run(standby, "systemctl", "start", "etcd")
            try await scene.wait("the member of etcd to be back", .seconds(60)) {
                let report = try await audit()
                return !codes(report, "red").contains("etcd-member-down") && outcome(report, "leaderNode") == "survived"
            }

            // Nobody may lead: the tags in Patroni's files.
            let file = "/etc/patroni/config.yml"
            for node in [standby, third] {
                try await scene.run(node, "sed", "-i", "s/nofailover: false/nofailover: true/", file)
                try await scene.run(node, "systemctl", "reload", "patroni")
            }
            try await scene.wait("the audit to miss a candidate", .seconds(60)) {
                codes(try await audit(), "red").contains("no-candidate")
            }
            #expect(outcome(try await audit(), "leaderNode") == "not_survived")
            for node in [standby, third] {
                try await scene.run(node, "sed", "-i", "s/nofailover: true/nofailover: false/", file)
                try await scene.run(node, "systemctl", "reload", "patroni")
            }
            try await scene.wait("candidates to be back", .seconds(60)) {
                let report = try await audit()
                return !codes(report, "red").contains("no-candidate") && outcome(report, "leaderNode") == "survived"
            }

            // An acceptance, and a mistake in one.
            let accepted = "/etc/pharos/pharos.accepted"
            func write(_ code: String) async throws {
                let text = "- { code: \(code), reason: the data live in memory, until: 2199-12-31 }"
                try await scene.lab.run(leader, ["sh", "-c", "echo '\(text)' >\(accepted)"])
            }
            try await write("durability-off")
            #expect(try await audit()["counts"]?["accepted"]?.int64.map { $0 > 0 } == true)
            try await write("durability-of")
            let wrong = try await scene.lab.exec(leader, ["pharos", "audit"])
            #expect(wrong.exitCode == 78 && wrong.text.contains("did you mean 'durability-off'?"), "\(wrong.text)")
            try await scene.run(leader, "rm", accepted)
        }
    }
}
