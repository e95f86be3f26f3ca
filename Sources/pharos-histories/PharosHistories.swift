// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Glibc
import NetworkBed

@main
struct PharosHistories: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pharos-histories",
        abstract: "Shows that no two nodes hold an address, whatever happens to etcd and to the daemons.",
        discussion: """
            Three real daemons and three real members of etcd run in network namespaces. Patroni's keys are written by a stand-in: \
            there is no Patroni and no PostgreSQL. Needs root rights; nothing is left behind.
            """,
        subcommands: [FuzzCommand.self, SceneCommand.self]
    )

    static func main() {
        flushOutputByLines()
        self.main(nil)
    }
}

/// What every command needs to know.
struct CommonOptions: ParsableArguments {
    @Option(help: "The command, whose `run` is the daemon; without it, the one built beside this program.") var pharos:
        String?
    @Option(help: "etcd's server program.") var etcd = "/usr/bin/etcd"
    @Option(help: "etcd's client program, of the same version.") var etcdctl = "/usr/bin/etcdctl"
    @Option(help: "Where the logs go; without it, a folder in /tmp that is kept after a failure only.") var logs:
        String?

    var logFolder: String { self.logs ?? "/tmp/pharos-histories-\(getpid())" }

    func groundOptions(older: String?, ttl: Int, margin: Int) throws(BedError) -> Ground.Options {
        Ground.Options(
            pharos: try self.program(self.pharos ?? Files.ownFolder() + "/pharos"),
            older: try older.map { path throws(BedError) in try self.program(path) },
            etcd: try self.program(self.etcd), etcdctl: try self.program(self.etcdctl), ttl: ttl, margin: margin,
            logFolder: self.logFolder)
    }

    private func program(_ path: String) throws(BedError) -> String {
        guard let absolute = Files.absolute(path), access(absolute, X_OK) == 0 else {
            throw BedError("\(path) cannot be run")
        }
        return absolute
    }

    /// To be called after a success.
    @EventLoop
    func removeLogs() async throws(BedError) {
        if self.logs == nil { try await NetworkBed.run(["/bin/rm", "-rf", self.logFolder]) }
    }
}

/// ``runTool(_:)`` for an operation that succeeds or throws.
func runHistories(_ operation: @escaping @EventLoop () async throws(BedError) -> Void) -> Never {
    runTool { () async throws(BedError) in
        try await operation()
        return 0
    }
}
