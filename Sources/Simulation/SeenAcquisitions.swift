// SPDX-License-Identifier: Apache-2.0
import Decision

/// The transactions of one life of a daemon that put an address's key under a lease of its own, and of which it has not said
/// yet that they were committed; and what it was told of these keys since.
struct SeenAcquisitions {
    private struct Entry {
        let address: AddressID
        let lease: LeaseID
        /// When the first with this lease was sent; nil for a take-over, which says nothing of who leads.
        let sentAt: Instant?
        /// The newest revision at which the key was told of, and whether it stood under the lease.
        var toldAt: Int64 = 0
        var isShown = false
    }

    private var entries: [Entry] = []
    var isEmpty: Bool { self.entries.isEmpty }

    /// A key that is known to stand under such a lease.
    var shown: (address: AddressID, lease: LeaseID)? {
        self.entries.first { $0.isShown }.map { ($0.address, $0.lease) }
    }

    mutating func learn(_ action: Action, at instant: Instant) {
        switch action {
        case .acquire(let id, let lease, _, _): self.add(id, lease, sentAt: instant)
        case .takeOver(let id, let lease, _, _, _): self.add(id, lease, sentAt: nil)
        case .report(.acquired(_, let lease, _)), .revoke(_, let lease): self.forget(lease)
        case .report(.clusterReplaced): self.entries = []
        default: break  // The rest has nothing to do with these keys.
        }
    }

    private mutating func add(_ address: AddressID, _ lease: LeaseID, sentAt: Instant?) {
        guard !self.entries.contains(where: { $0.lease == lease }) else { return }
        self.entries.append(Entry(address: address, lease: lease, sentAt: sentAt))
    }

    private mutating func forget(_ lease: LeaseID) {
        if !self.entries.isEmpty { self.entries.removeAll { $0.lease == lease } }
    }

    /// Answers since when, at least, somebody must have led, where the event shows an acquisition to have been committed.
    mutating func learn(_ event: Event, cluster: UInt64) -> Instant? {
        switch event {
        case .watched(cluster, let revision, let changes):
            var newest: Instant?
            for case .holder(let id, let holder) in changes {
                if let sentAt = self.show(id, holder?.lease, revision) { newest = max(newest ?? sentAt, sentAt) }
            }
            return newest
        case .readAnswered(let snapshot, _), .followed(let snapshot, _), .acquireRefused(_, _, let snapshot, _):
            guard snapshot.clusterID == cluster else { return nil }
            var newest: Instant?
            for entry in self.entries {
                let lease = snapshot.holders.first { $0.address == entry.address }?.holder.lease
                let sentAt = self.show(entry.address, lease, snapshot.revision)
                if let sentAt { newest = max(newest ?? sentAt, sentAt) }
            }
            return newest
        // It has ended, whatever is shown.
        case .leaseGone(_, let lease), .acquireFoundNoLease(_, let lease), .leaseRevoked(_, let lease):
            self.forget(lease)
            return nil
        default: return nil  // The rest tells nothing of these keys.
        }
    }

    private mutating func show(_ address: AddressID, _ lease: LeaseID?, _ revision: Int64) -> Instant? {
        var sentAt: Instant?
        for index in self.entries.indices
        where self.entries[index].address == address && self.entries[index].toldAt <= revision {
            self.entries[index].toldAt = revision
            self.entries[index].isShown = self.entries[index].lease == lease
            if self.entries[index].isShown { sentAt = self.entries[index].sentAt }
        }
        return sentAt
    }
}
