// SPDX-License-Identifier: Apache-2.0

/// What a number of runs amounted to.
public struct SimulationSummary: Sendable {
    public var seeds = 0
    /// Simulated hours, summed over the nodes.
    public var nodeHours = 0.0
    public var faults = 0
    public var violation: Violation?
}

/// Runs the real core in simulated clusters: phases with faults, in which an address must never be in two places, each
/// followed by a healed one, in which it must return.
public enum Simulator {
    /// Runs one seed through `rounds` pairs of phases. With `trace`, every happening is told.
    public static func run(
        seed: UInt64, rounds: Int = 10, mutation: Mutation? = nil, trace: ((String) -> Void)? = nil
    ) -> SimulationSummary {
        let world = World(seed: seed, mutation: mutation, trace: trace)
        world.isFaulty = false
        world.run(for: 60_000_000)
        for _ in 0..<rounds where world.violation == nil {
            world.beginFaults()
            world.run(for: world.random.between(60_000_000, 600_000_000))
            world.heal()
            self.awaitReturn(world)
            // A quiet hour's quarter: most of a cluster's life.
            if world.violation == nil {
                world.run(for: 900_000_000)
                if world.violation == nil { world.checkLiveness() }
            }
        }
        return SimulationSummary(
            seeds: 1, nodeHours: Double(world.now) / 3.6e9 * Double(world.nodes.count), faults: world.faults,
            violation: world.violation)
    }

    /// Once Patroni has a leader that accepts writes, the address must be there within TTL + 5 s.
    private static func awaitReturn(_ world: World) {
        let patience = world.now + 4 * world.ttl + 60_000_000
        while world.violation == nil, !world.isSettled, world.now < patience { world.run(for: 1_000_000) }
        world.run(for: world.ttl + 5_000_000)
        if world.violation == nil { world.checkLiveness() }
    }

    /// Runs `count` seeds from `first` on, up to the first violation.
    public static func run(
        seeds first: UInt64, count: Int, rounds: Int = 10, mutation: Mutation? = nil
    ) -> SimulationSummary {
        var total = SimulationSummary()
        for offset in 0..<UInt64(max(count, 0)) {
            let summary = self.run(seed: first + offset, rounds: rounds, mutation: mutation)
            total.seeds += 1
            total.nodeHours += summary.nodeHours
            total.faults += summary.faults
            if let violation = summary.violation {
                total.violation = violation
                break
            }
        }
        return total
    }
}
