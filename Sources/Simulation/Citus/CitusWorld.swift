// SPDX-License-Identifier: Apache-2.0
import Decision

/// What a mutated Citus world leaves out, to prove that its absence is noticed.
public enum CitusMutation: String, CaseIterable, Sendable {
    /// The database applies older revisions too.
    case noFence = "no-fence"
    /// The groups' keys are never read again, only watched.
    case noPeriodicRead = "no-periodic-read"
    /// A held transaction is ended by nobody but the daemon, which forgets it.
    case noHoldLimit = "no-hold-limit"
    /// An update that is never answered is waited for for ever.
    case noUpdateDeadline = "no-update-deadline"
    /// It is given up while the server may still be at it.
    case hastyUpdate = "hasty-update"
    /// Rows are changed on the revision at which a leader key was created, whoever has written it since.
    case fencedByCreation = "fenced-by-creation"
}

/// A simulated Citus cluster around the real core: a coordinator's group of two nodes with a daemon each, and workers' groups
/// of two. It stands beside ``World``, because the two parts of the core share nothing.
///
/// Modelled: etcd's keys and watches (late, lost and doubled events, an empty etcd under another number or the same), Patroni's
/// planned
/// switchovers, aborted ones and failovers, `pg_dist_node` with its fence on each coordinator (a failover may lose the last
/// moments), sessions in an update's way, held transactions, commits whose answer is lost, daemons that crash and freeze.
/// Left out: the addresses, clocks of different rates, several databases.
final class CitusWorld {
    enum Happening {
        case deliver(Int, life: Int, Event)
        case watched(Int, life: Int, epoch: Int, GroupsEvent)
        case readGroups(Int, life: Int, sentAt: Instant)
        case serve(Int, life: Int, server: Int, CitusAction, sentAt: Instant)
        case answerUpdate(Int, life: Int, server: Int, [RowUpdate], isHeld: Bool)
        case endHold(Int, id: Int)
        case dropHolds(Int, life: Int)
        case start(Int, life: Int)
        case thaw(Int, life: Int)
        case synchronize
        case heal(Int)
        case later(CitusPatroni.Step)
        case fault
    }

    let seed: UInt64
    let mutation: CitusMutation?
    var random: Randomness
    var now: Time = 0
    var queue = EventQueue<Happening>()
    var etcd = CitusEtcd()
    let coordinators: [SimulatedCoordinator]
    let settings: CitusSettings
    /// Whether every group has shards that a transaction which holds one of them locks too.
    let hasReferenceTables: Bool
    var patroni: CitusPatroni
    /// Until when sessions on the coordinator hold locks of a group's shards.
    var lockedUntil: [Int: Time] = [:]
    var isFaulty = false
    var phase = 0
    var updates = 0
    /// Those that changed more than one group.
    var sharedUpdates = 0
    /// When an answer was lost last.
    var silencedAt: Time = -1_000_000_000
    var holds = 0
    private(set) var violation: Violation?
    let trace: ((String) -> Void)?

    /// By then an update has ended on the server, whatever became of its answer: by the limits of its connection and statements.
    static let updateLimit: Time = 30_000_000
    static let changeLimit: Time = 9_000_000
    static let database = "app"
    static let clusterGroups = 3

    init(seed: UInt64, mutation: CitusMutation? = nil, trace: ((String) -> Void)? = nil) {
        self.seed = seed
        self.mutation = mutation
        self.etcd.hidesWrites = mutation == .fencedByCreation
        self.trace = trace
        var random = Randomness(seed: seed)
        let mode: CitusMode = random.chance(0.7) ? .own : .reconcile
        self.hasReferenceTables = random.chance(0.5)
        self.settings = CitusSettings(group: 0, databases: [Self.database], mode: mode, settle: .seconds(10))
        self.patroni = CitusPatroni(groups: Self.clusterGroups)
        self.coordinators = (0..<2).map { SimulatedCoordinator(index: $0, name: CitusPatroni.name(0, $0)) }
        self.random = random
        for group in 0..<Self.clusterGroups {
            for member in 0..<2 { self.tellMember(group, member) }
            self.etcd.lead(group, CitusPatroni.name(group, 0))
        }
        self.coordinators[0].catalog.rows = (0..<Self.clusterGroups).map { group in
            NodeRow(id: group + 1, group: group, endpoint: CitusPatroni.endpoint(group, 0), role: .primary)
        }
        for node in self.coordinators { self.startDaemon(node, after: self.random.between(0, 1_000_000)) }
        self.schedule(.synchronize, after: 1_000_000)
    }

    func log(_ text: @autoclosure () -> String) {
        guard let trace = self.trace else { return }
        trace("\(Double(self.now) / 1e6) \(text())")
    }

    func fail(_ message: String) {
        guard self.violation == nil else { return }
        self.log("VIOLATION \(message)")
        self.violation = Violation(seed: self.seed, time: Double(self.now) / 1e6, message: "Citus: " + message)
    }

    func schedule(_ happening: consuming Happening, after delay: Time) {
        self.queue.schedule(happening, at: self.now + delay)
    }

    func strikes(_ probability: Double) -> Bool { self.isFaulty && self.random.chance(probability) }

    var instant: Instant { Instant(sinceBoot: .microseconds(self.now + 1_000_000)) }

    func run(for span: Time) {
        let limit = self.now + span
        while self.violation == nil {
            let woken = self.coordinators[0].wakeAt <= self.coordinators[1].wakeAt ? 0 : 1
            let time = min(self.coordinators[woken].wakeAt, self.queue.nextTime)
            guard time <= limit else { break }
            self.now = max(self.now, time)
            if time == self.queue.nextTime {
                self.happen(self.queue.removeFirst())
            } else {
                self.coordinators[woken].wakeAt = .max
                self.deliver(.tick, to: self.coordinators[woken])
            }
        }
        if self.violation == nil { self.now = limit }
    }

    private func happen(_ happening: Happening) {
        switch happening {
        case .deliver(let index, let life, let event):
            if self.coordinators[index].life == life { self.deliver(event, to: self.coordinators[index]) }
        case .watched(let index, let life, let epoch, let event):
            let node = self.coordinators[index]
            if node.life == life, self.etcd.epoch == epoch { self.deliver(.groups(event), to: node) }
        case .readGroups(let index, let life, let sentAt):
            self.answerRead(sentAt: sentAt, to: self.coordinators[index], life: life)
        case .serve(let index, let life, let server, let action, let sentAt):
            self.serve(action, from: self.coordinators[index], life: life, server: server, sentAt: sentAt)
        case .answerUpdate(let index, let life, let server, let updates, let isHeld):
            self.apply(updates, on: self.coordinators[index], life: life, server: server, isHeld: isHeld)
        case .endHold(let index, let id): self.coordinators[index].holds.removeAll { $0.id == id }
        case .dropHolds(let index, let life): self.coordinators[index].holds.removeAll { $0.life == life }
        case .start(let index, let life):
            if self.coordinators[index].life == life { self.begin(self.coordinators[index]) }
        case .thaw(let index, let life):
            if self.coordinators[index].life == life { self.thaw(self.coordinators[index]) }
        case .synchronize: self.synchronize()
        case .heal(let index): self.coordinators[index].cutsEtcd = false
        case .later(let step): self.carryOut(step)
        case .fault: self.injectFault()
        }
        self.checkHolds()
    }

    // MARK: - The daemons

    func startDaemon(_ node: SimulatedCoordinator, after delay: Time) {
        // Its connections end with it: the server notices within client_connection_check_interval.
        self.schedule(.dropHolds(node.index, life: node.life), after: self.random.between(0, 600_000))
        node.life += 1
        node.core = nil
        node.isFrozen = false
        node.inbox = []
        node.wakeAt = .max
        node.isUpdateMuted = false
        self.schedule(.start(node.index, life: node.life), after: delay)
    }

    private func begin(_ node: SimulatedCoordinator) {
        self.log("\(node.name): the daemon starts")
        node.forget()
        var limits = AnswerLimits()
        if self.mutation == .noUpdateDeadline { limits.update = .seconds(1 << 40) }
        if self.mutation == .hastyUpdate { limits.update = .seconds(20) }
        node.core = Core(
            CoreSettings(member: node.name, node: "boot", addresses: [], limits: limits, citus: self.settings),
            memory: node.memory, at: self.instant)
        // The follower reads everything, and watches from there.
        self.schedule(.readGroups(node.index, life: node.life, sentAt: self.instant), after: 1000)
        self.deliver(.tick, to: node)
    }

    private func thaw(_ node: SimulatedCoordinator) {
        guard node.isFrozen else { return }
        node.isFrozen = false
        // Who was frozen has not been kept waiting.
        if node.updateBegan != nil { self.silencedAt = self.now }
        let inbox = node.inbox
        node.inbox = []
        for event in inbox { self.deliver(event, to: node) }
        self.deliver(.tick, to: node)
    }

    func deliver(_ event: Event, to node: SimulatedCoordinator) {
        guard node.core != nil else { return }
        if node.isUpdateMuted, case .citus(.updateEnded) = event {
            node.isUpdateMuted = false
            return self.log("\(node.name): nobody hears of that")
        }
        if node.isFrozen {
            if event != .tick { node.inbox.append(event) }
            return
        }
        if event != .tick { self.log("\(node.name) <- \(event)") }
        node.learn(event, at: self.instant)
        var actions: [Action] = []
        node.core?.handle(event, at: self.instant, into: &actions)
        for action in actions {
            if case .remember(let memory) = action { node.memory = memory }
            guard action.isOfCitus else { continue }
            self.log("\(node.name) -> \(action)")
            if self.strikes(0.002) {
                self.log("\(node.name): the daemon crashes")
                return self.startDaemon(node, after: self.random.between(100_000, 3_000_000))
            }
            self.send(action, from: node)
        }
        if let wakeAt = node.core?.wakeAt, wakeAt < .distantFuture {
            if wakeAt <= self.instant { self.fail("\(node.name) wants to be woken in the past") }
            node.wakeAt = wakeAt.sinceBoot.microseconds - 1_000_000
        } else {
            node.wakeAt = .max
        }
    }

    private func send(_ action: Action, from node: SimulatedCoordinator) {
        if action == .readGroups, self.mutation == .noPeriodicRead, node.seenLeader != nil { return }
        if action.isUpdate {
            self.checkIssue(by: node)
            self.checkUpdates(of: node)
            node.updateBegan = self.now
            node.updateEndsBy = self.now + Self.updateLimit + Self.changeLimit * Time(action.changeCount)
        }
        var delay = self.strikes(0.02) ? self.random.between(1000, 3_000_000) : self.random.between(200, 2000)
        if self.losesAnswer(of: node) {
            // Of an update it is not known how far it has come.
            guard action.isUpdate, self.random.chance(0.7) else { return }
            node.isUpdateMuted = true
            delay = self.random.between(200, 25_000_000)
        }
        if case .citus(let action) = action {
            self.schedule(
                .serve(node.index, life: node.life, server: node.server, action, sentAt: self.instant), after: delay)
        } else {
            self.schedule(.readGroups(node.index, life: node.life, sentAt: self.instant), after: delay)
        }
    }

    func answer(_ event: CitusEvent, to node: SimulatedCoordinator, life: Int) {
        self.answer(.citus(event), to: node, life: life)
    }

    func answer(_ event: Event, to node: SimulatedCoordinator, life: Int) {
        let delay = self.strikes(0.02) ? self.random.between(1000, 2_000_000) : self.random.between(200, 1000)
        self.schedule(.deliver(node.index, life: life, event), after: delay)
    }
}

extension Action {
    /// Whether it belongs to what is simulated here.
    fileprivate var isOfCitus: Bool {
        switch self {
        case .readGroups, .citus: true
        default: false  // The addresses' are simulated elsewhere.
        }
    }

    var changeCount: Int {
        switch self {
        case .citus(.update(_, let updates)): updates.reduce(0) { $0 + $1.changes.count }
        case .citus(.commitHold(_, let update)): update.changes.count
        default: 0  // The others change no rows.
        }
    }

    var isUpdate: Bool {
        switch self {
        case .citus(.update), .citus(.commitHold): true
        default: false  // The others change no rows.
        }
    }
}
