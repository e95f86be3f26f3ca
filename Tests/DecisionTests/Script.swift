// SPDX-License-Identifier: Apache-2.0
import Decision

/// One core and its clock: events go in, and what it does about them comes out, in order.
struct Script {
    static let address = "10.0.0.3"
    static let spec = AddressSpec(id: Self.address, prefixLength: 24, interface: "eth0", acquire: .writable)
    static let place = Self.spec.place
    static let cluster: UInt64 = 7
    /// What a lease of 30 s loses to the margin: 2 s and 1 %.
    static let margin: Duration = .milliseconds(2300)
    /// How long a history that nothing is known of is not trusted, after a lease of 30 s: 1 % longer, as a clock may be slow.
    static let historyWait: Duration = .milliseconds(30_300)
    /// What is asked for where `failsafe_mode` is on.
    static let failsafeTTL: Duration = .seconds(41)

    private(set) var core: Core
    private(set) var now: Instant
    /// What the last event made the core say.
    private(set) var reports: [Report] = []
    /// What the last transactions do to trails, and what the core wanted to be remembered last.
    private(set) var steps: [TrailStep] = []
    private(set) var memory: Memory?
    private var stepUnderWay: TrailStep?
    private var trail: TrailInEtcd?

    init(
        _ addresses: [AddressSpec] = [Self.spec], node: String = "boot-a", leaseTTL: Duration? = nil,
        memory: Memory = Memory()
    ) {
        self.now = Instant(sinceBoot: .seconds(100))
        self.core = Core(
            CoreSettings(member: "n1", node: node, addresses: addresses, leaseTTL: leaseTTL, clockDrift: 10_000),
            memory: memory,
            at: self.now)
    }

    /// Delivers an event some time after the one before; answers the actions, without the reports among them.
    mutating func on(_ event: Event, after delay: Duration = .milliseconds(1)) -> [Action] {
        self.now = self.now + delay
        var actions: [Action] = []
        let event = self.withTrail(event)
        self.core.handle(event, at: self.now, into: &actions)
        self.reports = []
        self.steps = []
        var others: [Action] = []
        for action in actions {
            switch action {
            case .report(let report): self.reports.append(report)
            case .remember(let memory): self.memory = memory
            // Trails have tests of their own: elsewhere, what else the transaction does counts.
            case .acquire(let id, let lease, let clusterID, let step):
                self.steps.append(step)
                self.stepUnderWay = step
                others.append(.acquire(id, lease: lease, clusterID: clusterID))
            case .takeOver(let id, let lease, let old, let clusterID, let step):
                self.steps.append(step)
                self.stepUnderWay = step
                others.append(.takeOver(id, lease: lease, from: old, clusterID: clusterID))
            case .markCluster(let clusterID, let seen, let quarantine, let trails):
                self.steps += trails.map(\.value)
                others.append(.markCluster(clusterID: clusterID, seen: seen, quarantine: quarantine))
            default: others.append(action)
            }
        }
        return others
    }

    /// What was acquired here stands in etcd from then on, unless the test says what does.
    private mutating func withTrail(_ event: Event) -> Event {
        if case .acquired(_, _, let revision, _, _) = event, let next = self.stepUnderWay?.next {
            self.trail = TrailInEtcd(next, revision: revision)
        }
        guard case .readAnswered(var snapshot, let sentAt) = event, let trail = self.trail, snapshot.trails.isEmpty,
            snapshot.clusterID == Self.cluster
        else { return event }
        snapshot.trails = [Addressed(Self.address, trail)]
        return .readAnswered(snapshot, sentAt: sentAt)
    }

    /// Lets the clock run to the next moment at which the core wants to be woken.
    mutating func wake() -> [Action] { self.on(.tick, after: self.core.wakeAt - self.now) }

    var wakesIn: Duration { self.core.wakeAt - self.now }
    var status: AddressStatus? { self.core.addressStatuses.first }
    var stance: Stance? { self.status?.stance }

    // MARK: - What happens often

    /// A read that was sent and answered now.
    mutating func read(_ snapshot: Snapshot, after delay: Duration = .milliseconds(1)) -> [Action] {
        self.on(.readAnswered(snapshot, sentAt: self.now + delay), after: delay)
    }

    mutating func watched(_ revision: Int64, _ change: KeyChange, after delay: Duration = .milliseconds(1)) -> [Action]
    {
        self.on(.watched(clusterID: Self.cluster, revision: revision, changes: [change]), after: delay)
    }

    mutating func listed(
        _ places: [KernelPlace] = [], up: Set<String> = ["eth0", "eth1"], down: Set<String> = []
    ) -> [Action] {
        self.listed(found: places.map { KernelState.Found(address: Self.address, place: $0) }, up: up, down: down)
    }

    mutating func listed(
        found: [KernelState.Found], up: Set<String> = ["eth0", "eth1"], down: Set<String> = []
    ) -> [Action] {
        let state = KernelState(found: found, usableInterfaces: up, downInterfaces: down)
        let begun = self.now
        return self.on(.inspected(state, since: begun))
    }

    mutating func postgres(_ state: PostgresState) -> [Action] { self.on(.postgres(state, askedAt: self.now)) }

    mutating func granted(_ lease: LeaseID, ttl: Duration = .seconds(30)) -> [Action] {
        self.on(.leaseGranted(Self.address, lease: lease, ttl: ttl, sentAt: self.now))
    }

    mutating func acquired(_ lease: LeaseID, _ revision: Int64) -> [Action] {
        self.on(
            .acquired(
                Self.address, lease: lease, revision: revision, sentAt: self.now,
                by: Answerer(clusterID: self.core.believedSnapshot?.clusterID ?? Self.cluster, raftTerm: 3)))
    }

    /// The etcd of ``cluster``, in raft's term 3.
    static func answerer(term: UInt64 = 3) -> Answerer { Answerer(clusterID: Self.cluster, raftTerm: term) }

    /// The core has started, knows its empty kernel, and has read `snapshot`.
    static func started(_ snapshot: Snapshot, _ script: Script = Script(), found: [KernelPlace] = []) -> Script {
        var script = script
        _ = script.on(.tick)
        _ = script.listed(found)
        _ = script.read(snapshot)
        return script
    }

    /// The core holds the address under lease 11, given to the kernel and announced.
    static func holding(_ script: Script = Script(), isFailsafeEnabled: Bool = false) -> Script {
        var script = Self.started(etcd(leader: "n1", isFailsafeEnabled: isFailsafeEnabled), script)
        _ = script.postgres(.primary)
        _ = script.granted(11, ttl: isFailsafeEnabled ? Self.failsafeTTL : .seconds(30))
        _ = script.acquired(11, 5)
        _ = script.on(.assigned(Self.address))
        return script
    }
}

/// What stands in etcd.
func etcd(
    leader: String? = nil, holder: Holder? = nil, revision: Int64 = 4, cluster: UInt64 = Script.cluster,
    mark: UInt64? = Script.cluster, isQuarantined: Bool = false, isPaused: Bool = false,
    isFailsafeEnabled: Bool = false,
    ttl: Duration = .seconds(30), term: UInt64 = 3, trail: TrailInEtcd? = nil
) -> Snapshot {
    Snapshot(
        clusterID: cluster, revision: revision, raftTerm: term, leader: leader,
        patroni: DynamicConfig(isPaused: isPaused, isFailsafeEnabled: isFailsafeEnabled, ttl: ttl),
        mark: mark.map(markOf),
        isQuarantined: isQuarantined,
        holders: holder.map { [AddressHolder(address: Script.address, holder: $0)] } ?? [],
        trails: trail.map { [Addressed(Script.address, $0)] } ?? []
    )
}

/// A mark that was written at revision 2.
func markOf(_ cluster: UInt64?) -> ClusterMark { ClusterMark(clusterID: cluster, revision: 2) }

func mine(_ lease: LeaseID) -> Holder { Holder(member: "n1", node: "boot-a", lease: lease) }
func theirs(_ lease: LeaseID) -> Holder { Holder(member: "n2", node: "boot-b", lease: lease) }

extension Action {
    private static let anyStep = TrailStep(seen: TrailInEtcd(), next: Trail())

    /// As ``Script/on(_:after:)`` answers them: whatever they do to the trail.
    static func acquire(_ id: AddressID, lease: LeaseID, clusterID: UInt64) -> Action {
        .acquire(id, lease: lease, clusterID: clusterID, trail: Self.anyStep)
    }

    static func takeOver(_ id: AddressID, lease: LeaseID, from old: LeaseID, clusterID: UInt64) -> Action {
        .takeOver(id, lease: lease, from: old, clusterID: clusterID, trail: Self.anyStep)
    }

    static func markCluster(clusterID: UInt64, seen: Int64, quarantine: Duration) -> Action {
        .markCluster(clusterID: clusterID, seen: seen, quarantine: quarantine, trails: [])
    }
}
