// SPDX-License-Identifier: Apache-2.0

/// What speaks against a switchover: each rule, found in the facts.
extension SwitchoverReview {
    // MARK: - Objections of the candidate

    static func objection(
        _ rule: ObjectionRule, _ name: String, _ keys: SwitchoverFacts.Keys, _ sight: SwitchoverSight
    ) -> Objection? {
        guard let member = keys.members[name] else { return nil }
        switch rule {
        case .nofailover:
            return member.mayLead ? nil : Objection(rule, "\(name) is tagged nofailover, or has failover_priority 0")
        case .notRunning:
            return member.isRunning ? nil : Objection(rule, "Patroni of \(name) does not say that PostgreSQL runs")
        case .health:
            guard let seen = sight.members[name], seen.verdict != .unknown else {
                return Objection(unseen: rule, "this daemon has not probed \(name) yet, or cannot")
            }
            return [.well, .suspected].contains(seen.verdict)
                ? nil : Objection(rule, "\(name): \(seen.verdict.rawValue): \(seen.reason)")
        case .synchronous:
            guard keys.isSynchronousMode, keys.synchronous?.contains(name) != true else { return nil }
            let names = keys.synchronous.map { $0.sorted().joined(separator: ", ") } ?? ""
            return Objection(rule, "Patroni holds \(names.isEmpty ? "nobody" : names) synchronous, not \(name)")
        case .lag:
            guard let lag = self.lag(of: name, keys, sight) else {
                return Objection(
                    unseen: rule, "how far \(name) is behind is not known: neither by own probes nor by Patroni's keys")
            }
            guard lag.bytes > keys.maximumLag else { return nil }
            return Objection(rule, "\(name) is \(lag.bytes) bytes behind, \(keys.maximumLag) are allowed", age: lag.age)
        case .timeline:
            guard let own = member.timeline, let other = keys.leader.flatMap({ keys.members[$0.name] })?.timeline else {
                return Objection(unseen: rule, "\(name) or the leader does not say on which timeline it is")
            }
            return own == other ? nil : Objection(rule, "\(name) is on timeline \(own), the leader on \(other)")
        case .suppressed:
            let names = [keys.leader?.name, name].compactMap(\.self).filter { sight.members[$0]?.isSuppressed == true }
            return names.isEmpty
                ? nil
                : Objection(
                    rule,
                    "suppressed by damping: \(names.joined(separator: ", ")); to vouch for one: pharos acknowledge NAME"
                )
        case .restartPending:
            let names = [keys.leader?.name, name].compactMap(\.self).filter {
                keys.members[$0]?.isRestartPending == true
            }
            return names.isEmpty ? nil : Objection(rule, "Patroni says so of \(names.joined(separator: ", "))")
        case .etcdSpare, .patroniPaused, .longTransactions, .preparedTransactions, .backup, .logicalSlots, .citus:
            return nil
        }
    }

    static func lag(
        of name: String, _ keys: SwitchoverFacts.Keys, _ sight: SwitchoverSight
    ) -> (bytes: Int64, age: Duration?)? {
        if let seen = sight.members[name], let lag = seen.lag { return (lag, seen.lagAge) }
        guard let own = keys.members[name]?.position,
            let leader = keys.leader.flatMap({ keys.members[$0.name] })?.position
        else { return nil }
        return (max(0, leader - own), nil)
    }

    // MARK: - Objections of the rest

    func objection(_ rule: ObjectionRule, _ pair: (leader: String, candidate: String), _ keys: SwitchoverFacts.Keys)
        -> Objection?
    {
        switch rule {
        case .nofailover, .notRunning, .health, .synchronous, .lag, .timeline, .suppressed, .restartPending:
            return Self.objection(rule, pair.candidate, keys, self.facts.sight)
        case .patroniPaused:
            return keys.isPaused
                ? Objection(rule, "pause is set in Patroni's configuration; to end it: patronictl resume") : nil
        case .etcdSpare:
            return self.objection(rule, self.facts.etcd, "etcd's members") { etcd in
                etcd.hasSpare
                    ? .fine : .found("\(etcd.count) members vote, \(etcd.lost) of them do not answer")
            }
        case .longTransactions:
            return self.objection(rule, self.facts.leader, "PostgreSQL of \(pair.leader)") { server in
                Judgment(server.longTransactions) { count in
                    "\(count) on \(pair.leader), the oldest for \(server.oldestTransaction.components.seconds) s"
                }
            }
        case .preparedTransactions:
            return self.objection(rule, self.facts.leader, "PostgreSQL of \(pair.leader)") { server in
                Judgment(server.preparedTransactions) { "\($0) on \(pair.leader): select * from pg_prepared_xacts" }
            }
        case .backup: return self.backup(pair)
        case .logicalSlots:
            guard case .seen(let leader, _) = self.facts.leader, !leader.logicalSlots.isEmpty else {
                return self.objection(rule, self.facts.leader, "PostgreSQL of \(pair.leader)") { _ in .fine }
            }
            return self.objection(rule, self.facts.candidate, "PostgreSQL of \(pair.candidate)") { candidate in
                let lacking = leader.logicalSlots.subtracting(candidate.logicalSlots).sorted()
                return lacking.isEmpty
                    ? .fine : .found("\(pair.candidate) lacks \(lacking.prefix(16).joined(separator: ", "))")
            }
        case .citus:
            guard let citus = self.facts.sight.citus else { return nil }
            return self.objection(rule, citus, "Citus's metadata") { found in
                found.isEmpty ? .fine : .found(found.prefix(5).joined(separator: "; "))
            }
        }
    }

    private enum Judgment {
        case fine
        case found(String)
        /// The role that asked may not see it.
        case forbidden

        /// A number that must be 0; nil: it may not be seen.
        init(_ count: Int?, _ text: (Int) -> String) {
            self = count.map { $0 == 0 ? .fine : .found(text($0)) } ?? .forbidden
        }
    }

    /// What `judge` finds in what was looked at.
    private func objection<Value>(
        _ rule: ObjectionRule, _ looked: Looked<Value>, _ what: String, _ judge: (Value) -> Judgment
    ) -> Objection? {
        switch looked {
        case .unseen(let reason): return Objection(unseen: rule, "\(what): \(reason)")
        case .seen(let value, let ago):
            switch judge(value) {
            case .fine: return nil
            case .found(let found): return Objection(rule, found, age: ago)
            case .forbidden:
                return Objection(unseen: rule, "\(what): the role that asks lacks pg_read_all_stats there")
            }
        }
    }

    private func backup(_ pair: (leader: String, candidate: String)) -> Objection? {
        let servers = [(pair.leader, self.facts.leader), (pair.candidate, self.facts.candidate)]
        let found = servers.compactMap { name, looked in
            self.objection(.backup, looked, "PostgreSQL of \(name)") { server in
                Judgment(server.backups) { "\($0) on \(name)" }
            }
        }
        // What was found counts before what could not be looked at.
        guard let first = found.first(where: { !$0.isUnseen }) ?? found.first else { return nil }
        let same = found.filter { $0.isUnseen == first.isUnseen }.map(\.evidence).joined(separator: "; ")
        return first.isUnseen ? Objection(unseen: .backup, same) : Objection(.backup, same, age: first.age)
    }
}

extension ObjectionRule {
    /// Those by which candidates are compared: they need no look at PostgreSQL.
    static let ofCandidate: [ObjectionRule] = [
        .nofailover, .notRunning, .health, .synchronous, .lag, .timeline, .suppressed, .restartPending,
    ]
}
