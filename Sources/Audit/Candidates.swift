// SPDX-License-Identifier: Apache-2.0

/// Who could take over from the leader of a group now, and who could not, and why.
struct Candidates {
    var leader = ""
    var fit: [String] = []
    /// With the reason.
    var unfit: [(name: String, why: String)] = []
    /// Of whom it is not known, with the reason.
    var doubtful: [(name: String, why: String)] = []

    var others: Int { self.fit.count + self.unfit.count + self.doubtful.count }

    /// `n2 (paused), n3 (behind)`
    static func text(_ list: [(name: String, why: String)]) -> String {
        list.map { "\($0.name) (\($0.why))" }.joined(separator: ", ")
    }
}

extension AuditFacts {
    /// Of this node's group: by Patroni's keys, and by what the daemon knows beside them.
    func candidates() throws(Unlooked) -> Candidates {
        let (keys, config) = (try self.keys.get(), try self.config.get())
        var candidates = Candidates(leader: try self.leader())
        let leader = keys.member(candidates.leader)
        for member in keys.others {
            if let why = self.unfitness(of: member, leader, keys, config) {
                candidates.unfit.append((member.name, why))
            } else if let why = self.rest[member.name]?.why {
                candidates.doubtful.append((member.name, "its Patroni: \(why)"))
            } else {
                candidates.fit.append(member.name)
            }
        }
        return candidates
    }

    private func unfitness(
        of member: PatroniState.Member, _ leader: PatroniState.Member?, _ keys: PatroniState,
        _ config: DynamicConfiguration
    ) -> String? {
        if !member.mayLead { return "nofailover, or failover_priority 0" }
        if !member.isRunning { return "its PostgreSQL is \(member.state ?? "in a state that Patroni does not tell")" }
        if let timeline = member.timeline, let its = leader?.timeline, timeline < its {
            return "on timeline \(timeline), the leader on \(its)"
        }
        if let position = member.position, let its = leader?.position, its - position > config.lagLimit {
            return "\(Quantity.bytes(its - position)) behind, more than maximum_lag_on_failover"
        }
        if config.synchronous != .off, !keys.synchronous.contains(member.name) { return "not synchronous now" }
        let known = self.daemon.value?.groups.first { $0.number == self.groupNumber }
        if let verdict = known?.members.first(where: { $0.name == member.name }), verdict.isFailed {
            return "the failure detector says \(verdict.verdict)"
        }
        return nil
    }
}
