// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import KernelPlaces
import TestSupport
import Testing

@testable import VirtualAddress

/// Too much at once, and what is no message of the kernel: in network namespaces of the running kernel.
@Suite(.serialized)
struct MonitorLossTests {
    init() { EventLoop.shared.executor.startThread() }

    /// A socket that listens in the namespace while `ip` carries out all of `commands`, and is not read.
    @EventLoop private func unreadSocket(
        in node: TestNamespace, receiveBuffer: Int32 = 8 << 20, after commands: [String]
    ) async throws -> RouteSocket {
        var result: Result<RouteSocket, RouteSocket.Failure>?
        node.enter {
            do throws(RouteSocket.Failure) { result = .success(try RouteSocket(receiveBuffer: receiveBuffer)) } catch {
                result = .failure(error)
            }
        }
        let socket = try #require(try result?.get())
        let folder = try TemporaryDirectory("storm")
        try folder.write("batch", commands.joined(separator: "\n") + "\n")
        try await node.ip("-batch", folder.file("batch"))
        return socket
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
            let addresses = (0..<5000).map { "10.78.\($0 / 250).\($0 % 250 + 1)/32 dev eth0" }
            let all = addresses.map { "addr add " + $0 } + addresses.map { "addr del " + $0 }
            let socket = try await unreadSocket(in: nodes[0], after: all)
            let monitor = AddressMonitor(
                open: { socket }, report: { batches.record(Batch(turn: turns.count, events: $0)) })
            turns.begin()
            monitor.start()
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
        try await TestNetwork.with(nodes: 1) { nodes in
            let addresses = (1...250).map { "10.78.0.\($0)/32 dev eth0" }
            for change in ["addr add ", "addr del "] {
                let socket = try await unreadSocket(
                    in: nodes[0], receiveBuffer: 1, after: addresses.map { change + $0 })
                let events = Recorder<MonitorEvent>()
                let monitor = AddressMonitor(open: { socket }, report: { events.record($0) })
                monitor.start()
                #expect(try await events.contains(.missed(.init(.dropped))))
                try await nodes[0].ip("addr", "replace", "10.79.0.1/32", "dev", "eth0")
                #expect(try await events.contains(appeared("10.79.0.1/32")))
                #expect(events.values.count < 250)
                monitor.stop()
            }
        }
    }

    @Test @EventLoop func `the queue is as large as was asked for, whatever the kernel allows others`() async throws {
        let socket = try RouteSocket(receiveBuffer: 8 << 20)
        var size: Int32 = 0
        var length = socklen_t(MemoryLayout.size(ofValue: size))
        #expect(getsockopt(socket.descriptor, SOL_SOCKET, SO_RCVBUF, &size, &length) == 0)
        // The kernel doubles it, for what it needs itself.
        #expect(Int(size) == 2 * 8 << 20)
        #expect(fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test @EventLoop func `what another process sends is ignored`() async throws {
        try await withMonitor { nodes, events, monitor in
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

    @Test @EventLoop func `a message that does not fit is told, and the next is read`() async throws {
        try await withMonitor(datagramLimit: 256) { nodes, events, _ in
            try await nodes[0].ip("link", "set", "eth0", "down")
            let loss = try await events.first { if case .missed = $0 { true } else { false } }
            guard case .missed(let loss) = loss else {
                Issue.record("\(events.values)")
                return
            }
            #expect(loss.kind == .unreadable && loss.description.hasSuffix(" bytes)"), "\(loss)")
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            #expect(try await events.contains(appeared("10.77.0.1/24")))
            #expect(!events.values.contains { if case .linkChanged = $0 { true } else { false } })
        }
    }

    @Test @EventLoop func `a socket that cannot be read is told once, and another opened`() async throws {
        let events = Recorder<MonitorEvent>()
        var isBroken = true
        let monitor = AddressMonitor(
            open: { () throws(RouteSocket.Failure) in
                let socket = try RouteSocket(receiveBuffer: 8 << 20)
                defer { isBroken = false }
                guard isBroken else { return socket }
                // In its place the end of a closed pipe, which is always readable.
                var ends: [Int32] = [-1, -1]
                pipe2(&ends, O_CLOEXEC)
                dup2(ends[0], socket.descriptor)
                for end in ends { close(end) }
                return socket
            }, report: { events.record($0) })
        monitor.start()
        #expect(try await events.contains(.unclear))
        monitor.stop()
        let loss = events.values.filter { if case .missed = $0 { true } else { false } }
        #expect(loss == [.missed(.init(.deaf, "recvfrom: Socket operation on non-socket"))])
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
