// SPDX-License-Identifier: Apache-2.0

/// What this daemon asked for and does not come back, and how old the view of the groups may be.
extension DetectorCore {
    mutating func giveUpOverdue(at now: Instant, awakeSince: Instant, _ reports: inout [DetectorReport]) {
        let (patience, spacing) = (self.probePatience, self.profile.spacing)
        let overdue = self.probes.giveUp(after: patience, at: now, awakeSince: awakeSince)
        if !overdue.isEmpty {
            // Nothing was learned of them: it is not their failure. Each is asked again in its next turn.
            self.wasTroubled = true
            let news = overdue.filter { self.silent[$0.member] == nil }
            for (member, since) in news { self.silent[member] = since }
            if let first = news.first {
                reports.append(.unanswered(.probes(news.map(\.member)), after: now - first.since))
            }
        }
        if let silence = self.etcd.question.giveUp(
            after: patience, at: now, awakeSince: awakeSince, next: now + spacing), silence.isFirst
        {
            reports.append(.unanswered(.etcdHealth, after: silence.length))
        }
        if case .underWay(let order, let since) = self.switchover,
            now - max(since, awakeSince) >= AnswerLimits.switchover
        {
            reports.append(.unanswered(.switchover(order.leader), after: now - since))
            // It may have happened, or happen yet: the claim in etcd keeps others from another, and this leadership's was tried.
            self.switchoverEnded(order, .unanswered("no answer at all"), at: now, &reports)
        }
    }

    var probePatience: Duration { AnswerLimits.probe(self.profile.timeout) }

    /// Between two reads of the groups' keys that suffice here.
    static func readPace(_ profile: DetectorProfile) -> Duration { max(GroupsSchedule.shortestPace, profile.interval) }

    /// Until when what etcd said of the groups is taken for the present: two reads, of which one may be late, and the time that
    /// a request may take. Nil where it was never read.
    func viewUntil(_ view: GroupsView) -> Instant? {
        let pace = Self.readPace(self.profile)
        return view.readAt.map { $0 + pace + pace + self.limits.request }
    }

    /// What was asked for, is overdue, and has not been answered since.
    var unanswered: [Unanswered] {
        var list: [Unanswered] = []
        func add(_ asked: Asked, _ since: Instant?) {
            if let since { list.append(Unanswered(asked: asked, since: since)) }
        }
        add(.probes(self.silent.keys.sorted()), self.silent.values.min())
        add(.etcdHealth, self.etcd.question.silentSince)
        return list
    }
}
