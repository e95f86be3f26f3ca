// SPDX-License-Identifier: Apache-2.0
import Audit
import Glibc
import Testing

/// docs/audit.md against the rules.
struct AuditDocumentTests {
    /// `make docs` runs this with PHAROS_WRITE_TABLES=1: it then writes the tables instead of comparing them.
    @Test func `docs-audit has each rule, and what is not looked at`() throws {
        var table = ""
        for area in AuditRule.Area.allCases {
            table +=
                "\n### \(area.rawValue)\n\n| Code | Grade | In order | Else | Source |\n| --- | --- | --- | --- | --- |\n"
            for rule in AuditRule.all where rule.area == area {
                table +=
                    "| `\(rule.code)` | \(rule.grade.rawValue) | \(rule.looksFor) | \(rule.why) | \(rule.source) |\n"
            }
        }
        table += "\n## What is not looked at\n\n| What | Because |\n| --- | --- |\n"
        for gap in AuditGap.all { table += "| \(gap.what) | \(gap.because) |\n" }
        let text = try PharosUnit.text("docs/audit.md")
        let start = try #require(text.firstRange(of: "<!-- made by make docs -->\n")?.upperBound)
        guard getenv("PHAROS_WRITE_TABLES") != nil else {
            return #expect(String(text[start...]) == table, "run make docs")
        }
        try PharosUnit.write(text[..<start] + table, to: "docs/audit.md")
    }
}
