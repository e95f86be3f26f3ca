// SPDX-License-Identifier: Apache-2.0
import Audit
import LenientJSON

/// An audit for programs. The schema is in docs/audit.md.
struct AuditJSON {
    private let facts: AuditFacts
    private let report: AuditReport

    init(_ facts: AuditFacts, _ report: AuditReport) {
        self.facts = facts
        self.report = report
    }

    var text: String {
        let document: JSONDocument = [
            "scope": .string(self.facts.scope), "seen_by": .string(self.facts.member),
            "status": .number(self.report.exitStatus),
            "counts": [
                "red": .number(self.report.count(.red)), "amber": .number(self.report.count(.amber)),
                "note": .number(self.report.count(.note)), "unlooked": .number(self.report.count(.unlooked)),
                "accepted": .number(self.report.acceptedCount),
            ],
            "readiness": .list(self.report.readiness.map(self.document)),
            "findings": .list(self.report.entries.map(Self.document)),
            "accepted_and_not_found": .list(self.report.needless.map(Self.document)),
        ]
        return document.readable(lines: 2) + "\n"
    }

    private func document(_ readiness: Readiness) -> JSONDocument {
        let failures = readiness.lines.map { line in
            [
                "failure": .string("\(line.failure)"), "member": .text(line.member), "text": .string(line.text),
                "outcome": .string(line.outcome.word), "reason": .string(line.outcome.reason),
                "on": .text(line.step?.place), "command": .text(line.step?.command),
                "accepted_until": .text(self.report.acceptance(of: line).map { "\($0.until)" }),
            ] as JSONDocument
        }
        return ["group": .number(readiness.group), "leader": .text(readiness.leader), "failures": .list(failures)]
    }

    private static func document(_ entry: AuditReport.Entry) -> JSONDocument {
        let finding = entry.finding
        let steps = finding.steps.map { ["on": .string($0.place), "command": .string($0.command)] as JSONDocument }
        return [
            "code": .string(finding.code), "grade": .string(finding.grade.rawValue), "is": .string(finding.what),
            "should_be": .string(finding.should), "why": .string(finding.why), "steps": .list(steps),
            "source": .string(finding.source), "accepted": entry.accepted.map(Self.document) ?? .null,
            "acceptance_ended": entry.expired.map(Self.document) ?? .null,
        ]
    }

    private static func document(_ accepted: AcceptedFinding) -> JSONDocument {
        ["code": .string(accepted.code), "reason": .string(accepted.reason), "until": .string("\(accepted.until)")]
    }
}
