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
            && (self.status["verification"]?["databases"]?.array ?? []).allSatisfy {
                $0["critical"]?.int64 ?? 0 == 0
            }
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
        if let verification = self.status["verification"], verification["seconds_ago"]?.int64 != nil {
            lines += self.lines(verified: verification)
        }
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

    private func lines(verified: JSON) -> [String] {
        let minutes = (verified["seconds_ago"]?.int64 ?? 0) / 60
        let age = minutes < 120 ? "\(minutes) min" : "\(minutes / 60) h"
        var lines = (verified["databases"]?.array ?? []).map { database -> String in
            let codes = (database["codes"]?.array ?? []).compactMap(\.string)
            let critical = database["critical"]?.int64 ?? 0
            let what =
                codes.isEmpty
                ? "nothing is wrong"
                : "\(critical) critical, \(database["warnings"]?.int64 ?? 0) warnings: \(codes.joined(separator: ", ")) (pharos verify)"
            let unseen = database["not_looked_at"]?.array?.count ?? 0
            let doubt = unseen > 0 ? "; \(unseen) things could not be looked at" : ""
            return "\(critical > 0 ? "!" : " ") \(database["database"]?.string ?? "?"): verified, \(what)\(doubt)"
        }
        if let reason = verified["failure"]?.string {
            lines.append("! the last verification, \(age) ago, came to no end: \(reason)")
        } else {
            lines.append("  verified \(age) ago")
        }
        return lines
    }

    private func list(_ value: JSON?) -> [Int64] { (value?.array ?? []).compactMap(\.int64) }
}
