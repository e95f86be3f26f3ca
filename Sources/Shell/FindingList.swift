// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON

/// What is the matter with the cluster, and what the last verification of Citus's metadata by this daemon has found: for
/// `/findings`. Each part is null where this daemon cannot know it, with the reason beside it.
struct FindingList {
    let cluster: ClusterStatus?
    let citus: CitusStatus?

    static let limit = 200

    func document(at now: Instant) -> JSONDocument {
        let unknown = "this daemon does not watch the cluster's groups"
        return [
            "problems": self.cluster.map { status in .list(status.problems.map { $0.document(status, at: now) }) }
                ?? .null,
            "problems_reason": self.cluster == nil ? .string(unknown) : .null,
            "verification": self.citus?.verification?.findings(at: now) ?? .null,
            "verification_reason": .text(self.verificationReason),
        ]
    }

    private var verificationReason: String? {
        guard let citus = self.citus else { return "no Citus is followed here" }
        guard citus.verification == nil else { return nil }
        return citus.isWriter
            ? "this daemon has become the one that verifies, and has not verified yet"
            : "another daemon verifies: the one on the leader of group 0"
    }
}

extension ClusterVerification {
    fileprivate func findings(at now: Instant) -> JSONDocument {
        [
            "seconds_ago": .seconds(max(.zero, now - self.at)), "failure": .text(self.failure),
            "databases": .list(self.databases.map(\.allFindings)),
        ]
    }
}

extension DatabaseVerification {
    /// The gravest first.
    fileprivate var allFindings: JSONDocument {
        let sorted = self.findings.enumerated().sorted {
            ($1.element.severity, $0.offset) < ($0.element.severity, $1.offset)
        }.map(\.element)
        return [
            "database": .string(self.database),
            "findings": .list(sorted.prefix(FindingList.limit).map(\.document)),
            "omitted": .number(max(0, sorted.count - FindingList.limit)),
        ]
    }
}

extension Finding {
    /// With the names that `pharos verify --json` gives them.
    fileprivate var document: JSONDocument {
        [
            "code": .string(self.code.rawValue), "severity": "\(self.severity)", "group": .number(self.group),
            "node": .text(self.node.map { "\($0)" }), "evidence": .string(self.evidence),
            "remedy": .string(self.remedy.text),
            "sql": .list((self.remedy.changes.map(\.sql) + self.remedy.sql).map { .string($0) }),
            "run_on": .text(self.remedy.place.map { "\($0)" }),
            "commands": .list(self.remedy.commands.map { .string($0) }), "refusal": .text(self.remedy.refusal),
        ]
    }
}
