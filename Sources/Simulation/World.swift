// SPDX-License-Identifier: Apache-2.0
import Decision
import LeaseKeys

/// Several nodes, each with the real core, around one simulated etcd, and in some worlds around members of it that were rebuilt
/// alone; everything happens in the order of simulated time.
///
/// The same seed gives the same run. Files beside this one hold the parts: what the daemon's shell does, the network, the
/// kernel, the watch, what Patroni does, which faults there are, and the invariants.
final class World {
    enum Happening {
        case start(Int, life: Int)
        case deliver(Int, life: Int, Event)
        indirect case request(Request)
        indirect case watch(Int, life: Int, cluster: UInt64, revision: Int64, KeyChange)
        case leaseCheck(LeaseID, incarnation: Int)
        /// A lifetime ends, and some time later the kernel takes the address away.
        case expiry(Int, slot: Int, generation: Int)
        case removal(Int, slot: Int, generation: Int)
        case announcement(Int, life: Int, Int, run: Int)
        indirect case command(Int, life: Int, Action, since: Instant)
        case patroniLoop(Int, generation: Int)
        case patroniFailed(Int, generation: Int)
        case postgres(Int, SimulatedNode.Postgres, generation: Int)
        case fault
        indirect case later(Later, phase: Int)
    }

    let seed: UInt64
    let mutation: Mutation?
    var random: Randomness
    var now: Time = 0
    var queue = EventQueue<Happening>()
    /// When each node's daemon wants its next tick: it changes its mind with most events, which would fill the queue.
    var wakes: [Time]
    var etcd: SimulatedEtcd
    /// An old copy of etcd's content, for a restore.
    var backup: SimulatedEtcd?
    /// The cluster that answered before this one, as it was left.
    var former: SimulatedEtcd?
    /// etcd's endpoints, where there are several.
    var members: SimulatedMembers?
    let nodes: [SimulatedNode]
    /// The keys and transactions of the real shell.
    let keys = PharosKeys(root: "/pharos/", namespace: "/service/", scope: "demo", group: nil)
    let configuration: ClusterConfiguration
    /// The addresses as they are configured unless a reload changes them for a while.
    let specs: [AddressSpec]
    let places: PlaceNames
    /// Patroni's dynamic configuration, as every Patroni remembers it.
    var config: DynamicConfig

    var isFaulty = false
    /// Raised when all is healed: what was to end an older phase's fault then has nothing to end.
    var phase = 0
    var faults = FaultCounts()
    /// Mean time between two injected faults.
    var pace: Time = 10_000_000
    /// Simulated time with faults under way.
    var faultyTime: Time = 0
    var replacedAt: Time?
    /// Whether revisions of a wiped etcd may pass for those of its successor: what a node was told is in no order then.
    var hasReusedClusterID = false
    /// The longest TTL in force lately, and when it was lowered.
    var ttlLoweredAt: Time?
    var formerTTL: Time = 0
    /// The longest TTL that etcd ever granted to an address's lease.
    var longestGranted: Time = 0
    /// When the present quarantine began.
    var quarantinedAt: Time?
    /// Maintenance that nothing but crashes of daemons disturbs: what is held stays.
    var isCalmMaintenance = false
    /// Nothing happens that may cost anybody an address.
    var isCalm = false
    /// Nothing happens at all.
    var isQuiet = false
    /// Whether lifetimes are long enough for commands that are slow.
    var mayCommandsBeSlow = true
    /// Somebody changes addresses by hand at this moment.
    var isHandAtWork = false
    /// Until when somebody may wait for an answer that never comes.
    var inVainUntil: Time = 0
    /// Whether etcd is out of space, and refuses whatever would need more.
    var isEtcdFull = false
    var losses: LossCounts
    var violation: Violation?
    let trace: ((String) -> Void)?
    /// Room for the actions of the next event, kept from one to the next.
    var spareActions: [Action] = []

    init(seed: UInt64, mutation: Mutation? = nil, trace: ((String) -> Void)? = nil) {
        self.seed = seed
        self.mutation = mutation
        self.trace = trace
        var random = Randomness(seed: seed)
        let count = Int(random.between(2, 4))
        let configuration = ClusterConfiguration(&random)
        self.configuration = configuration
        let specs = configuration.addresses
        self.losses = LossCounts(addresses: specs.count)
        self.specs = specs
        self.places = PlaceNames(specs)
        self.config = ClusterConfiguration.someTTL(DynamicConfig(isFailsafeEnabled: random.chance(0.3)), &random)
        self.etcd = SimulatedEtcd(self.keys, addresses: specs.map(\.id), patroni: self.config)
        self.etcd.keepsTrails = mutation != .noTrails
        self.etcd.rate = configuration.someRate(&random)
        self.wakes = Array(repeating: .max, count: count)
        self.nodes = (0..<count).map { index in
            SimulatedNode(
                index: index, rate: configuration.someRate(&random),
                offset: random.between(1_000_000, 1_000_000_000), configured: specs)
        }
        self.random = random
        self.log(
            "\(count) nodes, \(specs.count) addresses, lease.ttl \(configuration.leaseTTL.map { "\($0)" } ?? "as Patroni's"), margin \(configuration.margin), Patroni's ttl \(self.config.ttl)"
        )
        self.beginMembers()
        for node in self.nodes {
            node.diskWorks = !self.random.chance(0.1)
            node.kernel.promotes = [configuration.promotesSecondaries, configuration.promotesSecondaries]
            self.putOwnAddress(on: node)
            self.startDaemon(node, after: self.random.between(0, 3_000_000))
            self.scheduleLoop(node, after: self.random.between(0, 1_000_000))
        }
    }

    /// The longest TTL of which a lease may still run.
    var longestTTL: Time {
        guard let loweredAt = self.ttlLoweredAt, self.now - loweredAt < self.formerTTL else { return self.ttl }
        return max(self.formerTTL, self.ttl)
    }

    func log(_ text: @autoclosure () -> String) {
        guard let trace = self.trace else { return }
        trace("\(Double(self.now) / 1e6) \(text())")
    }

    func fail(_ message: String) {
        guard self.violation == nil else { return }
        self.log("VIOLATION \(message)")
        self.violation = Violation(seed: self.seed, time: Double(self.now) / 1e6, message: message)
    }

    func schedule(_ happening: consuming Happening, after delay: Time) {
        self.queue.schedule(happening, at: self.now + delay)
    }

    func schedule(_ later: Later, after delay: Time) { self.schedule(.later(later, phase: self.phase), after: delay) }

    /// Whether a fault that comes with `probability` strikes; in a calm one only what may cost nobody an address.
    func strikes(_ kind: FaultKind, _ probability: Double) -> Bool {
        guard self.isFaulty || self.isCalm && self.isHarmless(kind), self.random.chance(probability) else {
            return false
        }
        self.faults.add(kind)
        return true
    }

    /// Lets everything happen that is due within `span`, or until an invariant breaks.
    func run(for span: Time) {
        let limit = self.now + span
        let begin = self.now
        while self.violation == nil {
            var woken = 0
            for index in self.wakes.indices where self.wakes[index] < self.wakes[woken] { woken = index }
            let time = min(self.wakes[woken], self.queue.nextTime)
            guard time <= limit else { break }
            self.now = time
            if time == self.queue.nextTime {
                self.happen(self.queue.removeFirst())
            } else {
                self.wakes[woken] = .max
                self.deliver(.tick, to: self.nodes[woken])
            }
        }
        if self.violation == nil { self.now = limit }
        if self.isFaulty || self.isCalmMaintenance || self.isCalm { self.faultyTime += self.now - begin }
    }

    private func happen(_ happening: Happening) {
        switch happening {
        case .start(let index, let life):
            if self.nodes[index].life == life { self.begin(self.nodes[index]) }
        case .deliver(let index, let life, let event):
            let node = self.nodes[index]
            if node.life == life { self.deliver(event, to: node) }
        case .request(let request): self.serve(request)
        case .watch(let index, let life, let cluster, let revision, let change):
            self.deliverWatch(change, cluster: cluster, revision: revision, life: life, to: self.nodes[index])
        case .leaseCheck(let lease, let incarnation): self.checkLease(lease, incarnation)
        case .expiry(let index, let slot, let generation): self.expire(slot, generation, on: self.nodes[index])
        case .removal(let index, let slot, let generation):
            self.removeExpired(slot, generation, on: self.nodes[index])
        case .announcement(let index, let life, let address, let number):
            let node = self.nodes[index]
            if node.life == life { self.continueCourse(number, of: address, by: node) }
        case .command(let index, let life, let action, let since):
            self.execute(action, on: self.nodes[index], life: life, since: since)
        case .patroniLoop(let index, let generation):
            let node = self.nodes[index]
            if node.loopGeneration == generation { self.loop(node) }
        case .patroniFailed(let index, let generation):
            let node = self.nodes[index]
            if node.loopGeneration == generation { self.loopFailed(node) }
        case .postgres(let index, let state, let generation):
            let node = self.nodes[index]
            if node.postgresGeneration == generation { self.setPostgres(state, on: node) }
        case .fault: self.injectFault()
        case .later(let later, let phase): if phase == self.phase || !later.endsFault { self.carryOut(later) }
        }
    }
}
