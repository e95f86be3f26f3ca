// SPDX-License-Identifier: Apache-2.0

/// The decisions of one node's daemon: events in, actions out, with the time as an argument.
///
/// It never reads a clock, draws a random number, logs or waits. The same value runs in the daemon, in the simulator and in the
/// tests. The caller delivers every event in the order in which it happened, carries the actions out in their order, and
/// delivers ``Event/tick`` at ``wakeAt``.
public struct SupervisorCore: Sendable {
    var shared: Shared
    var leases: [AddressLease]
    /// When the next event without a cause is due.
    public private(set) var wakeAt: Instant

    private var isReadUnderWay = false
    private var readAt: Instant
    private var isInspectionUnderWay = false
    private var isInspectionDue = true
    private var inspectAt: Instant
    private var hasInspected = false
    private var isReady = false
    private var isMarking = false
    private var contactLostAt: Instant?
    private var isPostgresAsked = false
    private var postgresAskedAt: Instant?
    private var isPatroniAsked = false
    private var patroniAskedAt: Instant?
    private var hasReportedFailsafe = false
    /// A read has shown a leader that the watch has not: it gets until then to show it too.
    private var watchDeadline: Instant?
    private var stopBy: Instant?
    private var hasStopped = false

    public init(_ settings: CoreSettings, at now: Instant) {
        self.shared = Shared(settings: settings)
        self.leases = settings.addresses.map { AddressLease($0) }
        self.readAt = now
        self.inspectAt = now
        self.wakeAt = now
    }

    public mutating func handle(_ event: Event, at now: Instant, into actions: inout [Action]) {
        guard !self.hasStopped else { return }
        self.learn(event, at: now, into: &actions)
        for index in self.leases.indices { self.leases[index].advance(self.shared, at: now, into: &actions) }
        self.leases.removeAll { $0.isDropped }
        self.schedule(at: now, into: &actions)
    }

    // MARK: - Learning

    private mutating func learn(_ event: Event, at now: Instant, into actions: inout [Action]) {
        switch event {
        case .tick: break
        case .reconfigured(let settings): self.reconfigure(settings)
        case .stop:
            guard !self.shared.isStopping else { return }
            self.shared.isStopping = true
            self.stopBy = now + .seconds(3)
            actions.append(.report(.stopping))

        case .readAnswered(let snapshot, let sentAt):
            self.isReadUnderWay = false
            self.learn(snapshot, sentAt: sentAt, at: now, into: &actions)
        case .readFailed(let reason):
            self.isReadUnderWay = false
            self.readAt = now + min(.seconds(1), self.shared.period)
            guard self.contactLostAt == nil else { return }
            self.contactLostAt = now
            let age = self.shared.lastRead.map { now - $0 } ?? .zero
            actions.append(.report(.contactLost(reason: reason, lastRead: age)))
        case .watched(let clusterID, let revision, let changes):
            self.learn(changes, clusterID, revision, at: now, into: &actions)
        case .markAnswered(let reason):
            self.isMarking = false
            self.readAt = reason == nil ? now : now + .seconds(1)

        case .leaseGranted(let address, let lease, let ttl, let sentAt):
            let goodUntil = sentAt + ttl - self.shared.settings.margin(for: ttl)
            self.update(address) { $0.leaseGranted(lease, ttl: ttl, goodUntil: goodUntil, into: &actions) }
        case .leaseRefused(let address, let reason):
            self.update(address) { $0.leaseRefused(reason, at: now, into: &actions) }
        case .leaseKept(let address, let lease, let ttl, let sentAt):
            let goodUntil = sentAt + ttl - self.shared.settings.margin(for: ttl)
            self.update(address) { $0.leaseKept(lease, ttl: ttl, goodUntil: goodUntil) }
        case .leaseGone(let address, let lease):
            self.update(address) { $0.leaseGone(lease, into: &actions) }
        case .leaseUnanswered(let address, let lease, _):
            self.update(address) { $0.leaseUnanswered(lease, at: now) }
        case .leaseRevoked(let address, let lease):
            self.update(address) { $0.leaseRevoked(lease, into: &actions) }
        case .acquired(let address, let lease, let revision, let sentAt):
            self.learnAcquisition(of: address, lease, revision, sentAt: sentAt, into: &actions)
        case .acquireRefused(let address, let lease, let found, let sentAt):
            let holder = found.holders.first { $0.address == address }?.holder.member
            actions.append(.report(.acquireRefused(address, holder: holder, leader: found.leader)))
            self.update(address) { $0.acquireFailed(lease, at: now) }
            self.learn(found, sentAt: sentAt, at: now, into: &actions)
        case .acquireUnanswered(let address, let lease, _):
            self.update(address) { $0.acquireFailed(lease, at: now) }
            self.readAt = min(self.readAt, now)

        case .inspected(let state, let since): self.learn(state, since: since, at: now, into: &actions)
        case .inspectionFailed(let reason):
            self.isInspectionUnderWay = false
            self.isInspectionDue = true
            self.inspectAt = now + .seconds(1)
            actions.append(.report(.inspectionFailed(reason: reason)))
        case .kernelChanged: self.isInspectionDue = true
        case .kernelSaw(let address, let place, let isPresent):
            let isExpected = self.leases.first { $0.id == address }?.expects(isPresent: isPresent, at: place) ?? true
            if !isExpected { self.isInspectionDue = true }
        case .assigned(let address): self.update(address) { $0.assigned(at: now, into: &actions) }
        case .assignFailed(let address, let reason):
            self.update(address) { $0.assignFailed(reason, at: now, into: &actions) }
            self.isInspectionDue = true
        case .removed(let address, let place, let wasPresent):
            self.update(address) { $0.removed(place, wasPresent: wasPresent, at: now, into: &actions) }
        case .removeFailed(let address, let place, let reason):
            self.update(address) { $0.removeFailed(place, reason, at: now, into: &actions) }
        case .duplicateSeen(let address, let linkAddress):
            actions.append(.report(.duplicateSeen(address, linkAddress: linkAddress)))
        case .postgres(let state, let askedAt):
            self.isPostgresAsked = false
            if state.isOtherKind(than: self.shared.postgres) { actions.append(.report(.postgresChanged(state))) }
            self.shared.postgres = state
            self.shared.postgresAskedAt = askedAt
        case .patroni(let answer, let askedAt):
            self.isPatroniAsked = false
            self.learn(answer, askedAt: askedAt, into: &actions)
        }
    }

    private mutating func learnAcquisition(
        of address: AddressID, _ lease: LeaseID, _ revision: Int64, sentAt: Instant, into actions: inout [Action]
    ) {
        let isAwaited = self.leases.contains { $0.id == address && $0.isAcquiring(lease) }
        if isAwaited {
            let settings = self.shared.settings
            let holder = Holder(member: settings.member, node: settings.node, lease: lease)
            self.shared.view?.learn(holder: holder, of: address, at: revision)
            self.shared.lastRead = max(self.shared.lastRead ?? sentAt, sentAt)
        }
        self.update(address) { $0.acquired(lease, revision: revision, into: &actions) }
    }

    private mutating func update(_ address: AddressID, _ change: (inout AddressLease) -> Void) {
        for index in self.leases.indices where self.leases[index].id == address { change(&self.leases[index]) }
    }

    private mutating func reconfigure(_ settings: CoreSettings) {
        self.shared.settings = settings
        for index in self.leases.indices {
            let id = self.leases[index].id
            self.leases[index].reconfigure(settings.addresses.first { $0.id == id })
        }
        for spec in settings.addresses where !self.leases.contains(where: { $0.id == spec.id }) {
            self.leases.append(AddressLease(spec))
        }
        self.shared.view?.follow(self.leases.map(\.id))
        self.isInspectionDue = true
        self.readAt = .init(sinceBoot: .zero)
    }

    private mutating func learn(_ snapshot: Snapshot, sentAt: Instant, at now: Instant, into actions: inout [Action]) {
        if let view = self.shared.view, view.clusterID != snapshot.clusterID {
            actions.append(.report(.clusterReplaced(old: view.clusterID, new: snapshot.clusterID)))
            self.shared.view = nil
            for index in self.leases.indices { self.leases[index].forgetCluster() }
        }
        let isFirst = self.shared.view == nil
        var view = self.shared.view ?? ClusterView(clusterID: snapshot.clusterID, addresses: self.leases.map(\.id))
        let wasPaused = view.patroni.value.isPaused
        let change = view.learn(snapshot)
        self.shared.view = view
        self.shared.lastRead = max(self.shared.lastRead ?? sentAt, sentAt)
        if isFirst {
            actions.append(
                .report(
                    .contactMade(clusterID: view.clusterID, revision: snapshot.revision, leader: view.leader.value)))
        }
        if let lostAt = self.contactLostAt {
            self.contactLostAt = nil
            self.hasReportedFailsafe = false
            actions.append(.report(.contactRestored(after: now - lostAt)))
        }
        self.leaderMayHaveChanged(change, isFirst: isFirst, at: now, into: &actions)
        if change != nil, !isFirst { self.watchDeadline = now + .seconds(1) }
        self.pauseMayHaveChanged(wasPaused, into: &actions)
        if !view.isMarked, !self.isMarking {
            self.isMarking = true
            actions.append(.report(.quarantined(clusterID: view.clusterID)))
            actions.append(
                .markCluster(
                    clusterID: view.clusterID, seen: view.mark.value, quarantine: self.shared.leaseTTL))
        }
    }

    private mutating func learn(
        _ changes: [KeyChange], _ clusterID: UInt64, _ revision: Int64, at now: Instant, into actions: inout [Action]
    ) {
        guard var view = self.shared.view else { return }
        guard view.clusterID == clusterID else { self.readAt = now; return }
        let wasPaused = view.patroni.value.isPaused
        var leaderChange: LeaderChange?
        for change in changes {
            if let newer = view.learn(change, at: revision) { leaderChange = newer }
            if case .leader(view.leader.value) = change { self.watchDeadline = nil }
        }
        self.shared.view = view
        self.leaderMayHaveChanged(leaderChange, isFirst: false, at: now, into: &actions)
        self.pauseMayHaveChanged(wasPaused, into: &actions)
    }

    private mutating func leaderMayHaveChanged(
        _ change: LeaderChange?, isFirst: Bool, at now: Instant, into actions: inout [Action]
    ) {
        guard let view = self.shared.view, change != nil || isFirst else { return }
        if !self.shared.isLeader {
            self.shared.leaderSince = nil
        } else if self.shared.leaderSince == nil {
            self.shared.leaderSince = now
        }
        if let change, !isFirst {
            actions.append(
                .report(
                    .leaderChanged(from: change.before, to: view.leader.value, revision: view.leader.revision)))
        }
    }

    private func pauseMayHaveChanged(_ wasPaused: Bool, into actions: inout [Action]) {
        guard let isPaused = self.shared.view?.patroni.value.isPaused, isPaused != wasPaused else { return }
        actions.append(.report(.pauseChanged(isPaused: isPaused)))
    }

    private mutating func learn(_ state: KernelState, since: Instant, at now: Instant, into actions: inout [Action]) {
        self.isInspectionUnderWay = false
        self.hasInspected = true
        self.shared.interfaces = state
        for index in self.leases.indices
        where self.leases[index].inspected(state.found, since: since, at: now, into: &actions) {
            self.isInspectionDue = true
            self.inspectAt = now + .milliseconds(50)
        }
    }

    /// Patroni repeats its failsafe round every `loop_wait`, and the members that it reaches wait `ttl` after the last one
    /// before they elect another leader: an answer at t covers the address until t + ttl − loop_wait − margin.
    private mutating func learn(_ answer: PatroniAnswer, askedAt: Instant, into actions: inout [Action]) {
        guard case .answered(isRunningPrimary: true, isFailsafeActive: true) = answer,
            let config = self.shared.view?.patroni.value
        else { return }
        let until = askedAt + config.ttl - config.loopWait - self.shared.settings.margin(for: config.ttl)
        self.shared.failsafeUntil = max(self.shared.failsafeUntil ?? until, until)
        guard !self.hasReportedFailsafe else { return }
        self.hasReportedFailsafe = true
        for lease in self.leases where lease.isHere {
            actions.append(.report(.failsafeHolds(lease.id, until: until - askedAt)))
        }
    }

    // MARK: - What is due

    private mutating func schedule(at now: Instant, into actions: inout [Action]) {
        if self.readAt <= now, !self.isReadUnderWay {
            self.isReadUnderWay = true
            self.readAt = now + self.period
            actions.append(.read)
            for index in self.leases.indices { self.leases[index].keepAlive(into: &actions) }
        }
        if let deadline = self.watchDeadline, deadline <= now {
            self.watchDeadline = nil
            actions.append(.report(.watchStale(revision: self.shared.view?.leader.revision ?? 0)))
            actions.append(.restartWatch)
        }
        if self.isInspectionDue, !self.isInspectionUnderWay, self.inspectAt <= now {
            self.isInspectionDue = false
            self.isInspectionUnderWay = true
            actions.append(.inspect)
        }
        if let due = self.postgresDue(at: now), due <= now, !self.isPostgresAsked {
            self.isPostgresAsked = true
            self.postgresAskedAt = now
            actions.append(.askPostgres)
        }
        if let due = self.patroniDue(at: now), due <= now, !self.isPatroniAsked {
            self.isPatroniAsked = true
            self.patroniAskedAt = now
            actions.append(.askPatroni)
        }
        if !self.isReady, self.shared.view != nil, self.hasInspected {
            self.isReady = true
            actions.append(.ready)
        }
        if let stopBy = self.stopBy, stopBy <= now || self.leases.allSatisfy(\.isIdle) {
            self.hasStopped = true
            actions.append(.report(.stopped(unreleased: self.leases.filter { !$0.isIdle }.map(\.id))))
            actions.append(.exit)
        }
        self.wakeAt = self.nextWake(after: now)
    }

    /// Time between two renewals: a lease that was granted with a shorter TTL than today's needs them more often.
    private var period: Duration {
        var ttl = self.shared.leaseTTL
        for lease in self.leases { if let granted = lease.key.ttl { ttl = min(ttl, granted) } }
        return ttl / 6
    }

    private func nextWake(after now: Instant) -> Instant {
        var wakeAt = Instant.distantFuture
        func consider(_ instant: Instant?) {
            if let instant, instant > now, instant < wakeAt { wakeAt = instant }
        }
        consider(self.readAt)
        consider(self.watchDeadline)
        if self.isInspectionDue { consider(self.inspectAt) }
        consider(self.postgresDue(at: now))
        consider(self.patroniDue(at: now))
        consider(self.stopBy)
        for lease in self.leases { consider(lease.wakeAt(after: now)) }
        return wakeAt
    }

    /// While a promotion is under way PostgreSQL is asked every 50 ms; while its answer changes nothing, seldom.
    private func postgresDue(at now: Instant) -> Instant? {
        guard self.shared.isLeader, let leaderSince = self.shared.leaderSince, !self.shared.isStopping,
            self.leases.contains(where: { $0.spec.acquire == .writable })
        else { return nil }
        guard let askedAt = self.postgresAskedAt else { return leaderSince }
        let areHeld = self.leases.allSatisfy { $0.key.isHeld || $0.spec.acquire == .leaderKey }
        let isRecent = now - leaderSince < .seconds(60)
        let interval: Duration =
            switch self.shared.postgres {
            case .primary: areHeld ? self.shared.period : .milliseconds(500)
            case .standby, nil: isRecent ? .milliseconds(50) : .seconds(1)
            case .unreachable: areHeld ? .seconds(1) : isRecent ? .milliseconds(100) : .seconds(1)
            }
        let due = askedAt + interval
        // An answer from before the leadership proves nothing.
        return askedAt < leaderSince ? min(due, leaderSince) : due
    }

    private func patroniDue(at now: Instant) -> Instant? {
        guard let view = self.shared.view, view.patroni.value.isFailsafeEnabled, let lostAt = self.contactLostAt,
            self.leases.contains(where: \.isHere)
        else { return nil }
        let interval = max(.seconds(1), min(view.patroni.value.loopWait, self.shared.period) / 2)
        return self.patroniAskedAt.map { $0 + interval } ?? lostAt
    }
}

extension PostgresState {
    fileprivate func isOtherKind(than other: PostgresState?) -> Bool {
        switch (self, other) {
        case (.primary, .primary), (.standby, .standby), (.unreachable, .unreachable): false
        case (.primary, _), (.standby, _), (.unreachable, _): true
        }
    }
}

// MARK: - What can be seen from outside

extension SupervisorCore {
    /// What is believed of etcd, by reads and watch events; nil before the first read.
    public var believedSnapshot: Snapshot? {
        guard let view = self.shared.view else { return nil }
        return Snapshot(
            clusterID: view.clusterID, revision: view.revision, leader: view.leader.value,
            patroni: view.patroni.value, mark: view.mark.value, isQuarantined: view.isQuarantined.value,
            holders: self.leases.compactMap { lease in
                view.holder(of: lease.id).value.map { AddressHolder(address: lease.id, holder: $0) }
            })
    }

    /// Whether etcd answered the last read.
    public var hasContact: Bool { self.shared.view != nil && self.contactLostAt == nil }

    /// What the local PostgreSQL said last.
    public var postgres: PostgresState? { self.shared.postgres }

    public var addressStatuses: [AddressStatus] {
        self.leases.map { lease in
            AddressStatus(
                id: lease.id, prefixLength: lease.spec.prefixLength, interface: lease.spec.interface,
                stance: lease.stance, isHere: lease.isHere,
                holder: self.shared.view?.holder(of: lease.id).value?.member, lease: lease.key.lease?.id,
                until: lease.kernel.until)
        }
    }
}

/// What is known and thought of one address.
public struct AddressStatus: Hashable, Sendable {
    public let id: AddressID
    public let prefixLength: Int
    public let interface: String
    public let stance: Stance
    /// Whether this node's kernel holds it.
    public let isHere: Bool
    /// The member that its key names.
    public let holder: String?
    /// Our lease, if there is one.
    public let lease: LeaseID?
    /// The end of the lifetime that the kernel was given.
    public let until: Instant?
}
