// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal

extension LogRecord {
    /// What the failure detector reports, as an operator reads it.
    init(_ report: DetectorReport) {
        switch report {
        case .unanswered(let asked, let span): self.init(unanswered: asked, span)
        case .verdict(let id, let verdict, let before, let reason, let evidence):
            let list = evidence.filter(\.isTelling).map { Wording.text($0) }.joined(separator: "; ")
            self.init(
                .detectorVerdict,
                "\(id): \(verdict.rawValue): \(reason)" + (list.isEmpty ? "" : ". \(list)")
                    + Self.advice(on: verdict, of: id),
                [
                    "MEMBER": id.name, "GROUP": "\(id.group)", "VERDICT": verdict.rawValue,
                    "FORMER_VERDICT": before.rawValue, "REASON": reason, "EVIDENCE": list,
                ], priority: Self.priority(of: verdict, after: before))
        case .suppressed(let id, let aspect, let isSuppressed):
            let name = Wording.text(aspect)
            self.init(
                isSuppressed ? .suppressionBegan : .suppressionEnded,
                isSuppressed
                    ? "\(id): \(name) there fails again and again. Each failure is reported, but nothing follows from it until it has been well for long enough, or you type: pharos acknowledge \(id.name)"
                    : "\(id): \(name) there counts again",
                ["MEMBER": id.name, "GROUP": "\(id.group)", "ASPECT": aspect.rawValue])
        case .isolated(true):
            self.init(
                .nodeIsolated,
                "nobody can be reached from here: this node is cut off, or all others are lost. Pharos concludes nothing about them, and does nothing; see \"When most nodes are lost\" in docs/operations.md"
            )
        case .isolated(false): self.init(.nodeReconnected, "others can be reached from here again")
        case .etcd(let condition):
            let isWell = condition == .well || condition == .unknown
            self.init(
                isWell ? .etcdWell : .etcdDegraded, "etcd: \(Wording.text(condition))",
                ["REASON": Wording.text(condition)], priority: Self.priority(of: condition))
        case .switchingOver, .switchoverEnded, .notSwitchingOver: self.init(response: report)
        case .reactionsPaused(let pause, let before): self = .reactions(pause, before: before)
        case .splitBrain(let group, let members) where members.isEmpty:
            self.init(
                .splitBrainOver, "group \(group): at most one member accepts writes again",
                ["GROUP": "\(group)"])
        case .splitBrain(let group, let members):
            let list = members.map(\.name).joined(separator: " ")
            self.init(
                .splitBrain, "group \(group): several members accept writes: \(list). Stop all but the leader at once",
                ["GROUP": "\(group)", "MEMBERS": list])
        }
    }

    /// `place`: where it is, as far as etcd says it.
    static func memberUnasked(
        _ id: MemberID, _ aspect: DetectorAspect, at place: String?, _ reason: String, remedy: String
    ) -> LogRecord {
        LogRecord(
            .memberUnasked,
            "\(Wording.text(aspect)) of \(id)\(place.map { " at \($0)" } ?? "") cannot be asked from this node: \(reason). Nothing is known of it from here, and nothing follows from that. \(remedy)",
            [
                "MEMBER": id.name, "GROUP": "\(id.group)", "ASPECT": aspect.rawValue, "ENDPOINT": place ?? "",
                "REASON": reason, "REMEDY": remedy,
            ])
    }

    /// What is done about a gray failure, or why nothing is.
    private init(response report: DetectorReport) {
        switch report {
        case .switchingOver(let order):
            self.init(
                .switchoverAsked,
                "Patroni is asked to switch over from \(order.leader.name) to \(order.candidate.name): the leader cannot be used",
                ["MEMBER": order.leader.name, "GROUP": "\(order.leader.group)", "LEADER": order.candidate.name])
        case .switchoverEnded(let order, let outcome):
            self.init(
                .switchoverAnswered,
                "the switchover from \(order.leader.name) to \(order.candidate.name): \(Wording.text(outcome))",
                [
                    "MEMBER": order.leader.name, "GROUP": "\(order.leader.group)", "LEADER": order.candidate.name,
                    "REASON": Wording.text(outcome),
                ], priority: Self.priority(of: outcome))
        case .notSwitchingOver(let leader, let obstacle):
            self.init(
                .switchoverForbidden,
                "\(leader) cannot be used, but Patroni is not asked to switch over: \(Wording.text(obstacle))",
                ["MEMBER": leader.name, "GROUP": "\(leader.group)", "REASON": Wording.text(obstacle)],
                // What the operator has chosen, or others do, is no news.
                priority: [.alertOnly, .ourselves].contains(obstacle.rule) ? .info : nil)
        default: self.init(.detectorVerdict, "\(report)")  // The caller sends nothing else.
        }
    }

    private static func priority(of outcome: SwitchoverOutcome) -> LogRecord.Priority {
        switch outcome {
        case .done: .notice
        case .refused: .error
        case .unanswered: .warning
        case .forestalled: .info
        }
    }

    /// What a person has to know and to do, where the verdict does not say it.
    private static func advice(on verdict: DetectorVerdict, of id: MemberID) -> String {
        switch verdict {
        case .inRecovery:
            ". No address with acquire: writable comes to it, and while Patroni there renews the leader key nobody else is promoted; Pharos asks for no switchover. On \(id.name): its server's log (recovery that goes on, restore_command, recovery_end_command) and select pg_last_wal_replay_lsn(); to lead elsewhere: patronictl failover"
        case .unknown, .well, .suspected, .patroniFailed, .postgresFailed, .nodeFailed, .gray, .lagging: ""
        }
    }

    private static func priority(of verdict: DetectorVerdict, after before: DetectorVerdict) -> LogRecord.Priority {
        switch verdict {
        case .gray, .nodeFailed, .inRecovery: .critical
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

extension LogRecord {
    private static func priority(of condition: EtcdCondition) -> LogRecord.Priority? {
        switch condition {
        case .noQuorum, .alarm: .critical
        case .unknown, .well, .slow, .degraded: nil
        }
    }
}

extension Wording {
    static func text(_ evidence: Evidence) -> String {
        let reason = evidence.state == .healthy ? "" : evidence.reason.map { " (\($0))" } ?? ""
        return "\(self.text(evidence.aspect)) by \(evidence.source): \(evidence.state.rawValue)\(reason)"
    }

    static func text(_ condition: EtcdCondition) -> String {
        switch condition {
        case .unknown: "nothing is known of its endpoints: they have not been asked yet, or could not be"
        case .well: "every endpoint is healthy"
        case .slow(let endpoints): "slow to answer: \(endpoints.joined(separator: " "))"
        case .degraded(let endpoints, let count):
            "\(endpoints.count) of \(count) endpoints are lost: \(endpoints.joined(separator: " ")). Another may cost the quorum"
        case .noQuorum: "no endpoint is healthy: there is no quorum, or this node is cut off from it"
        case .alarm(let names) where names.contains("NOSPACE"):
            "the alarm NOSPACE: its database is full, and it takes nothing new: no address is acquired, and no leader elected, until there is room. What is held is renewed. On one of its nodes: etcdctl compact REVISION; etcdctl defrag --cluster; etcdctl alarm disarm. Then raise --quota-backend-bytes, or see what fills it"
        case .alarm(let names):
            "it has raised the alarm \(names.joined(separator: ", ")): etcdctl alarm list; see etcd's manual before anything is disarmed"
        }
    }

    static func code(_ condition: EtcdCondition) -> String {
        switch condition {
        case .unknown: "unknown"
        case .well: "well"
        case .slow: "slow"
        case .degraded: "degraded"
        case .noQuorum: "no_quorum"
        case .alarm: "alarm"
        }
    }

    static func text(_ outcome: SwitchoverOutcome) -> String {
        switch outcome {
        case .done(let text): "Patroni says: \(text)"
        case .refused(let text): "Patroni did not do it: \(text). Patroni is not asked again for this leader"
        case .unanswered(let reason):
            "it is not known yet whether Patroni does it (\(reason)): a PostgreSQL that cannot stop at once may delay it. Patroni is not asked again"
        case .forestalled(let reason): "this node did not ask for it: \(reason)"
        }
    }

    static func text(_ obstacle: SwitchoverObstacle) -> String {
        obstacle.rule.meaning + (obstacle.detail.isEmpty ? "" : " (\(obstacle.detail))")
    }

    static func text(_ aspect: DetectorAspect) -> String {
        switch aspect {
        case .patroni: "Patroni"
        case .postgres: "PostgreSQL"
        }
    }
}
