// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Settings

struct Why: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show why things are as they are: each verdict, its evidence, and what it would take to change it.",
        discussion: "Exit status: 0 in order, 1 something needs attention, 69 the daemon does not answer.")
    @OptionGroup var daemon: SocketOption

    func run() throws {
        let (socket, instance) = (self.daemon.path, self.daemon.instance)
        let code = runOnLoop {
            guard let (_, status) = await ShowStatus.answer(socket, instance.unit) else {
                return ExitStatus.unavailableNumber
            }
            print(instance.addressed(WhyText(status).text), terminator: "")
            return StatusText(status).isInOrder ? 0 : 1
        }
        guard code == .success else { throw code }
    }
}
