// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// Which single failures a group would survive now.
public struct Readiness: Sendable {
    public enum Failure: String, Sendable, CaseIterable {
        case leaderNode = "the leader's node is lost"
        case leaderPostgres = "the leader's PostgreSQL crashes"
        case leaderPatroni = "the leader's Patroni dies or freezes"
        case leaderNetwork = "the leader's network is lost"
        case etcdMember = "a member of etcd is lost"
        case synchronousStandby = "a synchronous standby is lost"
        case thisDaemon = "this node's Pharos is lost"
    }

    public enum Outcome: Sendable, Equatable {
        case survived(String)
        case notSurvived(String)
        case notKnown(String)

        /// In one word, for machines.
        public var word: String {
            switch self {
            case .survived: "survived"
            case .notSurvived: "not_survived"
            case .notKnown: "not_known"
            }
        }

        /// In one line.
        public var reason: String {
            switch self {
            case .survived(let reason), .notSurvived(let reason), .notKnown(let reason): reason
            }
        }
    }

    public struct Line: Sendable {
        public let failure: Failure
        public let outcome: Outcome
    }

    public let group: Int
    public let leader: String?
    public let lines: [Line]

    /// Of this node's group, and, as far as its daemon knows them, of the others.
    public static func all(_ facts: AuditFacts) -> [Readiness] {
        let own = facts.group ?? 0
        let lines = Failure.allCases.map { failure -> Line in
            do throws(Unlooked) {
                return Line(failure: failure, outcome: try facts.outcome(of: failure))
            } catch {
                return Line(failure: failure, outcome: .notKnown(error.why))
            }
        }
        let others = (facts.daemon.value?.groups ?? []).filter { $0.number != own }.map { group in
            Readiness(
                group: group.number, leader: group.leader,
                lines: [Line(failure: .leaderNode, outcome: group.outcomeWithoutLeader)])
        }
        let first = Readiness(group: own, leader: facts.keys.value?.leader, lines: lines)
        return ([first] + others).sorted { $0.group < $1.group }
    }
}

extension AuditFacts.Daemon.Group {
    /// What is known here of another group. The rest, its own nodes know.
    fileprivate var outcomeWithoutLeader: Readiness.Outcome {
        guard let leader = self.leader else { return .notSurvived("nobody leads it now") }
        let others = self.members.filter { $0.name != leader }
        guard !others.isEmpty else { return .notSurvived("\(leader) is its only member") }
        let fit = others.filter { $0.mayLead && $0.isRunning && $0.isSynchronous != false && !$0.isFailed }
        guard !fit.isEmpty else { return .notSurvived("no member beside \(leader) is well and may lead") }
        let known = fit.filter { $0.verdict == "well" }.map(\.name)
        guard !known.isEmpty else {
            return .notKnown("nobody has asked \(fit.map(\.name).joined(separator: ", ")) yet")
        }
        return .survived(
            "as far as it is known here, \(known.joined(separator: ", ")) could take over; all else: pharos audit on one of its nodes"
        )
    }
}

extension AuditFacts {
    fileprivate func outcome(of failure: Readiness.Failure) throws(Unlooked) -> Readiness.Outcome {
        let config = try self.config.get()
        let isOfLeader = [.leaderNode, .leaderPostgres, .leaderPatroni, .leaderNetwork].contains(failure)
        if config.isPaused, isOfLeader {
            return .notSurvived("Patroni is in maintenance mode: nobody takes over, nothing is started again")
        }
        switch failure {
        case .leaderNode: return try self.withoutLeader(cutOff: false)
        case .leaderNetwork: return try self.withoutLeader(cutOff: true)
        case .leaderPostgres: return try self.afterCrash(config)
        case .leaderPatroni: return try self.withoutPatroni()
        case .etcdMember: return try self.withoutEtcdMember(config)
        case .synchronousStandby: return try self.withoutStandby(config)
        case .thisDaemon: return try self.withoutDaemon()
        }
    }

    private func takers() throws(Unlooked) -> (candidates: Candidates, refusal: Readiness.Outcome?) {
        let candidates = try self.candidates()
        if !candidates.fit.isEmpty { return (candidates, nil) }
        if candidates.others == 0 { return (candidates, .notSurvived("\(candidates.leader) is the only member")) }
        if candidates.doubtful.isEmpty {
            return (candidates, .notSurvived("nobody could take over: \(Candidates.text(candidates.unfit))"))
        }
        return (candidates, .notKnown("whether somebody could take over: \(Candidates.text(candidates.doubtful))"))
    }

    /// `cutOff`: the node lives on, and is alone.
    private func withoutLeader(cutOff: Bool) throws(Unlooked) -> Readiness.Outcome {
        let (candidates, refusal) = try self.takers()
        if let refusal { return refusal }
        let etcd = try self.etcd.get()
        let voters = try etcd.voters()
        let leader = try self.keys.get().member(candidates.leader)
        // An etcd member on the leader's node goes with it.
        let remaining = voters.filter { etcd.answers($0) && !Self.isBeside($0, leader) }
        guard remaining.count >= voters.count / 2 + 1 else {
            return .notSurvived(
                "\(remaining.count) of \(voters.count) members of etcd would be left, too few for a majority: nobody could take over"
            )
        }
        if let daemon = self.daemon.value?.groups.first(where: { $0.number == self.group ?? 0 }) {
            let without = candidates.fit.filter { name in daemon.members.first { $0.name == name }?.hasDaemon == false }
            let list = without.joined(separator: ", ")
            if without.count == candidates.fit.count {
                return .notSurvived("no Pharos publishes on \(list): no address would come there")
            }
            if !without.isEmpty {
                return .notKnown("if \(list) takes over, no address comes there: no Pharos publishes on it")
            }
        }
        let ttl = try self.config.get().times.used.ttl
        let old = cutOff ? "; \(candidates.leader) gives its address and its role up by itself" : ""
        return .survived("\(candidates.fit.joined(separator: " or ")) takes over after the ttl of \(ttl) s\(old)")
    }

    /// Whether a member of etcd is on a member's node: by its address, or by its name where one goes by an address and the other does not.
    private static func isBeside(_ voter: Etcd.Member, _ member: PatroniState.Member?) -> Bool {
        let hosts = voter.clientURLs.map { AuditRule.host(of: $0) }
        guard let host = member?.host else { return voter.name == member?.name }
        if hosts.contains(host) { return true }
        let isComparable = hosts.contains { (IPAddress($0) == nil) == (IPAddress(host) == nil) }
        return !isComparable && voter.name == member?.name
    }

    private func afterCrash(_ config: DynamicConfiguration) throws(Unlooked) -> Readiness.Outcome {
        let (candidates, refusal) = try self.takers()
        let again = "Patroni starts it again on \(candidates.leader)"
        if refusal != nil { return .notKnown("\(again); if it does not start, nobody takes over") }
        let seconds = config.number("primary_start_timeout") ?? config.number("master_start_timeout") ?? 300
        return .survived(
            "\(again); if that takes longer than \(seconds) s, \(candidates.fit.joined(separator: " or ")) takes over")
    }

    private func withoutPatroni() throws(Unlooked) -> Readiness.Outcome {
        let (candidates, refusal) = try self.takers()
        if let refusal { return refusal }
        guard candidates.leader == self.member else {
            return .notKnown("whether \(candidates.leader) has a watchdog: pharos audit there")
        }
        let file = try self.file.get()
        let isThere = try self.node.hasWatchdog.get()
        guard file.watchdogMode != "off", isThere else {
            return .notSurvived(
                "no watchdog: \(candidates.fit.joined(separator: " or ")) takes over, and the old primary stays writable; what reaches it other than by the address is lost"
            )
        }
        return .survived("the watchdog resets the node, and \(candidates.fit.joined(separator: " or ")) takes over")
    }

    private func withoutEtcdMember(_ config: DynamicConfiguration) throws(Unlooked) -> Readiness.Outcome {
        let etcd = try self.etcd.get()
        let voters = try etcd.voters()
        let up = voters.filter { etcd.answers($0) }.count
        let quorum = voters.count / 2 + 1
        if up - 1 >= quorum { return .survived("\(up - 1) of \(voters.count) would be left, \(quorum) are needed") }
        if config.flag("failsafe_mode") {
            return .survived(
                "\(up - 1) of \(voters.count) would be left, \(quorum) are needed; failsafe mode keeps the leader, but nobody could take over"
            )
        }
        return .notSurvived(
            "\(up - 1) of \(voters.count) would be left, \(quorum) are needed: no key can be renewed, and nobody may write"
        )
    }

    private func withoutStandby(_ config: DynamicConfiguration) throws(Unlooked) -> Readiness.Outcome {
        guard config.synchronous != .off else {
            return .survived("replication is asynchronous: nobody waits for a standby")
        }
        let able = try self.keys.get().others.filter { $0.maySync && $0.isRunning }
        let count = Int(min(config.number("synchronous_node_count") ?? 1, 1000))
        if able.count - 1 >= count {
            return .survived("another standby takes its place within a loop_wait; commits wait until then")
        }
        if config.flag("synchronous_mode_strict") {
            return .notSurvived(
                "synchronous_mode_strict: \(max(0, able.count - 1)) standbys would be left, \(count) must confirm: writes stop"
            )
        }
        return .survived(
            "commits wait for up to the ttl, then Patroni goes on without; the next failover may lose commits")
    }

    private func withoutDaemon() throws(Unlooked) -> Readiness.Outcome {
        guard try self.leader() == self.member else {
            return .survived("\(self.member) does not lead: no address is here")
        }
        let restart = try self.node.unit(self.pharos.unit)["Restart"] ?? "no"
        guard restart != "no" else {
            return .notSurvived(
                "systemd does not start it again (Restart=no): the addresses leave \(self.member), and nobody else may have them"
            )
        }
        return .survived(
            "systemd starts it again (Restart=\(restart)); clients lose the address if that takes longer than its lifetime"
        )
    }
}
