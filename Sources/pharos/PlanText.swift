// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import Journal
import LenientJSON

/// A plan as people read it: what would be done, what follows, and each thing that speaks against it, with its name.
struct PlanText {
    private let plan: JSON

    init(_ plan: JSON) { self.plan = plan }

    var digest: String { self.plan["digest"]?.string ?? "" }
    var summary: String { self.plan["summary"]?.string ?? "?" }
    /// What a confirmation must name; nil: nothing.
    var mustName: String? { self.plan["must_name"]?.string }
    private var hindrances: [JSON] { self.plan["hindrances"]?.array ?? [] }
    private var objections: [JSON] { self.plan["objections"]?.array ?? [] }
    var isHindered: Bool { !self.hindrances.isEmpty }
    /// Of the objections, the names.
    var names: [String] { self.objections.compactMap { $0["name"]?.string } }

    /// The whole plan; names came over the network: none may steer the terminal.
    var text: String {
        var lines = ["plan: \(self.summary)"]
        func list(_ head: String, _ field: String, numbered: Bool = false) {
            let items = (self.plan[field]?.array ?? []).compactMap(\.string)
            guard !items.isEmpty else { return }
            lines.append(head)
            for (index, item) in items.enumerated() { lines.append("  \(numbered ? "\(index + 1)." : "-") \(item)") }
        }
        list("steps:", "steps", numbered: true)
        list("what follows:", "effects")
        list("rests on:", "rests_on")
        for hindrance in self.hindrances {
            lines.append("! it cannot be done: \(hindrance["text"]?.string ?? "?")")
            lines.append("    \(hindrance["advice"]?.string ?? "")")
        }
        if !self.isHindered {
            lines.append(self.objections.isEmpty ? "nothing speaks against it" : "what speaks against it:")
        }
        for objection in self.objections {
            let age = objection["age_seconds"]?.int64.map { ", seen \($0) s ago" } ?? ""
            let grave = objection["is_grave"]?.bool == true ? " (grave)" : ""
            lines.append("! \(objection["name"]?.string ?? "?")\(grave): \(objection["text"]?.string ?? "?")")
            lines.append("    \(objection["evidence"]?.string ?? "?")\(age)")
        }
        return lines.map { LogRecord.escaped($0) + "\n" }.joined()
    }

    /// The objections that nobody has overridden, and the overrides that the plan has no use for.
    func judge(_ overrides: [String]) -> (open: [String], unknown: [String]) {
        (self.names.filter { !overrides.contains($0) }, overrides.filter { !self.names.contains($0) })
    }
}

/// What was done, as people read it.
struct OperationsText {
    private let answer: JSON

    init(_ answer: JSON) { self.answer = answer }

    var text: String {
        var lines: [String] = []
        for ticket in self.answer["current"]?.array ?? [] {
            let state = ticket["state"]?.string ?? "?"
            guard ["looking", "confirming", "under_way"].contains(state) else { continue }
            let what = ticket["plan"]?["summary"]?.string ?? ticket["operation"]?.string ?? "?"
            let word = state == "under_way" ? "under way" : "being looked at"
            lines.append("\(word): \(what), for \(ticket["confirmed_by"]?.string ?? ticket["by"]?.string ?? "?")")
        }
        guard let records = self.answer["operations"]?.array else {
            lines.append("what is on record is not known: \(self.answer["reason"]?.string ?? "no reason was given")")
            return Self.printed(lines)
        }
        if let reason = self.answer["reason"]?.string {
            lines.append("read \(self.answer["read_seconds_ago"]?.int64 ?? 0) s ago; since then: \(reason)")
        }
        if records.isEmpty { lines.append("nothing is on record") }
        for record in records {
            let overridden = (record["overridden"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
            lines.append(
                "\(Self.time(record["at"]?.int64))  \(record["by"]?.string ?? "?"), on \(record["node"]?.string ?? "?"): \(record["summary"]?.string ?? "?")\(overridden.isEmpty ? "" : ", although: \(overridden)")"
            )
            lines.append("    \(record["result"]?.string ?? "?"): \(record["text"]?.string ?? "")")
        }
        return Self.printed(lines)
    }

    private static func time(_ milliseconds: Int64?) -> String { milliseconds.map { UTCTime.text($0 / 1000) } ?? "?" }

    private static func printed(_ lines: [String]) -> String { lines.map { LogRecord.escaped($0) + "\n" }.joined() }
}
