// SPDX-License-Identifier: Apache-2.0
import Audit
import Journal

/// An audit as people read it, 80 columns wide but for commands: readiness, then findings, reds first, then what was accepted and what was not looked at.
struct AuditText {
    private let facts: AuditFacts
    private let report: AuditReport
    private static let width = 80

    init(_ facts: AuditFacts, _ report: AuditReport) {
        self.facts = facts
        self.report = report
    }

    var text: String {
        var lines = ["\(self.facts.scope), looked at from \(self.facts.member)"]
        for readiness in self.report.readiness { lines += self.lines(readiness) }
        let open = self.report.entries.filter { $0.accepted == nil && $0.finding.grade != .unlooked }
        if !open.isEmpty { lines.append("") }
        for entries in Self.merged(open) { lines += self.lines(entries) }
        lines += self.acceptedLines + self.unlookedLines
        lines += ["", self.summary]
        // Names and reasons came over the network: none may steer the terminal.
        return lines.map { LogRecord.escaped($0) + "\n" }.joined()
    }

    private func lines(_ readiness: Readiness) -> [String] {
        let leader = readiness.leader.map { "\($0) leads" } ?? "nobody leads, or it is not known"
        var lines = ["", "Group \(readiness.group) (\(leader)): if"]
        for line in readiness.lines {
            let word =
                switch line.outcome {
                case .survived: "survived"
                case .notSurvived: "NOT SURVIVED"
                case .notKnown: "not known"
                }
            let accepted = self.report.acceptance(of: line)
            let mark =
                switch line.outcome {
                case .survived: " "
                case .notSurvived: accepted == nil ? "!" : " "
                case .notKnown: "?"
                }
            let until = accepted.map { " (accepted until \($0.until))" } ?? ""
            lines += Self.wrapped(
                "\(line.text): \(word)\(until): \(line.outcome.reason)", first: "\(mark) ", rest: "    ")
        }
        return lines
    }

    /// What is the same on several members, and mended by the same, is told once.
    private static func merged(_ entries: [AuditReport.Entry]) -> [[AuditReport.Entry]] {
        var merged: [[AuditReport.Entry]] = []
        for entry in entries {
            if let last = merged.last?.first?.finding, last.code == entry.finding.code,
                last.grade == entry.finding.grade,
                last.should == entry.finding.should, last.steps == entry.finding.steps
            {
                merged[merged.count - 1].append(entry)
            } else {
                merged.append([entry])
            }
        }
        return merged
    }

    private func lines(_ entries: [AuditReport.Entry]) -> [String] {
        guard let entry = entries.first else { return [] }
        let finding = entry.finding
        let mark =
            switch finding.grade {
            case .red: "RED   "
            case .amber: "AMBER "
            case .note: "note  "
            case .unlooked: "?     "
            }
        let what = entries.map(\.finding.what).joined(separator: "; ")
        var lines = Self.wrapped("\(finding.code): \(what)", first: mark, rest: "      ")
        lines += Self.wrapped(
            "should be: \(finding.should). \(finding.why) (\(finding.source))", first: "      ", rest: "      ")
        if let expired = entry.expired {
            lines += Self.wrapped(
                "was accepted until \(expired.until): \(expired.reason)", first: "      ", rest: "      ")
        }
        // Whole, however long: it is to be copied.
        for step in finding.steps { lines.append("    > \(step.place): \(step.command)") }
        return lines
    }

    private var acceptedLines: [String] {
        var lines: [String] = []
        for entry in self.report.entries {
            guard let accepted = entry.accepted else { continue }
            let what =
                "\(entry.finding.code): accepted until \(accepted.until): \(accepted.reason) (\(entry.finding.what))"
            lines += Self.wrapped(what, first: "ok    ", rest: "      ")
        }
        for needless in self.report.needless {
            lines += Self.wrapped(
                "\(needless.code): accepted until \(needless.until), and not found any more", first: "ok    ",
                rest: "      ")
        }
        return lines.isEmpty ? [] : [""] + lines
    }

    /// By reason: one server that does not answer hides much.
    private var unlookedLines: [String] {
        var codes: [(why: String, codes: [String])] = []
        for entry in self.report.entries where entry.finding.grade == .unlooked && entry.accepted == nil {
            if let index = codes.firstIndex(where: { $0.why == entry.finding.what }) {
                codes[index].codes.append(entry.finding.code)
            } else {
                codes.append((entry.finding.what, [entry.finding.code]))
            }
        }
        guard !codes.isEmpty else { return [] }
        return ["", "Not looked at:"]
            + codes.flatMap {
                Self.wrapped("\($0.why): \($0.codes.joined(separator: ", "))", first: "?     ", rest: "      ")
            }
    }

    private var summary: String {
        let report = self.report
        return
            "\(report.count(.red)) red, \(report.count(.amber)) amber, \(report.count(.note)) notes, \(report.acceptedCount) accepted; \(report.count(.unlooked)) not looked at; \(AuditRule.all.count) rules"
    }

    /// Broken at blanks; a longer word stands alone.
    static func wrapped(_ text: String, first: String, rest: String) -> [String] {
        var lines: [String] = []
        var (line, isEmpty) = (first, true)
        for word in text.split(separator: " ") {
            if !isEmpty, line.count + 1 + word.count > Self.width {
                lines.append(line)
                (line, isEmpty) = (rest, true)
            }
            line += isEmpty ? "\(word)" : " \(word)"
            isEmpty = false
        }
        return lines + [line]
    }
}
