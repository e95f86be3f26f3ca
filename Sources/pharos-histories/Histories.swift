// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed

/// The histories that etcd can be brought to: those that it had, and snapshots of them.
@EventLoop
final class Histories {
    private struct Snapshot {
        let path: String
        let token: String
    }

    private let bed: HistoryBed
    private var former: EtcdCluster.History?
    /// The newest first.
    private var snapshots: [Snapshot] = []
    private var snapshotCount = 0
    private var historyCount = 0
    private static let limit = 3
    /// How many changes were made with the mark deleted, because a node had not seen all.
    private(set) var announcedChanges = 0
    private(set) var silentChanges = 0

    init(_ bed: HistoryBed) { self.bed = bed }

    func saveSnapshot() async throws(BedError) {
        let path = "\(self.bed.ground.dataFolder)/snapshot-\(self.snapshotCount)"
        self.snapshotCount += 1
        try await self.bed.etcd.saveSnapshot(path)
        self.snapshots.insert(Snapshot(path: path, token: self.bed.etcd.history.token), at: 0)
        while self.snapshots.count > Self.limit {
            try await run(["/bin/rm", "-f", self.snapshots.removeLast().path])
        }
    }

    /// Changes etcd's history while no daemon can reach it. What is promised covers a change that every node can recognize, and
    /// one before which a person has deleted the mark, as the manual says: so the mark is deleted where some node does not
    /// remember the newest acquisition.
    func change(_ plan: Plan.History) async throws(BedError) {
        guard let (history, snapshot) = self.target(plan.change) else { return }
        let bed = self.bed
        for relay in bed.nodes.flatMap(\.relays) { relay.isShut = true }
        try await bed.etcd.heal()
        let trail = try await bed.patroni.value("trail/\(HistoryBed.address)")
        let isKnown = try await self.isKnown(trail)
        bed.note("\(plan.change.text), \(isKnown ? "unannounced" : "and the mark deleted")")
        if isKnown { self.silentChanges += 1 } else { self.announcedChanges += 1 }
        let left = bed.etcd.history
        try await bed.etcd.change(to: history, restoring: snapshot) { () async throws(BedError) in
            try await bed.patroni.initialize(leader: plan.leader)
            if !isKnown { try await bed.patroni.deleteMark() }
            try await bed.patroni.writeMuch(plan.writes)
        }
        if let former = self.former, former != history { try await bed.etcd.removeData(of: former) }
        self.former = left
        for relay in bed.nodes.flatMap(\.relays) { relay.isShut = false }
        bed.note("etcd goes on; the leader key names \(Node.member(plan.leader))")
    }

    /// Whether every node remembers this trail on disk, within 3 s.
    private func isKnown(_ trail: String?) async throws(BedError) -> Bool {
        let deadline = ContinuousClock.now + .seconds(3)
        while !self.bed.nodes.allSatisfy({ $0.remembers(trail) }) {
            guard ContinuousClock.now < deadline else { return false }
            try await pause(.milliseconds(50))
        }
        return true
    }

    /// Nil: there is no such history yet.
    private func target(_ change: HistoryChange) -> (EtcdCluster.History, snapshot: String?)? {
        let isFormer: Bool
        var (token, snapshot) = (self.bed.etcd.history.token, String?.none)
        var keepsToken = true
        switch change {
        case .empty(let sameToken): (isFormer, keepsToken) = (false, sameToken)
        case .back: isFormer = true
        case .snapshot(let age, let sameToken):
            guard !self.snapshots.isEmpty else { return nil }
            let chosen = self.snapshots[min(age, self.snapshots.count - 1)]
            (isFormer, keepsToken, token, snapshot) = (false, sameToken, chosen.token, chosen.path)
        }
        if isFormer, let former = self.former { return (former, nil) }
        self.historyCount += 1
        if !keepsToken { token = "token-\(self.historyCount)" }
        return (EtcdCluster.History(number: self.historyCount, token: token), snapshot)
    }
}
