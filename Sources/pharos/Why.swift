// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop

struct Why: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show why things are as they are: each verdict, its evidence, and what it would take to change it.",
        discussion: "Exit status: 0 in order, 1 something needs attention, 69 the daemon does not answer.")
    @Option(help: "The daemon's socket.") var socket = ShowStatus.defaultSocket

    func run() throws {
        let socket = self.socket
        let code = runOnLoop {
            guard let (_, status) = await ShowStatus.answer(socket) else { return ExitStatus.unavailableNumber }
            print(WhyText(status).text, terminator: "")
            return StatusText(status).isInOrder ? 0 : 1
        }
        guard code == .success else { throw code }
    }
}
