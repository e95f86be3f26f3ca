// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// The daemon dies, hangs, stops, starts.
extension LabTests {
    @Test @EventLoop func `a killed daemon is back within a second and the address never blinks`() async throws {
        try await Scene.play("SIGKILL of the daemon") { scene in
            var spans: [Int64] = []
            for _ in 1...3 {
                let before = try await scene.instant(scene.leader, "ActiveEnterTimestamp")
                try await scene.crash()
                var ready = before
                try await scene.wait("the next process to be ready", .seconds(10)) {
                    ready = try await scene.instant(scene.leader, "ActiveEnterTimestamp")
                    return ready > before
                }
                // systemd's own stamps: from when it learned of the death to when the next process said READY=1.
                let dead = try await scene.instant(scene.leader, "ActiveExitTimestamp")
                #expect(dead > max(before, scene.start) && ready > dead)
                spans.append((ready - dead) / 1000)
            }
            print("back after \(spans) ms")
            // What others do on the same processors makes it longer, never shorter.
            #expect(try #require(spans.min()) < 1000, "back after \(spans) ms")
            try await scene.awaitLog(scene.leader, "its lease is taken over")
            try await scene.pause(.seconds(2))
            try scene.expectNoAbsence()
            // What the unit runs after a stop that had to kill must not be run after a crash.
            #expect(try await !scene.log(scene.leader).contains("removed \(Scene.v4)"))
        }
    }

    @Test @EventLoop func `a frozen daemon loses the address by its lifetime, and the new leader gets it`() async throws
    {
        try await Scene.play("SIGSTOP of the daemon, then a switchover") { scene in
            // Without its watchdog, so that nothing but the lifetime ends it.
            try await scene.run(scene.leader, "systemctl", "service-watchdogs", "no")
            // A process that takes the address over announces it at 0, 0.05, 0.2, 1 and 5 s: frozen in between, it continues
            // with an announcement that is due.
            try await scene.run(scene.leader, "systemctl", "restart", "pharos")
            try await scene.wait("the next process to announce", .seconds(20)) {
                try scene.timeline().announcements(since: scene.start).contains { $0.address == Scene.v4 }
            }
            try await scene.lab.freeze(scene.leader, .pharos)
            let target = try await scene.lab.switchover()
            #expect(
                try await scene.lab.holders(Scene.v4) == [scene.leader], "the frozen daemon cannot have released it")
            try await scene.awaitHolders([target], .seconds(40))
            try await scene.awaitWrites()
            let thawed = Lab.now
            try await scene.lab.thaw(scene.leader, .pharos)
            try await scene.pause(.seconds(2))
            let told = try scene.timeline().announcements(since: thawed).filter { $0.node != target }
            #expect(told.isEmpty, "the thawed daemon has announced: \(told)")
            try await scene.expectNeighbors(target)
            #expect(try await scene.lab.holders(Scene.v4) == [target], "the thawed daemon must not take it back")
            try await scene.run(scene.leader, "systemctl", "service-watchdogs", "yes")
        }
    }

    @Test @EventLoop func `systemd ends a frozen daemon, and the next one takes the addresses over`() async throws {
        try await Scene.play("watchdog") { scene in
            let before = try await scene.property(scene.leader, "NRestarts")
            try await scene.lab.freeze(scene.leader, .pharos)
            try await scene.wait("systemd's watchdog", .seconds(20)) {
                try await scene.property(scene.leader, "NRestarts") != before
            }
            try await scene.awaitLog(scene.leader, "its lease is taken over")
            try await scene.awaitHolders([scene.leader], .seconds(10))
            try scene.expectNoAbsence()
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
            try await scene.awaitLog(scene.leader, "stopped; no address is left here")
            try await scene.run(scene.leader, "systemctl", "start", "pharos")
            try await scene.awaitHolders([scene.leader], .seconds(10))
        }
    }

    @Test @EventLoop func `a stop that has to kill takes the addresses off before their lifetime ends`() async throws {
        try await Scene.play("systemctl stop of a daemon that hangs") { scene in
            let node = scene.leader
            try await scene.run(node, "systemctl", "service-watchdogs", "no")
            // SIGSTOP is not enough of a hang: systemd lets what it stops continue, and then it releases in order.
            try await scene.lab.freeze(node, .pharos)
            try await scene.run(node, "systemctl", "stop", "pharos")
            try await scene.awaitLog(node, "stopped; no address is left here")
            try await scene.run(node, "systemctl", "start", "pharos")
            try await scene.awaitHolders([node], .seconds(10))

            try await scene.grip(node)
            let ends = try await scene.lifetimeEnd(of: Scene.v4, on: node)
            let stopped = Lab.now
            try await scene.run(node, "systemctl", "stop", "pharos")
            for address in Scene.addresses { #expect(try await scene.lab.holders(address) == []) }
            let gone = try #require(try scene.timeline().holdings(of: Scene.v4).last?.until)
            print("gone \((gone - stopped) / 1000) ms after the stop, \((ends - gone) / 1000) ms before its lifetime")
            #expect(gone > stopped && gone < ends, "the lifetime was first")
            try await scene.awaitLog(node, "removed \(Scene.v4)/32")
            #expect(try await scene.property(node, "Result") == "timeout")
            try await scene.run(node, "systemctl", "service-watchdogs", "yes")
            try await scene.run(node, "systemctl", "start", "pharos")
            try await scene.awaitHolders([node], .seconds(30))
        }
    }

    @Test @EventLoop func `a restart leaves the addresses to the next process, and a stop does not`() async throws {
        try await Scene.play("systemctl restart") { scene in
            for _ in 1...3 {
                let before = try scene.lab.processes(of: .pharos, on: scene.leader)
                try await scene.run(scene.leader, "systemctl", "restart", "pharos")
                #expect(try scene.lab.processes(of: .pharos, on: scene.leader) != before)
            }
            try await scene.awaitLog(scene.leader, "restarting: \(Scene.v4) \(Scene.v6) stays for the next process")
            try await scene.awaitLog(scene.leader, "its lease is taken over")
            try await scene.pause(.seconds(2))
            try scene.expectNoAbsence()
            // Where systemd cannot be asked, a restart is a stop and a start.
            try await scene.run(scene.leader, "systemctl", "stop", "dbus.socket", "dbus.service")
            try await scene.run(scene.leader, "systemctl", "restart", "pharos")
            try await scene.awaitHolders([scene.leader], .seconds(10))
            try await scene.pause(.milliseconds(200))
            let lengths = try scene.absences()
            print("without D-Bus the addresses were away for \(lengths) ms")
            #expect(lengths.allSatisfy { $0 > 0 && $0 < 2000 }, "\(lengths) ms")
            try await scene.run(scene.leader, "systemctl", "start", "dbus.socket")
        }
    }

    @Test @EventLoop func `a unit of before, which starts pharos run, has the daemon of now, and the addresses stay`()
        async throws
    {
        try await Scene.play("a unit that starts pharos run") { scene in
            let folder = "/run/systemd/system/pharos.service.d"
            try await scene.run(
                scene.leader, "sh", "-c",
                """
                mkdir -p \(folder)
                printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/pharos run\\n' >\(folder)/before.conf
                systemctl daemon-reload && systemctl restart pharos
                """)
            // systemd has been told that it is ready: by the process that it watches.
            let process = try await scene.property(scene.leader, "MainPID")
            #expect(try await scene.lab.run(scene.leader, ["cat", "/proc/\(process)/comm"]).hasPrefix("pharosd"))
            try await scene.awaitLog(scene.leader, "its lease is taken over")
            // Longer than its watchdog waits for a ping.
            try await scene.pause(.seconds(12))
            #expect(try await scene.property(scene.leader, "MainPID") == process)
            try await scene.bringBack("pharos")
            #expect(try await scene.property(scene.leader, "MainPID") != process)
            try scene.expectNoAbsence()
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
            try scene.expectNoAbsence()
            try await scene.run(
                scene.leader, "sh", "-c", "cp /tmp/good.yml /etc/pharos/pharos.yml && systemctl reload pharos")
            try await scene.awaitLog(scene.leader, "the configuration was read again")
            try scene.expectNoAbsence()
        }
    }

    @Test @EventLoop func `a log partition so full that records are lost changes nothing`() async throws {
        try await Scene.play("disk full on the log partition") { scene in
            let node = scene.leader
            try await scene.fillLogs(of: node)
            try await scene.run(node, "systemd-cat", "-t", "probe", "echo", "written while full")
            let target = try await scene.lab.switchover(to: scene.others[0])
            try await scene.awaitHolders([target], .seconds(20))
            #expect(try await scene.insistOnSwitchover(to: node) == node)
            try await scene.awaitHolders([node], .seconds(20))
            try await scene.emptyLogs(of: node)
            try await scene.run(node, "systemd-cat", "-t", "probe", "echo", "written later")
            try await scene.wait("the journal to work again", .seconds(10)) {
                try await scene.records(node, ["-t", "probe"]).contains { $0.message == "written later" }
            }
            let probes = try await scene.records(node, ["-t", "probe"]).map(\.message)
            #expect(probes == ["written later"], "the journal was not full")
            let loss = "\(Scene.v4) was taken off eth0: Patroni's leader key"
            #expect(try await !scene.log(node).contains(loss))
            // What the journal has lost, the daemon still knows; and it writes on.
            let events = try await scene.status(node)["events"]?.array ?? []
            #expect(events.contains { $0["message"]?.string?.hasPrefix(loss) == true })
            try await scene.run(node, "systemctl", "reload", "pharos")
            try await scene.awaitLog(node, "the configuration was read again")
        }
    }
}
