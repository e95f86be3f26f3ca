// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// etcd fails.
extension LabTests {
    @Test @EventLoop func `a node cut from etcd loses the address by its lease, though clients still reach it`()
        async throws
    {
        try await Scene.play("cut from etcd only") { scene in
            try await scene.lab.giveEtcdLeadership(to: scene.others[0])
            try await scene.lab.cut(scene.leader, from: [.etcd])
            let leader = try await scene.awaitNewLeader(.seconds(60))
            try await scene.awaitHolders([leader], .seconds(40))
            try await scene.awaitLog(scene.leader, "etcd cannot be read")
        }
    }

    /// First the member that serves the leader's daemon, then the one that serves the next leader's: two scenes, since
    /// standbys may need more than Patroni's own means to follow again after it. What Patroni watches through a member that
    /// hangs it does not learn (patroni#2180): the next leader's must be served by another.
    @Test(arguments: [true, false]) @EventLoop
    func `an etcd member that hangs under the watch delays nothing for long`(isLeaders: Bool) async throws {
        try await Scene.play("the watched etcd member frozen, then a switchover") { scene in
            var (watcher, target, member) = (scene.leader, "", "")
            try await scene.wait("a standby whose Patroni is served by another member than the daemon", .seconds(60)) {
                for node in scene.others {
                    if !isLeaders { watcher = node }
                    member = try await scene.servingMember(of: watcher)
                    guard try await scene.isPatroni(on: node, servedWithout: member) else { continue }
                    try await scene.lab.giveEtcdLeadership(
                        to: try #require(scene.lab.options.nodes.first { $0 != member }))
                    target = node
                    let isPlaced = try await scene.isPatroni(on: node, servedWithout: member)
                    if isPlaced, try await scene.servingMember(of: watcher) == member { return true }
                }
                // A daemon that starts chooses its member anew.
                try await scene.run(watcher, "systemctl", "restart", "pharos")
                return false
            }
            let begun = Lab.now
            try await scene.lab.freeze(member, .etcd)
            if isLeaders {
                // Nothing else happens meanwhile: the daemon finds out by itself.
                try await scene.wait("\(watcher) to leave \(member)", .seconds(20)) {
                    try await scene.servingMember(of: watcher) != member
                }
                let left = (Lab.now - begun) / 1000
                print("\(watcher) left the frozen \(member) after \(left) ms")
                #expect(left < 8000, "\(watcher) left \(member) after \(left) ms")
            }
            _ = try await scene.insistOnSwitchover(to: target)
            try await scene.awaitHolders([target], .seconds(40))
            #expect(try await scene.servingMember(of: watcher) != member, "\(watcher) still asks what is frozen")
            let (away, delay) = try await scene.handover(to: target, since: begun)
            print("\(watcher) watched \(member): released within \(away) ms, acquired within \(delay) ms")
            // A renewal, two seconds for an attempt that is not answered, and an election among the other members.
            #expect(away < 8000 && delay < 8000, "released within \(away) ms, acquired within \(delay) ms")
            try await scene.lab.thaw(member, .etcd)
        }
    }

    @Test @EventLoop func `a daemon that starts without etcd waits, and takes the address later`() async throws {
        try await Scene.play("etcd down at the start of the daemon") { scene in
            let node = scene.leader
            try await scene.run(node, "systemctl", "stop", "pharos")
            try await scene.lab.giveEtcdLeadership(to: scene.others[0])
            try await scene.lab.cut(node, from: [.etcd])
            try await scene.run(node, "systemctl", "start", "--no-block", "pharos")
            try await scene.awaitLog(node, "etcd cannot be read")
            #expect(try await scene.property(node, "ActiveState") == "activating")
            try await scene.awaitStatusText(node, "no contact with etcd")
            try await scene.lab.heal(node)
            try await scene.lab.awaitHealth()
        }
    }

    @Test @EventLoop func `a rebuilt etcd is recognized, and distrusted for one lifetime`() async throws {
        try await Scene.play("etcd wiped and rebuilt") { scene in
            let nodes = scene.lab.options.nodes
            try await scene.rebuildEtcd()
            try await scene.lab.awaitHealth()
            var seen: [Int64] = []
            for node in nodes {
                seen.append(try await scene.awaitLog(node, "another etcd cluster answers").at)
            }
            try await scene.pause(.milliseconds(200))
            let (first, last) = (try #require(seen.min()), try #require(seen.max()))
            let ttl = Int64(scene.lab.options.ttl) * 1_000_000
            for address in Scene.addresses {
                for holding in try scene.timeline().holdings(of: address) where holding.until ?? .max >= scene.start {
                    if holding.from < first {
                        // Held under the old cluster: given up where the new one is seen.
                        let until = try #require(holding.until, "\(holding.node) has kept \(address)")
                        #expect(until < last + 1_000_000, "\(holding.node) gave \(address) up too late")
                    } else {
                        let after = (holding.from - first) / 1000
                        print("\(address) came back \(after) ms after the new cluster was first seen")
                        #expect(holding.from >= first + ttl, "\(address) came back after \(after) ms")
                    }
                }
            }
        }
    }

    /// The steps of the manual's "etcd is restored from a snapshot", after the addresses have moved on since the snapshot.
    @Test(arguments: [false, true]) @EventLoop
    func `etcd restored from a snapshot by the manual costs one quarantine`(keepsItsNumber: Bool) async throws {
        try await Scene.play("etcd restored from a snapshot, its number \(keepsItsNumber ? "kept" : "new")") { scene in
            let nodes = scene.lab.options.nodes
            let snapshot = "/var/lib/before.db"
            try await scene.run(nodes[0], "etcdctl", "snapshot", "save", snapshot)
            let target = try await scene.insistOnSwitchover(to: scene.others[0])
            try await scene.awaitHolders([target], .seconds(40))

            for node in nodes { try await scene.run(node, "systemctl", "stop", "patroni") }
            for node in nodes { try await scene.run(node, "sh", "-c", Scene.stopEtcd) }
            let token = keepsItsNumber ? "pharos-lab" : "restored-\(Lab.now)"
            for node in nodes {
                if node != nodes[0] { try await scene.lab.copy(snapshot, from: nodes[0], to: node) }
                try await scene.restoreEtcd(on: node, from: snapshot, token: token)
            }
            let restored = Lab.now
            for node in nodes { try await scene.run(node, "systemctl", "start", "--no-block", "etcd") }
            try await scene.wait("all members of etcd to be well", .seconds(60)) {
                do { try await scene.run(nodes[0], "etcdctl", "endpoint", "health", "--cluster") } catch {
                    return false
                }
                return true
            }
            if keepsItsNumber { try await scene.run(nodes[0], "etcdctl", "del", "/pharos/demo/cluster") }
            for node in nodes { try await scene.run(node, "systemctl", "start", "--no-block", "patroni") }
            // Whether every standby finds its way is PostgreSQL's affair: the snapshot's leader may not be the last one.
            try await scene.wait("the leader to hold the addresses", .seconds(150)) {
                guard let leader = try await scene.lab.leader() else { return false }
                for address in Scene.addresses where try await scene.lab.holders(address) != [leader] { return false }
                return true
            }

            let ttl = Int64(scene.lab.options.ttl) * 1_000_000
            let timeline = try scene.timeline()
            for address in Scene.addresses {
                let holdings = timeline.holdings(of: address).filter { $0.from >= restored }
                let came = try #require(holdings.map(\.from).min(), "\(address) has not come back")
                print("\(address) came back \((came - restored) / 1000) ms after etcd was started anew")
                #expect(came >= restored + ttl, "\(address) came back before the quarantine was over")
            }
        }
    }
}
