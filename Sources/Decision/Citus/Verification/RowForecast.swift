// SPDX-License-Identifier: Apache-2.0

/// What the daemon would do about one group's rows when it starts, as far as that can be said without it: it also remembers places of
/// former members.
public struct RowForecast: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case changed([RowChange])
        /// Its place is no member's, and the leader answers there, or does not.
        case left(NodeEndpoint, leadsToLeader: Bool)
        /// An operator is needed.
        case refused(NodeRowPlan.Refusal)
    }
    public let group: Int
    public let leader: NodeEndpoint
    public let kind: Kind
}

/// Of every group whose rows are not just as they should be.
public func rowForecasts(_ facts: ClusterFacts) -> [RowForecast] {
    guard let coordinator = facts.coordinator else { return [] }
    return facts.leaders.sorted { $0.key < $1.key }.compactMap { group, known in
        guard let leader = known.endpoint else { return nil }
        let row = coordinator.rows.first { $0.group == group && $0.role == .primary }
        if let place = row?.endpoint, place != leader, !known.others.values.contains(place) {
            let leads = leadsToLeader(place, leader, group, facts, coordinator)
            return RowForecast(group: group, leader: leader, kind: .left(place, leadsToLeader: leads))
        }
        switch RowPlan(group: group, leader: leader, rows: coordinator.rows, settings: facts.settings) {
        case .isTrue: return nil
        case .changes(let changes): return RowForecast(group: group, leader: leader, kind: .changed(changes))
        case .refused(let refusal): return RowForecast(group: group, leader: leader, kind: .refused(refusal))
        }
    }
}
