// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// Patroni and PostgreSQL fail.
extension LabTests {
    @Test @EventLoop func `the address leaves a node whose Patroni was killed, though PostgreSQL still accepts writes`()
        async throws
    {
        try await Scene.play("Patroni killed on the leader") { scene in
            try await scene.keepDown("patroni")
            try await scene.run(scene.leader, "systemctl", "kill", "-s", "KILL", "--kill-whom=main", "patroni")
            let leader = try await scene.awaitNewLeader(.seconds(60))
            try await scene.awaitHolders([leader], .seconds(30))
            try await scene.bringBack("patroni")
        }
    }

    @Test @EventLoop func `a killed PostgreSQL gets its address back once it accepts writes`() async throws {
        try await Scene.play("PostgreSQL killed on the leader") { scene in
            try await scene.run(scene.leader, "sh", "-c", "kill -9 \(scene.postmaster)")
            try await scene.wait("writes again", .seconds(60)) {
                try scene.timeline().gaps(of: Scene.v4, since: scene.start).contains { $0.firstSuccess != nil }
            }
        }
    }

    /// Patroni 4.1 leaves the leader key where it is meanwhile.
    @Test(
        .enabled(
            if: LabSuite.chosen.recipe.patroniOfPyPI != nil, "Patroni 4.1 brings demote-cluster: make test-patroni"))
    @EventLoop
    func `a cluster that is demoted to a standby cluster gives the addresses up, and has them back when promoted`()
        async throws
    {
        try await Scene.play("demoted to a standby cluster and back") { scene in
            let patronictl = ["patronictl", "-c", "/etc/patroni/config.yml"]
            // There is nobody to follow.
            try await scene.lab.run(
                scene.leader,
                patronictl + ["demote-cluster", "--force", "--host", "10.77.0.99", "--port", "5432", "demo"])
            try await scene.awaitHolders([], .seconds(40))
            try await scene.awaitLog(scene.leader, "PostgreSQL here is in recovery and accepts no writes")
            #expect(try await scene.lab.leader() == scene.leader)
            try await scene.lab.run(scene.leader, patronictl + ["promote-cluster", "--force", "demo"])
            try await scene.awaitHolders([scene.leader], .seconds(60))
        }
    }

    @Test @EventLoop func `in maintenance with Patroni stopped the address stays`() async throws {
        try await Scene.play("maintenance mode with Patroni stopped") { scene in
            let node = scene.leader
            try await scene.run(node, "patronictl", "-c", "/etc/patroni/config.yml", "pause", "--wait")
            try await scene.awaitLog(node, "maintenance mode has begun")
            for name in scene.lab.options.nodes { try await scene.run(name, "systemctl", "stop", "patroni") }
            try await scene.wait("no leader key", .seconds(40)) { try await scene.lab.leader() == nil }
            try await scene.pause(.seconds(25))
            try scene.expectNoAbsence()
            for name in scene.lab.options.nodes { try await scene.run(name, "systemctl", "start", "patroni") }
            try await scene.wait("the leader key again", .seconds(40)) { try await scene.lab.leader() == node }
            try await scene.run(node, "patronictl", "-c", "/etc/patroni/config.yml", "resume", "--wait")
            try scene.expectNoAbsence()
        }
    }
}
