// SPDX-License-Identifier: Apache-2.0
import Decision

/// What a simulated run may do wrong on purpose, to prove that the simulator notices.
public enum Mutation: String, CaseIterable, Sendable {
    /// Lifetimes in the kernel end with the lease, not before it.
    case noMargin = "no-margin"
    /// The key is given back before the address is taken off the kernel.
    case keyBeforeAddress = "key-before-address"
    /// The acquire transaction compares nothing.
    case noCompares = "no-compares"
    /// Reads answer what the watch last showed.
    case noPeriodicRead = "no-periodic-read"
}

/// An invariant that did not hold.
public struct Violation: Error, CustomStringConvertible, Sendable {
    public let seed: UInt64
    /// Simulated seconds since the beginning.
    public let time: Double
    public let message: String
    public var description: String { "seed \(self.seed), after \(self.time) simulated seconds: \(self.message)" }
}

/// Several nodes, each with the real core, around one simulated etcd; everything happens in the order of simulated time.
///
/// The same seed gives the same run. Files beside this one hold the parts: what the daemon's shell does, what Patroni does,
/// which faults there are.
final class World {
    enum Happening {
        case wake(Int, generation: Int)
        case deliver(Int, life: Int, Event)
        case request(Int, life: Int, Action, sentAt: Instant)
        case watch(Int, life: Int, cluster: UInt64, revision: Int64, KeyChange)
        case leaseCheck(LeaseID, cluster: UInt64)
        case expiry(Int, address: Int, generation: Int)
        case command(Int, life: Int, Action)
        case patroniLoop(Int, generation: Int)
        case postgres(Int, SimulatedNode.Postgres, generation: Int)
        case fault
        case later(Later)
    }

    let seed: UInt64
    let mutation: Mutation?
    var random: Randomness
    var now: Time = 0
    var queue = EventQueue<Happening>()
    var etcd: SimulatedEtcd
    let nodes: [SimulatedNode]
    let specs: [AddressSpec]
    var isFaulty = true
    var faults = 0
    var replacedAt: Time?
    var violation: Violation?
    var trace: ((String) -> Void)?
    var actions: [Action] = []

    init(seed: UInt64, mutation: Mutation? = nil, trace: ((String) -> Void)? = nil) {
        self.seed = seed
        self.mutation = mutation
        self.trace = trace
        var random = Randomness(seed: seed)
        let count = Int(random.between(2, 4))
        let policies: [AcquirePolicy] = random.chance(0.5) ? [.writable] : [.writable, .leaderKey]
        self.specs = policies.enumerated().map { index, policy in
            AddressSpec(id: "10.0.0.10\(index)", prefixLength: 24, interface: "eth0", acquire: policy)
        }
        var config = DynamicConfig(ttl: .seconds(random.chance(0.5) ? 30 : 20), loopWait: .seconds(10))
        if config.ttl == .seconds(20) { config.loopWait = .seconds(5) }
        config.isFailsafeEnabled = random.chance(0.3)
        self.etcd = SimulatedEtcd(addresses: self.specs.map(\.id), patroni: config)
        self.etcd.rate = 0.99 + 0.02 * random.unit()
        self.nodes = (0..<count).map { index in
            SimulatedNode(
                index: index, rate: 0.99 + 0.02 * random.unit(), offset: random.between(1_000_000, 1_000_000_000),
                addresses: policies.count)
        }
        self.random = random
        for node in self.nodes {
            self.startDaemon(node, after: self.random.between(0, 3_000_000))
            self.scheduleLoop(node, after: self.random.between(0, 1_000_000))
        }
    }

    var ttl: Time { self.etcd.patroni.ttl.microseconds }

    func log(_ text: @autoclosure () -> String) {
        guard let trace = self.trace else { return }
        trace("\(Double(self.now) / 1e6) \(text())")
    }

    func fail(_ message: String) {
        guard self.violation == nil else { return }
        self.log("VIOLATION \(message)")
        self.violation = Violation(seed: self.seed, time: Double(self.now) / 1e6, message: message)
    }

    func schedule(_ happening: Happening, after delay: Time) {
        self.queue.schedule(happening, at: self.now + delay)
    }

    /// Lets everything happen that is due within `span`, or until an invariant breaks.
    func run(for span: Time) {
        let limit = self.now + span
        while self.violation == nil, let (time, happening) = self.queue.next(until: limit) {
            self.now = time
            self.happen(happening)
        }
        self.now = limit
    }

    private func happen(_ happening: Happening) {
        switch happening {
        case .wake(let index, let generation):
            let node = self.nodes[index]
            if node.wakeGeneration == generation { self.deliver(.tick, to: node) }
        case .deliver(let index, let life, let event):
            let node = self.nodes[index]
            if node.life == life { self.deliver(event, to: node) }
        case .request(let index, let life, let action, let sentAt):
            self.serve(action, of: self.nodes[index], life: life, sentAt: sentAt)
        case .watch(let index, let life, let cluster, let revision, let change):
            self.deliverWatch(change, cluster: cluster, revision: revision, life: life, to: self.nodes[index])
        case .leaseCheck(let lease, let cluster): self.checkLease(lease, cluster)
        case .expiry(let index, let address, let generation):
            let node = self.nodes[index]
            guard node.kernel[address].generation == generation else { return }
            self.log("\(node.member): the kernel removes \(self.specs[address].id)")
            self.vanish(address, on: node)
            self.report(.kernelSaw(self.specs[address].id, self.specs[address].place, isPresent: false), by: node)
        case .command(let index, let life, let action):
            self.execute(action, on: self.nodes[index], life: life)
        case .patroniLoop(let index, let generation):
            let node = self.nodes[index]
            if node.loopGeneration == generation { self.loop(node) }
        case .postgres(let index, let state, let generation):
            let node = self.nodes[index]
            if node.postgresGeneration == generation { self.setPostgres(state, on: node) }
        case .fault: self.injectFault()
        case .later(let later): self.carryOut(later)
        }
    }

    // MARK: - The invariants

    /// At most one kernel holds an address, at any instant; and who has it came by it rightfully.
    func appear(_ address: Int, on node: SimulatedNode, endsAt: Time) {
        let wasPresent = node.kernel[address].isPresent
        node.kernel[address].isPresent = true
        node.kernel[address].endsAt = endsAt
        node.kernel[address].generation += 1
        self.schedule(
            .expiry(node.index, address: address, generation: node.kernel[address].generation),
            after: max(endsAt - self.now, 0))
        for other in self.nodes where other !== node && other.kernel[address].isPresent {
            self.fail("two holders of \(self.specs[address].id): \(other.member) and \(node.member)")
        }
        // A replaced etcd knows nothing of the leases of the old one, which run on: its quarantine covers them.
        let isCoveredByQuarantine = self.replacedAt.map { self.now - $0 < self.ttl } ?? false
        guard !wasPresent, !isCoveredByQuarantine else { return }
        let holder = self.etcd.holders[address]
        if holder?.member != node.member || holder?.node != node.identity {
            self.fail("\(node.member) took \(self.specs[address].id), but its key names \(holder?.member ?? "nobody")")
        }
    }

    func vanish(_ address: Int, on node: SimulatedNode) {
        node.kernel[address].isPresent = false
        node.kernel[address].endsAt = nil
        node.kernel[address].generation += 1
    }

    /// What must hold some time after everything was healed: the address is where writes are accepted, and nowhere else.
    func checkLiveness() {
        guard let leader = self.nodes.first(where: { $0.member == self.etcd.leader }), leader.postgres == .primary else {
            return self.fail("the simulated Patroni found no leader: \(self.etcd.leader ?? "none")")
        }
        for (index, spec) in self.specs.enumerated() {
            let holders = self.nodes.filter { $0.kernel[index].isPresent }.map(\.member)
            if holders != [leader.member] {
                let status = leader.core?.addressStatuses.first { $0.id == spec.id }
                let why = status.map { "\($0)" } ?? "its daemon does not run"
                self.fail(
                    "\(spec.id) has not returned to \(leader.member) (holders: \(holders), stance: \(why), key: \(self.etcd.holders[index]?.member ?? "none"))"
                )
            }
        }
    }
}
