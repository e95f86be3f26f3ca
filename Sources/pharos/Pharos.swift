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
            Why.self, ShowMetrics.self, History.self, Show.self, Token.self,
            Switchover.self, PauseReactions.self, ResumeReactions.self, Operations.self, Acknowledge.self, Verify.self,
            Repair.self, MakeRestorePoint.self, ListRestorePoints.self, GrantSQL.self,
            Release.self, RunAudit.self, Migrate.self, WriteManual.self,
        ])

    static func main() {
        // While there is one thread.
        LibpqEnvironment.clear()
        flushOutputByLines()
        self.main(nil)
    }
}

/// Where the configuration is.
struct ConfigurationOption: ParsableArguments {
    @Option(
        name: [.customLong("config"), .customShort("c")],
        help: "The configuration file; without it /etc/pharos/pharos.yml.", completion: .file(extensions: ["yml"]))
    var config: String?
    @Option(
        help: "Of several clusters on this host, the one of /etc/pharos/CLUSTER.yml.", completion: Completions.clusters)
    var cluster: String?

    var path: String { self.config ?? ClusterName.instance(self.cluster).configuration }

    func validate() throws {
        try ClusterName.check(self.cluster)
        guard self.config == nil || self.cluster == nil else {
            throw ValidationError("--config and --cluster both say which file: one of them is enough")
        }
    }
}

/// Where the daemon of this node answers.
struct SocketOption: ParsableArguments {
    @Option(help: "The daemon's socket; without it /run/pharos/pharos.sock.", completion: .file()) var socket: String?
    @Option(
        help: "Of several clusters on this host, the one of /etc/pharos/CLUSTER.yml.", completion: Completions.clusters)
    var cluster: String?

    var instance: DaemonInstance { ClusterName.instance(self.cluster) }
    var path: String { self.socket ?? self.instance.socket }

    func validate() throws { try ClusterName.check(self.cluster) }
}

/// One of several clusters on a host, as it is named on a command line.
enum ClusterName {
    static func check(_ name: String?) throws {
        guard let name, DaemonInstance(named: name) == nil else { return }
        throw ValidationError("'\(name)' is no cluster's name: letters, digits, _ - and . (and not pharos, nor api)")
    }

    /// Nil, and what ``check(_:)`` refuses: the plain one.
    static func instance(_ name: String?) -> DaemonInstance {
        name.flatMap(DaemonInstance.init(named:)) ?? DaemonInstance()
    }
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

/// Runs `operation` on the event loop, to its end, on this thread. Once in a process: the loop does not turn again.
///
/// - Parameter blocking: the signals that it takes as events.
func runOnLoop(blocking signals: [CInt] = [], _ operation: @escaping @EventLoop () async -> Int32) -> ExitCode {
    for number in [SIGCHLD] + signals { blockSignals(number) }
    signal(SIGPIPE, SIG_IGN)
    EventLoop.spawn { EventLoop.exit(code: await operation()) }
    return ExitCode(EventLoop.shared.executor.run())
}
