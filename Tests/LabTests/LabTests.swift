// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// Every fault that the operations manual describes, on real nodes: systemd, etcd, Patroni, PostgreSQL, the kernel.
@Suite(.serialized, .enabled(if: Scene.isPossible, "lab tests run through `make test`, which stages the daemon"))
struct LabTests {
    init() { EventLoop.shared.executor.startThread() }

    // MARK: - Leader changes

    @Test @EventLoop func `a switchover moves the addresses with the leadership`() async throws {
        try await Scene.play("switchover") { scene in
            let target = try await scene.lab.switchover()
            try await scene.awaitHolders([target], .seconds(20))
            try await scene.wait("writes through the address", .seconds(10)) {
                try scene.timeline().gaps(of: Scene.v4, since: scene.start).contains { $0.firstSuccess != nil }
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

    // MARK: - The daemon

    @Test @EventLoop func `a killed daemon is back within a second and the address never blinks`() async throws {
        try await Scene.play("SIGKILL of the daemon") { scene in
            let before = try scene.lab.processes(of: .pharos, on: scene.leader)
            try await scene.run(scene.leader, "systemctl", "kill", "-s", "KILL", "pharos")
            let killed = Lab.now
            try await scene.wait("the next process is ready", .seconds(5)) {
                let now = try scene.lab.processes(of: .pharos, on: scene.leader)
                guard let process = now.first, !before.contains(process) else { return false }
                return try await scene.lab.exec(scene.leader, ["systemctl", "is-active", "-q", "pharos"]).exitCode == 0
            }
            #expect(Lab.now - killed < 1_500_000, "back after \((Lab.now - killed) / 1000) ms")
            try await scene.awaitLog(scene.leader, "its lease is taken over")
            try await scene.pause(.seconds(2))
            for address in Scene.addresses { #expect(try scene.absence(of: address) == 0) }
        }
    }

    @Test @EventLoop func `a frozen daemon loses the address by its lifetime, and the new leader gets it`() async throws
    {
        try await Scene.play("SIGSTOP of the daemon, then a switchover") { scene in
            // Without its watchdog, so that nothing but the lifetime ends it.
            try await scene.run(scene.leader, "systemctl", "service-watchdogs", "no")
            try await scene.lab.freeze(scene.leader, .pharos)
            let target = try await scene.lab.switchover()
            #expect(
                try await scene.lab.holders(Scene.v4) == [scene.leader], "the frozen daemon cannot have released it")
            try await scene.awaitHolders([target], .seconds(40))
            try await scene.lab.thaw(scene.leader, .pharos)
            try await scene.pause(.seconds(2))
            #expect(try await scene.lab.holders(Scene.v4) == [target], "the thawed daemon must not take it back")
            try await scene.run(scene.leader, "systemctl", "service-watchdogs", "yes")
        }
    }

    @Test @EventLoop func `systemd ends a frozen daemon, and the next one gives the address up`() async throws {
        try await Scene.play("watchdog") { scene in
            try await scene.lab.freeze(scene.leader, .pharos)
            try await scene.wait("systemd's watchdog", .seconds(20)) {
                try await scene.lab.exec(
                    scene.leader, ["systemctl", "show", "-P", "NRestarts", "pharos"]
                ).text != "0\n"
            }
            try await scene.awaitHolders([scene.leader], .seconds(10))
            #expect(try scene.absence() == 0)
        }
    }

    @Test @EventLoop func `a daemon that is dead for good loses the address by its lifetime`() async throws {
        try await Scene.play("SIGKILL of the daemon without restart, then a switchover") { scene in
            try await scene.keepDown("pharos")
            try await scene.run(scene.leader, "systemctl", "kill", "-s", "KILL", "pharos")
            let target = try await scene.lab.switchover()
            try await scene.awaitHolders([target], .seconds(40))
            try await scene.bringBack("pharos")
        }
    }

    @Test @EventLoop func `a stopped daemon has released its addresses`() async throws {
        try await Scene.play("systemctl stop") { scene in
            try await scene.run(scene.leader, "systemctl", "stop", "pharos")
            for address in Scene.addresses { #expect(try await scene.lab.holders(address) == []) }
            #expect(try await scene.log(scene.leader).contains("stopped; no address is left here"))
            try await scene.run(scene.leader, "systemctl", "start", "pharos")
            try await scene.awaitHolders([scene.leader], .seconds(10))
        }
    }

    @Test @EventLoop func `a restart is short`() async throws {
        try await Scene.play("systemctl restart") { scene in
            try await scene.run(scene.leader, "systemctl", "restart", "pharos")
            try await scene.awaitHolders([scene.leader], .seconds(10))
            // The figure that is promised is a benchmark's; here the order of magnitude.
            let absence = try scene.absence()
            #expect(absence < 2000, "\(absence) ms without the address")
        }
    }

    @Test @EventLoop func `a broken configuration is refused at reload and the old one stays`() async throws {
        try await Scene.play("broken configuration at reload") { scene in
            try await scene.run(
                scene.leader, "sh", "-c",
                "cp /etc/pharos/pharos.yml /tmp/good.yml && echo 'adresses: []' >>/etc/pharos/pharos.yml && systemctl reload pharos"
            )
            try await scene.awaitLog(scene.leader, "the new configuration is refused")
            try await scene.awaitLog(scene.leader, "did you mean 'addresses'")
            #expect(try scene.absence() == 0)
            try await scene.run(
                scene.leader, "sh", "-c", "cp /tmp/good.yml /etc/pharos/pharos.yml && systemctl reload pharos")
            try await scene.awaitLog(scene.leader, "the configuration was read again")
            #expect(try scene.absence() == 0)
        }
    }

    @Test @EventLoop func `a full log partition changes nothing`() async throws {
        try await Scene.play("disk full on the log partition") { scene in
            let node = scene.leader
            try await scene.run(
                node, "sh", "-c",
                "mkdir -p /run/full && mount -t tmpfs -o size=64k tmpfs /run/full && mount --bind /run/full /var/log && (yes >/var/log/full 2>/dev/null || true)"
            )
            let target = try await scene.lab.switchover()
            try await scene.awaitHolders([target], .seconds(20))
            _ = try await scene.insistOnSwitchover(to: node)
            try await scene.awaitHolders([node], .seconds(20))
            try await scene.run(node, "sh", "-c", "umount /var/log; umount /run/full")
        }
    }

    // MARK: - The addresses

    @Test @EventLoop func `an address removed by hand is back within a second`() async throws {
        try await Scene.play("address deleted by hand") { scene in
            try await scene.run(scene.leader, "ip", "addr", "del", "\(Scene.v4)/24", "dev", "eth0")
            try await scene.run(scene.leader, "ip", "addr", "del", "\(Scene.v6)/64", "dev", "eth0")
            try await scene.awaitHolders([scene.leader], .seconds(5))
            for address in Scene.addresses { #expect(try scene.absence(of: address) < 1000) }
            try await scene.awaitLog(scene.leader, "somebody removed \(Scene.v4) from eth0")
        }
    }

    @Test @EventLoop func `an address added by hand on another node is removed there`() async throws {
        try await Scene.play("address added by hand", isOverlapExpected: true) { scene in
            let node = scene.others[0]
            try await scene.run(node, "ip", "addr", "add", "\(Scene.v4)/24", "dev", "eth0")
            try await scene.awaitHolders([scene.leader], .seconds(5))
            let holding = try scene.timeline().holdings(of: Scene.v4).last { $0.node == node }
            let span = try #require(holding?.until) - (holding?.from ?? 0)
            #expect(span < 1_000_000, "removed after \(span / 1000) ms")
            try await scene.awaitLog(node, "somebody added \(Scene.v4)/24 to eth0")
        }
    }

    @Test @EventLoop func `an interface that goes down and comes up gets its addresses back`() async throws {
        try await Scene.play("interface down") { scene in
            try await scene.run(scene.leader, "sh", "-c", "ip link set eth0 down && sleep 1 && ip link set eth0 up")
            try await scene.awaitHolders([try await scene.lab.leader() ?? scene.leader], .seconds(60))
        }
    }

    @Test @EventLoop func `an interface that is missing at the start is waited for`() async throws {
        try await Scene.play("interface missing at start") { scene in
            let node = scene.leader
            try await scene.run(node, "systemctl", "stop", "pharos")
            try await scene.run(
                node, "sh", "-c", "sed -i s/eth0/eth7/ /etc/pharos/pharos.yml && systemctl start pharos")
            try await scene.awaitLog(node, "interface eth7 does not exist")
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
}
