// SPDX-License-Identifier: Apache-2.0

/// Which secondaries a group lacks in `pg_dist_node`, and which it has too many.
enum SecondaryPlan {
    /// Every standby that says where it is and has no row, and every secondary's row that is Patroni's: its address is, or was, a
    /// member's of the group, and it is of the cluster `default`; in the order of their addresses. Whether and when is the damper's
    /// to say; and whether the group can do without: with `citus.use_secondary_nodes` every query that needs it would fail without
    /// one, also those that reach the standby when it is back a moment later.
    static func changes(
        _ group: Int, _ view: Group, _ rows: [NodeRow], _ places: KnownPlaces
    ) -> [(place: NodeEndpoint, change: RowChange)] {
        guard let primary = rows.first(where: { $0.group == group && $0.role == .primary }) else { return [] }
        let secondaries = rows.filter { $0.isSecondary(of: group) }.map(\.endpoint).filter {
            places.knows($0, of: group)
        }
        let standbys = view.members.filter { $0.key != view.leader?.name }.compactMap(\.value.endpoint)
        let missing = standbys.filter { place in !rows.contains { $0.endpoint == place } }
        let changes: [(place: NodeEndpoint, change: RowChange)] =
            missing.map { (place: $0, change: .addSecondary($0, of: primary.endpoint)) }
            + secondaries.map { (place: $0, change: .removeSecondary($0)) }
        return changes.sorted { ($0.place.host, $0.place.port) < ($1.place.host, $1.place.port) }
    }
}

extension NodeRow {
    /// Whether it serves reads of a group, in the cluster that queries choose by default.
    func isSecondary(of group: Int) -> Bool {
        self.group == group && self.role == .secondary && self.isOfDefaultCluster
    }
}

extension RowChange {
    var isAddition: Bool {
        switch self {
        case .addSecondary: true
        case .move, .pool, .removeSecondary: false
        }
    }

    /// Whether a row gets another server.
    var isMove: Bool { if case .move = self { true } else { false } }

    /// The secondary that it registers or removes.
    var secondary: NodeEndpoint? {
        switch self {
        case .addSecondary(let place, _), .removeSecondary(let place): place
        case .move, .pool: nil
        }
    }
}
