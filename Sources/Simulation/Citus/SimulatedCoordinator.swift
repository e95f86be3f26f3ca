// SPDX-License-Identifier: Apache-2.0
import Decision

/// A node of the coordinator's group: its daemon, and its PostgreSQL with `pg_dist_node`.
final class SimulatedCoordinator {
    struct Hold {
        let id: Int
        let life: Int
        let group: Int
        let since: Time
        let limit: Time
    }
    struct Fence {
        var cluster: UInt64
        var revision: Int64
        var superseded: Set<UInt64> = []
    }
    struct Catalog {
        var rows: [NodeRow] = []
        var fences: [Int: Fence] = [:]
    }

    let index: Int
    let name: String
    var core: Core?
    var life = 0
    var isFrozen = false
    /// What its disk keeps.
    var memory = Memory()
    var inbox: [Event] = []
    var wakeAt: Time = .max
    var cutsEtcd = false
    /// When the last update was begun that this life of the daemon has not been answered for.
    var updateBegan: Time?
    /// By when that has ended on the server, whatever became of its answer.
    var updateEndsBy: Time = 0
    /// When the newest rows were asked for that it was told of.
    var rowsAskedAt: Time = 0
    /// Whether nobody hears what comes of the update under way.
    var isUpdateMuted = false
    /// The coordinator's leader, as this life of the daemon was told last.
    var seenLeader: String?
    /// One life of the server: its sessions end with it.
    var server = 0
    var catalog = Catalog()
    /// What a standby that is behind may have.
    var earlier: [(time: Time, catalog: Catalog)] = []
    var holds: [Hold] = []

    init(index: Int, name: String) {
        self.index = index
        self.name = name
    }

    private var seenCluster: UInt64 = 0
    private var leaderRevision: Int64 = -1
    private var newest: (revision: Int64, at: Instant)?

    func learn(_ event: Event, at now: Instant) {
        switch event {
        case .groups(.read(let snapshot, let sentAt)):
            let wentBack = self.newest.map { snapshot.revision < $0.revision && sentAt > $0.at } ?? false
            if snapshot.clusterID != self.seenCluster || wentBack {
                (self.seenCluster, self.leaderRevision, self.newest) = (snapshot.clusterID, -1, nil)
            }
            let named = snapshot.facts.contains { change in
                if change.group == 0, case .leader = change.fact { true } else { false }
            }
            let absent = named ? [] : [GroupChange(0, .noLeader)]
            self.see(snapshot.facts + absent, snapshot.clusterID, snapshot.revision, at: now)
        case .groups(.changed(let cluster, let revision, let changes)): self.see(changes, cluster, revision, at: now)
        case .citus(.updateEnded): self.updateBegan = nil
        case .citus(.rowsRead(_, _, let askedAt)):
            self.rowsAskedAt = max(self.rowsAskedAt, askedAt.sinceBoot.microseconds - 1_000_000)
        default: break  // The rest tells nothing of the kind.
        }
    }

    private func see(_ changes: [GroupChange], _ cluster: UInt64, _ revision: Int64, at now: Instant) {
        guard cluster == self.seenCluster else { return }
        if revision > self.newest?.revision ?? -1 { self.newest = (revision, now) }
        guard revision >= self.leaderRevision else { return }
        for change in changes where change.group == 0 {
            switch change.fact {
            case .leader(let name, _, _): (self.seenLeader, self.leaderRevision) = (name, revision)
            case .noLeader: (self.seenLeader, self.leaderRevision) = ("", revision)
            case .member, .requested, .synchronous, .log: break
            }
        }
    }

    /// Another life of the daemon knows nothing.
    func forget() {
        (self.seenLeader, self.seenCluster, self.leaderRevision, self.newest) = (nil, 0, -1, nil)
        (self.updateBegan, self.rowsAskedAt) = (nil, 0)
    }
}
