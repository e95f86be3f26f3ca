// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal

/// What `pharos repair CODE` makes of the findings about one database.
struct RepairList {
    let database: String
    let found: [Finding]
    /// What could not be looked at: there the code may be found too.
    let unseen: [Finding]

    init(_ code: Finding.Code, _ facts: ClusterFacts, _ findings: [Finding]) {
        self.database = facts.database
        self.found = findings.filter { $0.code == code }
        self.unseen = findings.filter { $0.code.isOfTheUnseen && $0.code != code && $0.severity > .note }
    }

    var repairable: [Finding] { self.found.filter { $0.remedy.refusal == nil } }

    /// 0: nothing was refused, and all was seen.
    var status: Int32 { self.unseen.isEmpty ? self.repairable.count == self.found.count ? 0 : 1 : 69 }

    var lines: [String] {
        self.found.flatMap { finding in
            let refusal = finding.remedy.refusal.map { ["  refused: \($0). \(finding.remedy.text)"] } ?? []
            return ["\(self.database): \(finding.evidence)"] + finding.remedy.lines.map { "  " + $0 } + refusal
        } + self.unseen.map { "\(self.database): not looked at: \($0.evidence)" }
    }
}
