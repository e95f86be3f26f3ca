// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// What the demo, the benchmark and the tests wait for.
extension Lab {
    /// Waits for a leader that holds every address, from which every other node streams, while the daemon runs on all of
    /// them; answers the leader. Where no daemon was installed with the nodes, nothing is expected of it.
    @EventLoop @discardableResult
    public func awaitHealth(timeout: Duration = .seconds(90)) async throws(LabError) -> String {
        try await self.waitUntilReady(timeout: timeout)
        var leader = ""
        try await self.waitFor("the addresses on the leader, the daemon on every node", timeout: timeout) {
            guard let current = try await self.leader() else { return false }
            leader = current
            if self.options.installTree == nil { return true }
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

    /// Lets the leaders write, and waits until their standbys have that. One that streams may be stuck all the same: where it
    /// was rewound, its write-ahead log has been seen not to fit at the place up to which it was rewound, and it panics when
    /// it is to lead. So it must show what was written since its server was started; that it has replayed so and so far
    /// proves nothing.
    @EventLoop
    public func awaitReplay(timeout: Duration) async throws(LabError) {
        /// When a standby's server was started, and what its leader has written since.
        var expected: [String: (life: String, text: String)] = [:]
        try await self.waitFor("every standby to replay", timeout: timeout) {
            for group in self.options.groups {
                guard let leader = try await self.leader(group: group.number) else { return false }
                for node in group.nodes where node != leader {
                    guard let life = try await self.patroni(node)?.postmaster_start_time else { return false }
                    if expected[node]?.life != life {
                        let text = "\(node) \(Lab.now)"
                        let statements =
                            "create table if not exists lab_replay (text text); insert into lab_replay values ('\(text)')"
                        let outcome = try await self.exec(leader, Self.psql(statements, "postgres"))
                        guard outcome.exitCode == 0 else { return false }
                        expected[node] = (life, text)
                    }
                    guard let text = expected[node]?.text else { return false }
                    let count = Self.psql("select count(*) from lab_replay where text = '\(text)'", "postgres")
                    guard try await self.exec(node, count).text == "1\n" else { return false }
                }
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
