// SPDX-License-Identifier: Apache-2.0
import Conninfo
import EventLoop
import Glibc
import Settings
import Shell

/// The daemon's process. It lives for months: no parser of command lines is in it, whose code would stay in memory.
@main
enum Pharosd {
    static func main() {
        // While there is one thread.
        LibpqEnvironment.clear()
        switch Invocation(Array(CommandLine.arguments.dropFirst())) {
        case .run(let configuration): exit(self.run(configuration))
        case .help: print(Invocation.usage)
        case .version: print(Version.text)
        case .mistake(let problem):
            let text = "pharosd: \(problem)\n\(Invocation.usage)\n"
            _ = write(STDERR_FILENO, text, text.utf8.count)
            exit(EX_USAGE)
        }
    }

    /// Runs the daemon to its end; answers its exit status.
    private static func run(_ configuration: String) -> Int32 {
        blockSignals(SIGTERM, SIGINT, SIGHUP, SIGCHLD)
        signal(SIGPIPE, SIG_IGN)
        EventLoop.spawn {
            let daemon = Process(path: configuration)
            await daemon.run()
        }
        return EventLoop.shared.executor.run()
    }
}
