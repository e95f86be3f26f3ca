// SPDX-License-Identifier: Apache-2.0
import Decision

/// The watches: every change of etcd reaches every node, if nothing happens to it on the way.
extension World {
    /// Makes new changes known to every watch.
    func publish() {
        for node in self.nodes where node.isWatching && node.watchedRevision != self.etcd.revision {
            self.feedWatch(node)
        }
        if self.etcd.log.count > 4096 { self.etcd.compact(before: self.nodes.map(\.watchedRevision).min() ?? 0) }
    }

    /// The follower has read everything at `snapshot`'s revision and watches from there.
    func startWatch(_ node: SimulatedNode, from snapshot: Snapshot) {
        node.isWatching = true
        node.isWatchSilent = false
        node.watchedCluster = snapshot.clusterID
        node.watchedRevision = snapshot.revision
        self.feedWatch(node)
    }

    /// The follower's watch has ended: it reads first. If that fails, it goes on from the next read of the core's.
    func restartWatch(_ node: SimulatedNode) {
        node.isWatching = false
        guard node.daemon == .running else { return }
        self.send(.read, from: node, life: node.life, sentAt: node.instant(at: self.now), isFollowers: true)
    }

    private func feedWatch(_ node: SimulatedNode) {
        guard !node.isWatchSilent, !node.cutsAnswers, self.etcd.hasQuorum, node.watchedCluster == self.etcd.clusterID
        else { return }
        let from = node.watchedRevision
        guard from < self.etcd.revision else { return }
        node.watchedRevision = self.etcd.revision
        var first = self.etcd.log.count
        while first > 0, self.etcd.log[first - 1].revision > from { first -= 1 }
        for index in first..<self.etcd.log.count {
            let entry = self.etcd.log[index]
            guard self.isFaulty || self.isCalm else {
                self.feed(entry.change, entry.revision, to: node, after: 200)
                continue
            }
            if self.strikes(.watchEventLost, 0.01) {
                self.log("\(node.member): a watch event is lost")
                continue
            }
            let copies = self.strikes(.watchEventDoubled, 0.01) ? 2 : 1
            for _ in 0..<copies {
                let isLate = self.strikes(.watchEventLate, 0.02)
                self.feed(
                    entry.change, entry.revision, to: node, after: isLate ? self.random.between(0, 10_000_000) : 200)
            }
        }
    }

    private func feed(_ change: KeyChange, _ revision: Int64, to node: SimulatedNode, after delay: Time) {
        self.schedule(
            .watch(node.index, life: node.life, cluster: self.etcd.clusterID, revision: revision, change), after: delay)
    }

    func deliverWatch(
        _ change: KeyChange, cluster: UInt64, revision: Int64, life: Int, to node: SimulatedNode
    ) {
        guard node.life == life, node.isWatching else { return }
        self.deliver(.watched(clusterID: cluster, revision: revision, changes: [change]), to: node)
    }

    /// For ``Mutation/noPeriodicRead``: what the core believes already is all that a read brings.
    func answerFromWatch(_ node: SimulatedNode, sentAt: Instant) {
        guard let believed = node.core?.believedSnapshot else {
            return self.send(.read, from: node, life: node.life, sentAt: sentAt)
        }
        self.schedule(.deliver(node.index, life: node.life, .readAnswered(believed, sentAt: sentAt)), after: 500)
    }
}
