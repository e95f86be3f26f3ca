// SPDX-License-Identifier: Apache-2.0

/// One database of the coordinator: what its `pg_dist_node` says, and what is being done about it.
///
/// Invariants, each upheld by the simulator:
/// - at most one update is under way, and at most one transaction is held;
/// - nothing is changed on less than the present leadership of the group, its leader found out of recovery.
struct CitusDatabase: Sendable {
    /// A group whose rows are not what they should be.
    struct Drift: Sendable {
        var changes: [RowChange]
        let since: Instant
        var failures = 0
        var retryAt: Instant?
        var isReported = false
    }

    /// A transaction that blocks writes to a group while its leader changes.
    struct Hold: Sendable {
        let group: Int
        let authority: GroupAuthority
        let until: Instant
        var isHeld = false
        var isEnding = false
    }

    /// A change whose arrival on the workers is awaited.
    struct Synchronization: Sendable {
        let group: Int
        let since: Instant
        var reads = 0
        var isComparing = false
        var isReported = false
    }

    let name: String
    private(set) var rows: [NodeRow]?
    var isReadUnderWay = false
    private(set) var readAt: Instant
    /// Why the rows could not be read last; nil if they could.
    private(set) var unreadable: String?
    private(set) var drifts: [Int: Drift] = [:]
    private(set) var refusals: [Int: NodeRowPlan.Refusal] = [:]
    /// The group whose rows an update is changing.
    private(set) var updating: Int?
    private(set) var hold: Hold?
    /// The leadership for whose end a transaction was held last: once is enough.
    private var lastHeld: Int64?
    private(set) var awaited: Synchronization?

    /// How often rows are read when there is no reason to: no query more often than every 10 s.
    static let pace: Duration = .seconds(10)
    /// For how long writes to a group are blocked, at most, while a switchover is under way.
    static let holdLimit: Duration = .seconds(30)
    /// Attempts that wait for sessions in the way, before those are terminated.
    static let patience = 2

    init(_ name: String, at now: Instant) {
        self.name = name
        self.readAt = now
    }

    /// Whether every change has arrived on the workers, as far as is known.
    var isSettled: Bool { self.drifts.isEmpty && self.awaited == nil && self.updating == nil && self.hold == nil }

    /// This node's daemon becomes the writer, or is it no more: what was known belongs to another time. What is under way is
    /// still answered.
    mutating func forget(at now: Instant, into actions: inout [CitusAction]) {
        (self.rows, self.unreadable, self.awaited) = (nil, nil, nil)
        (self.drifts, self.refusals) = ([:], [:])
        self.readAt = now
        if let hold = self.hold, !hold.isEnding, self.updating == nil { self.releaseHold(hold, into: &actions) }
    }

    // MARK: - Answers

    mutating func learn(
        rows: [NodeRow], askedAt: Instant, _ groups: [Int: CitusGroup], _ settings: CitusSettings, at now: Instant,
        into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) {
        self.isReadUnderWay = false
        self.readAt = askedAt + Self.pace
        if self.unreadable != nil { reports.append(.databaseReached(self.name)) }
        self.unreadable = nil
        self.rows = rows
        self.checkSynchronization(rows, at: now, into: &actions, &reports)
    }

    mutating func rowsUnread(_ reason: String, at now: Instant, into reports: inout [CitusReport]) {
        self.isReadUnderWay = false
        self.readAt = now + .seconds(1)
        if self.unreadable == nil { reports.append(.databaseUnreachable(self.name, reason: reason)) }
        self.unreadable = reason
    }

    mutating func updateEnded(
        _ group: Int, _ outcome: UpdateOutcome, _ groups: [Int: CitusGroup], at now: Instant,
        into reports: inout [CitusReport]
    ) {
        if self.hold?.group == group { self.hold = nil }
        guard self.updating == group else { return }
        self.updating = nil
        self.readAt = now
        switch outcome {
        // What was read before is the past, or may be.
        case .applied, .unknown: self.rows = nil
        case .notCoordinator, .inRecovery, .olderRevision, .supersededCluster, .blocked, .failed: break
        }
        guard var drift = self.drifts[group] else { return }
        if case .applied = outcome {
            let leaderAt = groups[group]?.leaderAt ?? drift.since
            reports.append(
                .updated(
                    self.name, group: group, changes: drift.changes, leader: groups[group]?.leader?.name ?? "",
                    after: now - max(drift.since, leaderAt)))
            self.drifts[group] = nil
            self.awaited = Synchronization(group: group, since: now)
            return
        }
        drift.failures += 1
        var delay = min(.milliseconds(500) * (1 << min(drift.failures - 1, 6)), .seconds(30))
        if outcome == .inRecovery {
            // This node's own PostgreSQL is being promoted: not a failure, and over soon.
            drift.failures -= 1
            delay = .milliseconds(50)
        } else {
            reports.append(.updateFailed(self.name, group: group, outcome, retryAfter: delay))
        }
        drift.retryAt = now + delay
        self.drifts[group] = drift
    }

    mutating func held(_ group: Int, into reports: inout [CitusReport], leader: String) {
        guard self.hold?.group == group else { return }
        self.hold?.isHeld = true
        reports.append(.holding(self.name, group: group, leader: leader))
    }

    mutating func holdEnded(_ group: Int, _ reason: String, at now: Instant, into reports: inout [CitusReport]) {
        guard self.hold?.group == group else { return }
        self.hold = nil
        if self.updating == group { self.updating = nil }
        self.readAt = now
        reports.append(.holdEnded(self.name, group: group, reason: reason))
    }

    mutating func synchronizationTold(at now: Instant) {
        if self.awaited != nil { self.readAt = min(self.readAt, now) }
    }

    mutating func copiesCompared(_ findings: [CopyFinding], at now: Instant, into reports: inout [CitusReport]) {
        guard let awaited = self.awaited, awaited.isComparing else { return }
        let different = findings.filter { $0.result == .different }.map(\.endpoint)
        guard different.isEmpty else {
            self.awaited?.isComparing = false
            if now - awaited.since > .seconds(5), !awaited.isReported {
                self.awaited?.isReported = true
                reports.append(.copiesDiffer(self.name, nodes: different))
            }
            self.readAt = now + (awaited.isReported ? Self.pace : .milliseconds(200))
            return
        }
        self.awaited = nil
        reports.append(
            .synchronized(
                self.name, group: awaited.group, after: now - awaited.since,
                unverified: findings.filter { $0.result != .same }))
    }

    /// Citus marks a row unsynchronized with each update, and synchronized when it has rewritten that node's copy.
    private mutating func checkSynchronization(
        _ rows: [NodeRow], at now: Instant, into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) {
        guard var awaited = self.awaited, !awaited.isComparing else { return }
        let workers = rows.filter { $0.group != 0 && $0.role == .primary && $0.isActive && $0.hasMetadata }
        let behind = workers.filter { !$0.isSynchronized }
        awaited.reads += 1
        if behind.isEmpty {
            awaited.isComparing = true
            actions.append(.compareCopies(self.name, workers.map(\.endpoint)))
        } else {
            // It starts within 50 ms, and takes longer with more workers.
            let pause: Duration = min(.milliseconds(25) * (1 << min(awaited.reads, 7)), .seconds(2))
            let isLate = now - awaited.since > .seconds(10)
            self.readAt = now + (isLate ? Self.pace : pause)
            if isLate, !awaited.isReported {
                awaited.isReported = true
                reports.append(.unsynchronized(self.name, group: awaited.group, nodes: behind.map(\.endpoint)))
            }
        }
        self.awaited = awaited
    }

    // MARK: - The decision

    /// Answers the groups whose leader's PostgreSQL must be asked whether it accepts writes.
    mutating func advance(
        _ groups: [Int: CitusGroup], _ clusterID: UInt64, _ settings: CitusSettings, at now: Instant,
        into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) -> Set<Int> {
        var wanted: Set<Int> = []
        if let rows = self.rows {
            for (group, view) in groups.sorted(by: { $0.key < $1.key }) {
                self.compare(group, view, rows, settings, at: now, into: &reports)
                if self.hold?.group == group {
                    if self.settleHold(view, clusterID, at: now, into: &actions) { wanted.insert(group) }
                } else if let drift = self.drifts[group] {
                    guard self.isDue(drift, view, settings, at: now) else { continue }
                    // This node's own is asked by the update's gate.
                    guard view.isWritable || group == settings.group else {
                        wanted.insert(group)
                        continue
                    }
                    self.update(group, view, drift, clusterID, into: &actions)
                } else {
                    self.beginHold(group, view, rows, clusterID, settings, at: now, into: &actions)
                }
            }
        }
        if self.readAt <= now, !self.isReadUnderWay, self.updating == nil {
            self.isReadUnderWay = true
            actions.append(.readRows(self.name))
        }
        return wanted
    }

    private mutating func compare(
        _ group: Int, _ view: CitusGroup, _ rows: [NodeRow], _ settings: CitusSettings, at now: Instant,
        into reports: inout [CitusReport]
    ) {
        guard let leader = view.endpoint, self.updating != group else { return }
        let changes: [RowChange]
        switch RowPlan(group: group, leader: leader, rows: rows, settings: settings) {
        case .isTrue:
            self.drifts[group] = nil
            self.refusals[group] = nil
            return
        case .refused(let refusal):
            self.drifts[group] = nil
            guard self.refusals[group] != refusal else { return }
            self.refusals[group] = refusal
            reports.append(.refused(self.name, group: group, refusal))
            return
        case .changes(let needed): changes = needed
        }
        self.refusals[group] = nil
        var drift = self.drifts[group] ?? Drift(changes: changes, since: now)
        if drift.changes != changes { drift = Drift(changes: changes, since: drift.since) }
        if !drift.isReported {
            drift.isReported = true
            let row = rows.first { $0.group == group && $0.role == .primary }?.endpoint
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

    private func isDue(_ drift: Drift, _ view: CitusGroup, _ settings: CitusSettings, at now: Instant) -> Bool {
        guard self.updating == nil, drift.retryAt.map({ $0 <= now }) ?? true else { return false }
        switch settings.mode {
        case .own: return true
        case .reconcile: return now >= max(drift.since, view.leaderAt ?? drift.since) + settings.settle
        case .observe: return false
        }
    }

    private mutating func update(
        _ group: Int, _ view: CitusGroup, _ drift: Drift, _ clusterID: UInt64, into actions: inout [CitusAction]
    ) {
        guard let leader = view.leader else { return }
        self.updating = group
        let update = RowUpdate(
            group: group, changes: drift.changes,
            authority: GroupAuthority(clusterID: clusterID, revision: leader.since),
            blockers: Self.blockers(view, failures: drift.failures))
        actions.append(.update(self.name, update))
    }

    /// Sessions that wait for a node that is gone will wait for as long as TCP does: nothing is gained by waiting for them.
    /// Those that use a node that was stopped in order end by themselves.
    private static func blockers(_ view: CitusGroup, failures: Int) -> RowUpdate.Blockers {
        if let former = view.former, !former.wasPlanned {
            return .terminate(after: view.isFormerPresent ? .seconds(1) : .zero)
        }
        return failures < self.patience ? .wait : .terminate(after: .seconds(1))
    }

    // MARK: - A planned switchover

    /// Writes to the group wait from before the old primary stops, instead of failing.
    private mutating func beginHold(
        _ group: Int, _ view: CitusGroup, _ rows: [NodeRow], _ clusterID: UInt64, _ settings: CitusSettings,
        at now: Instant, into actions: inout [CitusAction]
    ) {
        // Where the coordinator itself is switched over, its sessions end anyway.
        guard settings.mode == .own, group != settings.group, self.hold == nil, self.updating == nil,
            view.isSwitchingOver, let leader = view.leader, self.lastHeld != leader.since,
            let row = rows.first(where: { $0.group == group && $0.role == .primary })
        else { return }
        let authority = GroupAuthority(clusterID: clusterID, revision: leader.since)
        self.lastHeld = leader.since
        self.hold = Hold(group: group, authority: authority, until: now + Self.holdLimit)
        actions.append(.hold(self.name, group: group, nodeID: row.id, authority, limit: Self.holdLimit))
    }

    /// Answers whether the leader's PostgreSQL must be asked whether it accepts writes.
    private mutating func settleHold(
        _ view: CitusGroup, _ clusterID: UInt64, at now: Instant, into actions: inout [CitusAction]
    ) -> Bool {
        guard let hold = self.hold, hold.isHeld, !hold.isEnding, self.updating == nil else { return false }
        let isOver = now >= hold.until || (view.leader?.since == hold.authority.revision && !view.isSwitchingOver)
        let hasChanged = view.leader.map { $0.since != hold.authority.revision } ?? false
        if hasChanged, let drift = self.drifts[hold.group], let leader = view.leader {
            guard view.isWritable else {
                if now >= hold.until { self.releaseHold(hold, into: &actions) }
                return true
            }
            self.updating = hold.group
            let update = RowUpdate(
                group: hold.group, changes: drift.changes,
                authority: GroupAuthority(clusterID: clusterID, revision: leader.since), blockers: .wait)
            actions.append(.commitHold(self.name, update))
        } else if isOver || (hasChanged && view.endpoint != nil) {
            self.releaseHold(hold, into: &actions)
        }
        return false
    }

    private mutating func releaseHold(_ hold: Hold, into actions: inout [CitusAction]) {
        self.hold?.isEnding = true
        actions.append(.releaseHold(self.name, group: hold.group))
    }

    /// The next instant at which something is due without an event.
    func wakeAt(_ groups: [Int: CitusGroup], _ settings: CitusSettings, after now: Instant) -> Instant {
        var wakeAt = Instant.distantFuture
        func consider(_ instant: Instant?) {
            if let instant, instant > now, instant < wakeAt { wakeAt = instant }
        }
        if !self.isReadUnderWay, self.updating == nil { consider(self.readAt) }
        if let hold = self.hold, !hold.isEnding { consider(hold.until) }
        for (group, drift) in self.drifts {
            consider(drift.retryAt)
            if settings.mode == .reconcile {
                consider(max(drift.since, groups[group]?.leaderAt ?? drift.since) + settings.settle)
            }
        }
        return wakeAt
    }
}
