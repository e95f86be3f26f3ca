// SPDX-License-Identifier: Apache-2.0

/// What becomes of the transactions that put the key under a lease of ours. Whether one was committed, its answer tells, or
/// what etcd shows under the key: whichever comes first. The other then finds it done.
extension AddressLease {
    /// The transaction was answered: it was committed at `revision`.
    mutating func acquired(_ id: LeaseID, revision: Int64, into actions: inout [Action]) {
        guard self.isAcquiring(id), let lease = self.key.lease else {
            if !self.key.owns(id) { actions.append(.revoke(self.id, lease: id)) }
            return
        }
        self.trailMoved(under: id, at: revision)
        self.hold(lease, at: revision, into: &actions)
    }

    /// etcd shows the key under `lease`: the transaction was committed. Its answer is late or lost, or was misleading: of a
    /// transaction that was sent twice, the second finds the key taken, by the first.
    mutating func appeared(under lease: KeySide.Lease, into actions: inout [Action]) {
        self.trailMoved(under: lease.id, at: self.holder.revision)
        self.hold(lease, at: self.holder.revision, into: &actions)
    }

    private mutating func hold(_ lease: KeySide.Lease, at revision: Int64, into actions: inout [Action]) {
        self.isDeadlineStale = true
        self.acquireFailures = 0
        self.rival = nil
        actions.append(.report(.acquired(self.id, lease: lease.id, revision: revision)))
        if lease.hasEnded {
            self.key = .none(retryAt: nil)
            actions.append(.report(.leaseLost(self.id, lease: lease.id, reason: "the lease has ended")))
        } else {
            self.key = .held(lease)
        }
    }

    /// When the acquisition under way was sent, if etcd shows that it was committed: at some moment since then the leader key
    /// named this member. Nil where an earlier transaction with the same lease may have been the one.
    var shownAcquisition: Instant? {
        guard case .acquiring(let lease, let since) = self.key, lease.id == self.currentHolderLease, !lease.isInDoubt
        else { return nil }
        return since
    }

    /// Another Patroni cluster of this etcd holds the address; nil: none does.
    mutating func learn(rival: String?, into actions: inout [Action]) {
        guard rival != self.rival else { return }
        self.rival = rival
        if let rival { actions.append(.report(.heldByAnotherCluster(self.id, cluster: rival))) }
    }

    private static let acquireBackoff = Backoff(first: .milliseconds(200), longest: .milliseconds(3200))

    /// Tried again after a pause, or as soon as the key is seen to be free.
    mutating func acquireFailed(_ id: LeaseID, isAnswered: Bool, at now: Instant) {
        guard self.isAcquiring(id), var lease = self.key.lease else { return }
        self.isDeadlineStale = true
        if !isAnswered { lease.isInDoubt = true }
        self.acquireFailures += 1
        let retryAt = now + Self.acquireBackoff.pause(after: self.acquireFailures)
        if case .adopting(let old, _) = self.key {
            let step: KeySide.Adoption =
                lease.hasEnded ? .waiting(retryAt: retryAt) : .granted(lease, retryAt: retryAt)
            self.key = .adopting(old: old, step)
        } else {
            self.key = lease.hasEnded ? .none(retryAt: retryAt) : .granted(lease, retryAt: retryAt)
        }
    }

    /// The lease had ended unnoticed. Another is asked for: at once the first time, then as after any other failure.
    mutating func acquireFoundNoLease(_ id: LeaseID, at now: Instant, into actions: inout [Action]) {
        guard self.isAcquiring(id), var lease = self.key.lease else { return self.leaseGone(id, into: &actions) }
        lease.hasEnded = true
        self.key.lease = lease
        self.endedLease = id
        let isFirst = self.acquireFailures == 0
        self.acquireFailed(id, isAnswered: true, at: now)
        if isFirst { self.key.retryAt = nil }
    }

    /// Whether a transaction that moves the key to this lease is under way.
    func isAcquiring(_ id: LeaseID) -> Bool {
        switch self.key {
        case .acquiring(let lease, _), .adopting(_, .takingOver(let lease, _)): lease.id == id
        case .none, .granting, .granted, .adopting, .held, .returning, .revoking: false
        }
    }

    /// Whether the key is known to stand under this lease.
    func isHeld(under id: LeaseID) -> Bool {
        if case .held(let lease) = self.key { return lease.id == id }
        return false
    }
}
