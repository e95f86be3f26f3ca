// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal

extension LogRecord {
    /// What the core reports of Citus, as an operator reads it.
    init(_ report: CitusReport) {
        switch report {
        case .writerChanged(let isWriter):
            self.init(
                .citusWriterChanged,
                isWriter
                    ? "this node is the coordinator's leader: its daemon keeps pg_dist_node"
                    : "this node is no longer the coordinator's leader: its daemon does not keep pg_dist_node",
                ["WRITER": isWriter ? "1" : "0"])
        case .unanswered(let asked, let span): self.init(unanswered: asked, span)
        case .groupsUnreadable(let reason):
            self.init(
                .citusUnreachable,
                "the groups' keys in etcd cannot be read: \(reason). Until they can, pg_dist_node does not follow a change of leader",
                ["DATABASE": "", "REASON": reason])
        case .groupAppeared(let group, let leader):
            self.init(
                .citusGroupAppeared, "group \(group) is led by \(Wording.text(leader))",
                ["GROUP": "\(group)", "LEADER": leader ?? ""])
        case .groupVanished(let group):
            self.init(
                .citusGroupVanished, "group \(group) has no key in etcd left; its rows stay", ["GROUP": "\(group)"])
        case .databaseUnreachable(let database, let reason):
            self.init(
                .citusUnreachable,
                "pg_dist_node of \(database) cannot be read: \(reason). Until it can, it does not follow a change of leader",
                ["DATABASE": database, "REASON": reason])
        case .databaseReached(let database):
            self.init(.citusReached, "pg_dist_node of \(database) can be read again", ["DATABASE": database])
        case .probeRefused(let group, let endpoint, let reason):
            self.init(
                .citusProbeRefused,
                "the leader of group \(group) at \(endpoint) cannot be asked whether it accepts writes: \(reason). Pharos goes by what Patroni says",
                ["GROUP": "\(group)", "ENDPOINT": "\(endpoint)", "REASON": reason])
        case .rivalCoordinator(let member, let endpoint):
            self.init(
                .citusRivalCoordinator,
                "two coordinators accept writes: \(endpoint) (member \(member ?? "unknown")) does too, and does not lead. Stop PostgreSQL there at once",
                ["MEMBER": member ?? "", "ENDPOINT": "\(endpoint)"])
        case .rivalGone(let endpoint):
            self.init(.citusRivalGone, "\(endpoint) no longer accepts writes", ["ENDPOINT": "\(endpoint)"])
        case .drift, .updated, .updateFailed, .blocked, .unforced, .synchronizationInterrupted, .refused:
            self.init(rowReport: report)
        case .synchronized, .unsynchronized, .copiesDiffer, .holding, .holdEnded: self.init(followUp: report)
        case .found, .foundMore, .findingGone, .unverified: self.init(verification: report)
        case .settings(let database, let problems): self.init(settings: problems, database)
        case .versions(let database, let versions, let limits): self.init(versions, limits, database)
        }
    }

    private init(_ versions: CitusVersions, _ limits: [VersionLimit], _ database: String) {
        let what = "\(versions.citus.map { "Citus \($0)" } ?? "Citus") on PostgreSQL \(versions.postgres)"
        let list = limits.map(\.text).joined(separator: ". ")
        self.init(
            .citusVersions,
            limits.isEmpty
                ? "\(database) runs \(what) now, with which Pharos can do all that it does"
                : "\(database) runs \(what): \(list)",
            ["DATABASE": database, "VERSION": what, "REASON": list],
            priority: limits.contains(.tooOld) ? .warning : nil)
    }

    private init(settings problems: [SettingProblem], _ database: String) {
        let list = problems.map { problem in
            problem.text + (problem.commands.isEmpty ? "" : " (\(problem.commands.joined(separator: "; ")))")
        }
        self.init(
            .citusSettings,
            problems.isEmpty
                ? "the settings that a failover of Citus depends on are as they should be again, in \(database)"
                : "a failover may hang or fail by this server's settings, in \(database): \(list.joined(separator: ". "))",
            [
                "DATABASE": database, "PROBLEMS": problems.map(\.text).joined(separator: "; "),
                "REMEDY": problems.flatMap(\.commands).joined(separator: "; "),
            ], priority: problems.isEmpty ? .notice : nil)
    }

    /// What concerns the coordinator's rows.
    private init(rowReport report: CitusReport) {
        switch report {
        case .drift(let database, let group, let row, let leader, let remedy):
            let place = row.map { "at \($0)" } ?? "not there"
            self.init(
                .citusDrift,
                "pg_dist_node of \(database): group \(group) is \(place), its leader at \(leader). \(Wording.text(remedy))",
                [
                    "DATABASE": database, "GROUP": "\(group)", "ROW": row.map { "\($0)" } ?? "",
                    "ENDPOINT": "\(leader)",
                    "REMEDY": Wording.text(remedy),
                ], priority: remedy == .now ? .notice : nil)
        case .updated(let database, let group, let changes, let leader, let span):
            let list = changes.map { Wording.text($0) }.joined(separator: "; ")
            self.init(
                .citusUpdated,
                "pg_dist_node of \(database): group \(group) follows its leader \(leader), after \(Wording.text(span)): \(list)",
                [
                    "DATABASE": database, "GROUP": "\(group)", "LEADER": leader, "AFTER": Wording.text(span),
                    "CHANGES": list,
                ])
        case .updateFailed(let database, let group, let outcome, let delay):
            self.init(
                .citusUpdateFailed,
                "pg_dist_node of \(database): group \(group) could not be changed: \(outcome.reason). Tried again in \(Wording.text(delay))",
                [
                    "DATABASE": database, "GROUP": "\(group)", "REASON": outcome.reason,
                    "RETRY_AFTER": Wording.text(delay),
                ])
        case .blocked(let database, let groups, let sessions):
            let list = sessions.map { Wording.text($0) }.joined(separator: "; ")
            self.init(
                .citusBlocked, "pg_dist_node of \(database): the update of \(Wording.groups(groups)) waits for \(list)",
                [
                    "DATABASE": database, "GROUP": groups.map { "\($0)" }.joined(separator: " "), "SESSIONS": list,
                ])
        case .unforced(let database, let groups):
            self.init(
                .citusUnforced,
                "pg_dist_node of \(database): Citus has no background worker free to terminate the sessions in the way of \(Wording.groups(groups)); the update waits for them instead. Raise max_worker_processes: pharos verify prints what to type (failover-may-hang)",
                ["DATABASE": database, "GROUP": groups.map { "\($0)" }.joined(separator: " ")])
        case .synchronizationInterrupted(let database, let problem):
            let text =
                problem.map {
                    "Citus's metadata sync waits for a node that does not answer, and could not be interrupted: \($0). Run pharos grant-sql again, or wait for citus.node_connection_timeout"
                }
                ?? "Citus's metadata sync, which waited for a node that does not answer, was interrupted; Citus begins it again"
            self.init(
                .citusSyncInterrupted, "pg_dist_node of \(database): \(text)",
                ["DATABASE": database, "REASON": problem ?? ""], priority: problem == nil ? .notice : nil)
        case .refused(let database, let group, let refusal):
            let reason = Wording.text(refusal, group: group)
            self.init(
                .citusRefused, "pg_dist_node of \(database): group \(group) needs an operator: \(reason)",
                ["DATABASE": database, "GROUP": "\(group)", "REASON": reason])
        default: self.init(.citusDrift, "\(report)")  // The caller sends nothing else.
        }
    }

    /// What follows a change, and what precedes one.
    private init(followUp report: CitusReport) {
        switch report {
        case .synchronized(let database, let group, let span, let unverified):
            let list = unverified.map { Wording.text($0) }.joined(separator: "; ")
            let doubt = unverified.isEmpty ? "" : ", as far as could be asked: \(list)"
            self.init(
                .citusSynchronized,
                "pg_dist_node of \(database): the change of group \(group) has reached the workers after \(Wording.text(span))\(doubt)",
                ["DATABASE": database, "GROUP": "\(group)", "AFTER": Wording.text(span), "UNVERIFIED": list])
        case .unsynchronized(let database, let group, let nodes):
            let list = nodes.map { "\($0)" }.joined(separator: " ")
            self.init(
                .citusUnsynchronized,
                "pg_dist_node of \(database): Citus has not brought the change of group \(group) to \(list)",
                ["DATABASE": database, "GROUP": "\(group)", "NODES": list])
        case .copiesDiffer(let database, let nodes):
            let list = nodes.map { "\($0)" }.joined(separator: " ")
            self.init(
                .citusUnsynchronized,
                "pg_dist_node of \(database): the copies on \(list) differ from the coordinator's: in what, pharos verify says",
                ["DATABASE": database, "GROUP": "", "NODES": list])
        case .holding(let database, let group, let leader):
            self.init(
                .citusHolding,
                "pg_dist_node of \(database): writes to group \(group) wait while its leader \(leader) is switched over",
                ["DATABASE": database, "GROUP": "\(group)", "LEADER": leader])
        case .holdEnded(let database, let group, let reason):
            self.init(
                .citusHoldEnded, "pg_dist_node of \(database): writes to group \(group) no longer wait: \(reason)",
                ["DATABASE": database, "GROUP": "\(group)", "REASON": reason])
        default: self.init(.citusDrift, "\(report)")  // The caller sends nothing else.
        }
    }
}

extension UpdateOutcome {
    var reason: String {
        switch self {
        case .applied: "applied"
        case .notCoordinator(let group): "this database is not the coordinator's but group \(group)'s"
        case .inRecovery: "PostgreSQL here is in recovery"
        case .olderRevision(let applied):
            "older revision: a leader change of revision \(applied) was applied already, later than the one known here"
        case .supersededCluster(let other):
            "superseded: etcd cluster \(String(other, radix: 16)) has replaced the one that is read here. If the one that is read here is in force again, as after a failback to this site: pharos repair fence-superseded, on the coordinator's leader"
        case .rowChanged: "the row does not name the place any more that it named when it was read"
        case .blocked(let reason): "other sessions are in the way: \(reason)"
        case .failed(let reason): reason
        case .unknown(let reason): "the connection was lost during the commit: \(reason)"
        }
    }
}

extension Wording {
    /// `group 1`, or `groups 1 and 2`.
    static func groups(_ groups: [Int]) -> String {
        let numbers = groups.map { "\($0)" }
        guard let last = numbers.last, numbers.count > 1 else { return "group \(numbers.first ?? "")" }
        return "groups \(numbers.dropLast().joined(separator: ", ")) and \(last)"
    }

    static func text(_ remedy: CitusReport.Remedy) -> String {
        switch remedy {
        case .now: "It follows as soon as the leader accepts writes"
        case .after(let settle):
            "Nobody has put it right within \(self.text(settle)): Pharos does, as soon as the leader accepts writes"
        case .none: "This mode leaves it as it is"
        }
    }

    static func text(_ change: RowChange) -> String {
        switch change {
        case .move(let id, _, let endpoint): "node \(id) is at \(endpoint)"
        case .pool(let id, let text): "the pool of node \(id) is \(text)"
        case .addSecondary(let endpoint, let primary): "\(endpoint) is a secondary of \(primary)"
        case .removeSecondary(let endpoint): "\(endpoint) is removed"
        }
    }

    static func text(_ session: BlockingSession) -> String {
        var words = ["pid \(session.pid)"]
        if !session.user.isEmpty { words.append("user \(session.user)") }
        if !session.application.isEmpty { words.append("application \(session.application)") }
        if !session.state.isEmpty { words.append(session.state) }
        if let age = session.age { words.append("transaction open for \(self.text(age))") }
        return words.joined(separator: ", ")
    }

    static func text(_ finding: CopyFinding) -> String {
        switch finding.result {
        case .same: "\(finding.endpoint) agrees"
        case .different: "\(finding.endpoint) differs"
        case .unreadable(let reason): "\(finding.endpoint) cannot be asked: \(reason)"
        }
    }

    static func text(_ refusal: NodeRowPlan.Refusal, group: Int) -> String {
        switch refusal {
        case .noPrimary: "no row of it is a primary"
        case .severalPrimaries(let ids): "rows \(ids.map(String.init).joined(separator: ", ")) are all primaries"
        case .endpointTaken(let id, let other): "its leader's address belongs to row \(id) of group \(other)"
        case .stranger(let place, let leader):
            "its row names \(place), where no member of the group is known to have been, and it is not seen that its leader answers there; the leader is at \(leader). If \(place) is a name or a virtual address of the leader's, see why it does not lead there. If the row is wrong, on the coordinator's leader: pharos repair row-not-leader. While a server of another cluster answers there, Pharos changes nothing in this database"
        case .notRegistered(let leader):
            "it is not registered; to add it, on the coordinator: select citus_add_node(\(sqlLiteral(leader.host)), \(leader.port), \(group))"
        }
    }
}
