// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import NetworkBed

struct FuzzCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fuzz",
        abstract: "Freeze, cut, kill and restore daemons and etcd at random, for a time."
    )
    @OptionGroup var common: CommonOptions
    @Option(name: .customLong("for"), help: "For how long, such as 90s, 10m or 2h.") var span = Span(seconds: 120)
    @Option(help: "The same seed draws the same faults.") var seed: UInt64 = 1
    @Option(help: "The number of the first round; the faults of each follow from its number and the seed.") var round =
        0
    @Option(help: "The lease's TTL in seconds.") var ttl = 5
    @Option(help: "The margin in milliseconds.") var margin = 1550
    @Flag(help: "Each daemon knows one member of etcd only, another one each.") var oneMember = false
    @Option(help: "A daemon of an older version, to run beside: etcd's history stays then.") var older: String?
    @Option(
        help:
            "For how many milliseconds a member of etcd may stand still; by default 3500 for a version that is known to end leases early afterwards (issue 15247 of etcd), and not limited for others."
    )
    var memberFault: Int?

    func run() throws {
        var ground = try self.common.groundOptions(older: self.older, ttl: self.ttl, margin: self.margin)
        ground.asksOneMember = self.oneMember
        let options = ground
        runHistories { () async throws(BedError) in
            let version = try await EtcdProgram.version(options.etcd)
            let limits = Plan.Limits(
                memberFault: self.memberFault ?? (version.endsLeasesEarly ? 3500 : nil),
                changesHistory: self.older == nil, mixesVersions: self.older != nil)
            printLine(
                "etcd \(version.text), TTL \(self.ttl) s, margin \(self.margin) ms, seed \(self.seed); Patroni's keys are "
                    + "written by a stand-in; logs in \(options.logFolder)")
            let result = try await HistoryBed.use(options) { bed async throws(BedError) in
                try await Fuzz(bed, seed: self.seed, limits: limits).run(for: self.span.duration, from: self.round) {
                    if $0.rounds % 10 == 0 { printLine($0.text) }
                }
            }
            guard result.overlap == 0 else {
                throw BedError(
                    "two nodes held the address in round \(self.round + result.rounds - 1): \(result.text); "
                        + "see \(options.logFolder)")
            }
            try await self.common.removeLogs()
            printLine("passed: \(result.text)")
        }
    }
}

/// A span of time as a person writes it: a whole number and s, m or h.
struct Span: ExpressibleByArgument, CustomStringConvertible {
    let seconds: Int
    var duration: Duration { .seconds(self.seconds) }
    var description: String { "\(self.seconds)s" }

    init(seconds: Int) { self.seconds = seconds }

    init?(argument: String) {
        let units = ["s": 1, "m": 60, "h": 3600]
        guard let number = Int(argument.dropLast()), (1...100_000).contains(number),
            let unit = units[String(argument.suffix(1))]
        else { return nil }
        self.init(seconds: number * unit)
    }
}
