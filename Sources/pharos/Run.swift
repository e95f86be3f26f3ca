// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Glibc

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the daemon; systemd does this.")
    @OptionGroup var file: ConfigurationOption

    func run() throws { throw ExitCode(Self.daemon(path: self.file.path)) }

    /// Runs the daemon to its end; answers its exit status.
    static func daemon(path: String) -> Int32 {
        blockSignals(SIGTERM, SIGINT, SIGHUP, SIGCHLD)
        signal(SIGPIPE, SIG_IGN)
        EventLoop.spawn {
            let daemon = Daemon(path: path)
            await daemon.run()
        }
        return EventLoop.shared.executor.run()
    }

    /// The configuration's path where the command is `run`, alone or with `-c FILE`, as the unit has it.
    ///
    /// The daemon lives for months: recognized here, it never touches the argument parser, whose code would stay in
    /// memory (3 MB). Every other form, and every mistake, is the argument parser's.
    static func plainPath(_ arguments: [String]) -> String? {
        guard arguments.first == "run" else { return nil }
        if arguments.count == 1 { return ConfigurationOption.defaultPath }
        guard arguments.count == 3, arguments[1] == "-c" || arguments[1] == "--config", !arguments[2].hasPrefix("-")
        else { return nil }
        return arguments[2]
    }
}
