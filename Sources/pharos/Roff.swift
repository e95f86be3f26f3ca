// SPDX-License-Identifier: Apache-2.0

/// A manual page in the macros of man(7), written line by line. Whatever text it is given is shown as it is: nothing in it is a request.
struct Roff {
    private(set) var text: String

    /// Without a date: the same sources make the same page.
    init(_ title: String, section: Int, source: String, manual: String) {
        self.text = """
            .\\" SPDX-License-Identifier: Apache-2.0
            .\\" Made by 'pharos write-manual'.
            .TH \(Self.quoted(title.uppercased())) \(section) "" \(Self.quoted(source)) \(Self.quoted(manual))

            """
    }

    mutating func line(_ line: String) { self.text += line + "\n" }
    mutating func section(_ name: String) { self.line(".SH \(Self.quoted(name))") }
    mutating func subsection(_ name: String) { self.line(".SS \(Self.quoted(name))") }
    /// What follows explains `tag`, which is formatted already.
    mutating func item(_ tag: String) {
        self.line(".TP")
        self.line(Self.shielded(tag))
    }

    /// Prose: backquotes stand around what is typed, an empty line parts paragraphs, and what is indented by four is shown as it is.
    mutating func prose(_ prose: String) {
        var (isOpen, isEmpty) = (false, true)
        for line in prose.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("    ") {
                if !isOpen { self.line(".PP\n.RS 4\n.nf") }
                isOpen = true
                self.line(Self.shielded(Self.escaped(String(line.dropFirst(4)), isLiteral: true)))
            } else {
                if isOpen { self.line(".fi\n.RE") }
                isOpen = false
                if line.isEmpty {
                    if !isEmpty { self.line(".PP") }
                } else {
                    self.line(Self.shielded(Self.inline(String(line))))
                }
            }
            isEmpty = line.isEmpty
        }
        if isOpen { self.line(".fi\n.RE") }
    }

    static func bold(_ text: String) -> String { "\\fB\(self.escaped(text, isLiteral: true))\\fR" }
    static func italic(_ text: String) -> String { "\\fI\(self.escaped(text, isLiteral: true))\\fR" }

    /// Every second piece between backquotes is typed.
    static func inline(_ text: String) -> String {
        let pieces = text.split(separator: "`", omittingEmptySubsequences: false).map(String.init)
        guard pieces.count % 2 == 1 else { return self.escaped(text) }
        return pieces.enumerated().map { $0.offset % 2 == 1 ? self.bold($0.element) : self.escaped($0.element) }
            .joined()
    }

    /// `isLiteral`: to be typed, so that a hyphen stays one that can be copied.
    static func escaped(_ text: String, isLiteral: Bool = false) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\e"
            case "-" where isLiteral: escaped += "\\-"
            case "'": escaped += "\\(aq"
            case "`": escaped += "\\(ga"
            case "^": escaped += "\\(ha"
            case "~": escaped += "\\(ti"
            case " "..."~": escaped.unicodeScalars.append(scalar)
            case "\t": escaped += " "
            default:  // Unicode, not cases of ours
                let digits = String(scalar.value, radix: 16, uppercase: true)
                escaped += "\\[u\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits)]"
            }
        }
        return escaped
    }

    /// A line that begins like a request is none.
    private static func shielded(_ line: String) -> String {
        line.hasPrefix(".") || line.hasPrefix("'") ? "\\&\(line)" : line
    }

    private static func quoted(_ text: String) -> String {
        "\"\(self.escaped(text).replacing("\"", with: "\\(dq"))\""
    }
}
