// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

extension LabTests {
    /// Patroni's own defaults: it stops PostgreSQL 17 s after it has lost etcd.
    private static func patient(_ options: inout LabOptions) {
        options.ttl = 30
        options.loopWait = 10
        options.retryTimeout = 10
    }

    private static func failsafe(_ options: inout LabOptions) {
        self.patient(&options)
        options.failsafe = true
    }

    // MARK: - etcd

    @Test @EventLoop func `a node cut from etcd loses the address by its lease, though clients still reach it`()
        async throws
    {
        try await Scene.play("cut from etcd only") { scene in
            try await scene.lab.cut(scene.leader, from: [.etcd])
            let leader = try await scene.awaitNewLeader(.seconds(60))
            try await scene.awaitHolders([leader], .seconds(40))
            try await scene.awaitLog(scene.leader, "etcd cannot be read")
        }
    }

    @Test @EventLoop func `ten seconds without quorum keep the address`() async throws {
        try await Scene.play("quorum lost for 10 s", Self.patient) { scene in
            for node in scene.others { try await scene.lab.freeze(node, .etcd) }
            try await scene.pause(.seconds(10))
            for node in scene.others { try await scene.lab.thaw(node, .etcd) }
            try await scene.awaitLog(scene.leader, "etcd can be read again", .seconds(20))
            for address in Scene.addresses { #expect(try scene.absence(of: address) == 0) }
        }
    }

    @Test @EventLoop func `a minute without quorum ends the address, and it returns by itself`() async throws {
        try await Scene.play("quorum lost for 60 s", Self.patient) { scene in
            for node in scene.others { try await scene.lab.freeze(node, .etcd) }
            try await scene.awaitHolders([], .seconds(40))
            try await scene.pause(.seconds(30))
            for node in scene.others { try await scene.lab.thaw(node, .etcd) }
            try await scene.wait("the address on the leader", .seconds(60)) {
                guard let leader = try await scene.lab.leader() else { return false }
                return try await scene.lab.holders(Scene.v4) == [leader]
            }
        }
    }

    @Test @EventLoop func `an etcd member that hangs under the watch delays nothing for long`() async throws {
        try await Scene.play("the watched etcd member frozen, then a switchover") { scene in
            // The leader's daemon talks to the first endpoint of its list, which is the same on every node.
            let first = scene.lab.options.nodes[0]
            try await scene.lab.freeze(first, .etcd)
            try await scene.pause(.seconds(1))
            let target = try await scene.insistOnSwitchover(to: scene.others.last)
            try await scene.awaitHolders([target], .seconds(40))
            try await scene.lab.thaw(first, .etcd)
        }
    }

    @Test @EventLoop func `a daemon that starts without etcd waits, and takes the address later`() async throws {
        try await Scene.play("etcd down at the start of the daemon") { scene in
            let node = scene.leader
            try await scene.run(node, "systemctl", "stop", "pharos")
            try await scene.lab.cut(node, from: [.etcd])
            try await scene.run(node, "systemctl", "start", "--no-block", "pharos")
            try await scene.awaitLog(node, "etcd cannot be read")
            #expect(try await scene.lab.exec(node, ["systemctl", "is-active", "pharos"]).text == "activating\n")
            try await scene.lab.heal(node)
            try await scene.lab.awaitHealth()
        }
    }

    @Test @EventLoop func `a rebuilt etcd is recognized, and distrusted for one lifetime`() async throws {
        try await Scene.play("etcd wiped and rebuilt") { scene in
            let nodes = scene.lab.options.nodes
            for node in nodes { try await scene.run(node, "systemctl", "stop", "etcd") }
            for node in nodes { try await scene.run(node, "sh", "-c", "rm -rf /var/lib/etcd/default/*") }
            for node in nodes { try await scene.run(node, "systemctl", "start", "--no-block", "etcd") }
            try await scene.awaitLog(scene.leader, "another etcd cluster answers", .seconds(60))
            try await scene.lab.awaitHealth()
        }
    }

    // MARK: - Patroni and PostgreSQL

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
            try await scene.run(
                scene.leader, "sh", "-c", "kill -9 $(head -1 /var/lib/postgresql/15/main/postmaster.pid)")
            try await scene.wait("writes again", .seconds(60)) {
                try scene.timeline().gaps(of: Scene.v4, since: scene.start).contains { $0.firstSuccess != nil }
            }
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
            for address in Scene.addresses { #expect(try scene.absence(of: address) == 0) }
            for name in scene.lab.options.nodes { try await scene.run(name, "systemctl", "start", "patroni") }
            try await scene.wait("the leader key again", .seconds(40)) { try await scene.lab.leader() == node }
            try await scene.run(node, "patronictl", "-c", "/etc/patroni/config.yml", "resume", "--wait")
            for address in Scene.addresses { #expect(try scene.absence(of: address) == 0) }
        }
    }

    @Test @EventLoop func `Patroni's failsafe mode keeps the address without etcd`() async throws {
        try await Scene.play("quorum lost for 60 s with failsafe mode", Self.failsafe) { scene in
            for node in scene.others { try await scene.lab.freeze(node, .etcd) }
            try await scene.pause(.seconds(60))
            for node in scene.others { try await scene.lab.thaw(node, .etcd) }
            try await scene.awaitLog(scene.leader, "etcd can be read again", .seconds(20))
            try await scene.awaitLog(scene.leader, "Patroni's failsafe mode is active")
            try await scene.pause(.seconds(5))
            for address in Scene.addresses { #expect(try scene.absence(of: address) == 0) }
        }
    }
}
