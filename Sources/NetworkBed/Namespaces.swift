// SPDX-License-Identifier: Apache-2.0
import CLinux
public import EventLoop
import Glibc

/// Network namespaces on a bridge of their own, in which a test or a benchmark takes place. The host's own namespace is never
/// changed. All names contain what this run alone is called; what a run has left that died without cleaning up, the next one
/// removes: one whose lock nobody has. Process ids alone do not tell: runs in containers, or whose mounts are their own, may share
/// these names and not the ids.
@EventLoop
public final class Namespaces {
    /// The interface of every namespace that leads to the bridge.
    public nonisolated static let interface = "eth0"
    private nonisolated static let bridge = "br0"
    /// Folders for data, on disk and in memory; one below them has the namespaces' prefix as its name.
    private nonisolated static let dataFolders = ["/var/tmp", "/dev/shm"]
    private nonisolated static let lockFolder = "/run/lock"
    /// What this run is called.
    private nonisolated static let runName =
        "\(getpid())-\(String(UInt64.random(in: (1 << 60)...UInt64.max), radix: 16))"

    private let kind: String
    private let ip: String
    /// Held for as long as there may be something of this run.
    private var lock: Int32 = -1
    private var hub: String { self.name("hub") }

    /// `kind`: the name of the program that makes them.
    public init(_ kind: String) throws(BedError) {
        guard geteuid() == 0 else { throw BedError("network namespaces need root rights") }
        guard let ip = Files.program("ip") else { throw BedError("there is no ip program: install iproute2") }
        self.kind = kind
        self.ip = ip
        try Files.makeFolder(Self.lockFolder)
        self.lock = Self.lock(kind, Self.runName, creating: true)
        guard self.lock >= 0 else { throw Files.failure("cannot lock \(Self.lockFile(kind, Self.runName))") }
    }

    isolated deinit { if self.lock >= 0 { close(self.lock) } }

    private nonisolated static func lockFile(_ kind: String, _ run: String) -> String {
        "\(Self.lockFolder)/\(kind)-\(run)"
    }

    /// The descriptor of a run's lock; -1: somebody has it, or there is none.
    private nonisolated static func lock(_ kind: String, _ run: String, creating: Bool) -> Int32 {
        let descriptor = open(self.lockFile(kind, run), O_RDWR | O_CLOEXEC | (creating ? O_CREAT : 0), 0o600)
        guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            if descriptor >= 0 { close(descriptor) }
            return -1
        }
        return descriptor
    }

    /// The whole name of one of this run's namespaces.
    public nonisolated static func name(_ kind: String, _ name: String) -> String { "\(kind)-\(self.runName)-\(name)" }
    private func name(_ name: String) -> String { Self.name(self.kind, name) }

    /// A folder for data that ``removeAll()`` removes.
    public func makeFolder(inMemory: Bool) throws(BedError) -> String {
        let folder = "\(Self.dataFolders[inMemory ? 1 : 0])/\(self.kind)-\(Self.runName)"
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

    /// Removes this run's namespaces and folders of data.
    public func removeAll() async {
        await self.remove(run: Self.runName)
        unlink(Self.lockFile(self.kind, Self.runName))
        close(self.lock)
        self.lock = -1
    }

    /// Removes what runs of this kind have left that are no more.
    public func removeLeftovers() async {
        let names = ([Self.lockFolder, "/run/netns"] + Self.dataFolders).flatMap { Files.names(in: $0) }
        let runs = names.compactMap { name -> String? in
            guard name.hasPrefix(self.kind + "-") else { return nil }
            let parts = name.dropFirst(self.kind.count + 1).split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count >= 2, UInt64(parts[1], radix: 16).map({ $0 >= 1 << 60 }) == true else { return nil }
            return "\(parts[0])-\(parts[1])"
        }
        for run in Set(runs).sorted() where run != Self.runName {
            let file = Self.lockFile(self.kind, run)
            let lock = Self.lock(self.kind, run, creating: false)
            // There is none where the machine was started anew since.
            guard lock >= 0 || access(file, F_OK) != 0 else { continue }
            await self.remove(run: run)
            unlink(file)
            if lock >= 0 { close(lock) }
        }
    }

    private func remove(run: String) async {
        let prefix = "\(self.kind)-\(run)"
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
