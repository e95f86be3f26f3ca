// SPDX-License-Identifier: Apache-2.0

/// Everything that is to be changed about a group's rows, in one transaction and in this order; or why nothing can be.
enum RowPlan: Hashable, Sendable {
    case isTrue
    case changes([RowChange])
    case refused(NodeRowPlan.Refusal)

    /// - Parameter keepsPlace: whether the primary's row leads to the leader under another name.
    init(group: Int, leader: NodeEndpoint, rows: [NodeRow], settings: CitusSettings, keepsPlace: Bool = false) {
        guard rows.contains(where: { $0.group == group }) else {
            // The coordinator is registered only where somebody has asked for that.
            self = group == 0 ? .isTrue : Self.admission(of: group, leader, rows, settings)
            return
        }
        var changes: [RowChange] = []
        switch keepsPlace ? .isTrue : NodeRowPlan(group: group, leader: leader, rows: rows) {
        case .refused(let refusal):
            self = .refused(refusal)
            return
        case .moves(let moves): changes = moves.map { .move(id: $0.id, from: $0.from, $0.endpoint) }
        case .isTrue: break
        }
        if let template = settings.poolInfo[group],
            let row = rows.first(where: { $0.group == group && $0.role == .primary })
        {
            let text = Self.fill(template, leader)
            if row.pool != text { changes.append(.pool(id: row.id, text)) }
        }
        self = changes.isEmpty ? .isTrue : .changes(changes)
    }

    /// Whether the rows of a group are as they should be, which these alone can show.
    static func isTrue(_ group: Int, _ leader: NodeEndpoint, _ own: [NodeRow], _ settings: CitusSettings) -> Bool {
        let primaries = own.filter { $0.role == .primary }
        guard primaries.count == 1, primaries[0].endpoint == leader else { return false }
        return settings.poolInfo[group].map { self.fill($0, leader) == primaries[0].pool } ?? true
    }

    private static func admission(
        of group: Int, _ leader: NodeEndpoint, _ rows: [NodeRow], _ settings: CitusSettings
    ) -> RowPlan {
        if let other = rows.first(where: { $0.endpoint == leader }) {
            return .refused(.endpointTaken(id: other.id, group: other.group))
        }
        switch settings.admission {
        case .never: return .isTrue
        case .ask: return .refused(.notRegistered(leader: leader))
        }
    }

    private static func fill(_ template: String, _ leader: NodeEndpoint) -> String {
        var text = template[...]
        var filled = ""
        while let brace = text.firstIndex(of: "{") {
            filled += text[..<brace]
            text = text[brace...]
            if text.hasPrefix("{host}") {
                filled += leader.host
                text = text.dropFirst(6)
            } else if text.hasPrefix("{port}") {
                filled += "\(leader.port)"
                text = text.dropFirst(6)
            } else {
                filled.append(text.removeFirst())
            }
        }
        return filled + text
    }
}
