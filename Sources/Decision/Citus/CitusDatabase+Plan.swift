// SPDX-License-Identifier: Apache-2.0

/// What is to be done about one database of the coordinator.
extension CitusDatabase {
    /// Answers the groups whose leader's PostgreSQL must be asked whether it accepts writes.
    mutating func advance(
        _ groups: [Int: Group], _ inquiries: [Int: LeaderInquiry], _ clusterID: UInt64, _ settings: CitusSettings,
        _ damper: SecondaryDamper, _ neighborhood: inout Neighborhood, at now: Instant,
        into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) -> Set<Int> {
        var wanted: Set<Int> = []
        var due: [RowUpdate] = []
        self.gathersUntil = nil
        (self.unjudged, self.isForeign) = ([], false)
        if let rows = self.rows {
            for (group, view) in groups.sorted(by: { $0.key < $1.key }) {
                // One that follows another site's has no leader that accepts writes: whose address the row names is for its promotion.
                guard !view.isStandbyCluster else {
                    (self.drifts[group], self.refusals[group], self.unheard[group]) = (nil, nil, nil)
                    continue
                }
                self.compare(group, view, rows, settings, &neighborhood, at: now, into: &reports)
                if self.hold?.group == group {
                    let isWritable = inquiries[group]?.isWritable(view) ?? false
                    if self.settleHold(view, isWritable, clusterID, at: now, into: &actions) { wanted.insert(group) }
                } else if let drift = self.drifts[group] {
                    guard self.isDue(drift, view, settings, at: now) else { continue }
                    // This node's own is asked by the update's gate.
                    guard group == settings.group || inquiries[group]?.isWritable(view) == true else {
                        wanted.insert(group)
                        if let end = view.leaderAt.map({ $0 + Self.gathering }), end > now {
                            self.gathersUntil = max(self.gathersUntil ?? end, end)
                        }
                        continue
                    }
                    if let update = self.update(group, view, drift, clusterID) { due.append(update) }
                } else {
                    self.beginHold(group, view, clusterID, settings, at: now, into: &actions)
                }
            }
        }
        // Groups that lost their leaders together have new ones together: the first answer waits a moment for the others.
        if due.isEmpty || self.gathersUntil == nil { self.begin(due, at: now, into: &actions) }
        if settings.registersSecondaries, settings.mode != .observe {
            self.settleMembership(
                groups, clusterID, settings, damper, neighborhood.places, at: now, into: &actions)
        }
        if self.wantsProof(groups, settings, at: now) { self.reading.hasten(to: now) }
        if self.reading.isDue(at: now), self.update == nil {
            self.reading.ask(at: now, next: now + Self.pace)
            actions.append(.readRows(self.name))
        }
        // Never while something is being changed.
        if self.update == nil, self.hold == nil, self.rows != nil, self.settings.ask(at: now) {
            actions.append(.lookAtSettings(self.name))
        }
        if let (versions, limits) = self.versions.news() { reports.append(.versions(self.name, versions, limits)) }
        return wanted
    }

    private mutating func compare(
        _ group: Int, _ view: Group, _ rows: [NodeRow], _ settings: CitusSettings,
        _ neighborhood: inout Neighborhood, at now: Instant, into reports: inout [CitusReport]
    ) {
        guard let leader = view.endpoint, !self.isUpdating(group) else { return }
        let unheardSince = self.unheard.removeValue(forKey: group)
        // As a rule: found without a look at the other groups' rows.
        if let own = self.byGroup[group], RowPlan.isTrue(group, leader, own, settings) {
            self.drifts[group] = nil
            self.refusals[group] = nil
            return
        }
        var keepsPlace = false
        if let place = self.primary(group)?.endpoint, place != leader, !neighborhood.places.knows(place, of: group) {
            self.drifts[group] = nil
            self.unjudged.insert(group)
            let relation = neighborhood.relation(of: place, to: leader, since: view.leaderAt ?? now)
            guard let relation else {
                self.unheard[group] = unheardSince ?? now
                return
            }
            if relation == .foreign { self.isForeign = true }
            guard relation == .same else {
                return self.refuse(.stranger(place, leader: leader), group, view, settings, at: now, into: &reports)
            }
            self.unjudged.remove(group)
            keepsPlace = true
        }
        let changes: [RowChange]
        switch RowPlan(group: group, leader: leader, rows: rows, settings: settings, keepsPlace: keepsPlace) {
        case .isTrue:
            self.drifts[group] = nil
            self.refusals[group] = nil
            return
        case .refused(let refusal):
            self.drifts[group] = nil
            return self.refuse(refusal, group, view, settings, at: now, into: &reports)
        case .changes(let needed): changes = needed
        }
        self.refusals[group] = nil
        var drift = self.drifts[group] ?? Drift(changes: changes, since: now)
        // Names are equal in any case; the database's compare-and-set is not so lenient.
        if drift.changes == changes { drift.changes = changes }
        if drift.changes != changes {
            let before = drift
            drift = Drift(changes: changes, since: before.since)
            (drift.refused, drift.rebuiltFrom) = (before.refused, before.rebuiltFrom)
        }
        // Where somebody else writes, a failover is not told as long as it may be doing its part.
        if !drift.isReported, self.isProven(since: drift.since, view, settings, at: now) {
            drift.isReported = true
            let row = self.primary(group)?.endpoint
            let remedy: CitusReport.Remedy =
                switch settings.mode {
                case .own: .now
                case .reconcile: .after(settings.settle)
                case .observe: .none
                }
            reports.append(.drift(self.name, group: group, row: row, leader: leader, remedy))
        }
        self.drifts[group] = drift
    }

    /// What only an operator can put right.
    private mutating func refuse(
        _ refusal: NodeRowPlan.Refusal, _ group: Int, _ view: Group, _ settings: CitusSettings, at now: Instant,
        into reports: inout [CitusReport]
    ) {
        var refused = self.refusals[group] ?? Refused(refusal: refusal, since: now)
        if refused.refusal != refusal { refused = Refused(refusal: refusal, since: refused.since) }
        if !refused.isReported, self.isProven(since: refused.since, view, settings, at: now),
            now >= Self.settled(refused, view, settings)
        {
            refused.isReported = true
            reports.append(.refused(self.name, group: group, refusal))
        }
        self.refusals[group] = refused
    }

    private func isDue(_ drift: Drift, _ view: Group, _ settings: CitusSettings, at now: Instant) -> Bool {
        guard self.update == nil, drift.retryAt.map({ $0 <= now }) ?? true else { return false }
        return settings.mode != .observe && self.isProven(since: drift.since, view, settings, at: now)
    }

    /// Whether something has been wrong for long enough to be acted upon, or told. Where somebody else writes too, only rows
    /// that were asked for since show that it still is.
    private func isProven(since: Instant, _ view: Group, _ settings: CitusSettings, at now: Instant) -> Bool {
        let settled = Self.settled(since, view, settings)
        return now >= settled && (settings.mode == .own || self.rowsAskedAt >= settled)
    }

    /// Whether it is time to ask for such rows.
    private func wantsProof(_ groups: [Int: Group], _ settings: CitusSettings, at now: Instant) -> Bool {
        // A server that did not answer is asked again in its own time.
        guard settings.mode != .own, self.unreadable == nil else { return false }
        let wrong = self.drifts.map { ($0.key, $0.value.since) } + self.refusals.map { ($0.key, $0.value.since) }
        return wrong.contains { group, since in
            let settled = Self.settled(since, groups[group], settings)
            return settled <= now && self.rowsAskedAt < settled
        }
    }

    /// When something has been wrong for long enough.
    private static func settled(_ since: Instant, _ view: Group?, _ settings: CitusSettings) -> Instant {
        switch settings.mode {
        case .own: since
        case .reconcile, .observe: max(since, view?.leaderAt ?? since) + settings.settle
        }
    }

    /// When what needs an operator has needed one for long enough. A name or an address that moves takes a while to do so.
    private static func settled(_ refused: Refused, _ view: Group?, _ settings: CitusSettings) -> Instant {
        let settled = self.settled(refused.since, view, settings)
        guard case .stranger = refused.refusal else { return settled }
        return max(settled, max(refused.since, view?.leaderAt ?? refused.since) + Self.strangerPatience)
    }

    /// For so long after its new leader key a group is waited for by others that are due: an answer takes some 10 ms where the leader
    /// accepts writes already, and a second transaction as long as the first.
    static let gathering: Duration = .milliseconds(25)
    private static let strangerPatience: Duration = .seconds(60)
    /// For so long at most nothing is changed while it is not known who answers at a place that a row names.
    private static let hearing: Duration = .seconds(10)

    func primary(_ group: Int) -> NodeRow? { self.byGroup[group]?.first { $0.role == .primary } }

    func isUpdating(_ group: Int) -> Bool { self.update?.groups.contains(group) ?? false }

    func update(_ group: Int, _ view: Group, _ drift: Drift, _ clusterID: UInt64) -> RowUpdate? {
        guard view.leader != nil else { return nil }
        let rebuiltFrom = drift.refused?.cluster == clusterID ? drift.rebuiltFrom : nil
        return RowUpdate(
            group: group, changes: drift.changes,
            authority: GroupAuthority(
                clusterID: clusterID, revision: view.leaderWritten, rebuiltFrom: rebuiltFrom),
            blockers: self.blockers(group, view, failures: drift.failures))
    }

    /// All that is due goes into one transaction. After each commit Citus pushes the whole of `pg_dist_node` to every worker, and
    /// connects to those that the rows name: with one group moved and the next not yet, that would be a dead one, for half a
    /// minute, while it keeps the table from being changed; or, where a whole site was moved, one of another cluster.
    mutating func begin(_ due: [RowUpdate], at now: Instant, into actions: inout [CitusAction]) {
        // With each commit Citus pushes the table to every server that it names: never to those of another cluster.
        guard !due.isEmpty, self.update == nil, !self.isForeign else { return }
        // Nor before it is known who they are: an answer takes a second at most.
        guard !self.unheard.values.contains(where: { now - $0 < Self.hearing }) else { return }
        // Those that have failed keep no others waiting.
        let fresh = due.filter { (self.drifts[$0.group]?.failures ?? 0) == 0 }
        let due = fresh.isEmpty ? due : fresh
        // What our own transaction blocks, or waits for, it must let go first. Its group's switchover goes on without it.
        if let hold = self.hold, hold.blocksOthers || !hold.isHeld {
            if !hold.isEnding { self.releaseHold(hold, into: &actions) }
            return
        }
        self.note(due, at: now)
        actions.append(.update(self.name, due))
    }

    mutating func note(_ updates: [RowUpdate], at now: Instant) {
        let changes = updates.reduce(0) { $0 + $1.changes.count }
        self.update = Update(
            groups: updates.map(\.group), cluster: updates.first?.authority.clusterID, since: now,
            limit: self.updateLimit + AnswerLimits.change * changes)
    }

    /// Sessions that wait for a node that is gone will wait for as long as TCP does: nothing is gained by waiting for them.
    /// Those that use a node that was stopped in order, or one that is well, end by themselves. (Whose member key has ended was not
    /// stopped in order, whatever was asked for.)
    private func blockers(_ group: Int, _ view: Group, failures: Int) -> RowUpdate.Blockers {
        guard self.waits == 0 else { return .wait }
        let isOrderly = view.former?.wasPlanned == true && view.isFormerPresent
        if let former = view.former, !isOrderly, former.endpoint == self.primary(group)?.endpoint {
            return .terminate(after: view.isFormerPresent ? .seconds(1) : .zero)
        }
        return failures < Self.patience ? .wait : .terminate(after: .seconds(1))
    }

    /// Citus waits then for as long as the cooldown says, which is next to nothing: the next attempts wait in earnest, and then it is
    /// tried again whether a worker is free.
    mutating func updateUnforced(_ groups: [Int], into reports: inout [CitusReport]) {
        guard let update = self.update, Set(groups).isSubset(of: update.groups), !update.isUnforced else { return }
        self.update?.isUnforced = true
        self.waits = Self.patience
        reports.append(.unforced(self.name, groups: groups))
    }

    /// The next instant at which something is due without an event.
    func wakeAt(_ groups: [Int: Group], _ settings: CitusSettings, after now: Instant) -> Instant {
        var wakeAt = Instant.distantFuture
        func consider(_ instant: Instant?) {
            if let instant, instant > now, instant < wakeAt { wakeAt = instant }
        }
        if !self.reading.isUnderWay, self.update == nil { consider(self.reading.due) }
        if !self.settings.question.isUnderWay { consider(self.settings.question.due) }
        if let hold = self.hold, !hold.isEnding { consider(hold.until) }
        consider(self.gathersUntil)
        consider(self.membershipAt)
        for since in self.unheard.values { consider(since + Self.hearing) }
        consider(self.membership?.drift.retryAt)
        for (group, drift) in self.drifts {
            consider(drift.retryAt)
            consider(Self.settled(drift.since, groups[group], settings))
        }
        for (group, refused) in self.refusals where !refused.isReported {
            consider(Self.settled(refused, groups[group], settings))
        }
        return wakeAt
    }
}
