// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// The monitor in network namespaces of the running kernel.
@Suite(.serialized)
struct AddressMonitorTests {
    init() { EventLoop.shared.executor.startThread() }

    /// Runs `body` with a monitor that listens in the first of some nodes.
    @EventLoop private func withMonitor(
        nodes: Int = 1, receiveBuffer: Int32 = 8 << 20,
        _ body: @EventLoop ([TestNamespace], Recorder<MonitorEvent>, AddressMonitor) async throws -> Void
    ) async throws {
        try await TestNetwork.with(nodes: nodes) { nodes in
            let events = Recorder<MonitorEvent>()
            let monitor = AddressMonitor(
                open: { () throws(RouteSocket.Failure) in try RouteSocket(receiveBuffer: receiveBuffer) },
                report: { events.record($0) })
            nodes[0].enter { monitor.start() }
            try await body(nodes, events, monitor)
            monitor.stop()
            events.removeAll()
            try await nodes[0].ip("addr", "add", "10.200.0.1/24", "dev", "eth0")
            try await EventLoop.sleep(for: .milliseconds(20))
            #expect(events.values.isEmpty, "a stopped monitor reports nothing")
        }
    }

    private func appeared(
        _ text: String, on interface: String = "eth0", _ lifetime: AddressLifetime = .forever,
        isDuplicate: Bool = false,
        isTentative: Bool = false
    ) throws -> MonitorEvent {
        .appeared(
            KernelAddress(
                place: try virtual(text, on: interface), lifetime: lifetime, isTentative: isTentative,
                isDuplicate: isDuplicate))
    }

    /// Holds the loop up while `ip` carries out all of `commands`.
    @EventLoop private func storm(_ commands: [String], in node: TestNamespace) throws {
        let folder = try TemporaryDirectory("storm")
        try folder.write("batch", commands.joined(separator: "\n") + "\n")
        #expect(system("\(node.command.joined(separator: " ")) -batch \(folder.file("batch"))") == 0)
    }

    @Test @EventLoop func `an address that comes, is renewed and goes`() async throws {
        try await self.withMonitor { nodes, events, _ in
            for place in ["10.77.0.100/32", "fd00:77::100/64"] {
                events.removeAll()
                let end = try virtual(place)
                try await nodes[0].ip(
                    "addr", "replace", place, "dev", "eth0", "nodad", "valid_lft", "60", "preferred_lft", "0")
                try await nodes[0].ip(
                    "addr", "replace", place, "dev", "eth0", "nodad", "valid_lft", "1", "preferred_lft", "0")
                #expect(try await events.contains(.disappeared(end)), "the kernel took it off")
                let seen = events.values.filter {
                    switch $0 {
                    case .appeared(let address): address.place == end
                    case .disappeared(let place): place == end
                    case .linkChanged, .unclear, .missed: false
                    }
                }
                #expect(
                    seen == [
                        try appeared(place, .seconds(60)), try appeared(place, .seconds(1)), .disappeared(end),
                    ])
            }
        }
    }

    @Test @EventLoop func `an interface that loses its carrier, or is switched off and on`() async throws {
        try await self.withMonitor { nodes, events, _ in
            let node = nodes[0]
            let port = try await TestNetwork.attach(node, as: "eth1")
            events.removeAll()
            try await node.hub.ip("link", "set", port, "down")
            #expect(try await events.contains(.linkChanged(name: "eth1", hasCarrier: false)))
            events.removeAll()
            try await node.hub.ip("link", "set", port, "up")
            #expect(try await events.contains(.linkChanged(name: "eth1", hasCarrier: true)))
            events.removeAll()
            try await node.ip("link", "set", "eth1", "down")
            #expect(try await events.contains(.linkChanged(name: "eth1", hasCarrier: false)))
            try await node.ip("link", "set", "eth1", "up")
            #expect(try await events.contains(.linkChanged(name: "eth1", hasCarrier: true)))
        }
    }

    @Test @EventLoop func `an address keeps to its interface through renamings, and no other name is taken for it`()
        async throws
    {
        try await self.withMonitor { nodes, events, _ in
            let node = nodes[0]
            try await node.ip("link", "property", "add", "dev", "eth0", "altname", "clients")
            try await node.ip("addr", "add", "10.77.0.1/24", "dev", "clients", "label", "eth0:vip")
            #expect(try await events.contains(appeared("10.77.0.1/24")))
            // IPv4 addresses stay through it.
            try await node.ip("link", "set", "eth0", "down")
            try await node.ip("link", "set", "eth0", "name", "eth7")
            try await node.ip("addr", "del", "10.77.0.1/24", "dev", "eth7")
            #expect(try await events.contains(.disappeared(try virtual("10.77.0.1/24", on: "eth7"))))
            // Its name is free, and another interface takes it.
            try await TestNetwork.attach(node, as: "eth0")
            try await node.ip("addr", "add", "10.77.0.2/24", "dev", "eth0")
            try await node.ip("addr", "add", "10.77.0.3/24", "dev", "clients")
            #expect(try await events.contains(appeared("10.77.0.2/24", on: "eth0")))
            #expect(try await events.contains(appeared("10.77.0.3/24", on: "eth7")))
            let names = Set(
                events.values.compactMap { if case .linkChanged(let name, _) = $0 { name } else { nil } })
            #expect(names == ["eth0", "eth7"])
            #expect(!events.values.contains(.unclear))
        }
    }

    @Test @EventLoop func `an interface that is removed takes its addresses along, and comes back`() async throws {
        try await self.withMonitor { nodes, events, _ in
            let node = nodes[0]
            let place = try virtual("10.77.0.1/24")
            for _ in 1...2 {
                events.removeAll()
                try await node.ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
                #expect(try await events.contains(appeared("10.77.0.1/24")))
                try await node.ip("link", "delete", "eth0")
                #expect(try await events.contains(.unclear))
                #expect(events.values.contains(.disappeared(place)), "under the name that it had")
                try await TestNetwork.attach(node, as: "eth0")
                #expect(try await events.contains(.linkChanged(name: "eth0", hasCarrier: true)))
            }
        }
    }

    @Test @EventLoop func `an IPv6 address that another node has`() async throws {
        try await self.withMonitor(nodes: 2) { nodes, events, _ in
            try await nodes[1].ip("addr", "add", "fd00:77::100/64", "dev", "eth0", "nodad")
            try await nodes[0].ip("addr", "add", "fd00:77::100/64", "dev", "eth0")
            let duplicate = try appeared("fd00:77::100/64", isDuplicate: true, isTentative: true)
            #expect(try await events.contains(duplicate, within: .seconds(20)))
            let tentative = try appeared("fd00:77::100/64", isTentative: true)
            #expect(events.values.firstIndex(of: tentative) ?? .max < events.values.firstIndex(of: duplicate) ?? 0)
        }
    }

    /// What was reported at once, and how often the rest of the loop had had its turn by then.
    private struct Batch: Equatable {
        let turn: Int
        let events: [MonitorEvent]
    }

    /// What else the loop has to do: one step in each of its turns.
    @EventLoop private final class Turns {
        private(set) var count = 0
        var isOver = false

        func begin() {
            self.count += 1
            if !self.isOver { EventLoop.spawn { self.begin() } }
        }
    }

    @Test @EventLoop func `a storm of 10,000 messages holds nobody up`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let batches = Recorder<Batch>()
            let turns = Turns()
            let monitor = AddressMonitor { batches.record(Batch(turn: turns.count, events: $0)) }
            nodes[0].enter { monitor.start() }
            let addresses = (0..<5000).map { "10.78.\($0 / 250).\($0 % 250 + 1)/32 dev eth0" }
            let all = addresses.map { "addr add " + $0 } + addresses.map { "addr del " + $0 }
            try storm(all, in: nodes[0])
            turns.begin()
            let last = try appeared("10.79.0.1/32", .seconds(60))
            let isRead = try await eventually(within: .seconds(30)) {
                let place = ["10.79.0.1/32", "dev", "eth0", "valid_lft", "60", "preferred_lft", "60"]
                try await TestNetwork.run(nodes[0].command + ["addr", "replace"] + place)
                return batches.values.contains { $0.events.contains(last) }
            }
            turns.isOver = true
            monitor.stop()
            #expect(isRead)
            // The queue takes thousands; where `net.core.rmem_max` is small, the rest was dropped.
            #expect(batches.values.count > 3, "there was much to read at once")
            #expect(batches.values.allSatisfy { $0.events.count <= AddressMonitor.messagesPerTurn })
            #expect(
                Set(batches.values.map(\.turn)).count == batches.values.count, "all else had its turn between any two")
        }
    }

    @Test @EventLoop func `what the kernel had to drop is told, and hearing goes on`() async throws {
        try await self.withMonitor(receiveBuffer: 1) { nodes, events, _ in
            let addresses = (1...250).map { "10.78.0.\($0)/32 dev eth0" }
            for round in 1...2 {
                events.removeAll()
                try storm(addresses.map { (round == 1 ? "addr add " : "addr del ") + $0 }, in: nodes[0])
                #expect(try await events.contains(.missed(.init(.dropped))))
                #expect(events.values.count < 250)
                try await nodes[0].ip("addr", "add", "10.79.0.\(round)/32", "dev", "eth0")
                #expect(try await events.contains(appeared("10.79.0.\(round)/32")))
            }
        }
    }

    @Test @EventLoop func `the queue is as large as the kernel allows anybody`() async throws {
        let socket = try RouteSocket(receiveBuffer: 8 << 20)
        var size: Int32 = 0
        var length = socklen_t(MemoryLayout.size(ofValue: size))
        #expect(getsockopt(socket.descriptor, SOL_SOCKET, SO_RCVBUF, &size, &length) == 0)
        let file = try #require(fopen("/proc/sys/net/core/rmem_max", "r"))
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 32)
        _ = try #require(fgets(&text, 32, file))
        #expect(Int(size) == 2 * min(atol(text), 8 << 20))
        #expect(fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test @EventLoop func `what another process sends is ignored`() async throws {
        try await self.withMonitor { nodes, events, monitor in
            var address = sockaddr_nl()
            var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
            let own = try #require(monitor.socket).descriptor
            withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(own, $0, &length) }
            }
            address.nl_groups = 0
            var sender: Int32 = -1
            nodes[0].enter { sender = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | O_CLOEXEC, NETLINK_ROUTE) }
            defer { close(sender) }
            // RTM_DELLINK of interface 1, well formed; and nonsense.
            let removal: [UInt8] =
                [32, 0, 0, 0, 17, 0] + [UInt8](repeating: 0, count: 14) + [1] + [UInt8](repeating: 0, count: 11)
            for bytes in [removal, [1, 2, 3], removal + removal] {
                let sent = withUnsafePointer(to: &address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        sendto(sender, bytes, bytes.count, 0, $0, length)
                    }
                }
                #expect(sent == bytes.count, "\(errno)")
            }
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            #expect(try await events.contains(appeared("10.77.0.1/24")))
            let others = events.values.filter {
                if case .unclear = $0 { true } else if case .missed = $0 { true } else { false }
            }
            #expect(others.isEmpty, "\(others)")
        }
    }

    @Test @EventLoop func `a socket that cannot be opened is told once, and opened as soon as it can be`() async throws
    {
        try await TestNetwork.with(nodes: 1) { nodes in
            let events = Recorder<MonitorEvent>()
            var failures = 2
            let monitor = AddressMonitor(
                open: { () throws(RouteSocket.Failure) in
                    failures -= 1
                    guard failures < 0 else { throw RouteSocket.Failure(number: EMFILE, call: "socket") }
                    var result: Result<RouteSocket, RouteSocket.Failure>?
                    nodes[0].enter {
                        do throws(RouteSocket.Failure) {
                            result = .success(try RouteSocket(receiveBuffer: 8 << 20))
                        } catch { result = .failure(error) }
                    }
                    guard let result else { throw RouteSocket.Failure(number: EINVAL, call: "enter") }
                    return try result.get()
                }, report: { events.record($0) })
            monitor.start()
            #expect(events.values == [.missed(.init(.deaf, "socket: Too many open files"))])
            #expect(try await events.contains(.unclear))
            #expect(events.values.count == 2 && failures == -1)
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            #expect(try await events.contains(appeared("10.77.0.1/24")))
            monitor.stop()
        }
    }
}
