// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import LenientJSON
import Settings

/// The API's process. It asks the daemon's socket, and has no credentials of its own for anything else.
@main
enum PharosAPI {
    static func main() {
        switch Invocation(Array(CommandLine.arguments.dropFirst())) {
        case .run(let path): exit(self.run(path))
        case .check(let path): exit(self.check(path))
        case .openAPI: print(OpenAPI.document.readable(lines: 8))
        case .help: print(Invocation.usage)
        case .version: print(Version.text)
        case .mistake(let problem):
            self.complain("pharos-api: \(problem)\n\(Invocation.usage)")
            exit(EX_USAGE)
        }
    }

    /// Serves until it is told to end; answers its exit status.
    private static func run(_ path: String) -> Int32 {
        let settings: APISettings
        do throws(SettingsError) {
            settings = try APISettings.load(path: path)
        } catch {
            self.complain(
                "\(error)\nhint: mend \(path), then: systemctl restart \(APIInstance(configuration: path).unit)")
            return EX_CONFIG
        }
        blockSignals(SIGTERM, SIGINT, SIGHUP)
        signal(SIGPIPE, SIG_IGN)
        EventLoop.spawn { Process(settings, APIInstance(configuration: path)).start() }
        return EventLoop.shared.executor.run()
    }

    private static func check(_ path: String) -> Int32 {
        do throws(SettingsError) {
            let settings = try APISettings.load(path: path)
            for warning in settings.warnings { self.complain("\(warning)") }
            EventLoop.spawn {
                let problems = APICheck.problems(of: settings)
                for problem in problems { self.complain("\(path): \(problem)") }
                EventLoop.exit(code: problems.isEmpty ? 0 : EX_CONFIG)
            }
            let status = EventLoop.shared.executor.run()
            print(APICheck.summary(settings), terminator: "")
            return status
        } catch {
            self.complain("\(error)")
            return EX_CONFIG
        }
    }

    private static func complain(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }
}
