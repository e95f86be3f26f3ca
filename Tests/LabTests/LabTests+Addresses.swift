// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// Addresses and interfaces that others change.
extension LabTests {
    @Test @EventLoop func `an address removed by hand is back within a second`() async throws {
        try await Scene.play("address deleted by hand") { scene in
            // Beside the node's own addresses they stand alone.
            try await scene.run(scene.leader, "ip", "addr", "del", "\(Scene.v4)/32", "dev", "eth0")
            try await scene.run(scene.leader, "ip", "addr", "del", "\(Scene.v6)/128", "dev", "eth0")
            try await scene.awaitLog(scene.leader, "somebody removed \(Scene.v4) from eth0")
            try await scene.awaitLog(scene.leader, "somebody removed \(Scene.v6) from eth0")
            try await scene.awaitHolders([scene.leader], .seconds(5))
            try await scene.pause(.milliseconds(200))
            let absences = try scene.absences()
            #expect(absences.allSatisfy { $0 > 0 && $0 < 1000 }, "away for \(absences) ms")
        }
    }

    @Test @EventLoop func `an address added by hand on another node is removed there`() async throws {
        try await Scene.play("address added by hand", isOverlapExpected: true) { scene in
            let node = scene.others[0]
            try await scene.run(node, "ip", "addr", "add", "\(Scene.v4)/24", "dev", "eth0")
            var holding: Timeline.Holding?
            try await scene.wait("the observer to see it come and go", .seconds(5)) {
                holding = try scene.timeline().holdings(of: Scene.v4).last { $0.node == node && $0.from >= scene.start }
                return holding?.until != nil
            }
            let span = try #require(holding?.until) - (holding?.from ?? 0)
            #expect(span < 1_000_000, "removed after \(span / 1000) ms")
            try await scene.awaitHolders([scene.leader], .seconds(5))
            try await scene.awaitLog(node, "somebody added \(Scene.v4)/24 to eth0")
        }
    }

    @Test @EventLoop func `an interface that goes down and comes up gets its addresses back`() async throws {
        try await Scene.play("interface down") { scene in
            try await scene.run(scene.leader, "sh", "-c", "ip link set eth0 down && sleep 1 && ip link set eth0 up")
            // What came with the interface's configuration: IPv6 addresses do not outlive their link.
            try await scene.lab.resetNetwork(of: scene.leader)
            try await scene.awaitHolders([try await scene.lab.leader() ?? scene.leader], .seconds(60))
        }
    }

    @Test @EventLoop func `an interface that is missing or down at the start is waited for`() async throws {
        try await Scene.play("interface missing at start, then down at start") { scene in
            let node = scene.leader
            try await scene.run(node, "systemctl", "stop", "pharos")
            try await scene.run(
                node, "sh", "-c", "sed -i s/eth0/eth7/ /etc/pharos/pharos.yml && systemctl start pharos")
            try await scene.awaitLog(node, "interface eth7 does not exist")
            try await scene.run(node, "systemctl", "stop", "pharos")
            try await scene.run(node, "ip", "link", "add", "eth7", "type", "veth", "peer", "name", "eth8")
            #expect(try await !scene.log(node).contains("is down"))
            try await scene.run(node, "systemctl", "start", "pharos")
            try await scene.awaitLog(node, "\(Scene.v4) waits: interface eth7 is down")
            try await scene.awaitStatusText(node, "interface eth7 is down")
            #expect(try await scene.lab.holders(Scene.v4) == [])
            try await scene.run(node, "sh", "-c", "ip link set eth8 up && ip link set eth7 up")
            try await scene.awaitHolders([node], .seconds(10))
            // A link that comes later than the daemon.
            try await scene.run(node, "systemctl", "stop", "pharos")
            try await scene.run(node, "sh", "-c", "ip link del eth7 && systemctl start pharos")
            #expect(try await scene.lab.holders(Scene.v4) == [])
            try await scene.run(
                node, "sh", "-c",
                "ip link add eth7 type veth peer name eth8 && ip link set eth7 up && ip link set eth8 up")
            try await scene.awaitHolders([node], .seconds(10))
            try await scene.run(
                node, "sh", "-c",
                "sed -i s/eth7/eth0/ /etc/pharos/pharos.yml && systemctl restart pharos && ip link del eth7")
            try await scene.awaitHolders([node], .seconds(10))
        }
    }

    @Test @EventLoop func `another station that answers for the address is reported, and the address stays`()
        async throws
    {
        try await Scene.play("duplicate address on an outsider") { scene in
            try await scene.lab.runAtClient(["ip", "addr", "add", "\(Scene.v4)/24", "dev", "eth0"])
            do {
                // Whoever takes the address, or takes it over, asks whether another has it.
                let begun = Lab.now
                try await scene.crash()
                let record = try await scene.awaitLog(scene.leader, "another node answers for \(Scene.v4): ")
                print("reported after \((record.at - begun) / 1000) ms: \(record.message)")
                #expect(record.at - begun < 5_000_000, "after \((record.at - begun) / 1000) ms")
                #expect(record.priority == 2, "critical")
                let link = try await scene.lab.runAtClient(["ip", "-br", "link", "show", "dev", "eth0"])
                let told = try #require(
                    record.message.split(separator: " ").first { $0.split(separator: ":").count == 6 }
                )
                .prefix(17)
                #expect(link.contains(told), "\(record.message); the outsider: \(link)")
                try await scene.pause(.seconds(2))
                try scene.expectNoAbsence()
            } catch {
                try await scene.lab.runAtClient(["ip", "addr", "del", "\(Scene.v4)/24", "dev", "eth0"])
                throw error
            }
            try await scene.lab.runAtClient(["ip", "addr", "del", "\(Scene.v4)/24", "dev", "eth0"])
        }
    }

    @Test @EventLoop func `an IPv6 address whose duplicate detection has failed is put on anew`() async throws {
        try await Scene.play("dadfailed") { scene in
            let node = scene.leader
            // An outsider has it while another hand, without `nodad`, puts it on the holder.
            try await scene.lab.runAtClient(["ip", "addr", "add", "\(Scene.v6)/64", "dev", "eth0", "nodad"])
            do {
                // Its daemon would be faster than the kernel's detection.
                try await scene.lab.freeze(node, .pharos)
                try await scene.run(
                    node, "sh", "-c", "ip addr flush to \(Scene.v6) dev eth0 && ip addr add \(Scene.v6)/128 dev eth0")
                try await scene.wait("the kernel to find the duplicate", .seconds(8)) {
                    try await scene.lab.run(node, ["ip", "addr", "show", "to", Scene.v6]).contains("dadfailed")
                }
            } catch {
                try await scene.lab.runAtClient(["ip", "addr", "del", "\(Scene.v6)/64", "dev", "eth0"])
                throw error
            }
            try await scene.lab.runAtClient(["ip", "addr", "del", "\(Scene.v6)/64", "dev", "eth0"])
            try await scene.lab.thaw(node, .pharos)
            try await scene.awaitLog(node, "duplicate detection has failed")
            try await scene.wait("the address to be usable", .seconds(10)) {
                let shown = try await scene.lab.run(node, ["ip", "addr", "show", "to", Scene.v6])
                return shown.contains(Scene.v6) && !shown.contains("dadfailed") && !shown.contains("tentative")
            }
            try await scene.awaitWrites(through: [Scene.v6])
        }
    }

    @Test @EventLoop func `64 addresses come and go, and each of their commands has room`() async throws {
        try await Scene.play("64 addresses") { scene in
            let node = scene.leader
            // With both of the lab's, as many as a configuration may name; here the first of them brings the subnet.
            let more = (1...62).map { "10.77.1.\($0)" }
            let lines = more.map { "  - {address: \($0)/24, interface: eth0}" }
            try await scene.run(
                node, "sh", "-c",
                """
                set -e
                cp -p /etc/pharos/pharos.yml /root/
                # Where the host lets no counter of tasks into its nodes, the user's own limit counts the same.
                mkdir -p /run/systemd/system/pharos.service.d
                printf '[Service]\\nLimitNPROC=%s\\n' $(systemctl show -P TasksMax pharos) \
                    >/run/systemd/system/pharos.service.d/tasks.conf
                systemctl daemon-reload
                cat >/root/more <<'END'
                \(lines.joined(separator: "\n"))
                END
                sed -i '/^addresses:/r /root/more' /etc/pharos/pharos.yml
                systemctl restart pharos
                """)
            func awaitCount(_ count: Int, _ limit: Duration = .seconds(20)) async throws {
                try await scene.wait("\(count) addresses", limit) {
                    try await scene.lab.addresses(of: node).count { more.contains($0) || Scene.addresses.contains($0) }
                        == count
                }
            }
            // Nothing is remembered of the new ones, so they wait for one TTL.
            try await awaitCount(64, .seconds(20) + .seconds(2 * scene.lab.options.ttl))
            try await scene.run(node, "systemctl", "stop", "pharos")
            try await awaitCount(0)
            try await scene.run(node, "systemctl", "start", "pharos")
            try await awaitCount(64)
            try await scene.run(node, "sh", "-c", "mv /root/pharos.yml /etc/pharos/ && systemctl reload pharos")
            try await awaitCount(2)
            #expect(try await scene.property(node, "LimitNPROC") == scene.property(node, "TasksMax"))
            // That one is too late on a busy machine is something else.
            let failed = try await scene.records(node).filter { $0.message.contains("cannot be started") }
            #expect(failed.isEmpty, "\(failed.map(\.message))")
            try await scene.run(
                node, "sh", "-c", "rm /run/systemd/system/pharos.service.d/tasks.conf && systemctl daemon-reload")
        }
    }
}
