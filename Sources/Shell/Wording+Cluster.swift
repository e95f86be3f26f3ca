// SPDX-License-Identifier: Apache-2.0
import Decision

/// What is the matter with a cluster, what follows, and what to type on which node.
extension Wording {
    /// `age`: of what is known of etcd.
    static func text(_ problem: ClusterProblem, age: Duration?, at now: Instant) -> String {
        switch problem {
        case .cutOff:
            "nobody answers this node: it is cut off, or all others are lost. What it says of others is nothing"
        case .isPast:
            "etcd does not answer this daemon: all of this is \(age.map { "\(self.text($0)) old" } ?? "unknown")"
        case .paused: "Patroni is in maintenance mode: nobody takes over from a leader that fails"
        case .reactionsPaused(let pause): self.text(pause)
        case .noLeader(let group): "group \(group): nobody leads, so nobody can write to it"
        case .severalPrimaries(let group, let members):
            "group \(group): several members accept writes: \(members.joined(separator: ", "))"
        case .unheld(let group, let address, let leader):
            "group \(group): nobody holds \(address), which belongs on \(leader): clients reach nobody there"
        case .heldByAnother(let group, let address, let holder, let leader):
            "group \(group): \(holder) holds \(address), and \(leader) leads"
        case .notWell(let id, let verdict, let reason, let since):
            "\(id): \(verdict.rawValue): \(reason)\(since.map { ", for \(self.text(max(.zero, now - $0)))" } ?? "")"
        case .noCandidate(let group, let leader):
            "group \(group): nobody could take over from \(leader): no other member is well, runs, and may lead"
        case .noStandby(let group, let leader):
            "group \(group): \(leader) is alone: nobody could take over from it"
        case .candidateUnknown(let group, let leader):
            "group \(group): whether anybody could take over from \(leader) is not known: no daemon that publishes has asked another member yet"
        case .notSurvived(let group, let failures, let reason, _):
            "group \(group): it would not be survived if \(failures.joined(separator: ", or ")): \(reason)"
        case .noDaemon(let id): "\(id): no Pharos publishes there: no address can come to it"
        case .lookedAfterBySome(let group, let address, let some, let others):
            "group \(group): \(address) is looked after by \(some.joined(separator: ", ")), and not by \(others.joined(separator: ", ")): after a change of leader it may be nowhere"
        case .versionsDiffer(let versions): "the daemons are of several versions: \(versions.joined(separator: ", "))"
        }
    }

    static func advice(_ problem: ClusterProblem) -> String {
        switch problem {
        case .cutOff: "look from another node: pharos cluster; here: pharos why"
        case .isPast: "here: journalctl -u pharos -n 50; on etcd's nodes: etcdctl endpoint health --cluster"
        case .paused: "when the work is done: patronictl resume"
        case .reactionsPaused: "when the work is done, on any node: pharos resume-reactions"
        case .noLeader: "on any of its nodes: patronictl list; journalctl -u patroni -n 50"
        case .severalPrimaries:
            "stop all but the one that holds the leader key, at once: systemctl stop patroni on each"
        case .unheld(_, _, let leader): "on \(leader): pharos status"
        case .heldByAnother(_, _, let holder, let leader):
            "for a moment during a change of leader; if it stays, on \(holder) and \(leader): pharos status"
        case .notWell(let id, _, _, _):
            "on the coordinator's or its own group's nodes: pharos why; on \(id.name): patronictl list"
        case .noCandidate: "patronictl list: is a standby down, too far behind, or tagged nofailover?"
        case .noStandby: "add a member to the group; for one that is alone on purpose nothing is to be done"
        case .candidateUnknown: "pharos why says who is asked, and what came of it"
        case .notSurvived(_, _, _, let advice): advice
        case .noDaemon(let id): "on \(id.name): systemctl status pharos; journalctl -u pharos -n 50"
        case .lookedAfterBySome(_, let address, _, let others):
            "add \(address) to /etc/pharos/pharos.yml on \(others.joined(separator: ", ")), then systemctl reload pharos there"
        case .versionsDiffer: "upgrade the rest, the leaders' nodes last (Upgrade in docs/operations.md)"
        }
    }

    /// The name of a problem in JSON and in metrics.
    static func code(_ problem: ClusterProblem) -> String {
        switch problem {
        case .cutOff: "cut_off"
        case .isPast: "past"
        case .paused: "paused"
        case .reactionsPaused: "reactions_paused"
        case .noLeader: "no_leader"
        case .severalPrimaries: "several_primaries"
        case .unheld: "address_unheld"
        case .heldByAnother: "address_held_by_another"
        case .notWell: "member_not_well"
        case .noCandidate: "no_candidate"
        case .noStandby: "no_standby"
        case .candidateUnknown: "candidate_unknown"
        case .notSurvived: "failure_not_survived"
        case .noDaemon: "no_daemon"
        case .lookedAfterBySome: "address_looked_after_by_some"
        case .versionsDiffer: "versions_differ"
        }
    }
}
