// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
public import Decision
import PostgresClient

extension ClusterVerifier {
    /// Applies the changes of several groups' findings in one transaction, gated and fenced like the daemon's own; answers why not, or
    /// nil. After each commit Citus pushes the table to every node that it names: no row must be left that names another cluster's.
    public func repair(_ findings: [Finding], in facts: ClusterFacts) async -> String? {
        if let problem = strangersLeft(by: findings.flatMap(\.remedy.changes), facts) { return problem }
        var updates: [RowUpdate] = []
        for finding in findings.sorted(by: { $0.group ?? 0 < $1.group ?? 0 }) {
            guard let group = finding.group, let revision = self.revisions[group] else {
                return "nobody is known to lead \(finding.group.map { "group \($0)" } ?? "it")"
            }
            updates.append(
                RowUpdate(
                    group: group, changes: finding.remedy.changes,
                    authority: GroupAuthority(clusterID: self.clusterID, revision: revision), blockers: .wait))
        }
        do {
            let connection = try await self.connectToCoordinator(facts)
            if updates.allSatisfy({ $0.changes.isEmpty }) {
                try await CitusCatalog(connection).run(findings.flatMap(\.remedy.sql))
                return nil
            }
            let outcome = UpdateOutcome(try await CitusCatalog(connection).apply(CitusUpdate(updates)))
            return outcome == .applied ? nil : outcome.reason
        } catch {
            return Self.reason(error)
        }
    }
}
