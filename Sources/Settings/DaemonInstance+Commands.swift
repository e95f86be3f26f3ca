// SPDX-License-Identifier: Apache-2.0

/// What a person types for this daemon. Texts are written for the daemon of `pharos.service`, the only one on most hosts.
extension DaemonInstance {
    /// The subcommands of `pharos` that take `--cluster`.
    public static let commands = [
        "run", "check-config", "init", "migrate", "status", "audit", "cluster", "watch", "crosscheck", "why", "metrics",
        "history", "show",
        "switchover", "pause-reactions", "resume-reactions", "operations", "acknowledge", "verify", "repair",
        "restore-point", "restore-points", "grant-sql", "release",
    ]

    /// `text` with its commands and its file as they are for this daemon: `systemctl restart pharos@NAME`, `pharos why --cluster NAME`.
    public func addressed(_ text: String) -> String {
        guard let name = self.name else { return text }
        var (result, rest) = ("", text[...])
        while let found = rest.firstRange(of: Self.plain) {
            result += rest[..<found.lowerBound]
            let after = rest[found.upperBound...]
            rest = after
            if result.hasSuffix(Self.folder + "/"), after.hasPrefix(".yml") {
                result += name
            } else if Self.namesUnit(before: result), !Self.goesOn(after) {
                result += "\(Self.plain)@\(name)"
            } else if !Self.goesOn(before: result), let command = Self.command(at: after) {
                result += "\(Self.plain) \(command) --cluster \(name)"
                rest = after.dropFirst(command.count + 1)
            } else {
                result += Self.plain
            }
        }
        return result + rest
    }

    /// Whether the word that follows is a unit: `systemctl WORD pharos`, `journalctl -u pharos`.
    private static func namesUnit(before: String) -> Bool {
        guard before.last == " " else { return false }
        let words = before.suffix(60).split(whereSeparator: { $0 == " " || $0 == "(" || $0 == "`" || $0 == "\n" })
            .filter { $0 != "--now" }
        return words.last == "-u" || words.dropLast().last == "systemctl"
    }

    private static func command(at text: Substring) -> String? {
        guard text.first == " " else { return nil }
        let word = text.dropFirst().prefix { $0.isLetter || $0 == "-" }
        return self.commands.first { $0 == word }
    }

    /// Whether the name is only the beginning of another one.
    private static func goesOn(_ after: Substring) -> Bool {
        guard let next = after.first else { return false }
        if next == "." { return after.dropFirst().first?.isLetter == true }
        return next.isLetter || next.isNumber || next == "@" || next == "-" || next == "_" || next == "/"
    }

    private static func goesOn(before: String) -> Bool {
        guard let last = before.last else { return false }
        return last.isLetter || last.isNumber || "/-_.@".contains(last)
    }
}
