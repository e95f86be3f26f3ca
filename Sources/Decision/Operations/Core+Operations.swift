// SPDX-License-Identifier: Apache-2.0

/// What operations are judged by, of what this daemon knows.
extension Core {
    /// Nil where no groups are followed.
    public func switchoverSight(of group: Int, at now: Instant) -> SwitchoverSight? {
        guard let view = self.groupsView, let detector = self.detector else { return nil }
        let own = detector.member.group
        var sight = SwitchoverSight(ownGroup: own, citus: self.citusSight(at: now))
        guard group == own else {
            sight.strangers = (view.groups[group]?.members.keys).map { Array($0.sorted().prefix(8)) } ?? []
            return sight
        }
        for (name, member) in view.groups[group]?.members ?? [:] {
            sight.members[name] = detector.sight(of: MemberID(group, name), member, at: now)
        }
        sight.addresses = (self.clusterStatus?.groups.first { $0.number == group }?.addresses ?? []).map(\.id)
        return sight
    }

    private func citusSight(at now: Instant) -> Looked<[String]>? {
        guard let citus = self.citusStatus else { return nil }
        guard let verification = citus.verification else {
            return .unseen(
                reason: citus.isWriter
                    ? "this daemon has not verified it yet"
                    : "the daemon on the leader of group 0 verifies it, not this one: pharos verify")
        }
        let ago = max(.zero, now - verification.at)
        if let failure = verification.failure { return .unseen(reason: "the last verification failed: \(failure)") }
        let grave = verification.databases.flatMap { database in
            database.findings.filter { $0.severity == .critical || $0.code == .tasksPending }.map {
                "\(database.database): \($0.code.rawValue): \($0.evidence)"
            }
        }
        return .seen(grave, ago: ago)
    }

    /// The pause of reactions that is in force; nil: none.
    public var reactionPause: ReactionPause? { self.detector?.reactionPause }

    /// What acknowledging a member would end; nil: nobody watches it here.
    public func acknowledgement(of id: MemberID, at now: Instant) -> Review? {
        guard let target = self.detector?.targets[id] else { return nil }
        let suppressed = [target.patroniConsensus, target.postgresConsensus].compactMap { $0.penalty.reusableAt() }
        let effect =
            suppressed.max().map {
                "it is suppressed for \(max(.zero, $0 - now).components.seconds) s more unless it fails again: that ends at once, for every daemon"
            } ?? "it is not suppressed: nothing ends"
        return Review(
            summary: "vouch for \(id)", mustName: id.name, steps: ["tell every daemon that \(id) is vouched for"],
            effects: [
                effect,
                "another switchover from it may be asked for, where one has failed in this leadership",
            ], action: .acknowledge(id))
    }

    /// What a pause of reactions would do, or its end.
    public func pauseReview(_ operation: Operation) -> Review? {
        let now = self.reactionPause
        let bound = [
            BoundFact("the pause of reactions", now.map { "by \($0.by) until \($0.endsAt), \($0.reason)" } ?? "none")
        ]
        switch operation {
        case .pauseReactions(let seconds, let reason):
            return Review(
                summary: "pause Pharos's reactions for \(seconds) s (\(reason))",
                steps: ["write the pause into etcd, where every daemon of the cluster reads it"],
                effects: [
                    "no daemon asks Patroni for a switchover by itself, whatever fails",
                    "verdicts, alerts, addresses and Citus's metadata go on; so does Patroni with its own failovers",
                    "it ends by itself; to end it before: pharos resume-reactions",
                ], bound: bound, action: .pauseReactions(seconds: seconds, reason: reason))
        case .resumeReactions:
            let hindrance = Hindrance("not_paused", "reactions are not paused", advice: "nothing is to be done")
            return Review(
                summary: "end the pause of Pharos's reactions", steps: ["delete the pause in etcd"],
                effects: [
                    "daemons may ask Patroni for a switchover again, at once, where on_gray_failure is switchover"
                ],
                hindrances: now == nil ? [hindrance] : [], bound: bound,
                action: now == nil ? nil : .resumeReactions)
        case .switchover, .acknowledge: return nil
        }
    }
}

extension DetectorCore {
    fileprivate func sight(of id: MemberID, _ member: GroupMember, at now: Instant) -> SwitchoverSight.Member {
        guard let target = self.targets[id] else {
            return SwitchoverSight.Member(verdict: .unknown, reason: "not watched here", endpoint: member.endpoint)
        }
        let states = [target.patroniConsensus.state, target.postgresConsensus.state]
        return SwitchoverSight.Member(
            // Where nobody answers this node, what it holds of others is nothing.
            verdict: self.isIsolated && id != self.member ? .unknown : target.verdict,
            reason: target.verdict.rawValue, isSuppressed: states.contains(.suppressed), lag: target.lag,
            lagAge: target.position.map { max(.zero, now - $0.askedAt) }, endpoint: member.endpoint)
    }
}
