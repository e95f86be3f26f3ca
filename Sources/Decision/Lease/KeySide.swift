// SPDX-License-Identifier: Apache-2.0

/// This node's lease on one address, and whether the address's key stands under it.
///
/// Invariant: a lease is never used again once its revocation was asked for, so that a late revocation cannot take
/// away a key that was acquired afterwards.
enum KeySide: Hashable, Sendable {
    /// A lease as etcd granted it.
    struct Lease: Hashable, Sendable {
        let id: LeaseID
        /// As etcd granted it, which may differ from what was asked for.
        var ttl: Duration
        /// Its end as this node reckons it: sending time + TTL − margin, of the grant or of the newest renewal that counts.
        var goodUntil: Instant
        /// The newest keep-alive that was answered, until all of it counts.
        var renewal: Renewal?
        /// When the keep-alive was sent that is under way; nil: none is.
        var keepAliveSince: Instant?
        /// etcd said that it has ended, while a transaction with it was under way.
        var hasEnded = false
        /// The answer to a transaction with it was lost: the key may stand under it, or come to.
        var isInDoubt = false

        /// Lets the renewal count for as much as `read` vouches for.
        mutating func count(vouchedBy read: Vouching, margin: Duration) {
            guard let renewal = self.renewal, read.term > 0, read.term <= renewal.term else { return }
            let from = min(renewal.sentAt, read.sentAt)
            self.goodUntil = max(self.goodUntil, from + self.ttl - margin)
            if read.sentAt >= renewal.sentAt { self.renewal = nil }
        }
    }

    /// An answered linearizable read, or a transaction that was committed.
    struct Vouching: Hashable, Sendable {
        let sentAt: Instant
        let term: UInt64
    }

    /// A keep-alive that was answered.
    ///
    /// etcd answers it from the memory of the member that is taken for the leader: before 3.4.31 and 3.5.13 also of one that
    /// was deposed unawares, whose answer means nothing. It counts from the moment `r` at which a linearizable read was sent,
    /// if the answering member's term is no older than the read's: then its leader either confirmed to a quorum after `r`
    /// that it leads, or was elected after `r`; whoever leads later was elected after `r` too, and gave every lease its whole
    /// TTL anew.
    struct Renewal: Hashable, Sendable {
        let sentAt: Instant
        let term: UInt64
    }

    /// How far an adoption has come.
    enum Adoption: Hashable, Sendable {
        case waiting(retryAt: Instant?)
        case granting(since: Instant)
        case granted(Lease, retryAt: Instant?)
        case takingOver(Lease, since: Instant)

        var lease: Lease? {
            switch self {
            case .waiting, .granting: nil
            case .granted(let lease, _), .takingOver(let lease, _): lease
            }
        }
    }

    case none(retryAt: Instant?)
    case granting(since: Instant)
    /// A lease without the key, ready for use.
    case granted(Lease, retryAt: Instant?)
    case acquiring(Lease, since: Instant)
    /// The key stands under the lease `old`: of an earlier process of this same boot, or of our own with a TTL that is too
    /// long by now. It is being moved to another lease of our own, because a revocation of `old` that the earlier process
    /// sent may still be on its way.
    case adopting(old: LeaseID, Adoption)
    case held(Lease)
    /// The lease is to be ended, at `retryAt` or once the kernel is clear.
    case returning(LeaseID, retryAt: Instant)
    case revoking(LeaseID, since: Instant)

    /// Whether the address's key is known to stand under our lease.
    var isHeld: Bool {
        switch self {
        case .adopting, .held: true
        case .none, .granting, .granted, .acquiring, .returning, .revoking: false
        }
    }

    var isIdle: Bool {
        if case .none = self { return true }
        return false
    }

    var isReturning: Bool {
        switch self {
        case .returning, .revoking: true
        case .none, .granting, .granted, .acquiring, .adopting, .held: false
        }
    }

    /// Whether there is a lease under which no key can stand or come to.
    var isSpare: Bool {
        if case .granted(let lease, _) = self { return !lease.isInDoubt }
        return false
    }

    var ttl: Duration? { self.lease?.ttl }

    /// The lease in use, if it is not on its way back.
    var lease: Lease? {
        get {
            switch self {
            case .none, .granting, .returning, .revoking: nil
            case .granted(let lease, _), .acquiring(let lease, _), .held(let lease): lease
            case .adopting(_, let step): step.lease
            }
        }
        set {
            guard let newValue else { return }
            switch self {
            case .none, .granting, .returning, .revoking: break
            case .granted(_, let retryAt): self = .granted(newValue, retryAt: retryAt)
            case .acquiring(_, let since): self = .acquiring(newValue, since: since)
            case .held: self = .held(newValue)
            case .adopting(_, .waiting), .adopting(_, .granting): break
            case .adopting(let old, .granted(_, let retryAt)):
                self = .adopting(old: old, .granted(newValue, retryAt: retryAt))
            case .adopting(let old, .takingOver(_, let since)):
                self = .adopting(old: old, .takingOver(newValue, since: since))
            }
        }
    }

    /// When what failed last may be tried again; nothing happens to a state that has no such moment.
    var retryAt: Instant? {
        get {
            switch self {
            case .none(let retryAt), .granted(_, let retryAt), .adopting(_, .waiting(let retryAt)),
                .adopting(_, .granted(_, let retryAt)):
                retryAt
            case .returning(_, let retryAt): retryAt
            case .granting, .acquiring, .adopting(_, .granting), .adopting(_, .takingOver), .held, .revoking: nil
            }
        }
        set {
            switch self {
            case .none: self = .none(retryAt: newValue)
            case .granted(let lease, _): self = .granted(lease, retryAt: newValue)
            case .adopting(let old, .waiting): self = .adopting(old: old, .waiting(retryAt: newValue))
            case .adopting(let old, .granted(let lease, _)):
                self = .adopting(old: old, .granted(lease, retryAt: newValue))
            case .granting, .acquiring, .adopting(_, .granting), .adopting(_, .takingOver), .held, .returning,
                .revoking:
                break
            }
        }
    }

    /// Since when etcd has been asked for something that would change this state; nil: it is not.
    var askedSince: Instant? {
        switch self {
        case .granting(let since), .acquiring(_, let since), .adopting(_, .granting(let since)),
            .adopting(_, .takingOver(_, let since)), .revoking(_, let since):
            since
        case .none, .granted, .adopting(_, .waiting), .adopting(_, .granted), .held, .returning: nil
        }
    }

    /// Whether the address's key may stand under this lease of ours.
    func owns(_ id: LeaseID) -> Bool {
        switch self {
        case .adopting(let old, let step): old == id || step.lease?.id == id
        case .returning(let returning, _), .revoking(let returning, _): returning == id
        case .none, .granting, .granted, .acquiring, .held: self.lease?.id == id
        }
    }
}
