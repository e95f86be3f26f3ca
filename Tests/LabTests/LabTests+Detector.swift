// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// The failure detector on real nodes, with the profile `fast`: a verdict within 16 s.
extension LabTests {
    private static func fast(_ options: inout LabOptions) { options.extraConfiguration = "detector: {profile: fast}\n" }

    private static func acting(_ options: inout LabOptions) {
        options.extraConfiguration = """
            detector: {profile: fast, on_gray_failure: switchover}
            alert: {command: [/usr/bin/tee, -a, /run/pharos/alerts]}

            """
    }

    private static let postmaster = "$(head -1 /var/lib/postgresql/15/main/postmaster.pid)"

    @Test @EventLoop func `a PostgreSQL that lets nobody in while Patroni is content is a gray failure`() async throws {
        try await Scene.play("postmaster frozen on the leader", Self.fast) { scene in
            let node = scene.leader
            try await scene.awaitVerdict("well", on: node)
            try await scene.run(node, "sh", "-c", "kill -STOP \(Self.postmaster)")
            // Everybody says so, the node itself included, and on more than one word.
            for observer in scene.lab.options.nodes {
                let record = try await scene.awaitLog(observer, "\(node) (group 0): gray failure", .seconds(40))
                #expect(record.priority == 2)
                #expect(record.message.contains("PostgreSQL by the daemon of"), "\(record.message)")
            }
            #expect(try await scene.lab.leader() == node, "Patroni keeps it")
            #expect(try await scene.lab.exec(node, ["pharos", "status"]).exitCode == 1)
            #expect(try await scene.lab.exec(node, ["pharos", "why"]).text.contains("gray failure"))
            try await scene.run(node, "sh", "-c", "kill -CONT \(Self.postmaster)")
            try await scene.awaitVerdict("well", on: node)
            // It alerts, and does nothing.
            try scene.expectNoAbsence()
        }
    }

    @Test @EventLoop func `a leader that only etcd can reach is a gray failure, and nobody else is accused`()
        async throws
    {
        try await Scene.play("leader cut from members and clients, not from etcd", Self.fast) { scene in
            let node = scene.leader
            try await scene.awaitVerdict("well", on: node)
            try await scene.lab.cut(node, from: [.members, .clients])
            for observer in scene.others {
                let record = try await scene.awaitLog(observer, "\(node) (group 0): gray failure", .seconds(40))
                #expect(record.message.contains("Patroni by own probes: failed"), "\(record.message)")
            }
            // Seen from there, all others have failed at once.
            try await scene.awaitLog(node, "nobody can be reached from here", .seconds(40))
            for observer in scene.others {
                let other = try #require(scene.others.first { $0 != observer })
                #expect(try await !scene.hasAccused(other, from: observer))
            }
            // Of itself it reads in etcd what the others say.
            for other in scene.others { #expect(try await !scene.hasAccused(other, from: node), "it accuses \(other)") }
            try await scene.lab.heal()
            try await scene.awaitVerdict("well", on: node)
            try await scene.awaitLog(node, "others can be reached from here again", .seconds(40))
        }
    }

    @Test @EventLoop
    func `a leader whose PostgreSQL nobody reaches is switched over from, once, and the record says why`()
        async throws
    {
        try await Scene.play("PostgreSQL's port closed on the leader, Pharos may act", Self.acting) { scene in
            let node = scene.leader
            try await scene.awaitVerdict("well", on: node)
            try await scene.lab.cut(node, from: [.postgres])
            let leader = try await scene.awaitNewLeader(.seconds(60))
            try await scene.awaitHolders([leader], .seconds(30))
            try await scene.lab.heal()
            var asked = 0
            for observer in scene.lab.options.nodes {
                asked += try await scene.records(observer).count {
                    $0.message.hasPrefix("Patroni is asked to switch over")
                }
            }
            // All who saw it wanted it; one had the claim, and the others say whose it was.
            #expect(asked >= 1)
            var answers: [String] = []
            for observer in scene.others {
                let records = try await scene.records(observer)
                answers += records.map(\.message).filter { $0.hasPrefix("the switchover from \(node)") }
            }
            #expect(answers.count { $0.contains("Patroni says: ") } == 1, "\(answers)")
            let record = try await scene.lastRecord(of: leader, cause: "gray_failure")
            let phases = try #require(record["phases"]?.object)
            for phase in [
                "first failure", "verdict", "leader key lost", "new leader key", "accepts writes", "address moved",
            ] {
                #expect(phases[phase] != nil, "\(phase) is missing: \(phases)")
            }
            #expect(record["from"]?.string == node && scene.others.contains(record["cause_detail"]?.string ?? ""))
            // The operator was told, with the record itself.
            let alerts = try await scene.lab.exec(leader, ["cat", "/run/pharos/alerts"]).text
            #expect(alerts.contains("\"kind\": \"detectorVerdict\"") && alerts.contains("gray failure"), "\(alerts)")
        }
    }

    @Test @EventLoop func `a planned switchover is on record, on every node, with its standbys back`() async throws {
        try await Scene.play("a planned switchover on record", Self.acting) { scene in
            let node = scene.leader
            try await scene.awaitVerdict("well", on: node)
            let leader = try await scene.insistOnSwitchover(to: scene.others[0])
            let record = try await scene.lastRecord(of: leader, cause: "switchover", with: "standbys back")
            #expect(record["from"]?.string == node)
            for observer in scene.lab.options.nodes {
                let history = try await scene.lab.exec(observer, ["pharos", "history"])
                #expect(history.exitCode == 0 && history.text.contains("\(node) -> \(leader)"), "\(history.text)")
            }
            let shown = try await scene.lab.exec(node, ["pharos", "show", "last"]).text
            for line in ["a switchover that was asked for", "accepts writes", "standbys   [#", "of 3600.0 s"] {
                #expect(shown.contains(line), "\(shown)")
            }
            #expect(!shown.contains("OVER"), "\(shown)")
            #expect(try await scene.lab.exec(node, ["pharos", "show", "1"]).exitCode == 1)
        }
    }

    @Test(arguments: [5, 50])
    @EventLoop func `lost packets alone fail no node`(percent: Int) async throws {
        try await Scene.play("\(percent) % loss on a standby", Self.fast) { scene in
            let node = scene.others[0]
            try await scene.awaitVerdict("well", on: node)
            // What etcd's own elections do is not the question.
            try await scene.lab.giveEtcdLeadership(to: scene.leader)
            try await scene.lab.lose(node, percent: percent)
            try await scene.pause(.seconds(25))
            try await scene.lab.heal()
            for observer in scene.lab.options.nodes {
                if percent == 5 { #expect(try await !scene.hasAccused(from: observer)) }
                for other in scene.lab.options.nodes where other != node {
                    #expect(try await !scene.hasAccused(other, from: observer), "\(observer) of \(other)")
                }
            }
            try await scene.awaitVerdict("well", on: node)
            try scene.expectNoAbsence()
        }
    }

    @Test @EventLoop func `the last of three nodes says that it is alone, and where the way out is written`()
        async throws
    {
        try await Scene.play("two of three nodes lost", Self.fast) { scene in
            let survivor = scene.others[0]
            try await scene.awaitVerdict("well", on: survivor)
            for node in scene.lab.options.nodes where node != survivor { try await scene.lab.kill(node) }
            let record = try await scene.awaitLog(survivor, "nobody can be reached from here", .seconds(60))
            #expect(record.priority == 2)
            #expect(record.message.contains("When most nodes are lost"), "\(record.message)")
            #expect(try await scene.lab.exec(survivor, ["pharos", "status"]).exitCode == 1)
            // It concludes nothing about anybody, and does nothing.
            #expect(try await !scene.hasAccused(from: survivor))
            try await scene.awaitHolders([], .seconds(60))
            for node in scene.lab.options.nodes where node != survivor { try await scene.lab.start(node) }
            try await scene.awaitLog(survivor, "others can be reached from here again", .seconds(120))
        }
    }
}

extension Scene {
    /// Whether a daemon has said since the scene began that a member (any, if none is given) has failed.
    func hasAccused(_ member: String? = nil, from observer: String) async throws -> Bool {
        let log = try await self.log(observer)
        return (member.map { [$0] } ?? self.lab.options.nodes).contains { member in
            ["gray failure", "node failed", "PostgreSQL failed", "Patroni failed"].contains { verdict in
                log.contains("\(member) (group 0): \(verdict)")
            }
        }
    }

    /// Waits until the newest record in the ledger is of this leader, with this cause and phase; answers it.
    func lastRecord(of leader: String, cause: String, with phase: String = "address moved") async throws -> JSON {
        var record: JSON?
        try await self.wait("a record of \(leader), \(cause), with '\(phase)'", .seconds(90)) {
            record = JSON.parse(try await self.lab.exec(leader, ["pharos", "show", "last", "--json"]).text.utf8)
            return record?["to"]?.string == leader && record?["cause"]?.string == cause
                && record?["phases"]?.object?[phase] != nil
        }
        return try #require(record)
    }

    /// Waits until every daemon but the node's own has this verdict on a node; its own counts too where it can be asked.
    func awaitVerdict(_ verdict: String, on node: String, _ timeout: Duration = .seconds(60)) async throws {
        try await self.wait("verdict '\(verdict)' on \(node)", timeout) {
            for observer in self.lab.options.nodes {
                let answer = try await self.lab.exec(observer, ["pharos", "status", "--json"])
                let targets = JSON.parse(answer.text.utf8)?["detector"]?["targets"]?.array ?? []
                guard targets.contains(where: { $0["member"]?.string == node && $0["verdict"]?.string == verdict })
                else {
                    return false
                }
            }
            return true
        }
    }
}
