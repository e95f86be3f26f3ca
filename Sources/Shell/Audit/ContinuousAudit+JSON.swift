// SPDX-License-Identifier: Apache-2.0
import Audit
import Decision
import LenientJSON

/// What `/cluster` and `/status` say of it; docs/operations.md has the fields.
extension ContinuousAudit {
    /// Of one group; null: it has not been judged.
    func readiness(of group: Int, at now: Instant) -> JSONDocument {
        guard let report = self.report, let readiness = report.readiness.first(where: { $0.group == group }) else {
            return .null
        }
        return .list(
            readiness.lines.map { line in
                [
                    "failure": .string("\(line.failure)"), "member": .text(line.member), "text": .string(line.text),
                    "outcome": .string(line.outcome.word), "reason": .string(line.outcome.reason),
                    "for_seconds": .seconds(self.since(line, group: group).map { max(.zero, now - $0) }),
                    "on": .text(line.step?.place), "command": .text(line.step?.command),
                    "accepted_until": .text(report.acceptance(of: line).map { "\($0.until)" }),
                ]
            })
    }

    /// Counts, and the red findings; null: nothing has been judged.
    func document(at now: Instant) -> JSONDocument {
        guard let report = self.report, let judgedAt = self.judgedAt else { return .null }
        let reds = report.entries.filter { $0.finding.grade == .red }
        return [
            "judged_seconds_ago": .seconds(max(.zero, now - judgedAt)),
            "counts": [
                "red": .number(report.count(.red)), "amber": .number(report.count(.amber)),
                "note": .number(report.count(.note)), "accepted": .number(report.acceptedCount),
            ],
            "red": .list(reds.map(Self.document)),
        ]
    }

    private static func document(_ entry: AuditReport.Entry) -> JSONDocument {
        let finding = entry.finding
        return [
            "code": .string(finding.code), "is": .string(finding.what), "should_be": .string(finding.should),
            "on": .text(finding.steps.first?.place), "command": .text(finding.steps.first?.command),
            "accepted_until": .text(entry.accepted.map { "\($0.until)" }),
        ]
    }
}
