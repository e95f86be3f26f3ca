// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Glibc
import NetworkBed

@main
struct PharosBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pharos-bench",
        abstract: "Measures Pharos: how fast an address follows the leader key, and what the daemon costs.",
        discussion: "Everything runs in network namespaces of its own, with a real etcd; needs root rights.",
        subcommands: [
            MeasureAll.self, MeasureReaction.self, MeasureClient.self, MeasureCitus.self, MeasureCitusClient.self,
            MeasureIdle.self, MeasureStart.self, MeasureDetector.self, MeasureUnreachable.self,
        ],
        defaultSubcommand: MeasureAll.self
    )

    static func main() {
        flushOutputByLines()
        self.main(nil)
    }
}

/// What every benchmark needs to know.
struct CommonOptions: ParsableArguments {
    @Option(help: "The folder with pharosd and pharos; without it, those built beside this program are measured.")
    var programs: String?
    @Flag(help: "Keep etcd's data in memory (/dev/shm) instead of on disk (/var/tmp).") var inMemory = false

    func bedOptions() throws(BedError) -> TestBed.Options {
        TestBed.Options(
            daemon: try self.program("pharosd"), command: try self.program("pharos"), isInMemory: self.inMemory)
    }

    private func program(_ name: String) throws(BedError) -> String {
        let path = "\(self.programs ?? Files.ownFolder())/\(name)"
        guard let absolute = Files.absolute(path), access(absolute, X_OK) == 0 else {
            throw BedError("\(path) cannot be run; build the product \(name), or say --programs FOLDER")
        }
        return absolute
    }
}

struct MeasureReaction: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reaction",
        abstract: "From the put of the leader key to the address on the new node."
    )
    @OptionGroup var common: CommonOptions
    @Option(help: "How often each reaction is measured.") var runs = 50

    func run() throws {
        let options = try self.common.bedOptions()
        runTool { () async throws(BedError) in
            let result = try await TestBed.use(options) { bed async throws(BedError) in
                try await ReactionBenchmark(bed, runs: self.runs).run()
            }
            printLine(result.text)
            return 0
        }
    }
}

/// What the benchmark in the lab needs to know.
struct ClientOptions: ParsableArguments {
    @Option(help: "The staged tree (make stage) to put on the lab's nodes.") var install = ".build/stage"
    @Option(help: "How many switchovers are measured.") var switchovers = 10
    @Option(help: "How many times a leader's node loses its power.") var powerOffs = 5
    @Option(help: "How many times the leader's daemon is restarted.") var restarts = 10

    @EventLoop
    func benchmark() -> ClientBenchmark {
        ClientBenchmark(
            install: self.install, switchovers: self.switchovers, powerOffs: self.powerOffs, restarts: self.restarts)
    }

    @EventLoop
    func citusBenchmark() -> CitusClientBenchmark {
        CitusClientBenchmark(install: self.install, switchovers: self.switchovers)
    }
}

struct MeasureClient: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "How long a client cannot write at switchovers and power-offs of real nodes."
    )
    @OptionGroup var client: ClientOptions

    func run() throws {
        let client = self.client
        runTool { () async throws(BedError) in
            printLine(try await client.benchmark().run().text)
            return 0
        }
    }
}

struct MeasureCitus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "citus",
        abstract:
            "How fast rows of pg_dist_node follow leader keys, and what verify, a restore point and a switchover take."
    )
    @OptionGroup var common: CommonOptions
    @Option(help: "How often each change of leaders is measured, and a fifth of that how often a switchover.")
    var runs = 50
    @Option(help: "Only this part (may be said several times): \(CitusBenchmark.Part.names).")
    var part: [CitusBenchmark.Part] = []

    func run() throws {
        let options = try self.common.bedOptions()
        let parts = self.part.isEmpty ? CitusBenchmark.Part.allCases : self.part
        runTool { () async throws(BedError) in
            let result = try await TestBed.use(options) { bed async throws(BedError) in
                try await CitusBenchmark(bed, runs: self.runs, parts: parts).run()
            }
            printLine(result.text)
            return 0
        }
    }
}

struct MeasureCitusClient: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "citus-client",
        abstract: "What 50 writers see of a worker's switchover: Pharos beside Patroni's own Citus handler."
    )
    @OptionGroup var client: ClientOptions

    func run() throws {
        let client = self.client
        runTool { () async throws(BedError) in
            printLine(try await client.citusBenchmark().run().text)
            return 0
        }
    }
}

struct CheckOptions: ParsableArguments {
    @Flag(help: "Compare with the thresholds that do not depend on the machine's speed; exit with 1 above one.")
    var check = false
    @Option(help: "The file of thresholds.") var thresholds = "Benchmarks/thresholds.json"

    /// Nil: nothing is to be compared.
    func read() throws(BedError) -> Thresholds? { self.check ? try Thresholds(file: self.thresholds) : nil }
}

struct MeasureIdle: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idle",
        abstract: "What the daemon that holds the address costs while nothing happens."
    )
    @OptionGroup var common: CommonOptions
    @Option(help: "For how many seconds the daemon is watched.") var seconds = 60
    @OptionGroup var check: CheckOptions

    func run() throws {
        let options = try self.common.bedOptions()
        let thresholds = try self.check.read()
        runTool { () async throws(BedError) in
            let (idle, changes) = try await TestBed.use(options) { bed async throws(BedError) in
                let idle = try await IdleBenchmark(bed, seconds: self.seconds).run()
                return (idle, thresholds == nil ? nil : try await OverlapCheck(bed).run())
            }
            printLine(idle.text)
            if let changes { printLine("\n" + changes.text + "\n") }
            let limited = idle.limited.merging(changes?.limited ?? [:]) { $1 }
            return thresholds?.tell(limited) ?? 0
        }
    }
}

struct MeasureStart: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "From the start of the daemon to READY=1, with etcd up."
    )
    @OptionGroup var common: CommonOptions
    @Option(help: "How often the daemon is started.") var starts = 20

    func run() throws {
        let options = try self.common.bedOptions()
        runTool { () async throws(BedError) in
            let result = try await TestBed.use(options) { bed async throws(BedError) in
                try await StartBenchmark(bed, starts: self.starts).run()
            }
            printLine(result.text)
            return 0
        }
    }
}

struct MeasureDetector: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detector",
        abstract: "What it costs to watch 1,000 members in 300 groups."
    )
    @OptionGroup var common: CommonOptions
    @Option(help: "For how many seconds the daemon is watched.") var seconds = 60

    func run() throws {
        let options = try self.common.bedOptions()
        runTool { () async throws(BedError) in
            let result = try await TestBed.use(options) { bed async throws(BedError) in
                try await DetectorBenchmark(bed, seconds: self.seconds).run()
            }
            printLine(result.text)
            return 0
        }
    }
}

struct MeasureUnreachable: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unreachable",
        abstract: "What it costs to watch 600 members that do not answer."
    )
    @OptionGroup var common: CommonOptions
    @Option(help: "For how many seconds the daemon is watched.") var seconds = 60
    @OptionGroup var check: CheckOptions

    func run() throws {
        let options = try self.common.bedOptions()
        let thresholds = try self.check.read()
        runTool { () async throws(BedError) in
            let result = try await TestBed.use(options) { bed async throws(BedError) in
                try await UnreachableBenchmark(bed, seconds: self.seconds).run()
            }
            printLine(result.text)
            return thresholds?.tell(result.limited) ?? 0
        }
    }
}
