// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Glibc
public import Simulation

extension Mutation: ExpressibleByArgument {}

/// The real core in simulated clusters.
@main
struct PharosSimulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pharos-simulate",
        abstract:
            "Run the real core in simulated clusters, with faults, and check that no address is ever in two places.")

    @Option(help: "How many clusters, each from its own seed.")
    var seeds = 1000

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(help: "Phases of faults in each cluster, each followed by a healed one.")
    var rounds = 10

    @Option(help: "A fault in Pharos itself, which must be found.")
    var mutation: Mutation?

    @Flag(help: "Tell everything that happens in the cluster of the first seed.")
    var trace = false

    mutating func validate() throws {
        guard self.seeds > 0, self.seeds <= 100_000_000 else {
            throw ValidationError("--seeds expects a number from 1 to 100000000")
        }
        guard self.rounds > 0, self.rounds <= 1000 else {
            throw ValidationError("--rounds expects a number from 1 to 1000")
        }
    }

    mutating func run() throws {
        let began = clock()
        var total = SimulationSummary()
        if self.trace {
            total = Simulator.run(seed: self.first, rounds: self.rounds, mutation: self.mutation) { print($0) }
        } else {
            total = Simulator.run(seeds: self.first, count: self.seeds, rounds: self.rounds, mutation: self.mutation)
        }
        let minutes = Double(clock() - began) / Double(CLOCKS_PER_SEC) / 60
        self.tell(total, minutes)
        guard let violation = total.violation else { return print("every invariant held") }
        print("VIOLATION: \(violation)")
        print("replay: \(Self.replay(violation, self.rounds, self.mutation))")
        throw ExitCode.failure
    }

    private func tell(_ total: SimulationSummary, _ minutes: Double) {
        print("\(total.faults.total) faults injected:")
        for kind in FaultKind.allCases {
            let count = "\(total.faults[kind])"
            print("\(String(repeating: " ", count: max(0, 10 - count.count)))\(count) \(kind.rawValue)")
        }
        let share = Int((total.faultyNodeHours / max(total.nodeHours, 1e-9) * 100).rounded())
        print(
            "\(total.seeds) seeds: \(Int(total.nodeHours)) simulated node-hours, \(share) % of them with faults under way"
        )
        print("\(Int(total.nodeHours / max(minutes, 1e-9))) node-hours per CPU-minute")
    }

    /// The command that shows a violation again.
    private static func replay(_ violation: Violation, _ rounds: Int, _ mutation: Mutation?) -> String {
        let flag = mutation.map { " --mutation \($0.rawValue)" } ?? ""
        return ".build/release/pharos-simulate --first \(violation.seed) --rounds \(rounds)\(flag) --trace"
    }
}
