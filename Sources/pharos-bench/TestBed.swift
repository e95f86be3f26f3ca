// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkBed

/// The surroundings of a benchmark: network namespaces on a bridge, a real etcd in one of them, this process in another,
/// and a folder for data. The host's own namespace is never used, and nothing is left behind.
///
/// All names are this run's alone; what a run that died without cleaning up has left, the next one removes.
@EventLoop
final class TestBed {
    struct Options: Sendable {
        var daemon: String
        var command: String
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
    nonisolated static let interface = Namespaces.interface
    private nonisolated static let kind = "pharos-bench"
    private nonisolated static let etcdNumber = 3

    let options: Options
    let folder: String
    private(set) var etcd: EtcdServer?
    private(set) var observer: AddressObserver?
    private var programs: [Program] = []
    private var listeners: [Int32] = []
    private let namespaces: Namespaces

    nonisolated static func namespace(_ name: String) -> String { Namespaces.name(self.kind, name) }

    private init(_ options: Options) throws(BedError) {
        self.options = options
        self.namespaces = try Namespaces(Self.kind)
        self.folder = try self.namespaces.makeFolder(inMemory: options.isInMemory)
    }

    /// Makes the surroundings, runs `body` in them, and takes them away, however `body` ended.
    static func use<Result>(
        _ options: Options,
        _ body: (TestBed) async throws(BedError) -> Result
    ) async throws(BedError) -> Result {
        let bed = try TestBed(options)
        do throws(BedError) {
            try await bed.make()
            let result = try await body(bed)
            await bed.cleanUp()
            return result
        } catch {
            let logs = bed.programs.flatMap { program in program.output.suffix(8).map { "  \(program.name): \($0)" } }
            await bed.cleanUp()
            throw BedError(([error.message] + logs).joined(separator: "\n"))
        }
    }

    /// Starts a program that ends with the test bed.
    func start(
        _ name: String,
        _ command: [String],
        on node: Node? = nil,
        environment: [String] = []
    ) throws(BedError) -> Program {
        let program = try Program(name, command, namespace: node?.namespace, environment: environment)
        self.programs.append(program)
        return program
    }

    func stop(_ program: Program, _ signal: Int32 = SIGTERM) async {
        await program.stop(signal)
        self.programs.removeAll { $0 === program }
    }

    /// Runs `ip` here, as the daemon does on its node.
    func ip(_ arguments: [String]) async throws(BedError) { try await self.namespaces.ip(arguments) }

    /// The started etcd and the observer; only before `make()` has ended there is none.
    func parts() throws(BedError) -> (etcd: EtcdServer, observer: AddressObserver) {
        guard let etcd = self.etcd, let observer = self.observer else { throw BedError("the test bed is not ready") }
        return (etcd, observer)
    }

    // MARK: - Making

    private func make() async throws(BedError) {
        await self.namespaces.removeLeftovers()
        try await self.namespaces.makeBridge()
        try await self.namespaces.attach("etcd", Self.address(Self.etcdNumber) + "/24")
        for node in [Node.a, .b, .bench] {
            try await self.namespaces.attach(node.name, Self.address(node.number) + "/24")
        }
        // A daemon tries the port of an address that it holds: PostgreSQL's place has who listens, and says nothing.
        for node in [Node.a, .b, .bench] {
            try self.namespaces.enter(node.name)
            self.listeners.append(try TCPSocket.listen("0.0.0.0", 5432))
        }
        for node in [Node.a, .b] { try await self.namespaces.identify(node.name, as: node.id) }
        self.observer = try AddressObserver()
        let etcd = EtcdServer(address: Self.address(Self.etcdNumber))
        let command = try await etcd.command(dataFolder: self.folder + "/etcd")
        let namespace = Self.namespace("etcd")
        let program = try Program("etcd", command, namespace: namespace)
        self.programs.append(program)
        try await wait(for: "answer of etcd", timeout: .seconds(20)) { () async throws(BedError) in
            try program.check()
            return await etcd.isReady()
        }
        self.etcd = etcd
    }

    nonisolated static func address(_ number: Int) -> String { "10.97.0.\(number)" }

    // MARK: - Cleaning up

    private func cleanUp() async {
        // In a task of its own: the one that was interrupted cannot wait for anything any more.
        await EventLoop.spawn {
            for program in self.programs.reversed() { await program.stop(SIGKILL) }
            self.programs = []
            for listener in self.listeners { close(listener) }
            self.listeners = []
            self.observer = nil
            self.etcd = nil
            await self.namespaces.removeAll()
        }.value
    }

    /// Where etcd's data is, for the report.
    var dataDescription: String {
        let mounts = (Files.read("/proc/self/mounts") ?? "").split(separator: "\n").map { $0.split(separator: " ") }
        let isTmpfs = mounts.contains { $0.count > 2 && self.folder.hasPrefix("\($0[1])/") && $0[2] == "tmpfs" }
        return isTmpfs ? "in memory (tmpfs)" : "on disk, synchronized at every commit"
    }
}
