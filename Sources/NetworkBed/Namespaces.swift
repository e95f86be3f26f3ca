// SPDX-License-Identifier: Apache-2.0
import CLinux
public import EventLoop
import Glibc

/// Network namespaces on a bridge of their own, in which a test or a benchmark takes place. The host's own namespace is never
/// changed. All names contain this process's id; what a process that died without cleaning up has left, the next one removes.
@EventLoop
public final class Namespaces {
    /// The interface of every namespace that leads to the bridge.
    public nonisolated static let interface = "eth0"
    private nonisolated static let bridge = "br0"
    /// Folders for data, on disk and in memory; one below them has the namespaces' prefix as its name.
    private nonisolated static let dataFolders = ["/var/tmp", "/dev/shm"]

    private let kind: String
    private let ip: String
    private var hub: String { self.name("hub") }

    /// `kind`: the name of the program that makes them.
    public init(_ kind: String) throws(BedError) {
        guard geteuid() == 0 else { throw BedError("network namespaces need root rights") }
        guard let ip = Files.program("ip") else { throw BedError("there is no ip program: install iproute2") }
        self.kind = kind
        self.ip = ip
    }

    /// The whole name of one of this process's namespaces.
    public nonisolated static func name(_ kind: String, _ name: String) -> String { "\(kind)-\(getpid())-\(name)" }
    private func name(_ name: String) -> String { Self.name(self.kind, name) }

    /// A folder for data that ``removeAll()`` removes.
    public func makeFolder(inMemory: Bool) throws(BedError) -> String {
        let folder = "\(Self.dataFolders[inMemory ? 1 : 0])/\(self.kind)-\(getpid())"
        try Files.makeFolder(folder)
        return folder
    }

    /// Runs `ip` here, wherever this process is.
    public func ip(_ arguments: [String]) async throws(BedError) { try await run([self.ip] + arguments) }

    public func makeBridge() async throws(BedError) {
        try await self.ip(["netns", "add", self.hub])
        try await self.ip(["-n", self.hub, "link", "add", Self.bridge, "type", "bridge", "mcast_snooping", "0"])
        try await self.ip(["-n", self.hub, "link", "set", Self.bridge, "up"])
    }

    /// Makes a namespace that has `address`, with its prefix length, and is attached to the bridge.
    public func attach(_ name: String, _ address: String) async throws(BedError) {
        let namespace = self.name(name)
        let port = "port-\(name)"
        try await self.ip(["netns", "add", namespace])
        try await self.ip([
            "-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", Self.interface, "netns", namespace,
        ])
        try await self.ip(["-n", self.hub, "link", "set", port, "master", Self.bridge, "up"])
        try await self.ip(["-n", namespace, "link", "set", "lo", "up"])
        try await self.ip(["-n", namespace, "link", "set", Self.interface, "up"])
        try await self.ip(["-n", namespace, "addr", "add", address, "dev", Self.interface])
    }

    /// Takes a namespace off the bridge, its carrier staying, or puts it back.
    public func setAttached(_ name: String, _ isAttached: Bool) async throws(BedError) {
        let end = isAttached ? ["master", Self.bridge] : ["nomaster"]
        try await self.ip(["-n", self.hub, "link", "set", "port-\(name)"] + end)
    }

    /// Moves this process into a namespace; its one thread is the loop's.
    public func enter(_ name: String) throws(BedError) {
        let namespace = self.name(name)
        let descriptor = open("/run/netns/\(namespace)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Files.failure("cannot open \(namespace)") }
        defer { close(descriptor) }
        // CLONE_NEWNET, which Swift does not see.
        guard setns(descriptor, 0x4000_0000) == 0 else { throw Files.failure("cannot enter \(namespace)") }
    }

    /// Gives a namespace the number under which an observer knows it, in the namespace that this process is in.
    public func identify(_ name: String, as id: Int32) async throws(BedError) {
        try await self.ip(["netns", "set", self.name(name), "\(id)"])
    }

    // MARK: - Removing

    /// Removes this process's namespaces and folders of data.
    public func removeAll() async { await self.remove(process: "\(getpid())") }

    /// Removes what processes of this kind have left that are no more.
    public func removeLeftovers() async {
        let names = (["/run/netns"] + Self.dataFolders).flatMap { Files.names(in: $0) }
        let processes = names.compactMap { name -> String? in
            guard name.hasPrefix(self.kind + "-") else { return nil }
            return String(name.dropFirst(self.kind.count + 1).prefix { $0 != "-" })
        }
        // The kernel keeps 15 bytes of a program's name.
        let comm = "\(self.kind.prefix(15))\n"
        for process in Set(processes).sorted() where Files.read("/proc/\(process)/comm") != comm {
            await self.remove(process: process)
        }
    }

    private func remove(process: String) async {
        let prefix = "\(self.kind)-\(process)"
        for name in Files.names(in: "/run/netns") where name.hasPrefix(prefix + "-") {
            await self.attempt([self.ip, "netns", "delete", name])
        }
        for folder in Self.dataFolders where access("\(folder)/\(prefix)", F_OK) == 0 {
            await self.attempt(["/bin/rm", "-rf", "\(folder)/\(prefix)"])
        }
    }

    private func attempt(_ command: [String]) async {
        do throws(BedError) { try await run(command) } catch { complain("left behind: \(error)") }
    }
}
