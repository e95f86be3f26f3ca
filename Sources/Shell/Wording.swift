// SPDX-License-Identifier: Apache-2.0
import Decision

/// How facts are said to people.
enum Wording {
    /// `12.3 s`, `45 ms`. What no clock can count is said to be 10,000 years.
    static func text(_ duration: Duration) -> String {
        let most: Duration = .seconds(10_000 * 365 * 86_400)
        let (seconds, attoseconds) = min(max(duration, .zero - most), most).components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        if abs(milliseconds) < 1000 { return "\(milliseconds) ms" }
        return "\(milliseconds / 1000).\(abs(milliseconds) % 1000 / 100) s"
    }

    static func text(_ member: String?) -> String { member ?? "nobody" }

    static func text(_ reason: Reason) -> String {
        switch reason {
        case .stopping: "the daemon is stopping"
        case .reconfigured: "its configuration has changed"
        case .noContactYet: "etcd has not answered yet"
        case .contactLost: "its lease could not be renewed in time"
        case .leaderIsAnother(let leader): "Patroni's leader key names \(leader)"
        case .noLeader: "Patroni's leader key is absent"
        case .maintenance: "Patroni is in maintenance mode, nobody leads, and PostgreSQL here is not a standby"
        case .failsafe: "Patroni's failsafe mode is active"
        case .inRecovery: "PostgreSQL here is in recovery and accepts no writes"
        case .postgresUnreachable(let reason): "PostgreSQL here cannot be asked: \(reason)"
        case .postgresNotAsked: "PostgreSQL here has not answered since it leads"
        case .interfacesUnlisted: "this node's interfaces have not been listed yet"
        case .interfaceMissing(let interface): "interface \(interface) does not exist"
        case .interfaceDown(let interface): "interface \(interface) is down"
        case .clusterNotMarked: "this etcd cluster is new to Pharos"
        case .quarantine:
            "this etcd cluster is new: addresses of the old one may still be in use until the quarantine ends"
        case .historyUnknown:
            "this node cannot tell whether etcd was restored since it last looked, until one TTL has passed"
        case .heldByAnother(let member): "\(member) still holds it"
        case .leaseReturning: "the lease before this one is still being given back"
        case .leaseLost: "its lease has ended"
        case .misplaced: "it belongs elsewhere on this node"
        case .foreign: "it was put here, or given for ever, by somebody else"
        case .duplicateDetected: "the kernel's duplicate detection has failed for it, so it answers nobody"
        }
    }

    /// The name of a reason in fields and in JSON.
    static func code(_ reason: Reason) -> String {
        switch reason {
        case .stopping: "stopping"
        case .reconfigured: "reconfigured"
        case .noContactYet: "no_contact_yet"
        case .contactLost: "contact_lost"
        case .leaderIsAnother: "leader_is_another"
        case .noLeader: "no_leader"
        case .maintenance: "maintenance"
        case .failsafe: "failsafe"
        case .inRecovery: "in_recovery"
        case .postgresUnreachable: "postgres_unreachable"
        case .postgresNotAsked: "postgres_not_asked"
        case .interfacesUnlisted: "interfaces_unlisted"
        case .interfaceMissing: "interface_missing"
        case .interfaceDown: "interface_down"
        case .clusterNotMarked: "cluster_not_marked"
        case .quarantine: "quarantine"
        case .historyUnknown: "history_unknown"
        case .heldByAnother: "held_by_another"
        case .leaseReturning: "lease_returning"
        case .leaseLost: "lease_lost"
        case .misplaced: "misplaced"
        case .foreign: "foreign"
        case .duplicateDetected: "duplicate_detected"
        }
    }

    static func text(_ stance: Stance) -> String {
        switch stance {
        case .hold: "belongs here"
        case .keep(let reason): "stays here: \(self.text(reason))"
        case .wait(let reason): "waits: \(self.text(reason))"
        case .leave(let reason): "does not belong here: \(self.text(reason))"
        }
    }

    static func code(_ stance: Stance) -> String {
        switch stance {
        case .hold: "hold"
        case .keep: "keep"
        case .wait: "wait"
        case .leave: "leave"
        }
    }

    static func text(_ postgres: PostgresState) -> String {
        switch postgres {
        case .primary: "accepts writes"
        case .standby: "is in recovery"
        case .unreachable(let reason): "cannot be asked: \(reason)"
        }
    }

    static func code(_ postgres: PostgresState) -> String {
        switch postgres {
        case .primary: "primary"
        case .standby: "standby"
        case .unreachable: "unreachable"
        }
    }

    /// Parts per million without their sign, in percent with one decimal.
    static func percent(_ partsPerMillion: Int) -> String {
        let tenths = (partsPerMillion.magnitude + 500) / 1000
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
