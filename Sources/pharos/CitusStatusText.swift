// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// What `pharos status` says of Citus.
struct CitusStatusText {
    private let status: JSON

    init(_ status: JSON) { self.status = status }

    private var databases: [JSON] { self.status["databases"]?.array ?? [] }
    private var rivals: [JSON] { self.status["rival_coordinators"]?.array ?? [] }

    var isInOrder: Bool {
        self.rivals.isEmpty
            && self.databases.allSatisfy { database in
                database["unreadable"]?.string == nil && self.list(database["drifting_groups"]).isEmpty
                    && (database["needs_operator"]?.array ?? []).isEmpty
            }
    }

    var lines: [String] {
        let mode = self.status["mode"]?.string ?? "?"
        let isWriter = self.status["is_writer"]?.bool == true
        var lines = [
            "  Citus      \(isWriter ? "pg_dist_node is kept here" : "pg_dist_node is kept on the coordinator's leader"), mode \(mode)"
        ]
        for group in self.status["groups"]?.array ?? [] {
            let leader = group["leader"]?.string ?? "nobody"
            let place = group["endpoint"]?.string.map { " at \($0)" } ?? ""
            let switching = group["is_switching_over"]?.bool == true ? ", a switchover is under way" : ""
            lines.append("  group \(group["group"]?.int64 ?? 0)    led by \(leader)\(place)\(switching)")
        }
        for database in self.databases { lines += self.lines(database) }
        for rival in self.rivals { lines.append("! a second coordinator accepts writes: \(rival.string ?? "?")") }
        return lines
    }

    private func lines(_ database: JSON) -> [String] {
        let name = database["database"]?.string ?? "?"
        if let reason = database["unreadable"]?.string { return ["! \(name): pg_dist_node cannot be read: \(reason)"] }
        guard let rows = database["rows"]?.int64 else { return ["  \(name): pg_dist_node is being read"] }
        let drifting = self.list(database["drifting_groups"])
        var lines: [String] = []
        for group in drifting { lines.append("! \(name): group \(group) is not where its leader is") }
        for problem in database["needs_operator"]?.array ?? [] {
            lines.append(
                "! \(name): group \(problem["group"]?.int64 ?? 0) needs an operator: \(problem["reason"]?.string ?? "?")"
            )
        }
        if lines.isEmpty { lines.append("  \(name): pg_dist_node is true (\(rows) rows)") }
        if let group = database["held_group"]?.int64 { lines.append("  \(name): writes to group \(group) wait") }
        for group in self.list(database["unsynchronized_groups"]) {
            lines.append("  \(name): the last change of group \(group) has not been seen on every worker yet")
        }
        return lines
    }

    private func list(_ value: JSON?) -> [Int64] { (value?.array ?? []).compactMap(\.int64) }
}
