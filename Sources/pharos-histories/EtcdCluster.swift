// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import HTTPClient
import LenientJSON
import NetworkBed

/// Three real etcd members, each in a namespace of its own, and the histories that they can be made to go on with.
@EventLoop
final class EtcdCluster {
    /// A set of the members' data: what they know, and under which number.
    struct History: Hashable, Sendable {
        /// Names the folders of data.
        let number: Int
        /// Of `--initial-cluster-token`. Equal tokens give equal cluster numbers, since the URLs are always the same.
        let token: String
    }

    nonisolated static let size = 3
    private(set) var history = History(number: 0, token: "first")
    private var members: [Program?] = [nil, nil, nil]
    private var frozen: Set<Int> = []
    /// While it is brought to another history nothing else may happen to the members.
    private(set) var isChanging = false
    private let ground: Ground
    private let http = HTTPClient()

    init(_ ground: Ground) { self.ground = ground }

    isolated deinit { self.http.close() }

    nonisolated static func name(_ member: Int) -> String { "etcd\(member + 1)" }
    nonisolated static func address(_ member: Int) -> String { "10.98.0.\(11 + member)" }
    nonisolated static func url(_ member: Int) -> String { "http://\(self.address(member)):2379" }
    private static func peer(_ member: Int) -> String { "http://\(self.address(member)):2380" }
    private static let cluster = (0..<size).map { "\(name($0))=\(peer($0))" }.joined(separator: ",")

    private func data(_ member: Int, _ history: History) -> String {
        "\(self.ground.dataFolder)/\(Self.name(member))-\(history.number)"
    }

    // MARK: - Members

    func isRunning(_ member: Int) -> Bool { self.members[member].map { !$0.hasEnded } ?? false }

    func start(_ member: Int) throws(BedError) {
        guard !self.isRunning(member) else { return }
        self.members[member] = try self.ground.start(
            Self.name(member),
            [
                self.ground.options.etcd, "--name", Self.name(member), "--data-dir", self.data(member, self.history),
                "--listen-client-urls", Self.url(member), "--advertise-client-urls", Self.url(member),
                "--listen-peer-urls", Self.peer(member), "--initial-advertise-peer-urls", Self.peer(member),
                "--initial-cluster", Self.cluster, "--initial-cluster-token", self.history.token,
                "--heartbeat-interval", "50", "--election-timeout",
                member == self.ground.options.slowMember ? "10000" : "500", "--log-level", "error", "--logger", "zap",
            ], in: Self.name(member))
    }

    /// Ends a member as a crash does.
    func kill(_ member: Int) async {
        guard let program = self.members[member] else { return }
        self.members[member] = nil
        self.frozen.remove(member)
        await self.ground.stop(program, SIGKILL)
    }

    func setFrozen(_ member: Int, _ isFrozen: Bool) {
        guard let program = self.members[member], !program.hasEnded else { return }
        program.send(isFrozen ? SIGSTOP : SIGCONT)
        if isFrozen { self.frozen.insert(member) } else { self.frozen.remove(member) }
    }

    /// Cuts what a member says to the others, or what they say to it.
    func cut(_ member: Int, says: Bool, hears: Bool) async throws(BedError) {
        let others = (0..<Self.size).filter { $0 != member }.map { Self.address($0) }.joined(separator: ", ")
        let name = Self.name(member)
        if says { try await self.ground.firewall(name, ["add", "element", "inet", "faults", "to", "{ \(others) }"]) }
        if hears {
            try await self.ground.firewall(name, ["add", "element", "inet", "faults", "from", "{ \(others) }"])
        }
    }

    func joinAgain(_ member: Int) async throws(BedError) {
        for set in ["to", "from"] {
            try await self.ground.firewall(Self.name(member), ["flush", "set", "inet", "faults", set])
        }
    }

    /// Continues, joins and starts every member, and waits until all answer.
    func heal() async throws(BedError) {
        for member in 0..<Self.size {
            self.setFrozen(member, false)
            try await self.joinAgain(member)
            try self.start(member)
        }
        try await wait(for: "answers of all of etcd", timeout: .seconds(60)) { () async throws(BedError) in
            for member in 0..<Self.size where await !self.isHealthy(member) { return false }
            return true
        }
    }

    private func isHealthy(_ member: Int) async -> Bool {
        var request = HTTPRequest(.get, Self.url(member) + "/health")
        request.timeout = .seconds(1)
        do throws(HTTPError) {
            return try await self.http.send(request).status == 200
        } catch {
            return false
        }
    }

    /// The member that leads, if one of those that answer knows; it may be frozen since.
    func leader() async -> Int? {
        var leaders: [UInt64: Int] = [:]
        var answers: [(id: UInt64, term: UInt64)] = []
        for member in 0..<Self.size where self.isRunning(member) && !self.frozen.contains(member) {
            let status = await self.status(of: member)
            guard let id = status?["header"]?["member_id"]?.uint64, let leader = status?["leader"]?.uint64 else {
                continue
            }
            leaders[id] = member
            answers.append((leader, status?["raftTerm"]?.uint64 ?? 0))
        }
        return answers.max { $0.term < $1.term }.flatMap { leaders[$0.id] }
    }

    private func status(of member: Int) async -> JSON? {
        var request = HTTPRequest(.post, Self.url(member) + "/v3/maintenance/status")
        request.body = Array("{}".utf8)
        request.timeout = .milliseconds(500)
        do throws(HTTPError) {
            return JSON.parse(try await self.http.send(request).body)
        } catch {
            return nil
        }
    }

    /// Hands etcd's leadership to a member.
    func moveLeader(to member: Int) async throws(BedError) {
        guard let leader = await self.leader(), let id = await self.id(of: member) else {
            throw BedError("etcd has no leader")
        }
        guard leader != member else { return }
        try await self.tool(["--endpoints", Self.url(leader), "move-leader", String(id, radix: 16)])
        try await wait(for: "etcd's leadership", timeout: .seconds(10)) { () async throws(BedError) in
            await self.leader() == member
        }
    }

    private func id(of member: Int) async -> UInt64? {
        await self.status(of: member)?["header"]?["member_id"]?.uint64
    }

    // MARK: - Histories

    func saveSnapshot(_ path: String) async throws(BedError) {
        try await self.tool(["--endpoints", Self.url(0), "snapshot", "save", path])
    }

    /// Ends all members and lets them go on with another history, empty where it is new. Nobody has read it when `prepare`
    /// is called.
    func change(
        to history: History, restoring snapshot: String? = nil, prepare: () async throws(BedError) -> Void
    ) async throws(BedError) {
        self.isChanging = true
        defer { self.isChanging = false }
        for member in 0..<Self.size { await self.kill(member) }
        self.history = history
        if let snapshot {
            for member in 0..<Self.size {
                try await self.tool([
                    "snapshot", "restore", snapshot, "--name", Self.name(member), "--data-dir",
                    self.data(member, history), "--initial-advertise-peer-urls", Self.peer(member),
                    "--initial-cluster", Self.cluster, "--initial-cluster-token", history.token,
                ])
            }
        }
        try await self.heal()
        try await prepare()
    }

    func removeData(of history: History) async throws(BedError) {
        for member in 0..<Self.size { try await run(["/bin/rm", "-rf", self.data(member, history)]) }
    }

    private func tool(_ arguments: [String]) async throws(BedError) {
        try await run(["/usr/bin/env", "ETCDCTL_API=3", self.ground.options.etcdctl] + arguments)
    }
}
