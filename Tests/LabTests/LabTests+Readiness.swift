// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// What the daemons on real nodes say of the next failure, without being asked.
extension LabTests {
    @Test @EventLoop
    func `a standby that is stopped is told by every node within a minute, as what would not be survived`()
        async throws
    {
        try await Scene.play("readiness, continuously") { scene in
            let (leader, standby, third) = (scene.leader, scene.others[0], scene.others[1])
            @EventLoop func cluster(_ node: String) async throws -> JSON? {
                JSON.parse(Array(try await scene.lab.exec(node, ["pharos", "cluster", "--json"]).text.utf8))
            }
            @EventLoop func line(_ node: String, _ failure: String, of member: String? = nil) async throws -> JSON? {
                let lines = try await cluster(node)?["groups"]?.array?.first?["readiness"]?.array ?? []
                return lines.first { $0["failure"]?.string == failure && $0["member"]?.string == member }
            }
            @EventLoop func outcome(_ node: String, _ failure: String, of member: String? = nil) async throws -> String?
            {
                try await line(node, failure, of: member)?["outcome"]?.string
            }
            @EventLoop func records(_ node: String, _ code: String) async throws -> String {
                try await scene.lab.exec(
                    node, ["sh", "-c", "journalctl -u pharos -o cat --since -10min | grep '\(code)' || true"]
                ).text
            }
            // What the scene before did is looked at for some of the detector's rounds: a member that is suspected is no candidate.
            for node in [leader, standby, third] { try await scene.awaitVerdict("well", on: node, .seconds(300)) }
            try await scene.wait("all nodes to be spared the leader's node", .seconds(90)) {
                for node in [leader, standby, third] where try await outcome(node, "leaderNode") != "survived" {
                    return false
                }
                return true
            }
            #expect(try await outcome(leader, "standby", of: standby) == "survived")
            #expect(try await outcome(leader, "leaderPatroni") == "not_known", "the daemon reads no watchdog")

            // The standby, and with it its member of etcd.
            try await scene.run(standby, "systemctl", "stop", "patroni", "etcd")
            try await scene.wait("the leader's node to be told as one too many, on both that are left", .seconds(60)) {
                for node in [leader, third] where try await outcome(node, "leaderNode") != "not_survived" {
                    return false
                }
                return true
            }
            let told = try #require(try await line(leader, "leaderNode"))
            #expect(told["reason"]?.string?.contains("1 of 3 members of etcd would be left") == true, "\(told)")
            #expect(told["on"]?.string == standby && told["command"]?.string?.contains("systemctl status etcd") == true)
            let problems = try await cluster(third)?["problems"]?.array ?? []
            #expect(problems.contains { $0["code"]?.string == "failure_not_survived" }, "\(problems)")
            let figures = try await scene.lab.exec(leader, ["pharos", "metrics"]).text
            #expect(figures.contains(#"group="0",failure="leaderNode"} 0"#), "\(figures)")
            print(try await scene.lab.exec(leader, ["pharos", "cluster"]).text)
            try await scene.wait("the journal to say so", .seconds(60)) {
                try await records(leader, "a single failure would not be survived now").contains(
                    "the leader's node is lost")
            }

            try await scene.run(standby, "systemctl", "start", "etcd", "patroni")
            try await scene.wait("the leader's node to be spared again", .seconds(90)) {
                for node in [leader, third] where try await outcome(node, "leaderNode") != "survived" { return false }
                return true
            }
            #expect(try await outcome(leader, "standby", of: standby) == "survived")
            try await scene.wait("the journal to say that it is over", .seconds(120)) {
                try await records(leader, "would be survived again if").contains("the leader's node is lost")
            }
            try await scene.awaitHolders([leader], .seconds(10))
            try scene.expectNoAbsence()
        }
    }
}
