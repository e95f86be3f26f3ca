// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// Leader changes, and networks that fail in part.
extension LabTests {
    @Test @EventLoop func `a switchover moves the addresses with the leadership, and the journal explains it`()
        async throws
    {
        try await Scene.play("switchover") { scene in
            let target = try await scene.lab.switchover()
            try await scene.awaitHolders([target], .seconds(20))
            try await scene.wait("writes through the address", .seconds(10)) {
                try scene.timeline().gaps(of: Scene.v4, since: scene.start).contains { $0.firstSuccess != nil }
            }
            let moved = [
                (scene.leader, "the key of \(Scene.v4) was given back"), (target, "\(Scene.v4) is on eth0"),
            ]
            for (node, last) in moved {
                try await scene.awaitLog(node, last)
                let count = try await scene.records(node, ["-t", "pharos"]).count
                let text = try await scene.lab.run(node, ["journalctl", "-x", "-t", "pharos", "-n", String(count)])
                #expect(text.split(separator: "\n").count { $0.hasPrefix("░░ Subject: ") } == count, "\(text)")
                // Every field that an explanation refers to is there.
                #expect(!text.contains("@PHAROS"), "\(text)")
                #expect(text.contains("Support: file:/usr/share/doc/pharos/docs/operations.md"))
            }
        }
    }

    @Test @EventLoop func `the power-off of the leader's node moves the addresses with the failover`() async throws {
        try await Scene.play("power-off") { scene in
            try await scene.lab.kill(scene.leader)
            let leader = try await scene.awaitNewLeader(.seconds(60))
            try await scene.awaitHolders([leader], .seconds(30))
            try await scene.lab.start(scene.leader)
        }
    }

    @Test @EventLoop func `a leader cut off from the other nodes loses the address, though clients still reach it`()
        async throws
    {
        try await Scene.play("cut from peers only") { scene in
            try await scene.lab.giveEtcdLeadership(to: scene.others[0])
            try await scene.lab.cut(scene.leader, from: [.peers])
            let leader = try await scene.awaitNewLeader(.seconds(60))
            try await scene.awaitHolders([leader], .seconds(40))
            let patroni = "http://\(LabLayout.address(scene.leader)):8008/patroni"
            try await scene.lab.runAtClient(["curl", "-s", "-o", "/dev/null", "--max-time", "5", patroni])
            try await scene.wait("writes through the address", .seconds(10)) {
                try scene.timeline().gaps(of: Scene.v4, since: scene.start).contains { $0.firstSuccess != nil }
            }
        }
    }

    @Test @EventLoop func `a leader cut off from its clients keeps the address`() async throws {
        try await Scene.play("cut from clients only") { scene in
            try await scene.lab.cut(scene.leader, from: [.clients])
            try await scene.wait("failing writes", .seconds(10)) {
                try scene.timeline().gaps(of: Scene.v4, since: scene.start).contains { $0.firstSuccess == nil }
            }
            try await scene.pause(.seconds(5))
            try await scene.lab.heal(scene.leader)
            try await scene.wait("writes through the address", .seconds(10)) {
                try scene.timeline().gaps(of: Scene.v4, since: scene.start).contains { $0.firstSuccess != nil }
            }
            try scene.expectNoAbsence()
        }
    }
}
