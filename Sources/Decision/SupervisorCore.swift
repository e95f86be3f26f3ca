// SPDX-License-Identifier: Apache-2.0

/// The decisions of one node's daemon: events in, actions out, with the time as an argument.
///
/// It never reads a clock, draws a random number, logs or waits. The same value runs in the daemon, in the simulator and in the
/// tests. The caller delivers every event in the order in which it happened, carries the actions out in their order, and
/// delivers ``Event/tick`` at ``wakeAt``.
public struct SupervisorCore: Sendable {
    var shared: Shared
    var leases: [AddressLease]
    var citus: CitusCore?
    var detector: DetectorCore?
    /// Nil where no other member is watched.
    var ledger: Ledger?
    /// When the next event without a cause is due: later than the last event's time.
    public internal(set) var wakeAt: Instant

    var isReadUnderWay = false
    var readAt: Instant
    var readSentAt: Instant?
    var isInspectionUnderWay = false
    var isInspectionDue = true
    var inspectAt: Instant
    var hasInspected = false
    /// Why the last listing failed; nil if it did not.
    var inspectionFailure: String?
    var isReady = false
    var isMarking = false
    var markAt: Instant?
    var isPostgresAsked = false
    /// Whether PostgreSQL ended its connection since it answered last.
    var isPostgresInDoubt = false
    var postgresAskedAt: Instant?
    var isPatroniAsked = false
    var patroniAskedAt: Instant?
    var hasReportedFailsafe = false
    var watchDebts = WatchDebts()
    var stopBy: Instant?
    var hasStopped = false

    public init(_ settings: CoreSettings, at now: Instant) {
        self.shared = Shared(settings: settings, startedAt: now)
        self.leases = settings.addresses.map { AddressLease($0, since: now) }
        self.citus = settings.citus.map { CitusCore($0, member: settings.member, at: now) }
        self.detector = settings.detector.map { DetectorCore($0, member: settings.member, at: now) }
        self.ledger = settings.detector.map { Ledger(member: MemberID($0.group, settings.member)) }
        self.readAt = now
        self.inspectAt = now
        self.wakeAt = now
    }

    public mutating func handle(_ event: Event, at now: Instant, into actions: inout [Action]) {
        guard !self.hasStopped else { return }
        let begin = actions.count
        self.learn(event, at: now, into: &actions)
        if self.hasStopped { return }
        self.advanceCitus(event, at: now, into: &actions)
        self.advanceDetector(event, at: now, into: &actions)
        var isAnyDropped = false
        for index in self.leases.indices {
            self.leases[index].advance(self.shared, at: now, into: &actions)
            if self.leases[index].isDropped { isAnyDropped = true }
        }
        if isAnyDropped { self.leases.removeAll { $0.isDropped } }
        self.keepLedger(event, since: begin, at: now, into: &actions)
        self.schedule(at: now, into: &actions)
    }

    private mutating func learn(_ event: Event, at now: Instant, into actions: inout [Action]) {
        switch event {
        case .tick, .groups, .citus, .detector: break
        case .reconfigured(let settings): self.reconfigure(settings, at: now)
        case .stop:
            guard !self.shared.isStopping else { return }
            self.shared.isStopping = true
            self.stopBy = now + .seconds(3)
            actions.append(.report(.stopping))
        case .handOver:
            guard !self.shared.isStopping else { return }
            self.hasStopped = true
            actions.append(.report(.handedOver(held: self.leases.filter(\.isHere).map(\.id))))
            actions.append(.exit)
        case .readAnswered, .readFailed, .followed, .watched, .leaseGranted, .leaseRefused, .leaseKept, .leaseGone,
            .leaseUnanswered,
            .leaseRevoked, .acquired, .acquireRefused, .acquireFoundNoLease, .acquireUnanswered, .markAnswered:
            self.learnFromEtcd(event, at: now, into: &actions)
        case .inspected, .inspectionFailed, .kernelSaw, .kernelChanged, .linkReturned, .assigned, .assignFailed,
            .removed, .removeFailed, .duplicateSeen, .postgres, .postgresDisconnected, .patroni:
            self.learnFromNode(event, at: now, into: &actions)
        }
    }

    mutating func update(_ address: AddressID, _ change: (inout AddressLease) -> Void) {
        for index in self.leases.indices where self.leases[index].id == address { change(&self.leases[index]) }
    }

    private mutating func reconfigure(_ settings: CoreSettings, at now: Instant) {
        let ttl = self.shared.knownTTL
        self.shared.settings = LeaseSettings(settings)
        self.shared.ttlMayHaveChanged(from: ttl, at: now)
        for index in self.leases.indices {
            let id = self.leases[index].id
            self.leases[index].reconfigure(settings.addresses.first { $0.id == id })
        }
        for spec in settings.addresses where !self.leases.contains(where: { $0.id == spec.id }) {
            self.leases.append(AddressLease(spec, since: now))
        }
        self.isInspectionDue = true
        self.readAt = now
    }
}
