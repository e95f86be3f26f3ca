// SPDX-License-Identifier: Apache-2.0
import Glibc
import Simulation

/// `pharos-simulate [--seeds N] [--first SEED] [--rounds N] [--mutation NAME] [--trace]`
func number(after name: String, default value: Int) -> Int {
    guard let index = CommandLine.arguments.firstIndex(of: name), index + 1 < CommandLine.arguments.count else {
        return value
    }
    guard let number = Int(CommandLine.arguments[index + 1]), number >= 0 else {
        print("pharos-simulate: \(name) expects a number, not '\(CommandLine.arguments[index + 1])'")
        exit(64)
    }
    return number
}

let seeds = number(after: "--seeds", default: 20)
let first = UInt64(number(after: "--first", default: 1))
let rounds = number(after: "--rounds", default: 10)
var mutation: Mutation?
if let index = CommandLine.arguments.firstIndex(of: "--mutation") {
    let name = index + 1 < CommandLine.arguments.count ? CommandLine.arguments[index + 1] : ""
    guard let known = Mutation(rawValue: name) else {
        print("pharos-simulate: --mutation expects one of \(Mutation.allCases.map(\.rawValue).joined(separator: ", "))")
        exit(64)
    }
    mutation = known
}

if CommandLine.arguments.contains("--trace") {
    let summary = Simulator.run(seed: first, rounds: rounds, mutation: mutation) { print($0) }
    if let violation = summary.violation { print("violation: \(violation)") }
    exit(summary.violation == nil ? 0 : 1)
}

let began = clock()
let summary = Simulator.run(seeds: first, count: seeds, rounds: rounds, mutation: mutation)
let minutes = Double(clock() - began) / Double(CLOCKS_PER_SEC) / 60
print("\(summary.seeds) seeds: \(Int(summary.nodeHours)) simulated node-hours, \(summary.faults) faults injected")
print("\(Int(summary.nodeHours / max(minutes, 1e-9))) node-hours per CPU-minute")
if let violation = summary.violation {
    let flag = mutation.map { " --mutation \($0.rawValue)" } ?? ""
    print("VIOLATION: \(violation)")
    print("replay: pharos-simulate --first \(violation.seed) --rounds \(rounds)\(flag) --trace")
    exit(1)
}
print("every invariant held")
