// SPDX-License-Identifier: Apache-2.0
import Settings

/// What the daemon's arguments ask for.
enum Invocation: Equatable {
    /// To run with the configuration at this path.
    case run(String)
    case help, version
    /// What is wrong with them.
    case mistake(String)

    static let usage = """
        usage: pharosd [--config FILE]
        The daemon of pharos(8); systemd starts it. FILE is \(Settings.defaultPath) unless said; -c is short for --config.
        """

    /// - Parameter arguments: without the program's name.
    init(_ arguments: [String]) {
        switch arguments.first {
        case nil: self = .run(Settings.defaultPath)
        case "--help", "-h": self = .help
        case "--version": self = .version
        case "--config", "-c":
            if arguments.count == 1 {
                self = .mistake("\(arguments[0]) expects a file")
            } else if arguments.count > 2 {
                self = .mistake("unexpected argument '\(arguments[2])'")
            } else {
                self = .run(arguments[1])
            }
        case let option? where option.hasPrefix("--config=") && arguments.count == 1:
            self = .run(String(option.dropFirst("--config=".count)))
        case let other?: self = .mistake("unexpected argument '\(other)'")
        }
    }
}
