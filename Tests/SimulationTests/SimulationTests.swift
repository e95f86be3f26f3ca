// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Simulation

struct SimulationTests {
    /// Several tests share the seeds, so that they run side by side.
    @Test(arguments: [1, 51, 101, 151, 201] as [UInt64]) func `every invariant holds`(_ first: UInt64) {
        let summary = Simulator.run(seeds: first, count: 6, rounds: 2)
        #expect(summary.violation == nil, "\(summary.violation.map(String.init(describing:)) ?? "")")
        #expect(summary.seeds == 6)
        #expect(summary.faultyNodeHours > summary.nodeHours / 2)
    }

    @Test(arguments: Mutation.allCases) func `a core that does this wrong is found out`(_ mutation: Mutation) throws {
        let summary = Simulator.run(seeds: 1, count: 400, rounds: 10, mutation: mutation)
        let violation = try #require(summary.violation)
        // The seed alone shows it again, at the same moment.
        let again = Simulator.run(seed: violation.seed, rounds: 10, mutation: mutation)
        #expect(again.violation?.description == violation.description)
        #expect(Simulator.run(seed: violation.seed, rounds: 10).violation == nil)
    }

    @Test func `an address that flaps while nothing happens is found out as such`() throws {
        let violation = try #require(Simulator.run(seeds: 1, count: 4, mutation: .briefLifetimes).violation)
        #expect(violation.message.contains("without a cause"), "\(violation)")
    }

    @Test func `two nodes hold an address by two etcds, which is not promised`() {
        var divided = 0
        for seed in 1...400 as ClosedRange<UInt64> where World.hasEndpoints(seed) && divided == 0 {
            let summary = Simulator.run(seed: seed, rounds: 3)
            #expect(summary.violation == nil, "\(summary.violation.map(String.init(describing:)) ?? "")")
            divided += summary.divided
        }
        // Else nothing here would show that the proof needs its assumption A10.
        #expect(divided > 0)
    }

    @Test func `the same seed gives the same run`() {
        #expect(Self.trace(of: 7) == Self.trace(of: 7))
        #expect(Self.trace(of: 7) != Self.trace(of: 8))
    }

    @Test func `every kind of fault is injected`() {
        let summary = Simulator.run(seeds: 500, count: 32, rounds: 3)
        for kind in FaultKind.allCases { #expect(summary.faults[kind] > 0, "\(kind.rawValue)") }
    }

    // MARK: - Citus

    @Test(arguments: [1, 101] as [UInt64]) func `pg_dist_node follows, and never goes back`(_ first: UInt64) {
        var (updates, shared, holds) = (0, 0, 0)
        for seed in first..<first + 10 {
            let run = Simulator.runCitus(seed: seed, rounds: 3)
            #expect(run.violation == nil, "\(run.violation.map(String.init(describing:)) ?? "")")
            updates += run.updates
            shared += run.sharedUpdates
            holds += run.holds
        }
        let figures = "\(updates) updates, \(shared) of several groups, \(holds) holds"
        #expect(updates > 100 && shared > 0 && holds > 10, "\(figures)")
    }

    @Test(arguments: CitusMutation.allCases) func `what is left out for Citus is found out`(_ mutation: CitusMutation)
        throws
    {
        let violation = try #require(
            // What is not read half a minute ago is not written upon: the fence is seldom needed.
            (701...1000 as ClosedRange<UInt64>).lazy.compactMap {
                Simulator.runCitus(seed: $0, rounds: 5, mutation: mutation).violation
            }.first)
        let again = Simulator.runCitus(seed: violation.seed, rounds: 5, mutation: mutation)
        #expect(again.violation?.description == violation.description)
        #expect(Simulator.runCitus(seed: violation.seed, rounds: 5).violation == nil)
    }

    // MARK: - The failure detector

    @Test(arguments: [1, 101] as [UInt64])
    func `nothing is done on sole evidence, in maintenance, while suppressed, or twice; and suppression ends`(
        _ first: UInt64
    ) {
        var (orders, suppressions, verdicts) = (0, 0, 0)
        for seed in first..<first + 3 {
            let run = Simulator.runDetector(seed: seed)
            #expect(run.violation == nil, "\(run.violation.map(String.init(describing:)) ?? "")")
            orders += run.orders
            suppressions += run.suppressions
            verdicts += run.verdicts
        }
        #expect(orders > 0 && suppressions > 0 && verdicts > 50, "\(orders), \(suppressions), \(verdicts)")
    }

    @Test(arguments: DetectorMutation.allCases) func `what is left out of the detector is found out`(
        _ mutation: DetectorMutation
    ) throws {
        let violation = try #require(
            (1...60 as ClosedRange<UInt64>).lazy.compactMap {
                Simulator.runDetector(seed: $0, mutation: mutation).violation
            }.first)
        let again = Simulator.runDetector(seed: violation.seed, mutation: mutation)
        #expect(again.violation?.description == violation.description)
        #expect(Simulator.runDetector(seed: violation.seed).violation == nil)
    }

    /// A checksum (FNV-1a) of everything that happens.
    private static func trace(of seed: UInt64) -> UInt64 {
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        _ = Simulator.run(seed: seed, rounds: 2) { line in
            for byte in line.utf8 { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        return sum
    }
}
