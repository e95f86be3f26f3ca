// SPDX-License-Identifier: Apache-2.0

/// What the facts say about one address on this node.
public enum Stance: Hashable, Sendable {
    /// It belongs here: acquire it, hold it.
    case hold
    /// It stays while it is here, though it could not be acquired now.
    case keep(Reason)
    /// It is not here and cannot be yet; the lease may be made ready.
    case wait(Reason)
    /// It must not be here.
    case leave(Reason)

    public var reason: Reason? {
        switch self {
        case .hold: nil
        case .keep(let reason), .wait(let reason), .leave(let reason): reason
        }
    }
}

/// The first rule that decided a ``Stance`` other than hold.
public enum Reason: Hashable, Sendable {
    case stopping
    case reconfigured
    case noContactYet
    case contactLost
    case leaderIsAnother(String)
    case noLeader
    case maintenance
    case failsafe
    case inRecovery
    case postgresUnreachable(String)
    case postgresNotAsked
    /// This node's interfaces have not been listed yet.
    case interfacesUnlisted
    case interfaceMissing(String)
    case interfaceDown(String)
    case clusterNotMarked
    case quarantine
    /// Whether etcd was restored since this node last looked cannot be told yet.
    case historyUnknown
    case heldByAnother(String)
    case leaseReturning
    case leaseLost
    /// It belongs on this node, but not in this place.
    case misplaced
    /// Somebody else put it here, or made its lifetime endless, and no right of ours covers that.
    case foreign
    /// The kernel's duplicate detection has failed for it: it must go before it can be put there anew.
    case duplicateDetected
}

/// The facts about one address that the rules look at.
struct StanceFacts {
    var isStopping: Bool
    var isBeingReconfigured: Bool
    var hasContact: Bool
    var leader: String?
    var member: String
    var isPaused: Bool
    /// Whether this node's lease stands under the address's key.
    var isHeld: Bool
    /// Whether Patroni's failsafe mode covers the present moment.
    var isCoveredByFailsafe: Bool
    var postgres: PostgresState?
    /// Whether PostgreSQL's answer is young enough, and younger than the leadership.
    var isPostgresAnswerFresh: Bool
    var policy: AcquirePolicy
    var interface: String
    var interfaceState: InterfaceState
    var isMarked: Bool
    var isQuarantined: Bool
    /// The member that the address's key names, if it is not ours.
    var otherHolder: String?
    var isReturningLease: Bool
    /// Whether etcd's history is known to continue what this node remembers.
    var isHistoryTrusted: Bool
}

extension Stance {
    /// The rules, in order: the first that applies decides.
    // Inlined: the facts are put together for this call alone, at every event.
    @inline(__always)
    static func judge(_ facts: StanceFacts) -> Stance {
        if facts.isStopping { return .leave(.stopping) }
        if facts.isBeingReconfigured { return .leave(.reconfigured) }
        if !facts.hasContact { return .wait(.noContactYet) }

        guard let leader = facts.leader else {
            if facts.isCoveredByFailsafe { return .keep(.failsafe) }
            if facts.isPaused, facts.isHeld, facts.postgres != .standby { return .keep(.maintenance) }
            return .leave(.noLeader)
        }
        if leader != facts.member { return .leave(.leaderIsAnother(leader)) }

        if facts.policy == .writable, facts.postgres == .standby {
            return facts.isHeld ? .leave(.inRecovery) : .wait(.inRecovery)
        }
        if facts.isHeld { return .hold }

        switch facts.interfaceState {
        case .unlisted: return .wait(.interfacesUnlisted)
        case .missing: return .wait(.interfaceMissing(facts.interface))
        case .down: return .wait(.interfaceDown(facts.interface))
        case .usable, .severed: break
        }
        if facts.policy == .writable {
            switch facts.postgres {
            case .unreachable(let reason): return .wait(.postgresUnreachable(reason))
            case nil: return .wait(.postgresNotAsked)
            case .primary, .standby: if !facts.isPostgresAnswerFresh { return .wait(.postgresNotAsked) }
            }
        }
        if !facts.isMarked { return .wait(.clusterNotMarked) }
        if facts.isQuarantined { return .wait(.quarantine) }
        if !facts.isHistoryTrusted { return .wait(.historyUnknown) }
        if facts.isReturningLease { return .wait(.leaseReturning) }
        if let holder = facts.otherHolder { return .wait(.heldByAnother(holder)) }
        return .hold
    }
}
