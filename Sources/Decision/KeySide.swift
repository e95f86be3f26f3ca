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
        let ttl: Duration
        /// Its end as this node reckons it: sending time + TTL − margin.
        var goodUntil: Instant
        var isKeepAliveUnderWay = false
    }

    /// How far an adoption has come.
    enum Adoption: Hashable, Sendable {
        case waiting(retryAt: Instant?)
        case granting
        case granted(Lease, retryAt: Instant?)
        case takingOver(Lease)

        var lease: Lease? {
            switch self {
            case .waiting, .granting: nil
            case .granted(let lease, _), .takingOver(let lease): lease
            }
        }
    }

    case none(retryAt: Instant?)
    case granting
    /// A lease without the key.
    case granted(Lease, retryAt: Instant?)
    case acquiring(Lease)
    /// The key stands under the lease `old` of an earlier process of this same boot; it is being moved to a lease of our
    /// own, because a revocation of `old` that the earlier process sent may still be on its way.
    case adopting(old: LeaseID, Adoption)
    case held(Lease)
    case returning(LeaseID, isUnderWay: Bool, retryAt: Instant)

    /// Whether the address's key is known to stand under our lease.
    var isHeld: Bool {
        switch self {
        case .adopting, .held: true
        case .none, .granting, .granted, .acquiring, .returning: false
        }
    }

    var isIdle: Bool {
        if case .none = self { return true }
        return false
    }

    var isReturning: Bool {
        if case .returning = self { return true }
        return false
    }

    var ttl: Duration? { self.lease?.ttl }

    /// The lease in use, if it is not on its way back.
    var lease: Lease? {
        get {
            switch self {
            case .none, .granting, .returning: nil
            case .granted(let lease, _), .acquiring(let lease), .held(let lease): lease
            case .adopting(_, let step): step.lease
            }
        }
        set {
            guard let newValue else { return }
            switch self {
            case .none, .granting, .returning: break
            case .granted(_, let retryAt): self = .granted(newValue, retryAt: retryAt)
            case .acquiring: self = .acquiring(newValue)
            case .held: self = .held(newValue)
            case .adopting(_, .waiting), .adopting(_, .granting): break
            case .adopting(let old, .granted(_, let retryAt)):
                self = .adopting(old: old, .granted(newValue, retryAt: retryAt))
            case .adopting(let old, .takingOver): self = .adopting(old: old, .takingOver(newValue))
            }
        }
    }

    /// Whether the address's key may stand under this lease of ours.
    func owns(_ id: LeaseID) -> Bool {
        switch self {
        case .adopting(let old, let step): old == id || step.lease?.id == id
        case .returning(let returning, _, _): returning == id
        case .none, .granting, .granted, .acquiring, .held: self.lease?.id == id
        }
    }
}
