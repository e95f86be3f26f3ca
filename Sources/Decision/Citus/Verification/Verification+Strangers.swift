// SPDX-License-Identifier: Apache-2.0

/// Why rows may not be changed now: afterwards one of them would still name a server that is none of this cluster's, and is up. Citus
/// pushes the whole table to every server that it names, with each commit; in a copy beside the living cluster, to that one.
public func strangersLeft(by changes: [RowChange], _ facts: ClusterFacts) -> String? {
    guard let coordinator = facts.coordinator else { return nil }
    var places = Dictionary(coordinator.rows.map { ($0.id, $0) }) { $1 }
    var isMoved = false
    for case .move(let id, _, let place) in changes {
        places[id]?.endpoint = place
        isMoved = true
    }
    guard isMoved else { return nil }
    for row in places.values.sorted(by: { $0.id < $1.id }) where row.group != 0 && row.role == .primary {
        let leader = facts.leaders[row.group]
        let members = [leader?.endpoint].compactMap { $0 } + (leader.map { Array($0.others.values) } ?? [])
        guard !members.contains(row.endpoint), case .answered(let node)? = facts.nodes[row.endpoint] else { continue }
        if let place = leader?.endpoint, case .answered(let led)? = facts.nodes[place],
            [.same, .other].contains(node.server.relation(to: led.server))
        {
            continue
        }
        return
            "node \(row.id) of group \(row.group) would still be at \(row.endpoint), where a server answers that is no member of the group; Citus would write this table there too. Isolate this cluster from it, or wait until the group's leader accepts writes, so that all rows are moved together"
    }
    return nil
}
