// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import LenientJSON
import Settings
import Shell

/// The manual page of one command, made of the definition that also reads its command line.
struct CommandManual {
    private let command: JSON
    let name: String

    /// Of all commands that people are shown, in the order of the help.
    static func all() -> [CommandManual] {
        let root = JSON.parse(Pharos._dumpHelp().utf8)?["command"]
        return (root?["subcommands"]?.array ?? []).compactMap { command in
            guard let name = command["commandName"]?.string, name != "help", command["shouldDisplay"]?.bool != false
            else { return nil }
            return CommandManual(command: command, name: name)
        }
    }

    /// The file's name, in its section's folder.
    var file: String { "man8/pharos-\(self.name).8" }

    var page: String {
        var roff = Roff(
            "pharos-\(self.name)", section: 8, source: "Pharos \(Version.text)", manual: "System Manager's Manual")
        let abstract = self.command["abstract"]?.string ?? ""
        let (discussion, exit) = Self.split(self.command["discussion"]?.string ?? "")
        roff.section("NAME")
        roff.line("pharos\\-\(Roff.escaped(self.name, isLiteral: true)) \\- \(Self.phrase(abstract))")
        roff.section("SYNOPSIS")
        roff.line(Roff.bold("pharos \(self.name)"))
        for argument in self.shown where Self.names(argument) != ["h", "help"] { roff.line(Self.synopsis(argument)) }
        roff.section("DESCRIPTION")
        roff.prose(abstract)
        if !discussion.isEmpty {
            roff.line(".PP")
            roff.prose(discussion)
        }
        self.list(&roff, "ARGUMENTS", self.shown.filter { $0["kind"]?.string == "positional" })
        self.list(&roff, "OPTIONS", self.shown.filter { $0["kind"]?.string != "positional" })
        roff.section("EXIT STATUS")
        if let exit { roff.prose(exit) } else { roff.prose("0 done.") }
        roff.prose("64 the command line cannot be understood.")
        if exit?.contains("78 ") != true { roff.prose("78 the configuration cannot be used.") }
        roff.section("SEE ALSO")
        roff.line("\(Roff.bold("pharos"))(8), \(Roff.bold("pharos.yml"))(5)")
        return roff.text
    }

    private var shown: [JSON] {
        (self.command["arguments"]?.array ?? []).filter {
            $0["shouldDisplay"]?.bool != false && Self.names($0) != ["version"]
        }
    }

    private func list(_ roff: inout Roff, _ title: String, _ arguments: [JSON]) {
        guard !arguments.isEmpty else { return }
        roff.section(title)
        for argument in arguments {
            roff.item(Self.tag(argument))
            roff.prose(argument["abstract"]?.string ?? "")
            if let discussion = argument["discussion"]?.string { roff.prose(discussion) }
            if let value = argument["defaultValue"]?.string, argument["kind"]?.string != "flag" {
                roff.prose("Without it: \(value).")
            }
        }
    }

    private static func names(_ argument: JSON) -> [String] {
        (argument["names"]?.array ?? []).compactMap { $0["name"]?.string }.sorted()
    }

    private static func spelled(_ name: JSON) -> String {
        let text = name["name"]?.string ?? ""
        return name["kind"]?.string == "long" ? "--\(text)" : "-\(text)"
    }

    private static func value(_ argument: JSON) -> String { (argument["valueName"]?.string ?? "value").uppercased() }

    private static func synopsis(_ argument: JSON) -> String {
        var text: String
        if argument["kind"]?.string == "positional" {
            text = Roff.italic(self.value(argument))
        } else {
            text = argument["preferredName"].map { Roff.bold(self.spelled($0)) } ?? ""
            if argument["kind"]?.string == "option" { text += " \(Roff.italic(self.value(argument)))" }
        }
        if argument["isRepeating"]?.bool == true { text += " ..." }
        return argument["isOptional"]?.bool == true ? "[\(text)]" : text
    }

    private static func tag(_ argument: JSON) -> String {
        guard argument["kind"]?.string != "positional" else { return Roff.italic(self.value(argument)) }
        let names = (argument["names"]?.array ?? []).map { Roff.bold(self.spelled($0)) }.joined(separator: ", ")
        return argument["kind"]?.string == "option" ? "\(names) \(Roff.italic(self.value(argument)))" : names
    }

    /// For NAME: no period at the end, and small at the beginning.
    private static func phrase(_ text: String) -> String {
        let text = text.hasSuffix(".") ? String(text.dropLast()) : text
        return Roff.inline(text.prefix(1).lowercased() + text.dropFirst())
    }

    /// The sentence about the exit status apart from the rest.
    static func split(_ discussion: String) -> (rest: String, exit: String?) {
        guard let start = discussion.firstRange(of: "Exit status: ") else { return (discussion, nil) }
        let tail = discussion[start.upperBound...]
        var end = tail.endIndex
        for index in tail.indices where tail[index] == "." {
            let rest = tail[tail.index(after: index)...]
            guard let next = rest.drop(while: \.isWhitespace).first else { break }
            if rest.first?.isWhitespace == true, next.isUppercase {
                end = tail.index(after: index)
                break
            }
        }
        let before = discussion[..<start.lowerBound]
        let after = tail[end...].drop(while: \.isWhitespace)
        let rest = after.isEmpty ? before : before + after
        return (String(rest.reversed().drop(while: \.isWhitespace).reversed()), String(tail[..<end]))
    }
}
