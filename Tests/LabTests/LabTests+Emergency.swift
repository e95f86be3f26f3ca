// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// What an operator does by hand when most nodes are lost: "When most nodes are lost" in docs/operations.md, step by step.
extension LabTests {
    @Test @EventLoop func `the last of three nodes is brought up by hand, and the others come back as its standbys`()
        async throws
    {
        try await Scene.play("two of three nodes lost, and the way out by hand") { scene in
            let survivor = scene.others[0]
            let lost = scene.lab.options.nodes.filter { $0 != survivor }
            // 1: they stay off.
            for node in lost { try await scene.lab.kill(node) }
            try await scene.awaitHolders([], .seconds(60))
            // 2
            try await scene.run(survivor, "systemctl", "stop", "patroni")
            // 3
            try await scene.run(
                survivor, "sh", "-c",
                """
                set -e
                \(Scene.stopEtcd)
                echo ETCD_FORCE_NEW_CLUSTER=true >>/etc/default/etcd
                systemctl start etcd
                sed -i /ETCD_FORCE_NEW_CLUSTER/d /etc/default/etcd
                systemctl restart etcd
                """)
            #expect(try await scene.etcdMembers(on: survivor) == [survivor])
            // 4 is reading.
            // 5
            try await scene.run(survivor, "systemctl", "start", "patroni")
            try await scene.wait("\(survivor) to lead", .seconds(90)) { try await scene.lab.leader() == survivor }
            try await scene.awaitHolders([survivor], .seconds(60))
            try await scene.wait("writes through the address", .seconds(30)) {
                try scene.timeline().gaps(of: Scene.v4, since: scene.start).contains { $0.firstSuccess != nil }
            }
            let record = try await scene.lastRecord(of: survivor)
            #expect(record["from"]?.string == scene.leader)
            // 6
            for (index, node) in lost.enumerated() {
                try await scene.lab.start(node)
                // Its systemd takes a moment to answer.
                try await scene.wait("\(node) to stop what would go on as before", .seconds(30)) {
                    try await scene.lab.exec(node, ["systemctl", "stop", "patroni", "pharos"]).exitCode == 0
                }
                try await scene.run(node, "sh", "-c", "\(Scene.stopEtcd); rm -rf /var/lib/etcd/default")
                let (member, cluster) = try await scene.addEtcdMember(node, by: survivor)
                try await scene.run(
                    node, "sh", "-c",
                    """
                    set -e
                    cp -p /etc/default/etcd /root/etcd
                    printf 'ETCD_INITIAL_CLUSTER=%s\\nETCD_INITIAL_CLUSTER_STATE=existing\\n' '\(cluster)' >>/etc/default/etcd
                    systemctl start etcd
                    mv /root/etcd /etc/default/etcd
                    """)
                // etcd refuses while it is behind.
                try await scene.wait("etcd to give \(node) its vote", .seconds(30)) {
                    try await scene.lab.exec(survivor, ["etcdctl", "member", "promote", member]).exitCode == 0
                }
                try await scene.run(node, "systemctl", "start", "patroni", "pharos")
                try await scene.wait("etcd of \(index + 2) members", .seconds(30)) {
                    try await scene.etcdMembers(on: node).count == index + 2
                }
                try await scene.wait("\(node) to follow", .seconds(90)) {
                    try await scene.lab.sql(
                        "select count(*) from pg_stat_replication where state = 'streaming'", database: "postgres",
                        on: survivor) == "\(index + 1)\n"
                }
            }
            #expect(try await scene.lab.awaitHealth() == survivor)
            // etcd could write all the while: neither Patroni nor Pharos gave anything up, which takes seconds to come back. A
            // statement that a busy disk keeps for longer than the client's tenth of a second is something else.
            let gaps = try scene.timeline().gaps(of: Scene.v4, since: scene.start).filter { gap in
                gap.milliseconds.map { $0 > 1000 } ?? true
            }
            #expect(gaps.count == 1, "\(gaps)")
        }
    }
}

extension Scene {
    /// The names of etcd's members, sorted, as the one on `node` knows them.
    fileprivate func etcdMembers(on node: String) async throws -> [String] {
        var names: [String] = []
        try await self.wait("etcd on \(node) to answer", .seconds(30)) {
            let outcome = try await self.lab.exec(node, ["etcdctl", "member", "list"])
            // ID, status, name, …
            names = outcome.text.split(separator: "\n").compactMap { line in
                self.lab.options.nodes.first { line.contains(", \($0), ") }
            }
            return outcome.exitCode == 0
        }
        return names.sorted()
    }

    /// Makes a node a learner of the etcd cluster that `helper` is in; answers its id and what it has to start with.
    fileprivate func addEtcdMember(_ node: String, by helper: String) async throws -> (member: String, cluster: String)
    {
        var (member, cluster): (Substring?, Substring?)
        // etcd refuses while a member that was added before is still new.
        try await self.wait("etcd to take \(node) in", .seconds(30)) {
            let outcome = try await self.lab.exec(
                helper,
                [
                    "etcdctl", "member", "add", node, "--learner",
                    "--peer-urls=http://\(LabLayout.address(node)):2380",
                ])
            // As it prints it: Member 165287d47af40e7 added to cluster …, and ETCD_INITIAL_CLUSTER="…".
            let lines = outcome.text.split(separator: "\n")
            member = lines.first { $0.hasPrefix("Member") }?.split(separator: " ").dropFirst().first
            cluster = lines.first { $0.hasPrefix("ETCD_INITIAL_CLUSTER=") }?.split(separator: "\"").last
            return outcome.exitCode == 0
        }
        return (String(try #require(member)), String(try #require(cluster)))
    }
}
