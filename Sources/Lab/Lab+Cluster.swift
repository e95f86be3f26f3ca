// SPDX-License-Identifier: Apache-2.0
import EventLoop
import FoundationEssentials

/// Questions to the cluster, asked from the client's namespace, and the switchover.
extension Lab {
    /// What the lab knows about one node.
    public struct NodeStatus: Sendable {
        public let node: String
        /// Whether its machine is on.
        public let isOn: Bool
        /// Patroni's view of its PostgreSQL, as `role/state`; nil without an answer.
        public let patroni: String?
        /// The standbys that stream from it.
        public let streaming: Int
        /// Which of the virtual addresses its kernel has.
        public let addresses: [String]
    }

    /// The node that the leader key of a group (nil: the first) names, by a linearizable read; nil if there is none, or no etcd answers.
    @EventLoop
    public func leader(group: Int? = nil) async throws(LabError) -> String? {
        let key = Data(self.options.groups[group ?? 0].leaderKey.utf8).base64EncodedString()
        for node in self.options.nodes {
            let answer = try await self.curl(
                ["-d", "{\"key\":\"\(key)\"}", "http://\(LabLayout.address(node)):2379/v3/kv/range"])
            guard let answer, let range = JSON.answer(LeaderWatch.Range.self, from: answer) else { continue }
            return range.kvs?.first?.text
        }
        return nil
    }

    /// What Patroni's `GET /patroni` says, as far as the lab needs it.
    struct PatroniAnswer: Decodable {
        struct Standby: Decodable { var state: String? }
        var role: String?
        var state: String?
        var postmaster_start_time: String?
        var replication: [Standby]?
    }

    @EventLoop
    func patroni(_ node: String) async throws(LabError) -> PatroniAnswer? {
        try await self.curl(["http://\(LabLayout.address(node)):8008/patroni"]).flatMap {
            JSON.answer(PatroniAnswer.self, from: $0)
        }
    }

    /// The nodes whose kernels have a virtual address at this moment.
    @EventLoop
    public func holders(_ address: String) async throws(LabError) -> [String] {
        var holders: [String] = []
        for node in self.options.nodes where try await self.addresses(of: node).contains(address) {
            holders.append(node)
        }
        return holders
    }

    /// All addresses of a node's interfaces, without prefix length.
    @EventLoop
    public func addresses(of node: String) async throws(LabError) -> [String] {
        try self.check(node)
        let text = try await Host.run(["ip", "-n", LabLayout.namespace(node), "-o", "addr", "show"])
        return text.split(separator: "\n").compactMap { line in
            // 2: eth0    inet 10.77.0.1/24 scope global eth0 …
            let fields = line.split(separator: " ")
            guard fields.count > 3 else { return nil }
            return String(fields[3].prefix { $0 != "/" })
        }
    }

    @EventLoop
    public func status() async throws(LabError) -> [NodeStatus] {
        var all: [NodeStatus] = []
        for node in self.options.nodes {
            let isOn = try Machine(node: node).leader() != nil
            let patroni = isOn ? try await self.patroni(node) : nil
            let addresses = try await self.addresses(of: node)
            all.append(
                NodeStatus(
                    node: node,
                    isOn: isOn,
                    patroni: patroni.map { "\($0.role ?? "?")/\($0.state ?? "?")" },
                    streaming: patroni?.replication?.count { $0.state == "streaming" } ?? 0,
                    addresses: self.options.plainAddresses.filter { addresses.contains($0) }
                )
            )
        }
        return all
    }

    /// Waits until each group has a leader whose PostgreSQL runs and from which all its other nodes stream. With Citus mode,
    /// where Patroni is synchronous, until they are known to be: before that Patroni lets nobody take over.
    @EventLoop
    public func waitUntilReady(timeout: Duration = .seconds(120)) async throws(LabError) {
        for group in self.options.groups {
            try await self.waitFor("a leader with every standby streaming", timeout: timeout) {
                guard let leader = try await self.leader(group: group.number),
                    let patroni = try await self.patroni(leader)
                else { return false }
                let streaming = patroni.replication?.count { $0.state == "streaming" } ?? 0
                guard patroni.state == "running", streaming == group.nodes.count - 1 else { return false }
                if self.options.citus?.layout != .mode { return true }
                let cluster = try await self.curl(["http://\(LabLayout.address(leader)):8008/cluster"]) ?? ""
                // Patroni 4 commits by a quorum in this mode, and calls those who count in it by another name.
                let synchronous = ["\"sync_standby\"", "\"quorum_standby\""]
                let count = synchronous.map { cluster.components(separatedBy: $0).count - 1 }.reduce(0, +)
                return count == group.nodes.count - 1
            }
        }
    }

    /// Moves the leadership, by asking the leader's own Patroni (a standby's would take 10 s longer), and answers the
    /// new leader. Without a candidate Patroni chooses.
    @EventLoop @discardableResult
    public func switchover(to candidate: String? = nil, group: Int? = nil) async throws(LabError) -> String {
        guard let leader = try await self.leader(group: group) else { throw LabError(.state, "there is no leader") }
        if let candidate { try self.check(candidate) }
        try self.mark("switchover from \(leader)\(candidate.map { " to \($0)" } ?? "")")
        let body = "{\"leader\":\"\(leader)\"\(candidate.map { ",\"candidate\":\"\($0)\"" } ?? "")}"
        let url = "http://\(LabLayout.address(leader)):8008/switchover"
        let answer = try await self.curl(["-d", body, "-w", "\n%{http_code}", url], seconds: 60) ?? "no answer"
        guard answer.hasSuffix("\n200") else { throw LabError(.command, "switchover from \(leader): \(answer)") }
        return try await self.leader(group: group) ?? "nobody"
    }

    /// A request from the client's namespace; nil if there is no answer.
    @EventLoop
    func curl(_ arguments: [String], seconds: Int = 2) async throws(LabError) -> String? {
        let command =
            ["nsenter", "--net=/run/netns/\(LabLayout.clientNamespace)", "curl", "-s", "--max-time", String(seconds)]
            + arguments
        let outcome = try await Host.outcome(command, timeout: .seconds(seconds + 5))
        return outcome.exitCode == 0 ? outcome.text : nil
    }
}
