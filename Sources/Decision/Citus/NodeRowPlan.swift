// SPDX-License-Identifier: Apache-2.0

/// Where a Citus node is reached: the pair that is unique in `pg_dist_node`. Host names are the same in any case, as for DNS;
/// Patroni's own handler writes them in lower case.
public struct NodeEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// As it was found.
    public var host: String { didSet { self.key = self.host.lowercased() } }
    public var port: Int
    private var key: String

    public init(_ host: String, _ port: Int) {
        self.host = host
        self.port = port
        self.key = host.lowercased()
    }

    public static func == (one: Self, other: Self) -> Bool { one.port == other.port && one.key == other.key }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.key)
        hasher.combine(self.port)
    }

    /// The inverse of ``description``; nil for any other text.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else { return nil }
        let host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        self.init(String(isBracketed ? host.dropFirst().dropLast() : host), port)
        guard self.description == text, !self.host.isEmpty else { return nil }
    }

    /// `HOST:PORT`, IPv6 in brackets.
    public var description: String {
        self.host.utf8.contains(UInt8(ascii: ":")) ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }
}

/// What the plan needs to know of one row of `pg_dist_node`.
public struct NodeRow: Hashable, Sendable {
    public enum Role: Hashable, Sendable { case primary, secondary, unavailable }
    public var id: Int
    public var group: Int
    public var endpoint: NodeEndpoint
    public var role: Role
    /// Whether it is of Citus's cluster `default`. Secondaries of others are read replicas that somebody else keeps.
    public var isOfDefaultCluster: Bool
    public var isActive: Bool
    /// Whether the node has a copy of the metadata, and whether Citus has brought that up to date.
    public var hasMetadata: Bool
    public var isSynchronized: Bool
    /// What `pg_dist_poolinfo` says of it; nil where it has no row there.
    public var pool: String?
    /// Whether it is a clone that is to become a group of its own (Citus 13.2 and later).
    public var isClone: Bool

    public init(
        id: Int, group: Int, endpoint: NodeEndpoint, role: Role, isOfDefaultCluster: Bool = true, isActive: Bool = true,
        hasMetadata: Bool = true, isSynchronized: Bool = true, pool: String? = nil,
        isClone: Bool = false
    ) {
        self.id = id
        self.group = group
        self.endpoint = endpoint
        self.role = role
        self.isOfDefaultCluster = isOfDefaultCluster
        self.isActive = isActive
        self.hasMetadata = hasMetadata
        self.isSynchronized = isSynchronized
        self.pool = pool
        self.isClone = isClone
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
        public var from: NodeEndpoint
        public var endpoint: NodeEndpoint
    }

    public enum Refusal: Hashable, Sendable {
        /// The group has no row whose role is primary: Citus answers every query to it with XX000.
        case noPrimary
        /// More than one: a trigger of Citus's forbids it, but can be bypassed.
        case severalPrimaries(ids: [Int])
        /// The leader's address belongs to a row that cannot give it away.
        case endpointTaken(id: Int, group: Int)
        /// The primary's row names a place that no member of the group is known to have had, and another server answers there than
        /// at the leader's, or none.
        case stranger(NodeEndpoint, leader: NodeEndpoint)
        /// The group has no row at all, and may be added only by an operator.
        case notRegistered(leader: NodeEndpoint)
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
            self = .moves([Move(id: primary.id, from: primary.endpoint, endpoint: leader)])
            return
        }
        guard other.group == group, other.role == .secondary else {
            self = .refused(.endpointTaken(id: other.id, group: other.group))
            return
        }
        let temporary = Self.temporary(for: primary, beside: rows)
        self = .moves([
            Move(id: primary.id, from: primary.endpoint, endpoint: temporary),
            Move(id: other.id, from: other.endpoint, endpoint: primary.endpoint),
            Move(id: primary.id, from: temporary, endpoint: leader),
        ])
    }

    /// An address that no row has. It exists within the transaction only: nobody ever connects to it.
    private static func temporary(for row: NodeRow, beside rows: [NodeRow]) -> NodeEndpoint {
        var endpoint = NodeEndpoint("pharos-swap-\(row.id)", row.endpoint.port)
        while rows.contains(where: { $0.endpoint == endpoint }) { endpoint.host += "-" }
        return endpoint
    }
}
