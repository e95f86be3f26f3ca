// SPDX-License-Identifier: Apache-2.0
import Decision

extension LogRecord {
    /// What the failure detector reports, as an operator reads it.
    init(_ report: DetectorReport) {
        switch report {
        case .verdict(let id, let verdict, let before, let reason, let evidence):
            let list = evidence.filter(\.isTelling).map { Wording.text($0) }.joined(separator: "; ")
            self.init(
                .detectorVerdict,
                "\(id): \(verdict.rawValue): \(reason)" + (list.isEmpty ? "" : ". \(list)"),
                [
                    "MEMBER": id.name, "GROUP": "\(id.group)", "VERDICT": verdict.rawValue,
                    "FORMER_VERDICT": before.rawValue, "REASON": reason, "EVIDENCE": list,
                ], priority: Self.priority(of: verdict, after: before))
        case .suppressed(let id, let aspect, let isSuppressed):
            let name = Wording.text(aspect)
            self.init(
                isSuppressed ? .suppressionBegan : .suppressionEnded,
                isSuppressed
                    ? "\(id): \(name) there comes and goes: it is told, but nothing is done about it until that is long ago"
                    : "\(id): \(name) there counts again like any other's",
                ["MEMBER": id.name, "GROUP": "\(id.group)", "ASPECT": aspect.rawValue])
        case .isolated(true):
            self.init(
                .nodeIsolated,
                "nobody can be reached from here: this node is cut off, or all others are lost. Nothing is concluded about them, and nothing done; see \"When most nodes are lost\" in docs/operations.md"
            )
        case .isolated(false): self.init(.nodeReconnected, "others can be reached from here again")
        case .splitBrain(let group, let members) where members.isEmpty:
            self.init(
                .splitBrainOver, "group \(group): no more than one member accepts writes any more",
                ["GROUP": "\(group)"])
        case .splitBrain(let group, let members):
            let list = members.map(\.name).joined(separator: " ")
            self.init(
                .splitBrain, "group \(group): several members accept writes: \(list). Stop all but the leader at once",
                ["GROUP": "\(group)", "MEMBERS": list])
        }
    }

    private static func priority(of verdict: DetectorVerdict, after before: DetectorVerdict) -> LogPriority {
        switch verdict {
        case .gray, .nodeFailed: .critical
        case .postgresFailed, .patroniFailed: .error
        case .lagging: .warning
        case .unknown, .suspected: .info
        // What was never in doubt for long is not news.
        case .well: [.unknown, .suspected].contains(before) ? .info : .notice
        }
    }
}

extension Evidence {
    /// Whether it says anything.
    var isTelling: Bool { self.state != .unknown }
}

extension Wording {
    static func text(_ evidence: Evidence) -> String {
        let reason = evidence.state == .healthy ? "" : evidence.reason.map { " (\($0))" } ?? ""
        return "\(self.text(evidence.aspect)) by \(evidence.source): \(evidence.state.rawValue)\(reason)"
    }

    static func text(_ aspect: DetectorAspect) -> String {
        switch aspect {
        case .patroni: "Patroni"
        case .postgres: "PostgreSQL"
        }
    }
}
