// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// The texts are verbatim from `ip -o monitor address link` of iproute2 6.1 on Linux 6.18.
struct MonitorLineTests {
    private func appeared(
        _ text: String,
        on interface: String = "v0",
        index: Int = 2,
        _ lifetime: AddressLifetime,
        tentative: Bool = false
    ) throws -> MonitorLine {
        let place = try virtual(text, on: interface)
        return .appeared(
            KernelAddress(place: place, lifetime: lifetime, isTentative: tentative, isDuplicate: false),
            index: index
        )
    }

    @Test func `addresses that appear`() throws {
        #expect(
            MonitorLine(
                #"2: v0    inet 10.77.0.100/24 scope global dynamic v0\       valid_lft 3sec preferred_lft 3sec"#
            )
                == (try self.appeared("10.77.0.100/24", .seconds(3)))
        )
        #expect(
            MonitorLine(
                #"2: v0    inet 10.77.0.102/32 scope global v0:vip\       valid_lft forever preferred_lft forever"#
            )
                == (try self.appeared("10.77.0.102/32", .forever))
        )
        #expect(
            MonitorLine(
                #"2: v0    inet 10.8.0.1/24 brd 10.8.0.255 scope global v0\       valid_lft forever preferred_lft forever"#
            )
                == (try self.appeared("10.8.0.1/24", .forever))
        )
        #expect(
            MonitorLine(
                #"2: v0    inet6 fd00::6/128 scope global tentative \       valid_lft forever preferred_lft forever"#
            )
                == (try self.appeared("fd00::6/128", .forever, tentative: true))
        )
        #expect(
            MonitorLine(#"4: a@b    inet 10.4.0.1/24 scope global a@b\       valid_lft forever preferred_lft forever"#)
                == (try self.appeared("10.4.0.1/24", on: "a@b", index: 4, .forever))
        )
    }

    @Test func `with a peer, the length stands after the peer`() throws {
        #expect(
            MonitorLine(
                #"2: v0    inet 10.9.0.1 peer 10.9.0.2/32 scope global v0\       valid_lft forever preferred_lft forever"#
            )
                == (try self.appeared("10.9.0.1/32", .forever))
        )
        #expect(
            MonitorLine(
                #"2: v0    inet6 fd00::7 peer fd00::8/64 scope global tentative \       valid_lft forever preferred_lft forever"#
            ) == (try self.appeared("fd00::7/64", .forever, tentative: true))
        )
    }

    @Test func `addresses that disappear`() throws {
        #expect(
            MonitorLine(
                #"Deleted 2: v0    inet 10.77.0.100/24 scope global dynamic v0\       valid_lft 0sec preferred_lft 0sec"#
            )
                == .disappeared(try virtual("10.77.0.100/24", on: "v0"), index: 2)
        )
        #expect(
            MonitorLine(
                #"Deleted 2: v0    inet6 fd00::5/64 scope global nodad dynamic \       valid_lft 0sec preferred_lft 0sec"#
            )
                == .disappeared(try virtual("fd00::5/64", on: "v0"), index: 2)
        )
    }

    @Test func `interfaces, with and without carrier`() {
        let mac =
            #"qdisc noqueue state DOWN group default \    link/ether 9e:c0:d7:73:28:66 brd ff:ff:ff:ff:ff:ff link-netnsid 0"#
        #expect(
            MonitorLine("2: v0@if2: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 \(mac)")
                == .linkChanged(
                    NetworkInterface(
                        name: "v0",
                        index: 2,
                        isUp: true,
                        isLowerUp: false,
                        operationalState: "DOWN",
                        linkAddress: LinkAddress("9e:c0:d7:73:28:66")
                    )
                )
        )
        #expect(
            MonitorLine("2: v0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 \(mac)")
                == .linkChanged(
                    NetworkInterface(
                        name: "v0",
                        index: 2,
                        isUp: true,
                        isLowerUp: true,
                        operationalState: "DOWN",
                        linkAddress: LinkAddress("9e:c0:d7:73:28:66")
                    )
                )
        )
        #expect(
            MonitorLine(
                #"Deleted 2: w0@NONE: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN group default \    link/ether 02:00:00:00:00:99 brd ff:ff:ff:ff:ff:ff"#
            ) == .linkRemoved(name: "w0", index: 2)
        )
    }

    @Test func `a port that leaves its bridge is not removed`() {
        let port =
            #"2: w0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master br0 state UP \    link/ether 02:00:00:00:00:99"#
        #expect(MonitorLine(port) == .nothing)
        #expect(MonitorLine("Deleted " + port) == .nothing)
    }

    @Test func `every recorded line is understood`() throws {
        for line in String(decoding: try fixture("ip-6.1-monitor.txt"), as: UTF8.self).split(separator: "\n") {
            #expect(MonitorLine(String(line)) != nil, "\(line)")
        }
    }

    @Test(arguments: [
        "", " ", ":", "Deleted", "Deleted ", "2:", "2: v0", "2: v0 ", "0: v0    inet 10.0.0.1/24 valid_lft forever",
        "-2: v0    inet 10.0.0.1/24 valid_lft forever", "2: v0    inet 10.0.0.1/24",
        "2: v0    inet 10.0.0.1 valid_lft forever",
        "2: v0    inet 10.0.0.1/33 valid_lft forever", "2: v0    inet 10.0.0.1/24/24 valid_lft forever",
        "2: v0    inet6 10.0.0.1/24 valid_lft forever", "2: v0    inet fd00::1/64 valid_lft forever",
        "2: v0    inet 10.0.0.1/24 valid_lft", "2: v0    inet 10.0.0.1/24 valid_lft -1sec",
        "2: v0    inet 10.0.0.1/24 peer", "2: v0    mpls 7 valid_lft forever", "2: v0: UP", "2: v0: <UP",
        "2: @: <UP> group x",
        "2: v0: <UP> group default", "netlink receive error No buffer space available (105)", "Dump terminated",
    ])
    func `what is not understood is not guessed`(line: String) {
        #expect(MonitorLine(line) == nil)
    }

    @Test func `a line of any length ends`() {
        #expect(MonitorLine("2: v0    inet " + String(repeating: "1", count: 1 << 20)) == nil)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func `garbage never crashes the parser`(seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let lines = try fixture("ip-6.1-monitor.txt").split(separator: UInt8(ascii: "\n"))
        var understood = 0
        for number in 0..<10_000 {
            let line = generator.mutate(Array(lines[number % lines.count]))
            if MonitorLine(String(decoding: line, as: UTF8.self)) != nil { understood += 1 }
        }
        #expect(understood > 10 && understood < 9_990, "\(understood)")
    }
}

struct MonitorReadingTests {
    private let address = #"2: v0    inet 10.0.0.1/24 scope global v0\       valid_lft forever preferred_lft forever"#

    private func link(_ name: String) -> String {
        "2: \(name)@if2: <UP> mtu 1500 qdisc noqueue state UP group default \\    link/ether 02:00:00:00:00:99"
    }

    @Test func `more lines than the limit are one unclear per second`() {
        var reading = MonitorReading(linesPerSecond: 2)
        let noise = "2: w0: <UP> mtu 1500 master br0 state UP"
        #expect(reading.take(noise, at: 10) == .nothing)
        #expect(reading.take("?", at: 20) == .report(.unclear))
        #expect(reading.take(noise, at: 30) == .skip(isFirst: true))
        #expect(reading.take(noise, at: 40) == .skip(isFirst: false))
        #expect(reading.take(noise, at: 1_000_010) == .skip(isFirst: false))
        #expect(reading.secondEnded() == .unclear)
        #expect(reading.take(noise, at: 1_000_040) == .nothing)
        #expect(reading.take(noise, at: 1_000_050) == .nothing)
        #expect(reading.take(noise, at: 1_000_060) == .skip(isFirst: true))
    }

    @Test func `the old name of a renamed interface is not believed`() throws {
        var reading = MonitorReading(linesPerSecond: 100)
        let appeared = KernelAddress(
            place: try virtual("10.0.0.1/24", on: "v0"),
            lifetime: .forever,
            isTentative: false,
            isDuplicate: false
        )
        #expect(reading.take(self.address, at: 0) == .report(.appeared(appeared)))
        _ = reading.take(self.link("v0"), at: 0)
        #expect(reading.take(self.address, at: 0) == .report(.appeared(appeared)))
        _ = reading.take(self.link("w0"), at: 0)
        #expect(reading.take(self.address, at: 0) == .report(.unclear))
        #expect(reading.take("Deleted " + self.address, at: 0) == .report(.unclear))
        #expect(reading.take("Deleted " + self.link("w0"), at: 0) == .report(.linkRemoved(name: "w0")))
        #expect(reading.take(self.address, at: 0) == .report(.appeared(appeared)))
    }
}

@Suite(.serialized)
struct AddressMonitorTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test func `a listener is found in the kernel's table`() {
        let table = """
            sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
            00000000432051a2 0   0          00000000 0        0        0     2        0        30752
            00000000a355bcc1 0   19699      00000111 0        0        0     2        0        30367
            00000000b1340ec5 0   19700      00000011 0        0        0     2        0        30368
            00000000b1340ec5 4   19701      00000111 0        0        0     2        0        30368
            """
        #expect(NetlinkSockets.isListening(19699, table: table))
        for other in [0, 1, 1969, 19700, 19701] as [Int32] { #expect(!NetlinkSockets.isListening(other, table: table)) }
        #expect(!NetlinkSockets.isListening(19699, table: ""))
        #expect(!NetlinkSockets.isListening(getpid()))
    }

    /// Runs `body` with a monitor of the first node that is already listening.
    @EventLoop private func withMonitor(
        linesPerSecond: Int = 200,
        _ body: @EventLoop (TestNamespace, Recorder<MonitorEvent>) async throws -> Void
    ) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let events = Recorder<MonitorEvent>()
            let monitor = AddressMonitor(
                command: nodes[0].command,
                linesPerSecond: linesPerSecond,
                report: events.record
            )
            monitor.start()
            #expect(try await events.contains(.restarted))
            do { try await body(nodes[0], events) } catch {
                await monitor.stop()
                throw error
            }
            await monitor.stop()
            events.removeAll()
            try await nodes[0].ip("addr", "add", "10.200.0.1/24", "dev", "eth0")
            try await EventLoop.sleep(for: .milliseconds(20))
            #expect(events.values.isEmpty, "a stopped monitor reports nothing")
        }
    }

    @Test @EventLoop func `what happens after restarted is seen, within a second`() async throws {
        try await self.withMonitor { node, events in
            let place = try virtual("10.77.0.100/24")
            let commands = node.commands
            _ = try await commands.insist(on: place, for: 30_900_000).get()
            let appeared = KernelAddress(place: place, lifetime: .seconds(30), isTentative: false, isDuplicate: false)
            #expect(try await events.contains(.appeared(appeared), within: .seconds(1)))
            _ = try await commands.insistOnRemoving(place).get()
            #expect(try await events.contains(.disappeared(place), within: .seconds(1)))

            let six = try virtual("fd00:77::100/64")
            _ = try await commands.insist(on: six, for: 1_100_000).get()
            #expect(try await events.contains(.disappeared(six), within: .seconds(3)), "expiry is seen, too")
        }
    }

    @Test @EventLoop func `restarted waits for a child that is slow to listen`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let events = Recorder<MonitorEvent>()
            let slow = ["/bin/sh", "-c", "sleep 0.3; exec \"$@\"", "sh"] + nodes[0].command
            let monitor = AddressMonitor(command: slow, linesPerSecond: 200, report: events.record)
            monitor.start()
            #expect(try await events.contains(.restarted))
            try await nodes[0].ip("addr", "add", "10.77.0.100/24", "dev", "eth0")
            let seen = try await events.first(within: .seconds(2)) { if case .appeared = $0 { true } else { false } }
            await monitor.stop()
            #expect(seen != nil)
        }
    }

    @Test @EventLoop func `interfaces that go down, come and vanish are seen`() async throws {
        try await self.withMonitor { node, events in
            // A new `ip` may complain that the interfaces changed while it listed them: not what is tested here.
            try await EventLoop.sleep(for: .milliseconds(50))
            events.removeAll()
            try await node.ip("link", "set", "eth0", "down")
            let down = try await events.first {
                if case .linkChanged(let link) = $0 {
                    link.name == "eth0" && !link.isUp && link.linkAddress != nil
                } else {
                    false
                }
            }
            #expect(down != nil)
            try await node.ip("link", "add", "extra0", "type", "bridge")
            try await node.ip("link", "delete", "extra0")
            #expect(try await events.contains(.linkRemoved(name: "extra0")))
            #expect(!events.values.contains(.unclear))
        }
    }

    @Test @EventLoop func `a storm is one unclear`() async throws {
        try await self.withMonitor(linesPerSecond: 5) { node, events in
            for number in 1...40 { try await node.ip("addr", "add", "10.78.0.\(number)/32", "dev", "eth0") }
            #expect(try await events.contains(.unclear))
            #expect(events.values.count { $0 == .unclear } <= 3)
            let appeared = events.values.count { if case .appeared = $0 { true } else { false } }
            #expect(appeared < 40)
        }
    }

    @Test @EventLoop func `a monitor that ends is started again, with its reason`() async throws {
        let events = Recorder<MonitorEvent>()
        let monitor = AddressMonitor(
            command: ["/bin/sh", "-c", "echo '2: nonsense'; exit 3", "ip"],
            linesPerSecond: 200,
            report: events.record
        )
        monitor.start()
        let restarted = try await eventually {
            events.values.count { if case .interrupted = $0 { true } else { false } } >= 2
        }
        await monitor.stop()
        #expect(restarted)
        #expect(events.values.first == .unclear)
        guard case .interrupted(let reason) = events.values.dropFirst().first else {
            Issue.record("\(events.values)")
            return
        }
        #expect(reason.hasSuffix("exit code 3"))
    }

    @Test @EventLoop func `a child that never ends a line is ended`() async throws {
        let events = Recorder<MonitorEvent>()
        let monitor = AddressMonitor(
            command: ["/bin/sh", "-c", "yes | tr -d '\\n'", "ip"],
            linesPerSecond: 200,
            report: events.record
        )
        monitor.start()
        let ended = try await events.first { if case .interrupted = $0 { true } else { false } }
        await monitor.stop()
        #expect(ended != nil)
    }

    @Test @EventLoop func `a child that prints without end starves nobody and can be stopped`() async throws {
        let events = Recorder<MonitorEvent>()
        let monitor = AddressMonitor(
            command: ["/bin/sh", "-c", "exec yes", "ip"],
            linesPerSecond: 10,
            report: events.record
        )
        monitor.start()
        #expect(try await events.contains(.unclear))
        try await EventLoop.sleep(for: .milliseconds(50))
        await monitor.stop()
        #expect(events.values.count <= 12, "ten lines, and one for all others")
    }
}
