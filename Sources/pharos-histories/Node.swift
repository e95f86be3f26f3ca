// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import LenientJSON
import NetworkBed

/// One node: a namespace with the real daemon in it, whose way to each member of etcd leads through a relay.
@EventLoop
final class Node {
    let number: Int
    /// By the number of the member.
    let relays: [Relay]
    private(set) var program: Program?
    private let ground: Ground
    private let folder: String
    /// The numbers of the members that the daemon may ask.
    private var endpoints: [Int]
    /// Whether it may learn the others from etcd: then it reaches them without a relay.
    private var learns = false

    nonisolated static func member(_ number: Int) -> String { "n\(number + 1)" }
    nonisolated static func address(_ number: Int) -> String { "10.98.0.\(number + 1)" }
    /// The number under which the observer knows it.
    nonisolated static func id(_ number: Int) -> Int32 { Int32(number + 1) }
    var name: String { Self.member(self.number) }

    init(_ number: Int, _ ground: Ground) throws(BedError) {
        self.number = number
        self.ground = ground
        self.folder = "\(ground.dataFolder)/\(Self.member(number))"
        var relays: [Relay] = []
        for member in 0..<EtcdCluster.size {
            let port = UInt16(2000 + 10 * (number + 1) + member + 1)
            relays.append(try Relay(Ground.ownAddress, port, to: EtcdCluster.address(member)))
        }
        self.relays = relays
        self.endpoints = ground.options.asksOneMember ? [number] : Array(0..<EtcdCluster.size)
        for folder in ["", "/run", "/state"] { try Files.makeFolder(self.folder + folder) }
    }

    /// From the next start on.
    func configure(endpoints: [Int], learns: Bool = false) { (self.endpoints, self.learns) = (endpoints, learns) }

    private func writeConfiguration(isOlder: Bool) throws(BedError) {
        // An older version learns nothing, and knows no such key.
        let members = self.learns || isOlder ? "" : ", members: ignore"
        let urls = self.endpoints.map { "\"\(self.relays[$0].url)\"" }.joined(separator: ", ")
        try Files.write(
            self.folder + "/pharos.yml",
            """
            scope: \(PatroniStandIn.scope)
            member: \(self.name)
            etcd: { endpoints: [\(urls)]\(members) }
            addresses:
              - { address: \(HistoryBed.address)/24, interface: \(Namespaces.interface), acquire: leader_key }
            lease: { ttl: \(self.ground.options.ttl)s, margin: \(self.ground.options.margin)ms }
            status: { socket: \(self.folder)/run/pharos.sock }

            """
        )
    }

    // MARK: - The daemon

    var isRunning: Bool { self.program.map { !$0.hasEnded } ?? false }

    /// Starts the daemon, as a service manager would; `isOlder`: of the older version that was named.
    func start(isOlder: Bool = false) throws(BedError) {
        guard !self.isRunning else { return }
        try self.writeConfiguration(isOlder: isOlder && self.ground.options.older != nil)
        let daemon = isOlder ? self.ground.options.older ?? self.ground.options.pharos : self.ground.options.pharos
        // By the command, which every version has.
        self.program = try self.ground.start(
            self.name, [daemon, "run", "-c", self.folder + "/pharos.yml"], in: self.name,
            environment: ["STATE_DIRECTORY=\(self.folder)/state", "RUNTIME_DIRECTORY=\(self.folder)/run"])
    }

    func stop(_ signal: Int32) async {
        guard let program = self.program else { return }
        self.program = nil
        await self.ground.stop(program, signal)
    }

    /// Freezes or continues the daemon, and the commands that it has started.
    func setFrozen(_ isFrozen: Bool, withChildren: Bool = true) {
        guard let program = self.program, !program.hasEnded else { return }
        program.send(isFrozen ? SIGSTOP : SIGCONT)
        guard withChildren else { return }
        // Without a handler they can neither notice nor refuse it.
        let children = Files.read("/proc/\(program.process)/task/\(program.process)/children") ?? ""
        for child in children.split(separator: " ").compactMap({ Int32($0) }) {
            kill(child, isFrozen ? SIGSTOP : SIGCONT)
        }
    }

    /// Forgets what the daemon has remembered on disk.
    func forget() async throws(BedError) { try await run(["/bin/rm", "-f", self.folder + "/state/memory.json"]) }

    /// Whether the file in which this node remembers names this lease as the address's newest, or the address has no trail.
    func remembers(_ trail: String?) -> Bool {
        guard let trail else { return true }
        let memory = JSON.parse((Files.read(self.folder + "/state/memory.json") ?? "").utf8)
        return memory?["trails"]?[HistoryBed.address]?.string == trail
    }

    /// How many endpoints it has learned from etcd, and keeps.
    var learnedCount: Int {
        let memory = JSON.parse((Files.read(self.folder + "/state/memory.json") ?? "").utf8)
        return memory?["etcd"]?["learned"]?.array?.count ?? 0
    }

    // MARK: - Its ways

    /// The same faults on the ways to all members.
    func setFaults(_ faults: Relay.Faults) { for relay in self.relays { relay.faults = faults } }

    func heal() async throws(BedError) {
        self.setFrozen(false)
        self.setFaults(Relay.Faults())
        for relay in self.relays { (relay.requested, relay.answered) = ({ _ in }, { _ in }) }
        try await self.ground.setAttached(self.name, true)
    }
}
