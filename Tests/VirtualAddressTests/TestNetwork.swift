// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// A network namespace of the tests' own, removed when the test ends, however it ends.
@EventLoop
struct TestNamespace {
    let name: String
    /// The namespace of the bridge.
    let hub: String

    /// `ip` with its options, acting in this namespace.
    var command: [String] { [TestNetwork.ip, "-n", self.name] }

    /// The daemon's own commands acting here; a slow machine may take its time for a listing.
    var commands: AddressCommands {
        var commands = AddressCommands(command: self.command)
        commands.listTimeout = .seconds(60)
        return commands
    }

    /// Runs `ip` here and expects success.
    @discardableResult
    func ip(_ arguments: String..., location: SourceLocation = #_sourceLocation) async throws -> String {
        let outcome = try await ChildProcess(self.command + arguments, timeout: .seconds(60)).run()
        #expect(outcome.exitCode == 0, "\(arguments): \(outcome.text)", sourceLocation: location)
        return outcome.text
    }

    /// Runs `body` with the loop's thread in this namespace: sockets opened meanwhile belong to it.
    func enter(_ body: () -> Void) {
        let own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        let other = open("/run/netns/\(self.name)", O_RDONLY | O_CLOEXEC)
        precondition(own >= 0 && other >= 0, "namespaces cannot be opened: \(errno)")
        precondition(setns(other, 0) == 0, "setns: \(errno)")
        body()
        precondition(setns(own, 0) == 0, "setns back: \(errno)")
        close(own)
        close(other)
    }
}

/// Namespaces for a test: `nodes` of them, each with `eth0` (up) on one bridge in one more.
@EventLoop
enum TestNetwork {
    static let ip = AddressCommands.findIP() ?? "/sbin/ip"
    private static var count = 0
    private static var ports = 0

    static func with(nodes: Int, _ body: @EventLoop ([TestNamespace]) async throws -> Void) async throws {
        await Self.removeOrphans()
        Self.count += 1
        let stem = "pharos-test-\(getpid())-\(Self.count)-"
        let hub = TestNamespace(name: stem + "hub", hub: stem + "hub")
        let spaces = (1...max(1, nodes)).prefix(nodes).map { TestNamespace(name: stem + "n\($0)", hub: hub.name) }
        var failure: (any Error)?
        do {
            try await Self.build(hub, spaces)
            try await body(spaces)
        } catch {
            failure = error
        }
        for space in spaces + [hub] {
            _ = try await ChildProcess([Self.ip, "netns", "delete", space.name], timeout: .seconds(60)).run()
        }
        if let failure { throw failure }
    }

    private static func build(_ hub: TestNamespace, _ spaces: [TestNamespace]) async throws {
        for space in spaces + [hub] {
            let outcome = try await ChildProcess([Self.ip, "netns", "add", space.name], timeout: .seconds(60)).run()
            try #require(outcome.exitCode == 0, "network namespaces need root: \(outcome.text)")
        }
        try await hub.ip("link", "add", "br0", "type", "bridge")
        try await hub.ip("link", "set", "br0", "up")
        for space in spaces {
            try await space.ip("link", "set", "lo", "up")
            try await Self.attach(space, as: "eth0")
        }
    }

    /// Gives the namespace one more interface on the bridge, and waits until the kernel calls its state UP.
    static func attach(_ space: TestNamespace, as interface: String) async throws {
        let hub = TestNamespace(name: space.hub, hub: space.hub)
        Self.ports += 1
        let port = "port\(Self.ports)"
        try await hub.ip("link", "add", port, "type", "veth", "peer", "name", interface, "netns", space.name)
        try await hub.ip("link", "set", port, "master", "br0", "up")
        try await space.ip("link", "set", interface, "up")
        let commands = space.commands
        let isUp = try await eventually {
            try await commands.list().interface(named: interface)?.operationalState == "UP"
        }
        #expect(isUp)
    }

    /// Removes what test processes left that were killed.
    private static func removeOrphans() async {
        guard Self.count == 0, let folder = opendir("/run/netns") else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            let parts = name.split(separator: "-")
            guard parts.count > 2, parts[0] == "pharos", parts[1] == "test", let process = Int32(parts[2]) else {
                continue
            }
            guard kill(process, 0) != 0, errno == ESRCH else { continue }
            do { _ = try await ChildProcess([Self.ip, "netns", "delete", name], timeout: .seconds(60)).run() } catch {
                continue
            }
        }
    }
}

/// A change has 250 ms to begin and 250 ms to act, which a machine that is busy with other tests' namespaces may not give.
/// Then its outcome is unknown, and it is tried again, as the daemon does. Lifetimes in microseconds.
extension AddressCommands {
    func insist(on place: VirtualAddress, for lifetime: Int64) async -> Result<AssignOutcome, CommandFailure> {
        await self.insist { await self.assign(place, until: BootClock.microseconds + lifetime) }
    }

    func insistOnRemoving(_ place: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        await self.insist { await self.remove(place) }
    }

    func insistOnRemovingExactly(_ place: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        await self.insist { await self.removeExactly(place) }
    }

    private func insist<Value>(
        _ change: @EventLoop () async -> Result<Value, CommandFailure>
    ) async -> Result<Value, CommandFailure> {
        for _ in 0..<20 {
            let outcome = await change()
            guard case .failure(let failure) = outcome, failure.kind == .timedOut else { return outcome }
        }
        return await change()
    }
}

/// Asks again and again, at most for `limit`; answers whether it came true.
@EventLoop
func eventually(
    within limit: Duration = .seconds(5),
    _ condition: @EventLoop () async throws -> Bool
) async throws -> Bool {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try await EventLoop.sleep(for: .milliseconds(10))
    }
    return try await condition()
}

/// What callbacks reported, to be awaited.
@EventLoop
final class Recorder<Value: Sendable & Equatable> {
    private(set) var values: [Value] = []
    func record(_ value: Value) { self.values.append(value) }

    /// Waits until a recorded value fulfils `condition`; answers it.
    func first(within limit: Duration = .seconds(5), where condition: (Value) -> Bool) async throws -> Value? {
        _ = try await eventually(within: limit) { self.values.contains(where: condition) }
        return self.values.first(where: condition)
    }
    func contains(_ value: Value, within limit: Duration = .seconds(5)) async throws -> Bool {
        try await self.first(within: limit) { $0 == value } != nil
    }
    func removeAll() { self.values = [] }
}

func virtual(_ text: String, on interface: String = "eth0") throws -> VirtualAddress {
    VirtualAddress(address: try #require(AddressPrefix(text)), interface: interface)
}

extension SeededGenerator {
    /// `bytes` with some of them replaced, removed, doubled or cut off.
    mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...6, using: &self) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &self)
            switch Int.random(in: 0..<5, using: &self) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &self)
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(bytes[place], at: place)
            case 3: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &self))
            default: bytes.removeSubrange(place...)
            }
        }
        return bytes
    }
}
