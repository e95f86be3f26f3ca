// SPDX-License-Identifier: Apache-2.0

/// What a number of runs amounted to.
public struct SimulationSummary: Sendable {
    public var seeds = 0
    /// Simulated hours, summed over the nodes.
    public var nodeHours = 0.0
    /// Those of them in which faults were under way.
    public var faultyNodeHours = 0.0
    public var faults = FaultCounts()
    /// How often an address came to a node.
    public var arrivals = 0
    /// How often one came back to where it had just gone from, under the same leader.
    public var flaps = 0
    /// How often two nodes held an address, each by another etcd: that is not promised.
    public var divided = 0
    public var violation: Violation?

    public init() {}

    public mutating func add(_ other: SimulationSummary) {
        self.seeds += other.seeds
        self.nodeHours += other.nodeHours
        self.faultyNodeHours += other.faultyNodeHours
        self.faults.add(other.faults)
        self.arrivals += other.arrivals
        self.flaps += other.flaps
        self.divided += other.divided
        if self.violation == nil { self.violation = other.violation }
    }
}

/// Runs the real core in simulated clusters: phases with faults, in which an address must never be in two places, each
/// followed by a healed one, in which it must return.
public enum Simulator {
    /// Runs one seed through `rounds` pairs of phases. With `trace`, every happening is told.
    public static func run(
        seed: UInt64, rounds: Int = 10, mutation: Mutation? = nil, trace: ((String) -> Void)? = nil
    ) -> SimulationSummary {
        let world = World(seed: seed, mutation: mutation, trace: trace)
        world.run(for: 30_000_000)
        world.awaitReturn()
        for _ in 0..<world.configuration.rounds(of: rounds) where world.violation == nil {
            world.beginFaults()
            world.run(for: world.span(60_000_000, 600_000_000))
            world.heal()
            world.awaitReturn()
            if world.random.chance(0.2) {
                world.keepCalm()
                world.awaitReturn()
            }
            if world.random.chance(0.15) {
                world.maintain()
                world.awaitReturn()
            }
        }
        var summary = SimulationSummary()
        summary.seeds = 1
        summary.nodeHours = Double(world.now) / 3.6e9 * Double(world.nodes.count)
        summary.faultyNodeHours = Double(world.faultyTime) / 3.6e9 * Double(world.nodes.count)
        summary.faults = world.faults
        summary.arrivals = world.losses.arrivals
        summary.flaps = world.losses.flaps
        summary.divided = world.losses.divided
        summary.violation = world.violation
        return summary
    }

    /// Runs `count` seeds from `first` on, up to the first violation.
    public static func run(
        seeds first: UInt64, count: Int, rounds: Int = 10, mutation: Mutation? = nil
    ) -> SimulationSummary {
        var total = SimulationSummary()
        for offset in 0..<UInt64(max(count, 0)) where total.violation == nil {
            total.add(self.run(seed: first &+ offset, rounds: rounds, mutation: mutation))
        }
        return total
    }
}
