// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import LenientJSON
import NetworkBed

/// What must disturb nobody: restarts, and an older version beside, before and after.
extension ScenePlayer {
    /// What nobody may have changed, besides a quarantine in sight.
    private struct Settled: Equatable {
        let mark: String?
        let revision: Int64?
        let isQuarantined: Bool
    }

    private func settled() async throws(BedError) -> Settled {
        let mark = try await self.bed.patroni.pair("cluster")
        let quarantine = try await self.bed.patroni.pair("quarantine")
        return Settled(mark: mark?.value, revision: mark?.revision, isQuarantined: quarantine != nil)
    }

    /// Each daemon and each member of etcd is restarted, the holder's included; then all of etcd, then all daemons. The address
    /// moves only where Patroni moves it.
    func restartAll() async throws(BedError) {
        try await self.startAll()
        try await self.waitUntilRemembered()
        let settled = try await self.settled()
        for node in self.bed.nodes {
            await node.stop(SIGKILL)
            try node.start()
        }
        for member in 0..<EtcdCluster.size {
            await self.bed.etcd.kill(member)
            try await self.bed.etcd.heal()
        }
        for member in 0..<EtcdCluster.size { await self.bed.etcd.kill(member) }
        try await self.bed.etcd.heal()
        try await self.checkStayed(on: 0, takers: 1, settled)
        for node in self.bed.nodes { await node.stop(SIGTERM) }
        for node in self.bed.nodes { try node.start() }
        try await self.waitForHolder(0)
        try await self.moveQuickly(to: 1)
        try await self.checkStayed(on: 1, takers: 3, settled)
    }

    /// From the older version to today's, node by node, and back, with a switchover after each.
    func replaceVersions() async throws(BedError) {
        try await self.startAll(isOlder: true)
        let settled = try await self.settled()
        let form = try await self.keyForm()
        self.find("key: \(form.joined(separator: ", "))")
        var leaders = [0]
        // Holders and others, crashed and stopped, each beside any mixture of the others; in the middle all are today's.
        let steps: [(node: Int, isOlder: Bool, leader: Int)] = [
            (1, false, 1), (1, true, 1), (1, false, 0), (0, false, 2), (2, false, 1), (1, true, 1), (1, false, 0),
            (0, true, 0), (1, true, 2), (2, true, 2), (2, false, 0), (0, false, 1), (1, false, 2), (0, true, 2),
            (2, true, 0), (1, true, 1),
        ]
        for (index, step) in steps.enumerated() {
            let node = self.bed.nodes[step.node]
            await node.stop(index.isMultiple(of: 3) ? SIGTERM : SIGKILL)
            try node.start(isOlder: step.isOlder)
            // Where it is the holder that was replaced, the address stays, or is put on again soon.
            try await pause(.seconds(1))
            try await self.bed.waitUntilHolding(leaders.last ?? 0, timeout: .seconds(1))
            try await self.moveQuickly(to: step.leader)
            if step.leader != leaders.last { leaders.append(step.leader) }
            try await self.checkSettled(on: step.leader, settled)
            let found = try await self.keyForm()
            guard found == form else { throw BedError("the address's key has another form: \(found)") }
        }
        let takers = self.takers
        let expected = leaders.map { Node.id($0) }
        guard
            takers.enumerated().filter({ $0.offset == 0 || takers[$0.offset - 1] != $0.element }).map(\.element)
                == expected
        else { throw BedError("the address was on other nodes than \(expected), in this order: \(takers)") }
        self.find(
            "\(steps.count) replacements, no quarantine, put on again on the same node \(takers.count - leaders.count) times, within \(self.longestGap()) ms at most"
        )
    }

    /// Moves the leader key; the address must follow without any waiting for a lease to end.
    private func moveQuickly(to node: Int) async throws(BedError) {
        try await self.bed.patroni.lead(node)
        try await self.bed.waitUntilHolding(node, timeout: .seconds(self.bed.ground.options.ttl - 2))
    }

    /// The address is where it belongs, has been put on somewhere so many times since the beginning, and Pharos's view of the
    /// cluster is what it was.
    private func checkStayed(on node: Int, takers: Int, _ settled: Settled) async throws(BedError) {
        try await self.checkSettled(on: node, settled)
        let count = self.takers.count
        guard count == takers else { throw BedError("the address was put on \(count) times, not \(takers)") }
    }

    /// The nodes on which the address was put, in this order.
    private var takers: [Int32] {
        self.bed.observer.events.filter { $0.address == HistoryBed.address && $0.isPresent }.map(\.node)
    }

    /// The longest time, in milliseconds, between the address's going from a node and its coming back to the same one.
    private func longestGap() -> Int64 {
        let events = self.bed.observer.events.filter { $0.address == HistoryBed.address }
        let gaps = zip(events, events.dropFirst()).compactMap { before, after in
            before.node == after.node && after.isPresent ? (after.at - before.at) / 1000 : nil
        }
        return gaps.max() ?? 0
    }

    private func checkSettled(on node: Int, _ settled: Settled) async throws(BedError) {
        try await pause(.seconds(2))
        guard self.bed.isHolding(node) else { throw BedError("\(Node.member(node)) has lost the address") }
        let found = try await self.settled()
        guard found == settled else { throw BedError("the mark or the quarantine has changed: \(found)") }
    }

    /// The names of the fields in the address's key.
    private func keyForm() async throws(BedError) -> [String] {
        let value = try await self.bed.patroni.value("address/\(HistoryBed.address)") ?? ""
        return (JSON.parse(value.utf8)?.object ?? [:]).keys.sorted()
    }
}
