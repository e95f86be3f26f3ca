// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkBed

/// Namespaces, firewalls, programs and folders: what the nodes and etcd's members stand on, and what is gone at the end.
@EventLoop
final class Ground {
    struct Options: Sendable {
        var pharos: String
        /// A daemon of an older version, to run beside it.
        var older: String?
        var etcd: String
        var etcdctl: String
        /// Of the address's lease, in seconds.
        var ttl = 5
        /// In milliseconds.
        var margin = 2000
        /// A member of etcd whose election timeout is 10 s, not 0.5 s: where it leads and nobody follows, it is as slow to notice.
        var slowMember: Int?
        /// Whether each daemon knows only the member of etcd that has its node's number, as where each asks its own machine's.
        var asksOneMember = false
        /// Where the logs go.
        var logFolder: String
    }

    /// This process's own, from which the relays and the stand-in for Patroni speak.
    nonisolated static let ownAddress = "10.98.0.50"
    private nonisolated static let kind = "pharos-histories"
    private static let own = "own"

    let options: Options
    let dataFolder: String
    private let namespaces: Namespaces
    private let nsenter: String
    private let nft: String
    private var programs: [Program] = []

    init(_ options: Options) throws(BedError) {
        guard let nsenter = Files.program("nsenter"), let nft = Files.program("nft") else {
            throw BedError("nsenter and nft are needed: install util-linux and nftables")
        }
        (self.nsenter, self.nft) = (nsenter, nft)
        self.options = options
        self.namespaces = try Namespaces(Self.kind)
        self.dataFolder = try self.namespaces.makeFolder(inMemory: true)
        try Files.makeFolder(options.logFolder)
    }

    /// Makes the namespaces and enters this process's own; the observer's numbers of nodes count from there.
    func make() async throws(BedError) {
        await self.namespaces.removeLeftovers()
        try await self.namespaces.makeBridge()
        try await self.namespaces.attach(Self.own, Self.ownAddress + "/24")
        for node in 0..<HistoryBed.nodeCount {
            try await self.namespaces.attach(Node.member(node), Node.address(node) + "/24")
        }
        for member in 0..<EtcdCluster.size {
            let name = EtcdCluster.name(member)
            try await self.namespaces.attach(name, EtcdCluster.address(member) + "/24")
            try await self.firewall(name, ["-f", try self.rules()])
        }
        try self.namespaces.enter(Self.own)
        for node in 0..<HistoryBed.nodeCount {
            try await self.namespaces.identify(Node.member(node), as: Node.id(node))
        }
    }

    /// A firewall that drops what comes from, or goes to, the addresses in two sets.
    private func rules() throws(BedError) -> String {
        let path = self.dataFolder + "/faults.nft"
        try Files.write(
            path,
            """
            table inet faults {
              set from { type ipv4_addr; }
              set to { type ipv4_addr; }
              chain arriving { type filter hook input priority 0; ip saddr @from drop; }
              chain leaving { type filter hook output priority 0; ip daddr @to drop; }
            }

            """
        )
        return path
    }

    /// Runs `nft` in a namespace.
    func firewall(_ name: String, _ arguments: [String]) async throws(BedError) {
        try await self.run(in: name, [self.nft] + arguments)
    }

    /// Runs a program in a namespace to its end.
    func run(in name: String, _ command: [String]) async throws(BedError) {
        let namespace = "--net=/run/netns/" + Namespaces.name(Self.kind, name)
        try await NetworkBed.run([self.nsenter, namespace] + command)
    }

    func setAttached(_ name: String, _ isAttached: Bool) async throws(BedError) {
        try await self.namespaces.setAttached(name, isAttached)
    }

    // MARK: - Programs

    /// Starts a program in a namespace; it ends with the ground at the latest. What it prints goes to a log of its name.
    func start(
        _ name: String, _ command: [String], in namespace: String, environment: [String] = []
    ) throws(BedError) -> Program {
        let program = try Program(
            name, command, namespace: Namespaces.name(Self.kind, namespace), environment: environment,
            log: "\(self.options.logFolder)/\(name).log")
        self.programs.append(program)
        return program
    }

    func stop(_ program: Program, _ signal: Int32) async {
        await program.stop(signal)
        self.programs.removeAll { $0 === program }
    }

    // MARK: - The log

    /// Notes what was done or seen, behind the time since boot in seconds, as the daemons' logs have it.
    func note(_ text: String) {
        do throws(BedError) {
            try Files.append(self.options.logFolder + "/events.log", "\(BootClock.seconds) \(text)\n")
        } catch {
            complain(error.message)
        }
    }

    /// Begins new logs; those of before are kept once.
    func turnLogs() async throws(BedError) {
        let folder = self.options.logFolder
        for name in Files.names(in: folder) where name.hasSuffix(".log") {
            try await NetworkBed.run(["/bin/mv", "-f", "\(folder)/\(name)", "\(folder)/\(name).before"])
        }
    }

    // MARK: - The end

    /// Takes everything away, also where the task that asks was cancelled.
    func remove() async {
        await EventLoop.spawn {
            for program in self.programs.reversed() { await program.stop(SIGKILL) }
            self.programs = []
            await self.namespaces.removeAll()
        }.value
    }
}
