// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal

/// What must hold, in this order, before a restored cluster is opened.
struct RestoreWalk {
    private let report: VerificationReport
    private static let steps: [(text: String, codes: [Finding.Code])] = [
        ("the coordinator is up, and no other accepts writes", [.coordinatorUnreachable, .secondCoordinator]),
        (
            "none of Citus's own daemons acts by itself, on any node",
            [.restoreRecoversPrepared, .restoreDropsShards, .restoreRunsTasks]
        ),
        (
            "every node is up, has Citus, and was looked at in every respect",
            [
                .etcdUnreadable, .rowUnreachable, .shardsOutOfReach, .rowUnverified, .rowInRecovery, .extensionMissing,
                .notLookedAt,
                .versionsDiffer,
            ]
        ),
        (
            "every row names its group's leader, and nobody else accepts writes",
            [.rowNotLeader, .groupWithoutPrimary, .twoPrimaries, .groupVanished, .secondPrimary]
        ),
        ("every node knows its own group", [.localGroupWrong]),
        (
            "every server was restored to the same restore point",
            [.restorePointsDiffer, .restorePointUnproven, .systemWrong]
        ),
        (
            "the copies of the metadata agree, and name nothing that is not there",
            [
                .nodesDiffer, .placementsDiffer, .shardsDiffer, .tablesDiffer, .colocationsDiffer, .objectsDiffer,
                .schemasDiffer, .placementsOrphaned, .placementsInactive, .shardsOrphaned,
            ]
        ),
        ("every shard's table is there, and no other", [.shardMissing, .shardLeftovers]),
        ("what several nodes have a copy of is the same on all", [.copiesOfShardDiffer]),
        (
            "nothing is left that Citus would drop, or go on with, when it is let",
            [.cleanupPending, .tasksPending, .moveLeftovers]
        ),
        ("no sequence has gone back", [.sequencesBehind]),
        ("no transaction is left prepared", [.orphanedPrepared, .preparedElsewhere]),
    ]
    /// With all that no other step looks at.
    static let allSteps: [(text: String, codes: [Finding.Code])] =
        Self.steps + [
            (
                "nothing else is out of order",
                Finding.Code.allCases.filter { code in !Self.steps.contains { $0.codes.contains(code) } }
            )
        ]

    /// What is to be seen to, and is no matter of where the nodes were restored to.
    private static let later: Set<Finding.Code> = [
        .failoverMayHang, .poolDiffers, .poolUnmanaged, .grantsOutdated, .fenceUnusable, .fenceSuperseded,
        .versionUntested, .commitRecordsLeft, .timelineDiffers, .maintenanceDaemonMissing, .tasksFailed,
    ]

    /// While one of these stands, a node or an aspect of it was not seen: what no other finding speaks of is not in order for that.
    private static let blinding: Set<Finding.Code> = [
        .coordinatorUnreachable, .etcdUnreadable, .rowUnreachable, .rowUnverified, .rowInRecovery, .extensionMissing,
        .notLookedAt, .groupVanished, .groupWithoutPrimary,
    ]

    init(_ report: VerificationReport) { self.report = report }

    var text: String {
        var lines: [String] = []
        var isOpen = true
        var later: [Finding] = []
        for (number, step) in Self.allSteps.enumerated() {
            let all = self.report.findings.filter { step.codes.contains($0.code) && Self.counts($0) }
            let found = all.filter { !Self.later.contains($0.code) }
            later += all.filter { Self.later.contains($0.code) }
            lines.append("\(self.mark(step.codes, found)) \(number + 1). \(step.text)")
            for finding in found {
                lines.append("            \(finding.code.rawValue): \(finding.evidence)")
                lines.append("            \(finding.remedy.text)")
                for line in finding.remedy.lines { lines.append("                \(line)") }
            }
            if !found.isEmpty { isOpen = false }
        }
        for finding in later { lines.append("later       \(finding.code.rawValue): \(finding.evidence)") }
        lines.append("\(self.report.database): \(isOpen ? self.allClear : Self.notYet)")
        return lines.map { LogRecord.escaped($0) + "\n" }.joined()
    }

    /// A note keeps nobody out, but for what was not looked at: of that nothing is known, however little it may be.
    private static func counts(_ finding: Finding) -> Bool { finding.severity > .note || finding.code.isOfTheUnseen }

    private func mark(_ codes: [Finding.Code], _ found: [Finding]) -> String {
        guard found.isEmpty else { return "NOT YET " }
        let standing = Set(self.report.findings.lazy.filter { Self.counts($0) }.map(\.code))
        let blinding =
            codes.contains(.coordinatorUnreachable) ? [.etcdUnreadable, .coordinatorUnreachable] : Self.blinding
        guard standing.isDisjoint(with: blinding) else { return "NOT SEEN" }
        guard codes.contains(.restorePointUnproven) else { return "ok      " }
        guard case .proven? = self.report.restorePoint else { return "NOT SEEN" }
        return "ok      "
    }

    /// Of servers at places where members were before.
    private var unasked: String {
        if let reason = self.report.forgotten {
            return
                "Nobody was asked at places where members were before the restore, since none is known here: \(reason). "
        }
        guard !self.report.switchedOff.isEmpty else { return "" }
        let list = self.report.switchedOff.map { "\($0)" }.joined(separator: ", ")
        return "Not asked, because you say that they are switched off: the servers at \(list). "
    }

    private static let notYet =
        "do not open it yet; never synchronize metadata to get rid of a difference"

    /// Only where every step was seen to hold.
    private var allClear: String {
        guard case .proven(let marker)? = self.report.restorePoint else { return Self.notYet }
        return
            "may be opened. Every server stopped at restore point \"\(marker.name)\" (\(marker.id)), which was made on all of them while no transaction over several nodes could be committed: each of those is whole or not there. (Transactions on one node alone are not in order among the nodes within the milliseconds in which the point was made.) \(self.unasked)Not compared, because each is on one node alone: the rows of distributed tables. Give the three settings of step 2 their values back, then let the clients in"
    }
}
