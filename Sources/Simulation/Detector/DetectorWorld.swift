// SPDX-License-Identifier: Apache-2.0
import Decision

/// What may be left out of the failure detector or of what surrounds it, to prove that the simulator notices.
public enum DetectorMutation: String, CaseIterable, Sendable {
    /// One source is enough.
    case soleEvidence = "sole-evidence"
    /// Patroni's maintenance mode is not seen.
    case noPause = "no-pause"
    /// The claim in etcd compares nothing, and nobody sees it.
    case noClaim = "no-claim"
    /// What was read of the groups counts, however old it is.
    case agelessView = "ageless-view"
}

/// One group of nodes that watch each other: the real failure detector of each, with a policy to act, between a simulated
/// network, PostgreSQL, Patroni and etcd.
struct DetectorWorld {
    struct Node {
        var core: Core
        /// How much faster its clock runs than the true one.
        var drift: Double
        var isFrozen = false
        var isLiar = false
        var isUsable = true
        var isPatroniUp = true
        var reachesEtcd = true
        /// Whether nothing comes of what it asks etcd for the groups, while the addresses' way to it is well.
        var isBlind = false
        /// When what it knows of the groups was read.
        var lookedAt: Time = 0
        /// When its own probes found a member's PostgreSQL unusable last, in true time.
        var foundBadAt: [Int: Time] = [:]
        /// What reached it while it was frozen.
        var held: [Decision.Event] = []
        var nextWake: Time = .max
    }

    enum Event {
        case wake(Int)
        case deliver(Int, Decision.Event)
        case fault
        case endSwitchover(by: Int, SwitchoverOrder)
        case releaseClaim(by: Int)
        /// The lease of a node's observation ends, if it has not been heard since.
        case expire(Int)
    }

    var nodes: [Node] = []
    var random: Randomness
    var queue = EventQueue<Event>()
    var now: Time = 0
    let mutation: DetectorMutation?
    private let seed: UInt64

    // What etcd and Patroni hold.
    var leader = 0
    var since: Int64 = 1
    var revision: Int64 = 10
    var isPaused: Bool { self.pausedAt != nil }
    var claim: Int?
    /// One-way: from the first to the second nothing arrives.
    var cuts: Set<Int> = []
    /// The second's PostgreSQL lets nobody in who comes from the first.
    var refusals: Set<Int> = []
    /// As published, and as it would be without lies.
    var observations: [Int: Observation] = [:]
    var truths: [Int: Observation] = [:]
    var pausedAt: Time?

    var inFlight: Set<Int> = []
    var orders = 0
    private(set) var verdicts = 0
    private(set) var suppressions = 0
    var faults = 0
    var violation: Violation?
    var isHealing = false

    static let second: Time = 1_000_000

    private let trace: ((String) -> Void)?

    init(seed: UInt64, mutation: DetectorMutation?, trace: ((String) -> Void)? = nil) {
        self.seed = seed
        self.trace = trace
        self.mutation = mutation
        self.random = Randomness(seed: seed)
        // Of more than two the majority is more than one anyway.
        let count = mutation == .soleEvidence ? 2 : Int(self.random.between(2, 5))
        // Between the two profiles, so that there is something to see within an hour.
        var profile = DetectorProfile(
            interval: .seconds(10), timeout: .seconds(2), threshold: 5, leak: 0.5, rise: 2,
            agreement: self.random.chance(0.5) ? .majority : .all, minimumSources: 2)
        if mutation == .soleEvidence { (profile.minimumSources, profile.agreement) = (1, .majority) }
        for index in 0..<count {
            let drift = 1 + (self.random.unit() - 0.5) * 0.02
            var settings = DetectorSettings(profile, seed: self.random.next(), onGrayFailure: .switchover)
            settings.lagLimit = 1 << 40
            self.nodes.append(
                Node(
                    core: Core(
                        CoreSettings(
                            member: Self.name(index), node: "boot", addresses: [],
                            limits: Self.limits(mutation), detector: settings),
                        at: Instant(sinceBoot: .zero)), drift: drift))
        }
        for index in 0..<count {
            self.queue.schedule(.deliver(index, self.snapshot(for: index)), at: self.random.between(0, 100_000))
        }
        self.queue.schedule(.fault, at: 30 * Self.second)
    }

    static func name(_ index: Int) -> String { "n\(index + 1)" }
    static func id(_ index: Int) -> MemberID { MemberID(0, Self.name(index)) }
    func index(_ id: MemberID) -> Int { Int(id.name.dropFirst()).map { $0 - 1 } ?? 0 }
    func instant(_ index: Int) -> Instant {
        Instant(sinceBoot: .microseconds(Int64(Double(self.now) * self.nodes[index].drift)))
    }

    /// Two phases: faults for `seconds`, then three quiet hours after which nothing may be left of them.
    mutating func run(seconds: Int64) {
        self.advance(to: seconds * Self.second)
        self.heal()
        self.advance(to: (seconds + 3 * 3600) * Self.second)
        guard self.violation == nil else { return }
        for (index, node) in self.nodes.enumerated() {
            for target in node.core.detectorStatus?.targets ?? [] {
                if target.aspects.contains(where: { $0.state == .suppressed }) {
                    self.fail("\(Self.name(index)) still suppresses \(target.id) three hours after the last fault")
                }
                if target.verdict != .well {
                    self.fail("\(Self.name(index)) holds \(target.id) \(target.verdict.rawValue) though all is well")
                }
            }
        }
    }

    private mutating func advance(to end: Time) {
        while self.violation == nil, self.queue.nextTime <= end {
            self.now = max(self.now, self.queue.nextTime)
            let event = self.queue.removeFirst()
            switch event {
            case .wake(let index): self.turn(index, .tick)
            case .deliver(let index, let event): self.turn(index, event)
            case .fault:
                guard !self.isHealing else { continue }
                self.disturb()
                self.queue.schedule(.fault, at: self.now + self.random.between(2, 60) * Self.second)
            case .endSwitchover(let index, let order): self.endSwitchover(by: index, order)
            case .expire(let index): self.expire(index)
            case .releaseClaim(let index): if self.claim == index { self.publishClaim(nil) }
            }
        }
    }

    func tell(_ text: @autoclosure () -> String) { self.trace?("\(Double(self.now) / 1e6) \(text())") }

    private mutating func expire(_ index: Int) {
        guard self.nodes[index].isFrozen || !self.nodes[index].reachesEtcd else { return }
        self.observations[index] = nil
        self.tell(.detector(.observed(Self.id(index), nil)), besides: index)
    }

    mutating func fail(_ message: String) {
        guard self.violation == nil else { return }
        self.violation = Violation(seed: self.seed, time: Double(self.now) / 1e6, message: message)
    }

    // MARK: - The nodes

    mutating func turn(_ index: Int, _ event: Decision.Event) {
        guard !self.nodes[index].isFrozen else {
            if self.nodes[index].held.count < 1000 { self.nodes[index].held.append(event) }
            return
        }
        var actions: [Action] = []
        self.nodes[index].core.handle(event, at: self.instant(index), into: &actions)
        for action in actions {
            if case .report(let report) = action { self.tell("\(Self.name(index)): \(report)") }
            switch action {
            case .detector(let action) where !action.isTold && self.isLost(): break
            case .read where self.isLost(), .readGroups where self.isLost(): break
            case .detector(let action): self.carryOut(action, of: index)
            case .readGroups: self.readGroups(by: index)
            case .report(.detector(.verdict(_, let verdict, _, _, _))): if verdict != .well { self.verdicts += 1 }
            case .report(.detector(.suppressed(_, _, true))): self.suppressions += 1
            case .read: self.read(by: index)
            case .inspect:
                let nothing = KernelState(found: [], usableInterfaces: [])
                self.queue.schedule(
                    .deliver(index, .inspected(nothing, since: self.instant(index))), at: self.now + 1000)
            default: break  // There are no addresses.
            }
        }
        let wake = Time(self.nodes[index].core.wakeAt.sinceBoot / .microseconds(1) / self.nodes[index].drift) + 1
        // Of those that were scheduled before, all but the last come too early: they do no harm.
        guard wake < self.nodes[index].nextWake || self.nodes[index].nextWake <= self.now else { return }
        self.nodes[index].nextWake = max(self.now + 1, wake)
        self.queue.schedule(.wake(index), at: self.nodes[index].nextWake)
    }

    var config: DynamicConfig { DynamicConfig(isPaused: self.isPaused && self.mutation != .noPause) }

    private func isCut(_ one: Int, _ other: Int) -> Bool {
        // A question or its answer is lost.
        self.cuts.contains(one * 100 + other) || self.cuts.contains(other * 100 + one)
    }

    private mutating func carryOut(_ action: DetectorAction, of index: Int) {
        switch action {
        case .probe(let id, _, _, let timeout): self.probe(index, self.index(id), timeout)
        case .askWALReceiver:
            self.queue.schedule(
                .deliver(index, .detector(.walReceiver(.unknown, askedAt: self.instant(index)))), at: self.now + 1000)
        case .publish(var observation, _):
            self.truths[index] = observation
            if self.nodes[index].isLiar {
                // It says that everybody else has failed.
                for other in self.nodes.indices where other != index {
                    observation.doubts[Self.id(other)] = .init(patroni: .failed, postgres: .failed)
                }
                observation.isIsolated = false
            }
            guard self.nodes[index].reachesEtcd else { return }
            self.observations[index] = observation
            self.tell(.detector(.observed(Self.id(index), observation)), besides: index)
        case .switchOver(let order): self.switchOver(order, by: index)
        case .probeEtcd: self.queue.schedule(.deliver(index, .detector(.etcdProbed([]))), at: self.now + 2000)
        }
    }

    mutating func tell(_ event: Decision.Event, besides index: Int) {
        for other in self.nodes.indices
        where other != index && self.nodes[other].reachesEtcd && (!event.isOfGroups || !self.nodes[other].isBlind) {
            self.queue.schedule(.deliver(other, event), at: self.now + self.random.between(1000, 30_000))
        }
    }

    private mutating func probe(_ index: Int, _ other: Int, _ timeout: Duration) {
        let target = self.nodes[other]
        let isReached = index == other || !self.isCut(index, other)
        let isUsable =
            isReached && target.isUsable && !target.isFrozen && !self.refusals.contains(index * 100 + other)
        let isAnswered = isReached && target.isPatroniUp && !target.isFrozen
        let isLost = self.random.chance(0.002)
        let findings = ProbeFindings(
            patroni: isAnswered ? .answered : .failed("timeout"),
            postgres: isUsable && !isLost ? .answered : .failed("timeout"),
            isPrimary: isUsable ? other == self.leader : nil, position: isUsable ? 1000 : nil)
        if findings.postgres != .answered { self.nodes[index].foundBadAt[other] = self.now }
        let delay =
            findings.patroni == .answered && findings.postgres == .answered ? 5000 : Time(timeout / .microseconds(1))
        self.queue.schedule(
            .deliver(index, .detector(.probed(Self.id(other), findings, askedAt: self.instant(index)))),
            at: self.now + delay)
    }
}

extension DetectorAction {
    /// Whether nobody answers it.
    fileprivate var isTold: Bool { if case .publish = self { true } else { false } }
}

extension Decision.Event {
    /// Whether it comes by the way on which the groups are looked at.
    fileprivate var isOfGroups: Bool {
        switch self {
        case .groups, .detector: true
        default: false  // By the addresses' way.
        }
    }
}

/// What a run of a ``DetectorWorld`` came to.
public struct DetectorRun: Sendable {
    public let violation: Violation?
    public let faults: Int
    public let verdicts: Int
    public let orders: Int
    public let suppressions: Int
}

extension Simulator {
    /// One group whose nodes watch each other and may act, for `hours` with faults and three without.
    public static func runDetector(
        seed: UInt64, hours: Int64 = 1, mutation: DetectorMutation? = nil, trace: ((String) -> Void)? = nil
    ) -> DetectorRun {
        var world = DetectorWorld(seed: seed, mutation: mutation, trace: trace)
        world.run(seconds: hours * 3600)
        return DetectorRun(
            violation: world.violation, faults: world.faults, verdicts: world.verdicts, orders: world.orders,
            suppressions: world.suppressions)
    }
}
