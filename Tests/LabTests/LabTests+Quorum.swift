// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// etcd without quorum, under Patroni's own defaults.
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

    @Test @EventLoop func `ten seconds without quorum keep the address`() async throws {
        try await Scene.play("quorum lost for 10 s", Self.patient) { scene in
            try await scene.lab.giveEtcdLeadership(to: scene.leader)
            for node in scene.others { try await scene.lab.freeze(node, .etcd) }
            try await scene.pause(.seconds(10))
            for node in scene.others { try await scene.lab.thaw(node, .etcd) }
            try await scene.awaitLog(scene.leader, "etcd can be read again", .seconds(20))
            try scene.expectNoAbsence()
        }
    }

    @Test @EventLoop func `a fifth of all packets lost between the leader's node and the rest moves nothing`()
        async throws
    {
        try await Scene.play("20 % loss on the leader's node", Self.patient) { scene in
            // Not between etcd's members that make its quorum: what etcd's own elections do is not the question.
            try await scene.lab.giveEtcdLeadership(to: scene.others[0])
            try await scene.lab.lose(scene.leader, percent: 20)
            // Longer than every lease.
            try await scene.pause(.seconds(35))
            try await scene.lab.heal()
            let (leader, changes) = (
                try await scene.lab.leader(), try scene.timeline().leaderChanges(since: scene.start)
            )
            #expect(leader == scene.leader && changes.isEmpty, "\(leader ?? "nobody") leads, \(changes)")
            try scene.expectNoAbsence()
        }
    }

    @Test @EventLoop func `a minute without quorum ends the address, and it returns by itself`() async throws {
        try await Scene.play("quorum lost for 60 s", Self.patient) { scene in
            try await scene.lab.giveEtcdLeadership(to: scene.leader)
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

    @Test @EventLoop func `Patroni's failsafe mode keeps the address without etcd`() async throws {
        try await Scene.play("quorum lost for 60 s with failsafe mode", Self.failsafe) { scene in
            try await scene.lab.giveEtcdLeadership(to: scene.leader)
            for node in scene.others { try await scene.lab.freeze(node, .etcd) }
            try await scene.pause(.seconds(60))
            for node in scene.others { try await scene.lab.thaw(node, .etcd) }
            try await scene.awaitLog(scene.leader, "etcd can be read again", .seconds(20))
            try await scene.awaitLog(scene.leader, "Patroni's failsafe mode is active")
            try await scene.pause(.seconds(5))
            try scene.expectNoAbsence()
        }
    }
}
