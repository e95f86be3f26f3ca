// SPDX-License-Identifier: Apache-2.0
import Audit
import Journal

extension LogRecord {
    /// What has begun and ended of what would not be survived, and of red findings.
    static func records(of news: AuditWatch.News, leader: String?) -> [LogRecord] {
        var records = news.lost.sorted { $0.key < $1.key }.map { Self.notSurvived($0.key, $0.value, leader) }
        for group in Set(news.survivedAgain.map(\.group)).sorted() {
            let ended = news.survivedAgain.filter { $0.group == group }
            let list = ended.map { "\($0.text) (after \(Wording.text($0.lasted)))" }.joined(separator: ", ")
            records.append(
                LogRecord(
                    .failureSurvivedAgain, "group \(group): would be survived again if \(list)",
                    ["GROUP": "\(group)", "CODE": ended.map(\.text).joined(separator: "; ")]))
        }
        records += news.found.map(Self.found)
        records += news.gone.map { gone in
            LogRecord(
                .auditFindingGone, "\(gone.text) is not found any more, after \(Wording.text(gone.lasted))",
                ["CODE": gone.text, "AFTER": Wording.text(gone.lasted)])
        }
        return records
    }

    private static func notSurvived(_ group: Int, _ lines: [Readiness.Line], _ leader: String?) -> LogRecord {
        // What has one reason is told together.
        var reasons: [String] = []
        for line in lines where !reasons.contains(line.outcome.reason) { reasons.append(line.outcome.reason) }
        let parts = reasons.map { reason in
            let texts = lines.filter { $0.outcome.reason == reason }.map(\.text)
            return "if \(texts.joined(separator: ", or ")): \(reason)"
        }
        var steps: [String] = []
        for step in lines.compactMap(\.step) {
            let text = Self.text(step)
            if !steps.contains(text) { steps.append(text) }
        }
        let who = leader.map { " (\($0) leads)" } ?? ""
        let remedy = steps.joined(separator: "; ")
        return LogRecord(
            .failureNotSurvived,
            "group \(group)\(who): a single failure would not be survived now, \(parts.joined(separator: "; ")). \(remedy)",
            [
                "GROUP": "\(group)", "LEADER": leader ?? "", "CODE": lines.map(\.text).joined(separator: "; "),
                "REASON": reasons.joined(separator: "; "), "REMEDY": remedy,
            ])
    }

    private static func found(_ findings: [AuditFinding]) -> LogRecord {
        guard let first = findings.first else { return LogRecord(.auditFinding, "nothing") }
        let what = findings.map(\.what).joined(separator: "; ")
        let remedy = first.steps.map(Self.text).joined(separator: "; ")
        return LogRecord(
            .auditFinding,
            "\(first.code): \(what). Should be: \(first.should). \(first.why) \(remedy)",
            ["CODE": first.code, "REASON": what, "REMEDY": remedy])
    }

    private static func text(_ step: AuditStep) -> String { "On \(step.place): \(step.command)" }
}
