// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Conninfo
import EventLoop
import Glibc
import Settings
import Shell

@main
struct Pharos: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pharos",
        abstract: "Keeps a virtual IP address on the PostgreSQL node that Patroni leads, and never on two.",
        version: Version.text,
        subcommands: [
            Run.self, CheckConfig.self, Initialize.self, ShowStatus.self, Cluster.self, Watch.self, Crosscheck.self,
            Why.self, History.self, Show.self,
            Acknowledge.self, Verify.self, Repair.self, MakeRestorePoint.self, ListRestorePoints.self, GrantSQL.self,
            Release.self,
        ])

    static func main() {
        // While there is one thread.
        LibpqEnvironment.clear()
        self.main(nil)
    }
}

/// Where the configuration is.
struct ConfigurationOption: ParsableArguments {
    @Option(name: [.customLong("config"), .customShort("c")], help: "The configuration file.")
    var path = Settings.defaultPath
}

/// The exit statuses of sysexits(3) that are used.
enum ExitStatus {
    static let unavailableNumber: Int32 = 69
    static let unavailable = ExitCode(unavailableNumber)
    static let configuration = ExitCode(78)
}

/// Writes a line to standard error.
func complain(_ text: String) {
    let line = Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// Runs `operation` on the event loop, to its end, on this thread.
///
/// - Parameter blocking: the signals that it takes as events.
func runOnLoop(blocking signals: [CInt] = [], _ operation: @escaping @EventLoop () async -> Int32) -> ExitCode {
    for number in [SIGCHLD] + signals { blockSignals(number) }
    signal(SIGPIPE, SIG_IGN)
    EventLoop.spawn { EventLoop.exit(code: await operation()) }
    return ExitCode(EventLoop.shared.executor.run())
}
