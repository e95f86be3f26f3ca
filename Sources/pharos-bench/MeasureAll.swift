// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import NetworkBed

extension BenchPart: ExpressibleByArgument {}

/// Every part, one after the other: each has the machine for itself, and its page is written once it is measured. A part that cannot be
/// measured keeps the page of its last time, and the others are measured all the same.
struct MeasureAll: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all",
        abstract: "Measure everything, or some parts, and write a page of each into docs/benchmarks."
    )
    @OptionGroup var common: CommonOptions
    @Option(help: "Only this part (may be said several times): \(BenchPart.names).") var part: [BenchPart] = []
    @Option(help: "How often each reaction is measured.") var runs = 50
    @Option(help: "How often the daemon is started.") var starts = 20
    @Option(help: "For how many seconds the idle daemon is watched.") var seconds = 60
    @OptionGroup var client: ClientOptions
    @Option(help: "The folder to write to.") var output = "docs/benchmarks"

    func run() throws {
        let options = try self.common.bedOptions()
        let parts = self.part.isEmpty ? BenchPart.allCases : self.part
        runTool { () async throws(BedError) in
            var failures = 0
            for part in parts {
                do throws(BedError) {
                    // Before the part: what it does itself is no load of others.
                    let machine = Machine.read()
                    let (measured, etcdData) = try await self.measure(part, options)
                    printLine("\(part.title)\n\n\(measured.text)\n")
                    try Report(
                        part, measured, machine: machine, etcdData: etcdData, command: CommandLine.arguments
                    ).write(to: self.output)
                } catch {
                    failures += 1
                    complain("\(part.rawValue) was not measured, and its page is the one of before: \(error.message)")
                }
            }
            return failures == 0 ? 0 : 1
        }
    }

    /// What was measured, and of what kind etcd's storage was where the part is played on a bed.
    @EventLoop
    private func measure(_ part: BenchPart, _ options: TestBed.Options) async throws(BedError) -> (
        any Measured, String?
    ) {
        switch part {
        case .client: return (try await self.client.benchmark().run(), nil)
        case .citusClient: return (try await self.client.citusBenchmark().run(), nil)
        case .reaction, .citus, .idle, .detector, .unreachable, .start: break
        }
        var etcdData = ""
        let measured = try await TestBed.use(options) { bed async throws(BedError) -> any Measured in
            etcdData = bed.dataDescription
            switch part {
            case .reaction: return try await ReactionBenchmark(bed, runs: self.runs).run()
            case .idle: return try await IdleBenchmark(bed, seconds: self.seconds).run()
            case .start: return try await StartBenchmark(bed, starts: self.starts).run()
            case .citus: return try await CitusBenchmark(bed, runs: self.runs).run()
            case .detector: return try await DetectorBenchmark(bed, seconds: self.seconds).run()
            case .unreachable: return try await UnreachableBenchmark(bed, seconds: self.seconds).run()
            case .client, .citusClient: throw BedError("the lab's parts have no bed")
            }
        }
        return (measured, etcdData)
    }
}
