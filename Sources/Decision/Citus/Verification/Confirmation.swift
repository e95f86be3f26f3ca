// SPDX-License-Identifier: Apache-2.0

/// Whether a second look is due a moment later, for ``confirmed(_:before:)``.
public func wantsConfirmation(_ findings: [Finding]) -> Bool {
    findings.contains { $0.severity == .critical || $0.code.isFleeting }
}

/// `findings`, of which only those stay critical that were critical a moment `before` too; and of those that come and go with a healthy
/// cluster's work, only those that were there before.
public func confirmed(_ findings: [Finding], before: [Finding]) -> [Finding] {
    struct Place: Hashable {
        let code: Finding.Code
        let group: Int?
        let node: NodeEndpoint?
        init(_ finding: Finding) { (self.code, self.group, self.node) = (finding.code, finding.group, finding.node) }
    }
    let known = Set(before.filter { $0.severity == .critical }.map { Place($0) })
    let seen = Set(before.map { Place($0) })
    return findings.filter { !$0.code.isFleeting || seen.contains(Place($0)) }.map { finding in
        guard finding.severity == .critical, !known.contains(Place(finding)) else { return finding }
        var once = finding
        once.severity = .warning
        once.evidence += " (seen once, in the second of two looks: verify again)"
        return once
    }
}

/// A name as an SQL identifier.
public func sqlIdentifier(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
}

/// A text as an SQL literal.
public func sqlLiteral(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
}
