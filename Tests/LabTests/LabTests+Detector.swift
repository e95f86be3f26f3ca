// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// The failure detector on real nodes, with the profile `fast`: a verdict within 16 s.
extension LabTests {
    private static func fast(_ options: inout LabOptions) { options.extraConfiguration = "detector: {profile: fast}\n" }

    @Test @EventLoop func `a PostgreSQL that lets nobody in while Patroni is content is a gray failure`() async throws {
        try await Scene.play("postmaster frozen on the leader", Self.fast) { scene in
            let node = scene.leader
            try await scene.awaitVerdict("well", on: node)
            try await scene.run(node, "sh", "-c", "kill -STOP \(scene.postmaster)")
            // Everybody says so, the node itself included, and on more than one word.
            for observer in scene.lab.options.nodes {
                let record = try await scene.awaitLog(observer, "\(node) (group 0): gray failure", .seconds(40))
                #expect(record.priority == 2)
                #expect(record.message.contains("PostgreSQL by the daemon of"), "\(record.message)")
            }
            #expect(try await scene.lab.leader() == node, "Patroni keeps it")
            #expect(try await scene.lab.exec(node, ["pharos", "status"]).exitCode == 1)
            #expect(try await scene.lab.exec(node, ["pharos", "why"]).text.contains("gray failure"))
            try await scene.run(node, "sh", "-c", "kill -CONT \(scene.postmaster)")
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
                // Which of the two probes fails the fifth time first is chance; the other one is suspect by then.
                #expect(record.message.contains("by own probes: failed"), "\(record.message)")
                for probe in ["Patroni by own probes: ", "PostgreSQL by own probes: "] {
                    let states = ["failed", "suspect"].map { probe + $0 }
                    #expect(states.contains { record.message.contains($0) }, "\(record.message)")
                }
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

    @Test @EventLoop
    func `a node whose cable comes and goes is told each time, suppressed, and vouched for by an operator`()
        async throws
    {
        try await Scene.play("a flapping cable", Self.fast) { scene in
            let (node, observer) = (scene.others[0], scene.leader)
            for member in scene.lab.options.nodes {
                try await scene.awaitVerdict("well", on: member)
                try await scene.vouch(for: member)
            }
            let accusation = "\(node) (group 0): node failed"
            for count in 1...2 {
                try await scene.lab.cut(node)
                try await scene.wait("verdict \(count) on \(node)", .seconds(40)) {
                    try await scene.records(observer).count { $0.message.contains(accusation) } == count
                }
                let isSuppressed = try await scene.log(observer).contains("fails again and again")
                #expect(isSuppressed == (count == 2), "once is no flapping")
                try await scene.lab.heal()
                try await scene.awaitVerdict("well", on: node)
            }
            #expect(try await scene.lab.exec(observer, ["pharos", "why"]).text.contains("suppressed"))
            #expect(try await scene.lab.exec(observer, ["pharos", "status"]).text.contains("comes and goes"))
            // Said on one node, it counts on all.
            try await scene.run(scene.others[1], "pharos", "acknowledge", node)
            try await scene.wait("\(observer) to suppress it no more", .seconds(10)) {
                try await !scene.lab.exec(observer, ["pharos", "why"]).text.contains("suppressed")
            }
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
