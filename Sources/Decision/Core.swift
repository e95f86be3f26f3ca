// SPDX-License-Identifier: Apache-2.0

/// The decisions of one node's daemon: events in, actions out, with the time as an argument.
///
/// It never reads a clock, draws a random number, logs or waits. The same value runs in the daemon, in the simulator and in the
/// tests. The caller delivers every event in the order in which it happened, carries the actions out in their order, and
/// delivers ``Event/tick`` at ``wakeAt``.
public struct Core: Sendable {
    var node: NodeState
    var leases: [AddressLease]
    /// One for each of the leases, in their order.
    var ports: [PortWatch] = []
    /// Nil where nobody looks at the groups: neither of the next two.
    var groupsView: GroupsView?
    var citus: CitusCore?
    var detector: DetectorCore?
    /// Nil where no other member is watched.
    var ledger: Ledger?
    /// Grows with each event after which other failures may be survived than before: who is there, leads, runs, publishes, and which
    /// endpoints of etcd answer.
    public internal(set) var stirs: UInt64 = 0
    /// When the next event without a cause is due: later than the last event's time.
    public internal(set) var wakeAt: Instant

    // What is asked again and again; see ``giveUpOverdue(at:into:)``.
    var read: Question
    var mark: Question
    /// Due at the earliest, where a listing is wanted.
    var listing: Question
    /// Due at the earliest, where the question is of use. So is the next one.
    var postgresQuestion: Question
    var patroniQuestion: Question
    /// For how long etcd is believed to be in contact after a read that it answered.
    var contactPatience = Duration.zero
    var isListingWanted = true
    /// When the newest listing began that was answered.
    var listedSince: Instant?
    /// Why the last listing failed; nil if it did not.
    var inspectionFailure: String?
    var isReady = false
    /// Whether the clock was last measured to be corrected faster than the margin allows for.
    var isClockBeyondDrift = false
    /// Whether PostgreSQL ended its connection since it answered last.
    var isPostgresInDoubt = false
    var hasReportedFailsafe = false
    var watchDebts = WatchDebts()
    var stopBy: Instant?
    /// How long giving the addresses back may take at a stop.
    package static let stopLimit: Duration = .seconds(3)
    var hasStopped = false
    /// What the next process is to remember, also of addresses that are not configured now.
    public private(set) var memory: Memory

    public init(_ settings: CoreSettings, memory: Memory = Memory(), at now: Instant) {
        self.memory = memory
        self.node = NodeState(settings: settings, startedAt: now)
        self.leases = settings.addresses.map { AddressLease($0, memory, since: now) }
        self.groupsView = GroupsSchedule(settings).map { GroupsView($0, at: now) }
        self.citus = settings.citus.map {
            CitusCore(
                $0, member: settings.member, places: memory.places, limits: settings.limits, at: now)
        }
        self.detector = settings.detector.map {
            DetectorCore(
                $0, member: settings.member, addresses: settings.addresses.map(\.id), limits: settings.limits, at: now)
        }
        self.ledger = settings.detector.map { Ledger(member: MemberID($0.group, settings.member)) }
        self.read = Question(due: now, pace: Self.etcdPace)
        self.mark = Question(due: now)
        self.listing = Question(due: now, pace: Self.listingPace)
        self.postgresQuestion = Question(due: now)
        self.patroniQuestion = Question(due: now)
        self.wakeAt = now
    }

    public mutating func handle(_ event: Event, at now: Instant, into actions: inout [Action]) {
        guard !self.hasStopped else { return }
        let begin = actions.count
        self.node.noteTurn(at: now, due: self.wakeAt)
        self.learn(event, at: now, into: &actions)
        if self.hasStopped { return }
        self.giveUpOverdue(at: now, into: &actions)
        self.advanceOthers(event, at: now, into: &actions)
        var isAnyDropped = false
        for index in self.leases.indices {
            self.leases[index].advance(self.node, at: now, into: &actions)
            if self.leases[index].isDropped { isAnyDropped = true }
        }
        if isAnyDropped { self.leases.removeAll { $0.isDropped } }
        self.tryPorts(at: now, into: &actions)
        self.remember(into: &actions)
        self.keepLedger(event, since: begin, at: now, into: &actions)
        self.schedule(at: now, into: &actions)
    }

    private mutating func learn(_ event: Event, at now: Instant, into actions: inout [Action]) {
        switch event {
        case .tick, .groups, .citus, .detector: break
        case .reconfigured(let settings): self.reconfigure(settings, at: now)
        case .stop:
            guard !self.node.isStopping else { return }
            self.node.isStopping = true
            self.stopBy = now + Self.stopLimit
            actions.append(.report(.stopping))
        case .handOver:
            guard !self.node.isStopping else { return }
            self.hasStopped = true
            actions.append(.report(.handedOver(held: self.leases.filter(\.isHere).map(\.id))))
            actions.append(.exit)
        case .readAnswered, .readFailed, .followed, .watched, .leaseGranted, .leaseRefused, .leaseKept, .leaseGone,
            .leaseUnanswered,
            .leaseRevoked, .acquired, .acquireRefused, .acquireFoundNoLease, .acquireUnanswered, .markAnswered:
            self.learnFromEtcd(event, at: now, into: &actions)
        case .inspected, .inspectionFailed, .kernelSaw, .kernelLost, .kernelChanged, .linkReturned, .assigned,
            .assignFailed,
            .removed, .removeFailed, .duplicateSeen, .clockMeasured, .postgres, .postgresDisconnected, .patroni,
            .portTried:
            self.learnFromNode(event, at: now, into: &actions)
        }
    }

    /// Hands what is newly remembered to the shell, with what is remembered of addresses that are not configured any more.
    private mutating func remember(into actions: inout [Action]) {
        let hasNewPlace = self.citus?.hasNewPlace ?? false
        // By index: an element would be copied, at every event.
        guard hasNewPlace || self.leases.indices.contains(where: { self.leases[$0].isMemoryNew }) else { return }
        if hasNewPlace, let places = self.citus?.places {
            self.memory.places = places
            self.citus?.hasNewPlace = false
        }
        for index in self.leases.indices where self.leases[index].isMemoryNew {
            self.leases[index].isMemoryNew = false
            let (id, trail) = (self.leases[index].id, self.leases[index].memory)
            self.memory.trails.removeAll { $0.address == id }
            self.memory.trails.append(Addressed(id, trail))
        }
        if self.memory.trails.count > Memory.limit {
            self.memory.trails.removeAll { entry in !self.leases.contains { $0.id == entry.address } }
        }
        self.memory.trails.sort { $0.address < $1.address }
        self.memory.followsForgetful = false
        actions.append(.remember(self.memory))
    }

    mutating func update(_ address: AddressID, _ change: (inout AddressLease) -> Void) {
        for index in self.leases.indices where self.leases[index].id == address {
            change(&self.leases[index])
            self.leases[index].isDeadlineStale = true
        }
    }

    private mutating func reconfigure(_ settings: CoreSettings, at now: Instant) {
        let ttl = self.node.knownTTL
        self.node.settings = LeaseSettings(settings)
        self.node.limits = settings.limits
        self.detector?.limits = settings.limits
        self.detector?.lookAfter(settings.addresses.map(\.id))
        self.node.ttlMayHaveChanged(from: ttl, at: now)
        for index in self.leases.indices {
            let id = self.leases[index].id
            self.leases[index].reconfigure(settings.addresses.first { $0.id == id })
        }
        for spec in settings.addresses where !self.leases.contains(where: { $0.id == spec.id }) {
            var lease = AddressLease(spec, self.memory, since: now)
            lease.interfaceState = self.node.state(of: spec.interface)
            self.leases.append(lease)
        }
        self.isListingWanted = true
        self.read.hasten(to: now)
    }
}
