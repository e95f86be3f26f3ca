// SPDX-License-Identifier: Apache-2.0

/// Whether clients that write may be sent to this node, and for how long that stays true without another question.
///
/// It rests on the leases of all addresses that are looked after here: of two nodes that look after the same ones, at most one
/// can hold all of them at a time. A node that looks after none can promise nothing.
public enum PrimaryClaim: Hashable, Sendable {
    /// This member leads, its PostgreSQL accepted writes when it was asked last, and by then no other node can hold the addresses.
    case lasts(until: Instant)
    /// No address is looked after here, so no lease says what this node may do.
    case noAddress
    /// Why not; `address`: the one of several that is not held.
    case refused(Reason, address: AddressID?)
}

extension Core {
    /// Never later than the right of any of the addresses: that is the end of what etcd has granted, less the margin.
    public func primaryClaim(at now: Instant) -> PrimaryClaim {
        guard !self.leases.isEmpty else { return .noAddress }
        guard self.node.hasView else { return .refused(.noContactYet, address: nil) }
        guard self.node.isLeader else {
            return .refused(self.node.leader.map { .leaderIsAnother($0) } ?? .noLeader, address: nil)
        }
        switch self.node.postgres {
        case .primary where !self.isPostgresInDoubt: break
        case .primary, nil: return .refused(.postgresNotAsked, address: nil)
        case .standby: return .refused(.inRecovery, address: nil)
        case .unreachable(let reason): return .refused(.postgresUnreachable(reason), address: nil)
        }
        var end = Instant.distantFuture
        for lease in self.leases {
            switch lease.stance {
            case .hold, .keep: break
            case .wait(let reason), .leave(let reason): return .refused(reason, address: lease.id)
            }
            guard let right = lease.right, right > now else { return .refused(.leaseLost, address: lease.id) }
            end = min(end, right)
        }
        return .lasts(until: end)
    }
}
