// SPDX-License-Identifier: Apache-2.0

/// The explanations of config/pharos.yml, by key: the one text about each of them, for the manual page too.
///
/// A line is one of four: empty, an explanation, `Example:`, or a key with a value; a `#` before it or not. What stands between two keys
/// explains the second one. Which word is a key, and of which section, ``Schema`` knows.
public struct AnnotatedConfiguration: Sendable {
    /// A key as the file shows it.
    public struct Key: Sendable, Equatable {
        /// Empty: of the top level.
        public var section: String
        public var name: String
        /// Lines; none where the section's explanation is also its own.
        public var explanation: [String]
        /// What stands behind the key.
        public var value: String
        /// Whether `value` is an example, and no default.
        public var isExample: Bool

        /// `etcd.endpoints`.
        public var path: String { self.section.isEmpty ? self.name : "\(self.section).\(self.name)" }
    }

    /// What the file says of itself, before the first key.
    public private(set) var introduction: [String] = []
    public private(set) var keys: [Key] = []

    public init(_ text: String) {
        var (section, explanation, isExample, isIntroduction) = ("", [String](), false, true)
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let (indentation, content, isCommented) = Self.content(line)
            if content.isEmpty {
                if isIntroduction, isCommented {
                    explanation.append("")
                    continue
                }
                if isIntroduction { (self.introduction, isIntroduction) = (explanation, false) }
                (explanation, isExample) = ([], false)
                continue
            }
            if content == "Example:" {
                isExample = true
                continue
            }
            if indentation == 0 { section = "" }
            let keys = Schema.sections.first { $0.name == section }?.keys ?? []
            let word = content.prefix { $0.isLowercase || $0 == "_" }
            guard keys.contains(String(word)), content.dropFirst(word.count).hasPrefix(":") else {
                explanation.append(content)
                continue
            }
            let value = content.dropFirst(word.count + 1).drop { $0 == " " }
            // What stands there without a comment is what a node needs, and so its own.
            self.keys.append(
                Key(
                    section: section, name: String(word), explanation: explanation, value: String(value),
                    isExample: isExample || !isCommented))
            explanation = []
            // An example of such a section is one of all of its keys.
            if section.isEmpty, value.isEmpty { section = String(word) }
            if !Self.isExampleOfAll(section) { isExample = false }
        }
    }

    /// Sections that are not used unless they are there.
    private static func isExampleOfAll(_ section: String) -> Bool {
        ["etcd", "patroni", "citus", "alert"].contains(section)
    }

    /// Keys that ``Schema`` has, in its order, and of which the file says nothing.
    public var missing: [String] {
        let shown = Set(self.keys.map(\.path))
        return Schema.sections.flatMap { section in
            section.keys.map { section.name.isEmpty ? $0 : "\(section.name).\($0)" }
        }.filter { !shown.contains($0) }
    }

    /// Without comment marks and the mark of a list, with the number of blanks before it.
    private static func content(_ line: Substring) -> (indentation: Int, text: String, isCommented: Bool) {
        var rest = line
        var isCommented = false
        var indentation = 0
        func take(_ mark: String) -> Bool {
            guard rest.hasPrefix(mark) else { return false }
            rest = rest.dropFirst(mark.count)
            return true
        }
        if rest == "#" { return (0, "", true) }
        if take("# ") { isCommented = true }
        while let first = rest.first, first == " " || rest.hasPrefix("# ") || rest.hasPrefix("- ") {
            if first == "#" { isCommented = true } else { indentation += 1 }
            rest = rest.dropFirst(first == " " ? 1 : 2)
            if first == "-" { indentation += 1 }
        }
        return (indentation, String(rest), isCommented)
    }
}
