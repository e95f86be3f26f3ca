// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal

/// What persons have asked for, as the journal has it.
extension LogRecord {
    static func confirmed(_ plan: Plan, _ confirmation: Confirmation) -> LogRecord {
        let names = confirmation.overrides.sorted().joined(separator: " ")
        return LogRecord(
            .operationConfirmed,
            "\(confirmation.by.name): \(plan.review.summary)"
                + (names.isEmpty ? "" : ", although: \(names)"),
            ["BY": confirmation.by.name, "OPERATION": plan.operation.code, "OBJECTIONS": names])
    }

    static func ended(_ summary: String, _ code: String, by: String, _ result: OperationResult) -> LogRecord {
        let kind: LogKind =
            switch result.outcome {
            case .done: .operationDone
            case .refused, .void: .operationRefused
            case .failed, .unanswered: .operationFailed
            }
        let word =
            switch result.outcome {
            case .done: "done"
            case .refused: "refused"
            case .void: "the plan is void"
            case .failed: "failed"
            case .unanswered: "not known yet"
            }
        return LogRecord(
            kind, "\(by): \(summary): \(word): \(result.text)" + (result.advice.map { ". \($0)" } ?? ""),
            ["BY": by, "OPERATION": code, "RESULT": result.outcome.rawValue, "REASON": result.text])
    }

    /// Somebody who may ask for nothing has asked.
    static func strangerRefused(_ name: String, _ path: String) -> LogRecord {
        LogRecord(
            .operationRefused,
            "\(name) has asked this daemon's socket for \(path.prefix(100)), and may not: root may, and pharos-api for those whom it knows",
            ["BY": name, "OPERATION": String(path.prefix(100)), "RESULT": "refused", "REASON": "not permitted"])
    }

    /// That reactions are paused, or not any more.
    static func reactions(_ pause: ReactionPause?, before: ReactionPause?) -> LogRecord {
        guard let pause else {
            return LogRecord(
                .reactionsResumed,
                "Pharos's reactions are not paused any more\(before.map { " (they were by \($0.by): \($0.reason))" } ?? "")",
                ["BY": before?.by ?? "", "REASON": before?.reason ?? ""])
        }
        return LogRecord(
            .reactionsPaused, Wording.text(pause),
            ["BY": pause.by, "REASON": pause.reason, "UNTIL": Wording.time(pause.endsAt)])
    }
}
