// SPDX-License-Identifier: Apache-2.0

/// Where a Citus node is reached: the pair that is unique in `pg_dist_node`.
public struct NodeEndpoint: Hashable, Sendable {
    public var host: String
    public var port: Int

    public init(_ host: String, _ port: Int) {
        self.host = host
        self.port = port
    }
}

/// What the plan needs to know of one row of `pg_dist_node`.
public struct NodeRow: Hashable, Sendable {
    public enum Role: Hashable, Sendable { case primary, secondary, unavailable }
    public var id: Int
    public var group: Int
    public var endpoint: NodeEndpoint
    public var role: Role

    public init(id: Int, group: Int, endpoint: NodeEndpoint, role: Role) {
        self.id = id
        self.group = group
        self.endpoint = endpoint
        self.role = role
    }
}

/// The calls of `citus_update_node`, in one transaction and in this order, after which a group's primary row names the
/// group's leader; or why there are none.
///
/// Rows keep their ids and roles: only addresses move. Where the leader is registered as a secondary of its group, the two
/// rows swap addresses through a temporary one, since (host, port) is unique; the old primary becomes the secondary.
/// Leaves out: adding and removing rows.
public enum NodeRowPlan: Hashable, Sendable {
    /// One row's new address.
    public struct Move: Hashable, Sendable {
        public var id: Int
        public var endpoint: NodeEndpoint
    }

    public enum Refusal: Hashable, Sendable {
        /// The group has no row whose role is primary: Citus answers every query to it with XX000.
        case noPrimary
        /// More than one: a trigger of Citus's forbids it, but can be bypassed.
        case severalPrimaries(ids: [Int])
        /// The leader's address belongs to a row that cannot give it away.
        case endpointTaken(id: Int, group: Int)
    }

    case isTrue
    case moves([Move])
    case refused(Refusal)

    public init(group: Int, leader: NodeEndpoint, rows: [NodeRow]) {
        let primaries = rows.filter { $0.group == group && $0.role == .primary }
        guard let primary = primaries.first else {
            self = .refused(.noPrimary)
            return
        }
        guard primaries.count == 1 else {
            self = .refused(.severalPrimaries(ids: primaries.map(\.id).sorted()))
            return
        }
        guard primary.endpoint != leader else {
            self = .isTrue
            return
        }
        guard let other = rows.first(where: { $0.endpoint == leader }) else {
            self = .moves([Move(id: primary.id, endpoint: leader)])
            return
        }
        guard other.group == group, other.role == .secondary else {
            self = .refused(.endpointTaken(id: other.id, group: other.group))
            return
        }
        self = .moves([
            Move(id: primary.id, endpoint: Self.temporary(for: primary, beside: rows)),
            Move(id: other.id, endpoint: primary.endpoint),
            Move(id: primary.id, endpoint: leader),
        ])
    }

    /// An address that no row has. It exists within the transaction only: nobody ever connects to it.
    private static func temporary(for row: NodeRow, beside rows: [NodeRow]) -> NodeEndpoint {
        var endpoint = NodeEndpoint("pharos-swap-\(row.id)", row.endpoint.port)
        while rows.contains(where: { $0.endpoint == endpoint }) { endpoint.host += "-" }
        return endpoint
    }
}
