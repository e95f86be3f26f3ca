// SPDX-License-Identifier: Apache-2.0
import Decision

/// What the core asks for, as it is said to people.
extension Wording {
    /// What it is, and the address that it is for, or none.
    static func text(_ asked: Asked) -> (what: String, address: AddressID) {
        switch asked {
        case .read: ("reading etcd", "")
        case .mark: ("marking the etcd cluster", "")
        case .lease(let id): ("asking etcd for a lease for \(id)", id)
        case .renewal(let id): ("renewing the lease of \(id)", id)
        case .acquisition(let id): ("acquiring the key of \(id)", id)
        case .revocation(let id): ("giving back the key of \(id)", id)
        case .listing: ("listing the kernel's addresses", "")
        case .postgres: ("asking PostgreSQL here", "")
        case .patroni: ("asking Patroni here", "")
        case .assignment(let id): ("putting \(id) on the interface", id)
        case .removal(let id): ("taking \(id) off the interface", id)
        case .port(let id): ("trying the port of \(id)", id)
        case .groups: ("reading the members and groups in etcd", "")
        case .probes(let members):
            (
                "probing \(members.prefix(5).map(\.description).joined(separator: ", "))\(members.count > 5 ? " and \(members.count - 5) others" : "")",
                ""
            )
        case .etcdHealth: ("asking etcd's endpoints for their health", "")
        case .switchover(let leader): ("the switchover from \(leader)", "")
        case .rows(let database): ("reading pg_dist_node of \(database)", "")
        case .writable(let endpoint): ("asking whether \(endpoint) accepts writes", "")
        case .copies(let database): ("comparing the copies of pg_dist_node of \(database)", "")
        case .update(let database, let groups):
            ("changing \(self.groups(groups)) in pg_dist_node of \(database)", "")
        case .hold(let database, let group): ("holding writes to group \(group) of \(database)", "")
        }
    }

    /// What follows for the daemon.
    static func consequence(of asked: Asked) -> String {
        switch asked {
        case .assignment, .removal:
            "it may still take effect, so nothing else is done with the address until its end is known"
        case .update: "by the server's own limits it has ended; the rows are read before anything else is changed"
        case .switchover: "it is not known whether Patroni does it; Patroni is not asked again for this leader"
        case .hold: "by now the server's own limit has let the writes go on"
        case .probes: "that says nothing about them; they are asked again"
        case .read, .mark, .lease, .renewal, .acquisition, .revocation, .listing, .postgres, .patroni, .port, .groups,
            .etcdHealth, .rows, .writable, .copies:
            "it is asked again"
        }
    }
}
