// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// Where Pharos may ask Patroni for a switchover; and what stays on record of every change of leader.
extension LabTests {
    private static func acting(_ options: inout LabOptions) {
        options.extraConfiguration = """
            detector: {profile: fast, on_gray_failure: switchover}
            alert: {command: [/usr/bin/tee, -a, /run/pharos/alerts]}

            """
    }

    @Test @EventLoop
    func `a leader whose PostgreSQL nobody reaches is switched over from, once, and the record says why`()
        async throws
    {
        try await Scene.play("PostgreSQL's port closed on the leader, Pharos may act", Self.acting) { scene in
            let node = scene.leader
            try await scene.awaitVerdict("well", on: node)
            try await scene.vouch(for: node)
            try await scene.lab.cut(node, from: [.postgres])
            // Its PostgreSQL stops when it has given up its standbys: after wal_sender_timeout (60 s), which nobody can reach.
            let leader = try await scene.awaitNewLeader(.seconds(150))
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
            // Patroni answers when it sees the new leader, or gives up seeing one: later than others see it.
            let isAnswer = { (text: String) in text.contains("Patroni says: ") || text.contains("not known yet") }
            var answers: [String] = []
            try await scene.wait("Patroni's answer in a journal", .seconds(30)) {
                answers = []
                for observer in scene.others {
                    let records = try await scene.records(observer)
                    answers += records.map(\.message).filter { $0.hasPrefix("the switchover from \(node)") }
                }
                return answers.contains(where: isAnswer)
            }
            #expect(answers.count(where: isAnswer) == 1, "\(answers)")
            #expect(!answers.contains { $0.contains("has not done it") }, "\(answers)")
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
            let lost = try await scene.lostRecord(of: leader)
            #expect(lost["finding"]?.string == "nothing" && lost["proof"]?.string == "shutdown", "\(lost)")
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

    @Test @EventLoop func `what an asynchronous failover has lost is told, and never less than is missing`()
        async throws
    {
        try await Scene.play("power-off of an asynchronous leader under load", Self.acting) { scene in
            let (node, client) = (scene.leader, scene.others[0])
            try await scene.awaitVerdict("well", on: node)
            try await scene.startAcknowledging(on: client)
            // Long enough that Patroni and the probes have seen the log grow.
            try await scene.wait("acknowledged writes", .seconds(60)) {
                try await scene.acknowledgedRows(on: node).count >= 2000
            }
            try await scene.pause(.seconds(8))
            try await scene.lab.kill(node)
            let leader = try await scene.awaitNewLeader(.seconds(60))
            try await scene.awaitHolders([leader], .seconds(30))
            let lost = try await scene.lostRecord(of: leader)
            let acknowledged = try await scene.endAcknowledging(on: client)
            let rows = try await scene.acknowledgedRows(on: leader)
            let missing = acknowledged.filter { !rows.contains($0.row) }
            print("\(acknowledged.count) writes acknowledged, \(missing.count) missing afterwards; \(lost)")
            #expect(acknowledged.count >= 2000)
            // A crash proves nothing; what was seen within the new leader's log is there.
            #expect(lost["finding"]?.string != "nothing", "\(lost)")
            let keptUntil = try #require(lost["kept_until"]?.int64, "\(lost)")
            #expect(lost["end"]?.int64 != nil && lost["seen"]?.int64 != nil, "\(lost)")
            for write in missing {
                #expect(write.at >= keptUntil, "\(write.row) was acknowledged before, and is missing: \(lost)")
            }
            #expect(acknowledged.contains { $0.at < keptUntil }, "the span is not the whole time: \(lost)")
            try await scene.awaitLog(leader, "what the failover from \(node) to \(leader) has lost: ")
            let shown = try await scene.lab.exec(leader, ["pharos", "show", "last"]).text
            #expect(shown.contains("  lost "), "\(shown)")
            try await scene.lab.start(node)
        }
    }

    @Test @EventLoop func `what Patroni cannot do yet is asked for once, and no more while it tries`() async throws {
        try await Scene.play("postmaster frozen on the leader, Pharos may act", Self.acting) { scene in
            let node = scene.leader
            try await scene.awaitVerdict("well", on: node)
            try await scene.vouch(for: node)
            try await scene.run(node, "sh", "-c", "kill -STOP \(scene.postmaster)")
            let asked = "Patroni is asked to switch over"
            try await scene.wait("'\(asked)'", .seconds(40)) {
                for observer in scene.others where try await scene.log(observer).contains(asked) { return true }
                return false
            }
            // A frozen postmaster does not stop: Patroni waits for it, and so does everybody else.
            try await scene.pause(.seconds(25))
            #expect(try await scene.lab.leader() == node)
            var count = 0
            for observer in scene.lab.options.nodes {
                count += try await scene.records(observer).count { $0.message.hasPrefix(asked) }
            }
            #expect((1...2).contains(count), "once by each standby's daemon at most, of which one had the claim")
            try await scene.run(node, "sh", "-c", "kill -CONT \(scene.postmaster)")
            let leader = try await scene.awaitNewLeader(.seconds(60))
            try await scene.awaitHolders([leader], .seconds(30))
            try await scene.wait("the answer in a journal", .seconds(30)) {
                for observer in scene.others
                where try await scene.log(observer).contains(": Patroni says: ") { return true }
                return false
            }
        }
    }

    /// With the default profile this takes five minutes: played where `PHAROS_LAB_LONG` is set.
    @Test(.enabled(if: Scene.takesLong)) @EventLoop
    func `with 30 s x 5 a gray failure is found and over within what is promised`() async throws {
        try await Scene.play("PostgreSQL's port closed on the leader, hyperscale") { options in
            options.extraConfiguration = "detector: {on_gray_failure: switchover}\n"
        } _: { scene in
            let node = scene.leader
            try await scene.awaitVerdict("well", on: node, .seconds(120))
            try await scene.lab.cut(node, from: [.postgres])
            let leader = try await scene.awaitNewLeader(.seconds(300))
            try await scene.awaitHolders([leader], .seconds(30))
            try await scene.lab.heal()
            _ = try await scene.lastRecord(of: leader, cause: "gray_failure")
            let shown = try await scene.lab.exec(leader, ["pharos", "show", "last"]).text
            print(shown)
            #expect(shown.contains(" of 150.0 s") && shown.contains(" of 240.0 s") && !shown.contains("OVER"))
        }
    }

    @Test @EventLoop func `a change of leader is on record though the new leader's daemon is down`() async throws {
        try await Scene.play("a switchover to a node whose daemon is down", Self.acting) { scene in
            let (node, witness) = (scene.others[0], scene.others[1])
            try await scene.run(node, "systemctl", "stop", "pharos")
            let leader = try await scene.insistOnSwitchover(to: node)
            #expect(leader == node)
            let record = try await scene.lastRecord(of: node, cause: "switchover", with: "accepts writes", on: witness)
            #expect(record["from"]?.string == scene.leader)
            let notes = (record["notes"]?.array ?? []).compactMap { $0["text"]?.string }
            #expect(notes.contains { $0.hasSuffix("that of \(node) had not") }, "\(notes)")
            try await scene.run(node, "systemctl", "start", "pharos")
            try await scene.awaitHolders([node], .seconds(60))
        }
    }
}

extension Scene {
    /// A node may have failed in the scene before: a second time within 22 minutes would suppress it.
    func vouch(for node: String) async throws {
        // On every node: what one of them says takes a moment to reach the others, and a scene goes on at once.
        for member in self.lab.options.nodes { try await self.run(member, "pharos", "acknowledge", node) }
    }

    /// Waits until the newest record in the ledger is of this leader, with this cause and phase; answers it.
    func lastRecord(
        of leader: String, cause: String? = nil, with phase: String = "address moved", on node: String? = nil
    ) async throws -> JSON {
        var record: JSON?
        try await self.wait("a record of \(leader), \(cause ?? "any"), with '\(phase)'", .seconds(90)) {
            record = JSON.parse(
                try await self.lab.exec(node ?? leader, ["pharos", "show", "last", "--json"]).text.utf8)
            return record?["to"]?.string == leader && (cause == nil || record?["cause"]?.string == cause)
                && record?["phases"]?.object?[phase] != nil
        }
        return try #require(record)
    }
}
