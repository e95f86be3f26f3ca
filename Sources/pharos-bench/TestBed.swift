// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc

/// The surroundings of a benchmark: network namespaces on a bridge, a real etcd in one of them, this process in another,
/// and a folder for data. The host's own namespace is never used, and nothing is left behind.
///
/// All names contain this process's id; what a process that died without cleaning up has left, the next one removes.
@EventLoop
final class TestBed {
    struct Options: Sendable {
        var pharos: String
        var isInMemory: Bool
    }

    /// A node that holds addresses: its namespace, and the id under which the observer knows it.
    struct Node: Hashable, Sendable {
        let name: String
        let member: String
        let number: Int
        /// The number that the observer's namespace gave it; -1 is the observer's own.
        let id: Int32
        var namespace: String { TestBed.namespace(self.name) }

        static let a = Node(name: "a", member: "n1", number: 1, id: 1)
        static let b = Node(name: "b", member: "n2", number: 2, id: 2)
        /// The other of the two nodes that run daemons.
        var other: Node { self == .a ? .b : .a }
        /// Where this process is, and the floor is measured.
        static let bench = Node(name: "bench", member: "n3", number: 4, id: -1)
    }

    /// The interface of every namespace that leads to the bridge.
    nonisolated static let interface = "eth0"
    private nonisolated static let prefix = "pharos-bench-"
    private nonisolated static let bridge = "br0"
    private nonisolated static let etcdNumber = 3

    let options: Options
    let folder: String
    private(set) var etcd: EtcdServer?
    private(set) var observer: AddressObserver?
    private var programs: [Program] = []
    private let ip: String

    nonisolated static func namespace(_ name: String) -> String { "\(self.prefix)\(getpid())-\(name)" }

    private init(_ options: Options) throws(BenchError) {
        guard geteuid() == 0 else { throw BenchError("network namespaces need root rights") }
        guard let ip = Files.program("ip") else { throw BenchError("there is no ip program: install iproute2") }
        self.ip = ip
        self.options = options
        self.folder = "\(options.isInMemory ? "/dev/shm" : "/var/tmp")/\(Self.prefix)\(getpid())"
    }

    /// Makes the surroundings, runs `body` in them, and takes them away, however `body` ended.
    static func use<Result>(
        _ options: Options,
        _ body: (TestBed) async throws(BenchError) -> Result
    ) async throws(BenchError) -> Result {
        let bed = try TestBed(options)
        do throws(BenchError) {
            try await bed.make()
            let result = try await body(bed)
            await bed.cleanUp()
            return result
        } catch {
            let logs = bed.programs.flatMap { program in program.output.suffix(8).map { "  \(program.name): \($0)" } }
            await bed.cleanUp()
            throw BenchError(([error.message] + logs).joined(separator: "\n"))
        }
    }

    /// Starts a program that ends with the test bed.
    func start(
        _ name: String,
        _ command: [String],
        on node: Node? = nil,
        environment: [String] = []
    ) throws(BenchError) -> Program {
        let program = try Program(name, command, namespace: node?.namespace, environment: environment)
        self.programs.append(program)
        return program
    }

    func stop(_ program: Program, _ signal: Int32 = SIGTERM) async {
        await program.stop(signal)
        self.programs.removeAll { $0 === program }
    }

    /// Runs `ip` here, as the daemon does on its node.
    func ip(_ arguments: [String]) async throws(BenchError) { try await run([self.ip] + arguments) }

    /// The started etcd and the observer; only before `make()` has ended there is none.
    func parts() throws(BenchError) -> (etcd: EtcdServer, observer: AddressObserver) {
        guard let etcd = self.etcd, let observer = self.observer else { throw BenchError("the test bed is not ready") }
        return (etcd, observer)
    }

    // MARK: - Making

    private func make() async throws(BenchError) {
        await self.removeLeftovers()
        try Files.makeFolder(self.folder)
        let hub = Self.namespace("hub")
        try await self.ip(["netns", "add", hub])
        try await self.ip(["-n", hub, "link", "add", Self.bridge, "type", "bridge", "mcast_snooping", "0"])
        try await self.ip(["-n", hub, "link", "set", Self.bridge, "up"])
        try await self.attach("etcd", Self.etcdNumber)
        for node in [Node.a, .b, .bench] { try await self.attach(node.name, node.number) }
        try self.enter(Node.bench.namespace)
        for node in [Node.a, .b] { try await self.ip(["netns", "set", node.namespace, "\(node.id)"]) }
        self.observer = try AddressObserver()
        let etcd = EtcdServer(address: Self.address(Self.etcdNumber))
        let command = try await etcd.command(dataFolder: self.folder + "/etcd")
        let namespace = Self.namespace("etcd")
        let program = try Program("etcd", command, namespace: namespace)
        self.programs.append(program)
        try await wait(for: "answer of etcd", timeout: .seconds(20)) { () async throws(BenchError) in
            try program.check()
            return await etcd.isReady()
        }
        self.etcd = etcd
    }

    private func attach(_ name: String, _ number: Int) async throws(BenchError) {
        let (hub, namespace) = (Self.namespace("hub"), Self.namespace(name))
        let port = "port-\(name)"
        try await self.ip(["netns", "add", namespace])
        try await self.ip([
            "-n", hub, "link", "add", port, "type", "veth", "peer", "name", Self.interface, "netns", namespace,
        ])
        try await self.ip(["-n", hub, "link", "set", port, "master", Self.bridge, "up"])
        try await self.ip(["-n", namespace, "link", "set", "lo", "up"])
        try await self.ip(["-n", namespace, "link", "set", Self.interface, "up"])
        try await self.ip(["-n", namespace, "addr", "add", "\(Self.address(number))/24", "dev", Self.interface])
    }

    nonisolated static func address(_ number: Int) -> String { "10.97.0.\(number)" }

    /// Moves this process into a namespace; its one thread is the loop's.
    private func enter(_ namespace: String) throws(BenchError) {
        let descriptor = open("/run/netns/\(namespace)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Files.failure("cannot open \(namespace)") }
        defer { close(descriptor) }
        // CLONE_NEWNET, which Swift does not see.
        guard setns(descriptor, 0x4000_0000) == 0 else { throw Files.failure("cannot enter \(namespace)") }
    }

    // MARK: - Cleaning up

    private func cleanUp() async {
        // In a task of its own: the one that was interrupted cannot wait for anything any more.
        await EventLoop.spawn {
            for program in self.programs.reversed() { await program.stop(SIGKILL) }
            self.programs = []
            self.observer = nil
            self.etcd = nil
            await self.remove(process: "\(getpid())")
        }.value
    }

    private func removeLeftovers() async {
        let names = Files.names(in: "/run/netns") + Files.names(in: "/var/tmp") + Files.names(in: "/dev/shm")
        let processes = names.compactMap { name -> String? in
            guard name.hasPrefix(Self.prefix) else { return nil }
            return String(name.dropFirst(Self.prefix.count).prefix { $0 != "-" })
        }
        for process in Set(processes).sorted() where Files.read("/proc/\(process)/comm") != "pharos-bench\n" {
            await self.remove(process: process)
        }
    }

    /// Removes the namespaces and folders of the process with this id.
    private func remove(process: String) async {
        for name in Files.names(in: "/run/netns") where name.hasPrefix("\(Self.prefix)\(process)-") {
            await self.attempt([self.ip, "netns", "delete", name])
        }
        for folder in ["/var/tmp", "/dev/shm"] {
            for name in Files.names(in: folder) where name == "\(Self.prefix)\(process)" {
                await self.attempt(["/bin/rm", "-rf", "\(folder)/\(name)"])
            }
        }
    }

    private func attempt(_ command: [String]) async {
        do throws(BenchError) { try await run(command) } catch { complain("left behind: \(error)") }
    }

    /// Where etcd's data is, for the report.
    var dataDescription: String {
        let mounts = (Files.read("/proc/self/mounts") ?? "").split(separator: "\n").map { $0.split(separator: " ") }
        let isTmpfs = mounts.contains { $0.count > 2 && self.folder.hasPrefix("\($0[1])/") && $0[2] == "tmpfs" }
        return isTmpfs ? "in memory (tmpfs)" : "on disk, synchronized at every commit"
    }
}
