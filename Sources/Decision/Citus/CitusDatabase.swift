// SPDX-License-Identifier: Apache-2.0

/// One database of the coordinator: what its `pg_dist_node` says, and what is being done about it.
///
/// Invariants, each upheld by the simulator:
/// - at most one update is under way, and at most one transaction is held; what has not been answered by ``AnswerLimits/update`` is
///   under way no more, by the server's own limits;
/// - after an update whose outcome is not known nothing is changed before the rows have been read that were asked for since;
/// - nothing is changed on less than the present leadership of the group, its leader found out of recovery.
package struct CitusDatabase: Sendable {
    /// A group whose rows are not what they should be.
    struct Drift: Sendable {
        var changes: [RowChange]
        let since: Instant
        var failures = 0
        var retryAt: Instant?
        var isReported = false
        /// What the fence says was applied, when it refused this as older.
        var refused: (applied: Int64, cluster: UInt64?, at: Instant)?
        /// The same, once it is known that etcd was rebuilt since.
        var rebuiltFrom: Int64?
    }

    /// A group whose rows only an operator can put right.
    struct Refused: Sendable {
        let refusal: NodeRowPlan.Refusal
        let since: Instant
        var isReported = false
    }

    /// A transaction that blocks writes to a group while its leader changes.
    struct Hold: Sendable {
        let group: Int
        /// Who led when it was begun.
        let leader: Group.Leader
        let since: Instant
        var until: Instant { self.since + CitusDatabase.holdLimit }
        var isHeld = false
        /// Whether no other group's rows can be moved meanwhile.
        var blocksOthers = false
        var isEnding = false
    }

    /// An update that is under way.
    struct Update: Sendable {
        let groups: [Int]
        /// The etcd cluster on whose word it changes something.
        let cluster: UInt64?
        let since: Instant
        /// For how long it is waited for.
        let limit: Duration
        /// Whether Citus could not terminate the sessions in its way.
        var isUnforced = false
    }

    /// Changes whose arrival on the workers is awaited.
    struct Synchronization: Sendable {
        /// The groups that were changed, and when.
        var groups: [Int: Instant]
        /// Since when it has been waited for the newest of them.
        var since: Instant
        var reads = 0
        /// Since when the copies are being compared; nil: they are not.
        var comparingSince: Instant?
        var isComparing: Bool { self.comparingSince != nil }
        var isReported = false
    }

    let name: String
    var rows: [NodeRow]? { didSet { self.byGroup = Dictionary(grouping: self.rows ?? [], by: \.group) } }
    /// The rows of each group: they are compared at every change of any.
    private(set) var byGroup: [Int: [NodeRow]] = [:]
    private(set) var rowsAskedAt: Instant
    /// Rows that were asked for before that may lack what an update has changed.
    private var rowsCountFrom: Instant
    var reading: Question
    /// Why the rows could not be read last; nil if they could.
    var unreadable: String?
    var drifts: [Int: Drift] = [:]
    /// The groups whose row names a place of which it is not known that the leader answers there; and whether any of them leads to a
    /// server of another cluster.
    var unjudged: Set<Int> = []
    var isForeign = false
    /// The groups whose rows name a place of which it is not known yet who answers there, and since when.
    var unheard: [Int: Instant] = [:]
    var refusals: [Int: Refused] = [:]
    /// Until when what is due waits for groups whose leader key is as new.
    var gathersUntil: Instant?
    /// A secondary that is to be registered or removed.
    var membership: (group: Int, drift: Drift)?
    /// When the next one will have been as it is for long enough.
    var membershipAt: Instant?
    var update: Update?
    /// Attempts that are to wait for the sessions in their way, since Citus could not terminate those.
    var waits = 0
    /// One that was given up, and of which nobody knows yet what came of it.
    var lostUpdate: Update?
    /// When the copies on the workers are compared next though nothing was changed.
    var compareAt: Instant
    /// For how long an update is waited for, besides what each of its changes may take.
    let updateLimit: Duration
    var hold: Hold?
    /// The leadership for whose end a transaction was held last: once is enough.
    var lastHeld: Group.Leader?
    /// One that was given up, until anything is heard of a transaction of the kind.
    var lostHold: Hold?
    var awaited: Synchronization?
    /// When the first comparison of copies was asked for that has been given up since any was answered.
    var copiesSilentSince: Instant?
    var settings: SettingsWatch
    var versions = VersionWatch()

    /// How often rows are read when there is no reason to: no query more often than every 10 s.
    static let pace: Duration = .seconds(10)
    /// For how long writes to a group are blocked, at most, while a switchover is under way.
    package static let holdLimit: Duration = .seconds(30)
    static let updateBackoff = Backoff(first: .milliseconds(500), longest: .seconds(30))
    /// How often the copies are compared where nothing was changed.
    static let comparison = (first: Duration.seconds(60), pace: Duration.seconds(3600), again: Duration.seconds(600))
    static let synchronizationBackoff = Backoff(first: .milliseconds(50), longest: .seconds(2))
    /// Attempts that wait for sessions in the way, before those are terminated; and again where that was not possible.
    static let patience = 2
    /// Where nobody could be terminated nothing was waited for: the next attempt, which waits, comes at once.
    static let unforcedPause: Duration = .milliseconds(50)

    init(_ names: AdviceNames, updateLimit: Duration, at now: Instant) {
        self.name = names.database
        self.compareAt = now + Self.comparison.first
        self.updateLimit = updateLimit
        self.rowsAskedAt = now
        self.rowsCountFrom = now
        self.reading = Question(due: now)
        self.settings = SettingsWatch(names, at: now)
    }

    /// Whether every change has arrived on the workers, as far as is known.
    var isSettled: Bool {
        let isAwaited = self.awaited.map { !$0.groups.isEmpty } ?? false
        return self.drifts.isEmpty && !isAwaited && self.update == nil && self.hold == nil
    }

    /// This node's daemon becomes the writer, or is it no more: what was known belongs to another time. What is under way is
    /// still answered.
    mutating func forget(at now: Instant, into actions: inout [CitusAction]) {
        (self.rows, self.unreadable, self.awaited) = (nil, nil, nil)
        (self.drifts, self.refusals, self.membership, self.lostUpdate) = ([:], [:], nil, nil)
        (self.lostHold, self.copiesSilentSince) = (nil, nil)
        (self.reading.due, self.waits) = (now, 0)
        self.settings.begin(at: now)
        self.versions.begin()
        // A coordinator that was promoted may have older metadata than the workers.
        self.compareAt = now + Self.comparison.first
        if let hold = self.hold, !hold.isEnding, self.update == nil { self.releaseHold(hold, into: &actions) }
    }

    // MARK: - Answers

    mutating func learn(
        rows: [NodeRow], askedAt: Instant, at now: Instant, into actions: inout [CitusAction],
        _ reports: inout [CitusReport]
    ) {
        // That of a question that was given up may count for the next: then the rows are read once more.
        self.reading.answered()
        // When a later one has been answered, or something was changed since: the past.
        if self.rows != nil, askedAt < self.rowsAskedAt { return }
        guard askedAt >= self.rowsCountFrom else { return self.reading.hasten(to: now) }
        self.lostUpdate = nil
        self.reading.due = askedAt + Self.pace
        if self.unreadable != nil { reports.append(.databaseReached(self.name)) }
        self.unreadable = nil
        self.rows = rows
        self.rowsAskedAt = askedAt
        if self.awaited == nil, self.compareAt <= now, Self.behind(rows).isEmpty {
            self.compareAt = now + Self.comparison.pace
            self.awaited = Synchronization(groups: [:], since: now)
        }
        self.checkSynchronization(rows, at: now, into: &actions, &reports)
    }

    /// A group whose leadership changes may have got its row since the rows were read.
    mutating func lookFor(_ change: GroupChange, at now: Instant) {
        switch change.fact {
        case .leader, .requested(.some):
            guard let rows = self.rows, !rows.contains(where: { $0.group == change.group }) else { return }
            self.reading.hasten(to: now)
        case .noLeader, .requested(nil), .member, .synchronous, .log: break
        }
    }

    mutating func rowsUnread(_ reason: String, at now: Instant, into reports: inout [CitusReport]) {
        self.reading.answered()
        self.reading.due = now + .seconds(1)
        if self.unreadable == nil { reports.append(.databaseUnreachable(self.name, reason: reason)) }
        self.unreadable = reason
    }

    /// Answers the secondary that was registered or removed by it.
    mutating func updateEnded(
        _ groups: [Int], _ outcome: UpdateOutcome, causedBy cause: Int?, _ views: [Int: Group], askedAt: Instant,
        at now: Instant, into reports: inout [CitusReport]
    ) -> NodeEndpoint? {
        (self.lostUpdate, self.lostHold) = (nil, nil)
        // That of one that was given up comes too late: the rows say what came of it.
        guard let update = self.update, update.groups == groups, askedAt >= update.since else { return nil }
        if let hold = self.hold, groups.contains(hold.group) { self.hold = nil }
        self.update = nil
        if !update.isUnforced { self.waits = outcome == .applied ? 0 : max(0, self.waits - 1) }
        switch outcome {
        case .applied, .unknown, .rowChanged: self.readAnew(at: now)
        case .notCoordinator, .inRecovery, .olderRevision, .supersededCluster, .blocked, .failed:
            self.reading.due = now
        }
        var secondary: NodeEndpoint?
        // One group that cannot be changed now does not keep the others waiting: they are tried again at once, without it.
        for group in groups where cause == nil || cause == group {
            secondary =
                self.ended(group, outcome, views[group], update, at: now, into: &reports) ?? secondary
        }
        return secondary
    }

    private mutating func ended(
        _ group: Int, _ outcome: UpdateOutcome, _ view: Group?, _ update: Update, at now: Instant,
        into reports: inout [CitusReport]
    ) -> NodeEndpoint? {
        let isMembership = self.membership?.group == group && self.drifts[group] == nil
        guard var drift = isMembership ? self.membership?.drift : self.drifts[group] else { return nil }
        if case .applied = outcome {
            if isMembership { self.membership = nil }
            let since = max(drift.since, view?.leaderAt ?? drift.since)
            reports.append(
                .updated(
                    self.name, group: group, changes: drift.changes, leader: view?.leader?.name ?? "",
                    after: now - since))
            self.drifts[group] = nil
            var groups = self.awaited?.groups ?? [:]
            groups[group] = now
            self.awaited = Synchronization(groups: groups, since: now)
            return isMembership ? drift.changes.first?.secondary : nil
        }
        // The rows that are read now say what is to be done, if anything.
        if outcome == .rowChanged {
            drift.retryAt = now + .milliseconds(200)
            if isMembership { self.membership?.drift = drift } else { self.drifts[group] = drift }
            return nil
        }
        drift.failures += 1
        var delay = Self.updateBackoff.pause(after: drift.failures)
        if case .blocked = outcome, update.isUnforced { delay = Self.unforcedPause }
        if outcome == .inRecovery {
            // This node's own PostgreSQL is being promoted: not a failure, and over soon as a rule.
            drift.failures -= 1
            let isRecent = now - (view?.leaderAt ?? drift.since) < .seconds(60)
            delay = isRecent ? .milliseconds(50) : .seconds(1)
        } else {
            reports.append(.updateFailed(self.name, group: group, outcome, retryAfter: delay))
        }
        if case .olderRevision(let applied) = outcome {
            drift.refused = (applied, update.cluster, now)
            drift.rebuiltFrom = nil
        }
        drift.retryAt = now + delay
        if isMembership { self.membership?.drift = drift } else { self.drifts[group] = drift }
        return nil
    }

    /// What was read before is the past, or may be.
    mutating func readAnew(at now: Instant) {
        (self.rows, self.rowsCountFrom) = (nil, now)
        self.reading.due = now
    }

    /// A linearizable read of etcd that was sent after the fence's refusal shows a leader key that is older than the one
    /// applied. In one etcd's history the key of now is never older than one of before: it was rebuilt under the same number.
    /// - Parameters:
    ///   - leaders: at which revision each group's leader key was written last, as the read shows.
    ///   - cluster: which etcd cluster was read. In another one's history those numbers mean nothing.
    mutating func learn(leaders: [Int: Int64], of cluster: UInt64?, sentAt: Instant) {
        for (group, drift) in self.drifts {
            if let drift = Self.rebuilt(drift, leaders[group], cluster, sentAt) { self.drifts[group] = drift }
        }
        guard let (group, drift) = self.membership else { return }
        if let drift = Self.rebuilt(drift, leaders[group], cluster, sentAt) { self.membership = (group, drift) }
    }

    private static func rebuilt(_ drift: Drift, _ written: Int64?, _ cluster: UInt64?, _ sentAt: Instant) -> Drift? {
        guard let refused = drift.refused, refused.cluster == cluster, sentAt >= refused.at, let written,
            written < refused.applied
        else { return nil }
        var drift = drift
        (drift.rebuiltFrom, drift.retryAt) = (refused.applied, nil)
        return drift
    }
}
