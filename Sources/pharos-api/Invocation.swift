// SPDX-License-Identifier: Apache-2.0
import Settings

/// What the arguments ask for.
enum Invocation: Equatable {
    /// To serve with the configuration at this path.
    case run(String)
    /// To judge that configuration.
    case check(String)
    /// To print the OpenAPI document.
    case openAPI
    case help, version
    /// What is wrong with them.
    case mistake(String)

    static let usage = """
        usage: pharos-api [--config FILE] [--check]
               pharos-api --openapi
        Pharos's API; systemd starts it. FILE is \(APIInstance().configuration) unless said; -c is short for --config.
        --check says what is wrong with FILE, and ends: 0 in order, 78 not. --openapi prints what can be asked for.
        """

    /// - Parameter arguments: without the program's name.
    init(_ arguments: [String]) {
        var (path, isCheck): (String?, Bool) = (nil, false)
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--help", "-h": self = .help
            case "--version": self = .version
            case "--openapi": self = .openAPI
            case "--check":
                isCheck = true
                continue
            case "--config", "-c":
                guard let file = rest.popFirst() else {
                    self = .mistake("\(argument) expects a file")
                    return
                }
                path = file
                continue
            default:  // text, not cases of ours
                guard argument.hasPrefix("--config=") else {
                    self = .mistake("unexpected argument '\(argument)'")
                    return
                }
                path = String(argument.dropFirst("--config=".count))
                continue
            }
            if arguments.count > 1 { self = .mistake("\(argument) stands alone") }
            return
        }
        let file = path ?? APIInstance().configuration
        self = isCheck ? .check(file) : .run(file)
    }
}
