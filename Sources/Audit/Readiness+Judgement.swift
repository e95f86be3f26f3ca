// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// What follows from each failure in this node's group.
extension AuditFacts {
    func answer(to failure: Readiness.Failure) throws(Unlooked) -> Readiness.Answer {
        let config = try self.config.get()
        let isOfLeader = [.leaderNode, .leaderPostgres, .leaderPatroni, .leaderNetwork].contains(failure)
        if config.isPaused, isOfLeader {
            return .lost(
                "Patroni is in maintenance mode: nobody takes over, nothing is started again",
                AuditStep("any node", "patronictl resume \(self.scope)"), code: "paused")
        }
        switch failure {
        case .leaderNode: return try self.withoutLeader(cutOff: false)
        case .leaderNetwork: return try self.withoutLeader(cutOff: true)
        case .leaderPostgres: return try self.afterCrash(config)
        case .leaderPatroni: return try self.withoutPatroni()
        case .etcdMember: return try self.withoutEtcdMember(config)
        case .thisDaemon: return try self.withoutDaemon()
        case .standby, .coordinator: throw Unlooked(Self.notAsked)
        }
    }

    private var listStep: AuditStep { AuditStep("any node", "patronictl list --extended \(self.scope)") }

    private func takers() throws(Unlooked) -> (candidates: Candidates, refusal: Readiness.Answer?) {
        let candidates = try self.candidates()
        if !candidates.fit.isEmpty { return (candidates, nil) }
        if candidates.others == 0 {
            return (
                candidates, .lost("\(candidates.leader) is the only member", self.listStep, code: "no-candidate")
            )
        }
        if candidates.doubtful.isEmpty {
            let why = "nobody could take over: \(Candidates.text(candidates.unfit))"
            return (candidates, .lost(why, self.listStep, code: "no-candidate"))
        }
        let why = "whether somebody could take over: \(Candidates.text(candidates.doubtful))"
        return (candidates, .unknown(why, self.listStep))
    }

    /// `cutOff`: the node lives on, and is alone.
    private func withoutLeader(cutOff: Bool) throws(Unlooked) -> Readiness.Answer {
        let (candidates, refusal) = try self.takers()
        if let refusal { return refusal }
        let quorum = try self.quorum(without: self.keys.get().member(candidates.leader))
        if !quorum.isThere {
            return self.lost("\(quorum.left), too few for a majority: nobody could take over", quorum)
        }
        if let why = self.citus?.refusals.value?[self.groupNumber] { return Self.rowsLost(why) }
        if let daemon = self.daemon.value?.groups.first(where: { $0.number == self.groupNumber }) {
            let without = candidates.fit.filter { name in daemon.members.first { $0.name == name }?.hasDaemon == false }
            let list = without.joined(separator: ", ")
            let step = AuditStep(
                without.first ?? "",
                "systemctl enable --now \(self.pharos.unit); journalctl -u \(self.pharos.unit) -n 50")
            if without.count == candidates.fit.count {
                return .lost(
                    "no Pharos publishes on \(list): no address would come there", step, code: "daemon-missing")
            }
            if !without.isEmpty {
                return .unknown("if \(list) takes over, no address comes there: no Pharos publishes on it", step)
            }
        }
        let ttl = try self.config.get().times.used.ttl
        let old = cutOff ? "; \(candidates.leader) gives its address and its role up by itself" : ""
        return .survived("\(candidates.fit.joined(separator: " or ")) takes over after the ttl of \(ttl) s\(old)")
    }

    private func afterCrash(_ config: DynamicConfiguration) throws(Unlooked) -> Readiness.Answer {
        let (candidates, refusal) = try self.takers()
        let again = "Patroni starts it again on \(candidates.leader)"
        if refusal != nil { return .unknown("\(again); if it does not start, nobody takes over", self.listStep) }
        let seconds = config.number("primary_start_timeout") ?? config.number("master_start_timeout") ?? 300
        return .survived(
            "\(again); if that takes longer than \(seconds) s, \(candidates.fit.joined(separator: " or ")) takes over")
    }

    private func withoutPatroni() throws(Unlooked) -> Readiness.Answer {
        let (candidates, refusal) = try self.takers()
        if let refusal { return refusal }
        guard candidates.leader == self.member else {
            return .unknown(
                "whether \(candidates.leader) has a watchdog: pharos audit there",
                AuditStep(candidates.leader, "pharos audit"))
        }
        let file = try self.file.get()
        let isThere = try self.node.hasWatchdog.get()
        guard file.watchdogMode != "off", isThere else {
            return .lost(
                "no watchdog: \(candidates.fit.joined(separator: " or ")) takes over, and the old primary stays writable; what reaches it other than by the address is lost",
                AuditStep(self.member, "pharos audit"), code: "watchdog-off")
        }
        return .survived("the watchdog resets the node, and \(candidates.fit.joined(separator: " or ")) takes over")
    }

    private func withoutEtcdMember(_ config: DynamicConfiguration) throws(Unlooked) -> Readiness.Answer {
        let quorum = try self.quorumWithoutOne()
        let left = "\(max(0, quorum.remaining)) of \(quorum.voters) would be left, \(quorum.needed) are needed"
        if quorum.isThere { return .survived(left) }
        if config.flag("failsafe_mode") {
            return .survived("\(left); failsafe mode keeps the leader, but nobody could take over")
        }
        return self.lost("\(left): no key can be renewed, and nobody may write", quorum)
    }

    /// A standby's node: with its member of etcd, and with its confirmations.
    func without(standby: PatroniState.Member) throws(Unlooked) -> Readiness.Answer {
        let (config, keys) = (try self.config.get(), try self.keys.get())
        let quorum = try self.quorum(without: standby)
        if !quorum.isThere, !config.flag("failsafe_mode") {
            return self.lost(
                "\(quorum.left), \(quorum.needed) are needed: no key can be renewed, and nobody may write", quorum)
        }
        var effects: [String] = []
        if !quorum.isThere { effects.append("\(quorum.left): failsafe mode keeps the leader") }
        if config.synchronous != .off, keys.synchronous.contains(standby.name) {
            let able = keys.others.filter { $0.maySync && $0.isRunning && $0.name != standby.name }.count
            let count = Int(min(config.number("synchronous_node_count") ?? 1, 1000))
            if able >= count {
                effects.append("another standby confirms in its place within a loop_wait; commits wait until then")
            } else if config.flag("synchronous_mode_strict") {
                return .lost(
                    "synchronous_mode_strict: \(able) standbys would be left, \(count) must confirm: writes stop",
                    self.listStep, code: "one-synchronous-standby")
            } else {
                effects.append(
                    "commits wait for up to the ttl, then Patroni goes on without; the next failover may lose commits")
            }
        }
        let candidates = try self.candidates()
        let fit = candidates.fit.filter { $0 != standby.name }
        let others = candidates.doubtful.filter { $0.name != standby.name }
        if !quorum.isThere {
            effects.append("nobody could take over then")
        } else if !fit.isEmpty {
            effects.append("\(fit.joined(separator: " or ")) could still take over")
        } else {
            effects.append(
                others.isEmpty
                    ? "nobody could take over from \(candidates.leader) then"
                    : "whether anybody could take over then: \(Candidates.text(others))")
        }
        return .survived(effects.joined(separator: "; "))
    }

    private func withoutDaemon() throws(Unlooked) -> Readiness.Answer {
        guard try self.leader() == self.member else {
            return .survived("\(self.member) does not lead: no address is here")
        }
        let restart = try self.node.unit(self.pharos.unit)["Restart"] ?? "no"
        guard restart != "no" else {
            return .lost(
                "systemd does not start it again (Restart=no): the addresses leave \(self.member), and nobody else may have them",
                AuditStep(self.member, "systemctl edit \(self.pharos.unit): take the line Restart= out"))
        }
        return .survived(
            "systemd starts it again (Restart=\(restart)); clients lose the address if that takes longer than its lifetime"
        )
    }

    // MARK: - Other groups, as far as the daemon here knows them

    func withoutCoordinator() throws(Unlooked) -> Readiness.Answer {
        guard let group = try self.daemon.get().groups.first(where: { $0.number == 0 }) else {
            throw Unlooked("the coordinator's group is not known here")
        }
        let answer = self.withoutLeader(of: group)
        guard case .survived(let reason) = answer.outcome else { return answer }
        return .survived("\(reason); until then nobody plans queries")
    }

    /// What is known here of another group. The rest, its own nodes know.
    func withoutLeader(of group: Daemon.Group) -> Readiness.Answer {
        let step = AuditStep("a node of group \(group.number)", "pharos audit")
        guard let leader = group.leader else { return .lost("nobody leads it now", step, code: "no-candidate") }
        let others = group.members.filter { $0.name != leader }
        guard !others.isEmpty else { return .lost("\(leader) is its only member", step, code: "no-candidate") }
        let fit = others.filter { $0.mayLead && $0.isRunning && $0.isSynchronous != false && !$0.isFailed }
        guard !fit.isEmpty else {
            return .lost("no member beside \(leader) is well and may lead", step, code: "no-candidate")
        }
        let known = fit.filter { $0.verdict == "well" }.map(\.name)
        guard !known.isEmpty else {
            return .unknown("nobody has asked \(fit.map(\.name).joined(separator: ", ")) yet", step)
        }
        if let why = self.citus?.refusals.value?[group.number] { return Self.rowsLost(why) }
        var place = PatroniState.Member()
        place.name = leader
        place.host = group.members.first { $0.name == leader }?.host
        do throws(Unlooked) {
            // Without its address, a namesake among etcd's members would be no evidence.
            let quorum = try self.quorum(without: place.host == nil ? nil : place)
            if !quorum.isThere {
                return self.lost("\(quorum.left), too few for a majority: nobody could take over", quorum)
            }
        } catch {
            return .unknown(
                "\(known.joined(separator: ", ")) could take over, if etcd has a majority then: \(error.why)", step)
        }
        return .survived(
            "as far as it is known here, \(known.joined(separator: ", ")) could take over; all else: pharos audit on one of its nodes"
        )
    }

    private static func rowsLost(_ why: String) -> Readiness.Answer {
        .lost(
            "its rows in pg_dist_node wait for a person (\(why)): Citus would not find the new leader",
            AuditStep("the coordinator's leader", "pharos verify"))
    }

    // MARK: - etcd's majority

    private struct Quorum {
        let voters: Int
        let remaining: Int
        /// The first that is silent already.
        let silent: String?

        var needed: Int { self.voters / 2 + 1 }
        var isThere: Bool { self.remaining >= self.needed }
        var left: String {
            "\(max(0, self.remaining)) of \(self.voters) member\(self.voters == 1 ? "" : "s") of etcd would be left"
        }
    }

    private func lost(_ reason: String, _ quorum: Quorum) -> Readiness.Answer {
        if let silent = quorum.silent {
            let step = AuditStep(
                silent.isEmpty ? "any node" : silent, "systemctl status etcd; journalctl -u etcd -n 50")
            return .lost(reason, step, code: "etcd-member-down")
        }
        if quorum.voters < 3 {
            let step = AuditStep("any node", "etcdctl member add NAME --peer-urls=…; one at a time, until there are 3")
            return .lost(reason, step, code: "etcd-members-few")
        }
        return .lost(reason, AuditStep("any node", "etcdctl member list"), code: "etcd-members-on-one-host")
    }

    /// Without those that are on a member's node; nil: without none.
    private func quorum(without member: PatroniState.Member?) throws(Unlooked) -> Quorum {
        let etcd = try self.etcd.get()
        let voters = try etcd.voters()
        let up = voters.filter { etcd.answers($0) }
        let remaining = up.filter { voter in member.map { !Self.isBeside(voter, $0) } ?? true }
        return Quorum(
            voters: voters.count, remaining: remaining.count,
            silent: voters.first { !etcd.answers($0) }?.name)
    }

    private func quorumWithoutOne() throws(Unlooked) -> Quorum {
        let all = try self.quorum(without: nil)
        return Quorum(voters: all.voters, remaining: all.remaining - 1, silent: all.silent)
    }

    /// Whether a member of etcd is on a member's node: by its address, or by its name where one goes by an address and the other does not.
    private static func isBeside(_ voter: Etcd.Member, _ member: PatroniState.Member) -> Bool {
        let hosts = voter.clientURLs.map { AuditRule.host(of: $0) }
        guard let host = member.host else { return voter.name == member.name }
        if hosts.contains(host) { return true }
        let isComparable = hosts.contains { (IPAddress($0) == nil) == (IPAddress(host) == nil) }
        return !isComparable && voter.name == member.name
    }
}
