// SPDX-License-Identifier: Apache-2.0

/// What an operator is told: each change, and each refusal to change, with its evidence.
public enum Report: Hashable, Sendable {
    case contactMade(clusterID: UInt64, revision: Int64, leader: String?)
    /// `lastRead`: how long ago the newest read was sent that was answered; nil: none was.
    case contactLost(reason: String, lastRead: Duration?)
    case contactRestored(after: Duration)
    /// What was asked for has not been answered for so long that it is given up, or, where it may yet take effect, waited for
    /// without hope. Told once, until anything of the kind is answered.
    indirect case unanswered(Asked, after: Duration)
    case clusterReplaced(old: UInt64, new: UInt64)
    case quarantined(clusterID: UInt64)
    /// etcd does not know what this node remembers of an address: a copy was restored, or an earlier cluster came back.
    case historyContradicted(AddressID)
    /// Whether etcd's history is the one that was known here cannot be told: nothing is acquired for `wait`.
    case historyUnknown(AddressID, wait: Duration)
    /// A keep-alive was answered by an etcd member that did not know who leads: it does not count.
    case renewalUncounted(AddressID, lease: LeaseID, term: UInt64, known: UInt64)
    case leaderChanged(from: String?, to: String?, revision: Int64)
    case pauseChanged(isPaused: Bool)
    /// The watch had not shown what a read showed.
    case watchStale(revision: Int64)
    /// The verdict on an address has changed.
    case stanceChanged(AddressID, Stance)
    case leaseAdopted(AddressID, lease: LeaseID)
    /// Patroni's `ttl` was lowered: the key moves from this lease to one with the TTL `to`.
    case leaseShortened(AddressID, lease: LeaseID, from: Duration, to: Duration)
    case leaseLost(AddressID, lease: LeaseID, reason: String)
    case leaseRefused(AddressID, reason: String)
    case acquired(AddressID, lease: LeaseID, revision: Int64)
    /// Another Patroni cluster of this etcd holds the address: it is configured twice.
    case heldByAnotherCluster(AddressID, cluster: String)
    case acquireRefused(AddressID, holder: String?, leader: String?)
    case assigned(AddressID, interface: String, lifetime: Duration)
    case assignFailed(AddressID, reason: String)
    /// The address was taken away, and why.
    case removed(AddressID, interface: String, reason: Reason)
    case removeFailed(AddressID, interface: String, reason: String)
    case released(AddressID, lease: LeaseID)
    /// The kernel ended the address's lifetime: its lease could not be renewed in time.
    case lapsed(AddressID, interface: String)
    /// Somebody else removed the address from the node that holds it.
    case removedByOthers(AddressID, interface: String)
    /// Somebody else put the address where it does not belong.
    case addedByOthers(AddressID, interface: String, prefixLength: Int)
    /// Somebody else gave the address a lifetime beyond its right; nil: an endless one. It is given its own anew.
    case lifetimeChangedByOthers(AddressID, interface: String, lifetime: Duration?)
    /// Others have removed it, added it or changed its lifetime so many times within so short a time that it is a fight.
    case foughtOver(AddressID, interface: String, times: Int, within: Duration)
    case duplicateSeen(AddressID, linkAddress: String)
    /// The interface of an address that belongs here has gone, is down, or has no carrier.
    case linkLost(AddressID, interface: String, LinkTrouble)
    case linkBack(AddressID, interface: String)
    case inspectionFailed(reason: String)
    /// This node's clock is being corrected faster than the margin allows for; negative: slowed down.
    case clockBeyondDrift(partsPerMillion: Int)
    case clockWithinDrift
    case failsafeHolds(AddressID, until: Duration)
    /// Nobody takes clients at an address that is here, says its port; and what PostgreSQL said last, if it was asked.
    indirect case portClosed(AddressID, port: UInt16, PortAnswer, for: Duration, PostgresState?)
    /// Somebody does again. `after`: nil where the address was elsewhere meanwhile.
    case portOpen(AddressID, port: UInt16, after: Duration?)
    /// Whether anybody does cannot be told.
    case portUntried(AddressID, port: UInt16, reason: String)
    case postgresChanged(PostgresState)
    /// Another node uses this member's name.
    case memberClash(AddressID, node: String)
    /// What this node, which leads now, lacks of the write-ahead log of the leader before: ``FailoverRecord/lost``.
    indirect case logLost(FailoverRecord)
    case stopping
    /// The process ends and leaves these addresses, with their leases, to the one that follows.
    case handedOver(held: [AddressID])
    case stopped(unreleased: [AddressID])
    indirect case citus(CitusReport)
    indirect case detector(DetectorReport)
}
