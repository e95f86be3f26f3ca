// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Glibc

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the daemon; systemd does this.")
    @OptionGroup var file: ConfigurationOption

    func run() throws {
        blockSignals(SIGTERM, SIGINT, SIGHUP, SIGCHLD)
        signal(SIGPIPE, SIG_IGN)
        let path = self.file.path
        EventLoop.spawn {
            let daemon = Daemon(path: path)
            await daemon.run()
        }
        throw ExitCode(EventLoop.shared.executor.run())
    }
}
