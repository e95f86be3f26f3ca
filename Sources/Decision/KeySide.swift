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

    case none(retryAt: Instant?)
    case granting
    /// A lease without the key.
    case granted(Lease, retryAt: Instant?)
    case acquiring(Lease)
    /// The key names an earlier process of this same boot; its lease is being taken over.
    case adopting(LeaseID, isKeepAliveUnderWay: Bool)
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

    var ttl: Duration? {
        switch self {
        case .none, .granting, .adopting, .returning: nil
        case .granted(let lease, _), .acquiring(let lease), .held(let lease): lease.ttl
        }
    }

    /// The lease in use.
    var leaseID: LeaseID? {
        switch self {
        case .none, .granting: nil
        case .granted(let lease, _), .acquiring(let lease), .held(let lease): lease.id
        case .adopting(let id, _), .returning(let id, _, _): id
        }
    }
}
