// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Glibc
public import Simulation

extension Mutation: ExpressibleByArgument {}
extension CitusMutation: ExpressibleByArgument {}
extension DetectorMutation: ExpressibleByArgument {}

/// The real core in simulated clusters.
struct Clusters: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clusters",
        abstract:
            "Run the real core in simulated clusters, with faults, and check that no address is ever in two places, and that pg_dist_node follows."
    )

    @Option(
        help: "How many clusters, each from its own seed; of groups whose nodes watch each other, an eighth of that.")
    var seeds = 1000

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(help: "Phases of faults in each cluster, each followed by a healed one.")
    var rounds = 10

    @Option(help: "A fault in Pharos itself, which must be found.")
    var mutation: Mutation?

    @Option(name: .customLong("citus-mutation"), help: "A fault in what keeps pg_dist_node, which must be found.")
    var citusMutation: CitusMutation?

    @Flag(help: "Only the clusters with addresses.")
    var addresses = false

    @Flag(help: "Only the clusters with Citus.")
    var citus = false

    @Option(name: .customLong("detector-mutation"), help: "A fault in what watches members, which must be found.")
    var detectorMutation: DetectorMutation?

    @Flag(help: "Only the groups whose nodes watch each other.")
    var detector = false

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
        let isCitus = self.citus || self.citusMutation != nil
        let isDetector = self.detector || self.detectorMutation != nil
        if !isCitus, !isDetector { try self.runAddresses() }
        if self.mutation == nil, !isDetector, !self.addresses { try self.runCitus() }
        if self.mutation == nil, !isCitus, !self.addresses { try self.runDetector() }
        print("every invariant held")
    }

    private func runCitus() throws {
        let began = clock()
        var (hours, updates, shared, holds) = (0.0, 0, 0, 0)
        for offset in 0..<UInt64(self.trace ? 1 : self.seeds) {
            let isTold = self.trace
            let run = Simulator.runCitus(
                seed: self.first &+ offset, rounds: self.rounds, mutation: self.citusMutation,
                trace: isTold ? { print($0) } : nil)
            hours += run.hours
            updates += run.updates
            shared += run.sharedUpdates
            holds += run.holds
            guard let violation = run.violation else { continue }
            let flag = self.citusMutation.map { " --citus-mutation \($0.rawValue)" } ?? ""
            print("VIOLATION: \(violation)")
            print(
                "replay: .build/release/pharos-simulate --citus --first \(violation.seed) --rounds \(self.rounds)\(flag) --trace"
            )
            throw ExitCode.failure
        }
        let minutes = Double(clock() - began) / Double(CLOCKS_PER_SEC) / 60
        print(
            "Citus: \(Int(hours)) simulated hours, \(updates) updates of pg_dist_node (\(shared) of several groups), \(holds) held transactions, in \(Int(minutes * 60)) CPU-seconds"
        )
    }

    private func runDetector() throws {
        let began = clock()
        var (faults, verdicts, orders, suppressions) = (0, 0, 0, 0)
        // Four hours of such a group take as long as eight of the other clusters.
        let seeds = self.detector || self.detectorMutation != nil ? self.seeds : max(1, self.seeds / 8)
        for offset in 0..<UInt64(self.trace ? 1 : seeds) {
            let isTold = self.trace
            let run = Simulator.runDetector(
                seed: self.first &+ offset, mutation: self.detectorMutation, trace: isTold ? { print($0) } : nil)
            faults += run.faults
            verdicts += run.verdicts
            orders += run.orders
            suppressions += run.suppressions
            guard let violation = run.violation else { continue }
            let flag = self.detectorMutation.map { " --detector-mutation \($0.rawValue)" } ?? ""
            print("VIOLATION: \(violation)")
            print("replay: .build/release/pharos-simulate --detector --first \(violation.seed)\(flag) --trace")
            throw ExitCode.failure
        }
        let seconds = Int(Double(clock() - began) / Double(CLOCKS_PER_SEC))
        print(
            "detector: \(faults) faults, \(verdicts) verdicts against members, \(suppressions) suppressions, \(orders) switchovers wanted, in \(seconds) CPU-seconds"
        )
    }

    private func runAddresses() throws {
        let began = clock()
        var total = SimulationSummary()
        if self.trace {
            total = Simulator.run(seed: self.first, rounds: self.rounds, mutation: self.mutation) { print($0) }
        } else {
            total = Simulator.run(seeds: self.first, count: self.seeds, rounds: self.rounds, mutation: self.mutation)
        }
        let minutes = Double(clock() - began) / Double(CLOCKS_PER_SEC) / 60
        self.tell(total, minutes)
        guard let violation = total.violation else { return }
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
        print("\(total.arrivals) arrivals of addresses, \(total.flaps) of them where they had just gone from")
        print(
            "\(total.divided) times two nodes held an address, each by another etcd: not promised (docs/protocol.md, A10)"
        )
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
