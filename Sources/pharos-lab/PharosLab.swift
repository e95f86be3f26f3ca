// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Glibc
import Lab

/// The command line of the lab: every subcommand is a method of ``Lab``.
@main
struct PharosLab: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pharos-lab",
        abstract: "A real three-node cluster in a box: systemd, etcd, Patroni, PostgreSQL and Pharos.",
        subcommands: [
            Demo.self,
            Up.self, Status.self, Switchover.self, Kill.self, Start.self, Freeze.self, Thaw.self, Cut.self, Loss.self,
            Heal.self, Exec.self, Journal.self, Show.self, Down.self, Observe.self,
            WriteThrough.self,
        ]
    )

    static func main() {
        flushOutputByLines()
        self.main(nil)
    }
}

/// Runs `operation` on the event loop of this thread, prints what it throws, and ends the process.
func runOnLoop(_ operation: @escaping @EventLoop () async throws(LabError) -> Int32) -> Never {
    // sd-event finds ended children only where SIGCHLD is blocked in every thread.
    blockSignals(SIGCHLD)
    EventLoop.spawn {
        do throws(LabError) {
            EventLoop.exit(code: try await operation())
        } catch {
            complain(error.message)
            EventLoop.exit(code: error.kind == .usage ? 64 : 1)
        }
    }
    exit(EventLoop.shared.executor.run())
}

/// Prints to standard error.
func complain(_ text: String) {
    let line = "pharos-lab: \(text)\n"
    _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
}
