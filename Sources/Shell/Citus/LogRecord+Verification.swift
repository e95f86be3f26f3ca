// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal

extension LogRecord {
    /// What the daemon's own verification has found.
    init(verification report: CitusReport) {
        switch report {
        case .found(let database, let finding):
            let place = FindingText.place(finding.group, finding.node)
            let remedy = FindingText.remedy(finding.remedy)
            self.init(
                .citusFinding, "\(database): \(finding.code.rawValue)\(place): \(finding.evidence). \(remedy)",
                [
                    "DATABASE": database, "CODE": finding.code.rawValue, "GROUP": finding.group.map { "\($0)" } ?? "",
                    "ENDPOINT": finding.node.map { "\($0)" } ?? "", "REASON": finding.evidence, "REMEDY": remedy,
                ], priority: finding.severity == .critical ? .critical : .warning)
        case .foundMore(let count):
            self.init(
                .citusFinding, "the verification of Citus has \(count) more findings: pharos verify shows them",
                [
                    "DATABASE": "", "CODE": "", "GROUP": "", "ENDPOINT": "", "REASON": "\(count) more findings",
                    "REMEDY": "pharos verify",
                ])
        case .findingGone(let place):
            self.init(
                .citusFindingGone, "the verification of Citus finds it no more: \(place.text)",
                [
                    "DATABASE": place.database, "CODE": place.code.rawValue, "GROUP": place.group.map { "\($0)" } ?? "",
                    "ENDPOINT": place.node.map { "\($0)" } ?? "",
                ])
        case .unverified(let reason):
            self.init(
                .citusUnverified,
                "Citus's metadata could not be verified: \(reason). It is tried again in an hour; by hand: pharos verify",
                ["REASON": reason])
        default: self.init(.citusFinding, "\(report)")  // The caller sends nothing else.
        }
    }
}

private enum FindingText {
    static func place(_ group: Int?, _ node: NodeEndpoint?) -> String {
        let words = [group.map { "group \($0)" }, node.map { "at \($0)" }].compactMap { $0 }
        return words.isEmpty ? "" : " (\(words.joined(separator: ", ")))"
    }

    /// What to do, and on which node.
    static func remedy(_ remedy: Finding.Remedy) -> String {
        let isRepaired = remedy.refusal == nil
        let typed = remedy.commands + remedy.sql.map { "\($0);" }
        let place = remedy.sql.isEmpty ? "" : remedy.place.map { " (on \($0))" } ?? ""
        let statements = typed.isEmpty ? "" : " \(typed.joined(separator: " "))\(place)"
        return remedy.text + statements + (isRepaired ? " (pharos repair does it)" : "")
    }
}
