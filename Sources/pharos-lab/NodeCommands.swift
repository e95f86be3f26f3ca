// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Lab

struct Exec: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a program inside a node, as root: pharos-lab exec n1 -- systemctl status patroni"
    )
    @Option(help: "Seconds after which it is killed.") var timeout = 60
    @Argument var node: String
    @Argument(parsing: .postTerminator) var command: [String]

    func run() {
        let (node, command, timeout) = (self.node, self.command, self.timeout)
        runOnLoop { () async throws(LabError) in
            guard !command.isEmpty else { throw LabError(.usage, "what shall be run? pharos-lab exec NODE -- COMMAND") }
            let outcome = try await Lab.running().exec(node, command, timeout: .seconds(timeout))
            print(outcome.text, terminator: "")
            return outcome.exitCode ?? 1
        }
    }
}

struct Journal: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a node's journal, also while the node is off: pharos-lab journal n1 -- -u pharos -x"
    )
    @Argument var node: String
    @Argument(parsing: .postTerminator, help: "Arguments for journalctl.") var arguments: [String] = []

    func run() {
        let (node, arguments) = (self.node, self.arguments)
        runOnLoop { () async throws(LabError) in
            print(try await Lab.running().journal(node, arguments), terminator: "")
            return 0
        }
    }
}
