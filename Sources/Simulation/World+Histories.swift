// SPDX-License-Identifier: Apache-2.0
import Decision

/// What becomes of etcd's history: a new leader, an empty cluster, an old copy, an earlier cluster that comes back.
extension World {
    /// etcd elects another leader. The node's member may not hear of it for a while, if it led.
    func changeEtcdLeader(_ node: SimulatedNode) {
        if self.random.chance(0.5) {
            node.staleMember = (
                self.etcd.term, self.now + self.random.between(100_000, 20_000_000), self.etcd.incarnation
            )
        }
        self.etcd.changeLeader(at: self.now)
    }

    func replaceEtcd() -> Bool {
        guard self.random.chance(0.4), self.etcd.hasQuorum, !self.config.isFailsafeEnabled else { return false }
        // How long a lowered TTL's leases may still run is known to daemons that saw it lowered, not to new ones.
        if let loweredAt = self.ttlLoweredAt, self.now - loweredAt < self.formerTTL + 10_000_000 { return false }
        let former = self.etcd.clusterID
        switch self.random.between(0, 3) {
        case 0:
            guard self.restoreBackup() else { return false }
            self.freezeHolder()
        case 1:
            guard self.returnToFormer() else { return false }
            self.freezeHolder()
        default: self.wipeEtcd()
        }
        self.backup = nil
        self.replacedAt = self.now
        self.leaveBehind(former)
        for node in self.nodes { self.restartWatch(node) }
        for lease in self.etcd.leases.keys.sorted() { self.watchLease(lease) }
        self.leaderKeyVanished()
        return true
    }

    /// What makes a history that etcd has forgotten dangerous: whoever holds an address by it sees nothing of the change.
    private func freezeHolder() {
        let holder = self.nodes.first { node in self.specs.indices.contains { node.kernel.holds($0) } }
        guard let holder, holder.daemon == .running, self.random.chance(0.7) else { return }
        holder.daemon = .frozen
        self.faults.add(.daemonFreeze)
        self.schedule(.thaw(holder.index), after: self.random.between(10_000_000, 90_000_000))
    }

    private func wipeEtcd() {
        let keepsClusterID = self.random.chance(0.3)
        if keepsClusterID { self.hasReusedClusterID = true }
        self.former = self.etcd
        self.etcd.wipe(keepsClusterID: keepsClusterID)
        self.log("etcd: wiped, cluster \(self.etcd.clusterID) now")
    }

    /// A copy is restored under its own number or another, and its revisions may be bumped beyond all that anybody has seen.
    private func restoreBackup() -> Bool {
        // How long a lease of a higher TTL than the copy's may run is not known from the copy.
        guard let backup = self.backup, backup.incarnation == self.etcd.incarnation,
            self.ttl(under: backup.patroni) >= self.longestTTL, self.isHistoryKnown
        else { return false }
        let keepsClusterID = self.random.chance(0.6)
        let bump = self.random.chance(0.5) ? 0 : self.random.between(1, 1000)
        if keepsClusterID { self.hasReusedClusterID = true }
        self.former = self.etcd
        self.etcd.restore(backup, keepsClusterID: keepsClusterID, bumpedBy: bump, at: self.now)
        self.log("etcd: an old copy is restored, of revision \(backup.revision), cluster \(self.etcd.clusterID) now")
        return true
    }

    /// The cluster of before answers again: it had been stopped, or the endpoints led elsewhere for a while.
    private func returnToFormer() -> Bool {
        guard let former = self.former, self.ttl(under: former.patroni) >= self.longestTTL, self.isHistoryKnown
        else { return false }
        self.hasReusedClusterID = true
        let leaving = self.etcd
        self.etcd.comeBack(former, wasStopped: self.random.chance(0.5), at: self.now)
        self.former = leaving
        self.log("etcd: cluster \(self.etcd.clusterID) is back, at revision \(self.etcd.revision)")
        return true
    }

    /// Whether every node knows the newest acquisition of each address, and would after a restart: who was away while an
    /// address was acquired, and comes back when etcd has forgotten it, cannot know. (Whose disk takes nothing, waits.)
    private var isHistoryKnown: Bool {
        for (index, spec) in self.specs.enumerated() {
            guard let newest = self.etcd.trails[index].trail.entries.first else { continue }
            for node in self.nodes {
                let known = node.diskWorks ? node.disk : node.core?.memory ?? Memory()
                let trail = known.trails.first { $0.address == spec.id }?.value
                if !node.diskWorks, node.core == nil { continue }
                guard trail?.entries.contains(where: { $0.lease == newest.lease }) == true else { return false }
            }
        }
        return true
    }
}
