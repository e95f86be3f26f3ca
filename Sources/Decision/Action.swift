// SPDX-License-Identifier: Apache-2.0

/// Everything that the core can ask the shell to do. Each answer comes back as an ``Event``, exactly once and within the
/// shell's own time limits; a change of the kernel not before it is certain that it will not happen any more. What is not answered
/// is overdue by ``AnswerLimits``.
public enum Action: Hashable, Sendable {
    // etcd
    /// A linearizable read of all that a ``Snapshot`` holds.
    case read
    /// The watch has missed a change: begin it anew, elsewhere if possible.
    case restartWatch
    case grantLease(AddressID, ttl: Duration)
    case keepAlive(AddressID, lease: LeaseID)
    /// Ends a lease, and with it the address's key.
    case revoke(AddressID, lease: LeaseID)
    /// One transaction: *if* the leader key names this member, the address has no key, its trail is the one that was seen,
    /// the mark is `clusterID` and there is no quarantine, *then* put the address's key with this lease, and the trail.
    indirect case acquire(AddressID, lease: LeaseID, clusterID: UInt64, trail: TrailStep)
    /// One transaction: *if* the address's key stands under the lease `from`, its trail is the one that was seen, the mark is
    /// `clusterID` and there is no quarantine, *then* put it under `lease`, and the trail. Answered like
    /// ``acquire(_:lease:clusterID:trail:)``.
    indirect case takeOver(AddressID, lease: LeaseID, from: LeaseID, clusterID: UInt64, trail: TrailStep)
    /// One transaction: *if* the mark is still the one of the revision `seen` (0: absent) and the trails are those that were
    /// seen, *then* write `clusterID` there, a quarantine that ends by itself after `quarantine`, and the trails, each
    /// extended by the quarantine's lease.
    indirect case markCluster(clusterID: UInt64, seen: Int64, quarantine: Duration, trails: [Addressed<TrailStep>])
    /// Keep this for the next process.
    indirect case remember(Memory)

    // The node
    /// List addresses and interfaces.
    case inspect
    /// Give the address a lifetime that ends at `until`, adding it if it is absent.
    case assign(AddressSpec, until: Instant, isPresent: Bool)
    /// Take the address off the place's interface, with whatever prefix length it stands there.
    case remove(AddressID, KernelPlace)
    /// Take the address out of exactly this place; what stands on the same interface with another prefix length stays.
    /// Answered like ``remove(_:_:)``.
    case removeStray(AddressID, KernelPlace)
    case startAnnouncing(AddressSpec)
    case stopAnnouncing(AddressSpec)
    case askPostgres
    case askPatroni
    /// Connect to the address's port, and let go at once.
    case tryPort(AddressSpec)

    // Other members
    /// A linearizable read of the groups' keys; answered by ``Event/groups(_:)``.
    case readGroups
    indirect case citus(CitusAction)
    indirect case detector(DetectorAction)

    /// Write this record of a change of leader to etcd, in place of an earlier one of the same revision.
    indirect case record(LedgerEntry)

    // systemd and the operator
    case ready
    case report(Report)
    /// The last action of all.
    case exit
}
