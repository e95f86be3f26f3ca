// SPDX-License-Identifier: Apache-2.0
import CLinux
public import EventLoop
import Glibc

/// A network namespace of the tests' own, removed when the test ends, however it ends.
@EventLoop
public struct TestNamespace {
    public let name: String
    /// The name of the namespace with the bridge.
    let hubName: String
    /// The namespace with the bridge.
    public var hub: TestNamespace { TestNamespace(name: self.hubName, hubName: self.hubName) }

    /// `ip` with its options, acting in this namespace.
    public var command: [String] { [TestNetwork.ip, "-n", self.name] }

    /// Runs `ip` here; throws unless it succeeds.
    @discardableResult
    public func ip(_ arguments: String...) async throws -> String {
        try await self.ip(arguments)
    }

    @discardableResult
    public func ip(_ arguments: [String]) async throws -> String {
        try await TestNetwork.run(self.command + arguments)
    }

    /// Runs `body` with the loop's thread in this namespace: sockets opened meanwhile belong to it.
    public func enter(_ body: () -> Void) {
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
public enum TestNetwork {
    private static let candidates = ["/usr/sbin/ip", "/sbin/ip"]
    /// iproute2's `ip`.
    public static let ip = Self.candidates.first { access($0, X_OK) == 0 } ?? "ip"
    private static var count = 0
    private static var ports = 0

    public static func with(nodes: Int, _ body: @EventLoop ([TestNamespace]) async throws -> Void) async throws {
        await Self.removeOrphans()
        Self.count += 1
        let stem = "pharos-test-\(getpid())-\(Self.count)-"
        let hub = TestNamespace(name: stem + "hub", hubName: stem + "hub")
        let spaces = (1...max(1, nodes)).prefix(nodes).map { TestNamespace(name: stem + "n\($0)", hubName: hub.name) }
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
            try await Self.run([Self.ip, "netns", "add", space.name])
        }
        try await hub.ip("link", "add", "br0", "type", "bridge")
        try await hub.ip("link", "set", "br0", "up")
        for space in spaces {
            try await space.ip("link", "set", "lo", "up")
            try await Self.attach(space, as: "eth0")
        }
    }

    /// Gives the namespace one more interface on the bridge, and waits until the kernel calls its state UP. Answers the name
    /// of the bridge's port.
    @discardableResult
    public static func attach(_ space: TestNamespace, as interface: String) async throws -> String {
        let hub = space.hub
        Self.ports += 1
        let port = "port\(Self.ports)"
        try await hub.ip("link", "add", port, "type", "veth", "peer", "name", interface, "netns", space.name)
        try await hub.ip("link", "set", port, "master", "br0", "up")
        try await space.ip("link", "set", interface, "up")
        let isUp = try await eventually(within: .seconds(5)) {
            try await space.ip("-o", "link", "show", "dev", interface).contains(" state UP ")
        }
        guard isUp else { throw TestSupportError("\(interface) does not come up") }
        return port
    }

    @discardableResult
    public static func run(_ command: [String]) async throws -> String {
        let outcome = try await ChildProcess(command, timeout: .seconds(60)).run()
        guard outcome.exitCode == 0 else { throw TestSupportError("\(command): \(outcome.text)") }
        return outcome.text
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
