// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// What the demo, the benchmark and the tests wait for.
extension Lab {
    /// Waits for a leader that holds every address, from which every other node streams, while the daemon runs on all of
    /// them; answers the leader.
    @EventLoop @discardableResult
    public func awaitHealth(timeout: Duration = .seconds(90)) async throws(LabError) -> String {
        try await self.waitUntilReady(timeout: timeout)
        var leader = ""
        try await self.waitFor("the addresses on the leader, the daemon on every node", timeout: timeout) {
            guard let current = try await self.leader() else { return false }
            leader = current
            for address in self.options.plainAddresses where try await self.holders(address) != [current] {
                return false
            }
            for node in self.options.groups.flatMap(\.nodes)
            where try await self.exec(node, ["systemctl", "is-active", "-q", "pharos"]).exitCode != 0 {
                return false
            }
            return true
        }
        return leader
    }

    /// Lets every leader write, and waits until its standbys have replayed that. One that streams may be stuck all the same:
    /// where it was rewound while the leader wrote, its write-ahead log has been seen not to fit at the place up to which it
    /// was rewound, and it panics when it is to lead.
    public func awaitReplay(timeout: Duration) async throws(LabError) {
        var written: [String: Int64] = [:]
        for group in self.options.groups {
            let unknown = LabError(.state, "group \(group.number) has no leader that says how far it is")
            guard let leader = try await self.leader(group: group.number) else { throw unknown }
            _ = try await self.run(
                leader, Self.psql("select pg_logical_emit_message(true, 'lab', '')", "postgres"))
            guard let location = try await self.patroni(leader)?.xlog?.location else { throw unknown }
            for node in group.nodes where node != leader { written[node] = location }
        }
        try await self.waitFor("every standby to replay", timeout: timeout) {
            for (node, location) in written {
                let replayed = try await self.patroni(node)?.xlog?.replayed_location ?? 0
                guard replayed >= location else { return false }
            }
            return true
        }
    }

    /// Does what takes the leadership from `leader`, and waits until another node leads and holds every address, and
    /// writes through each work; answers the instant at which it began, in microseconds since boot.
    @EventLoop
    public func changeLeader(
        _ leader: String, by act: @EventLoop () async throws(LabError) -> Void
    ) async throws(LabError) -> Int64 {
        let start = Lab.now
        try await act()
        let addresses = self.options.plainAddresses
        try await self.waitFor("another node leads, holds the addresses and takes writes", timeout: .seconds(90)) {
            guard let now = try await self.leader(), now != leader else { return false }
            for address in addresses where try await self.holders(address) != [now] { return false }
            let timeline = try self.timeline()
            return addresses.allSatisfy { address in
                let gaps = timeline.gaps(of: address, since: start)
                return !gaps.isEmpty && gaps.allSatisfy { $0.firstSuccess != nil }
            }
        }
        return start
    }
}
