// SPDX-License-Identifier: Apache-2.0
import Secrets

/// A value and the place that said it.
struct Sourced<Value: Sendable>: Sendable {
    var value: Value
    var position: Position
}

/// What is wrong with one value; the reader adds the place and the key.
struct InvalidValue: Error {
    var message: String
    init(_ message: String) { self.message = message }

    /// The usual form. A long or strange text is shown cut and escaped; one with an `@` may hold a password and is not.
    static func expected(_ what: String, not text: String) -> InvalidValue {
        .init(text.utf8.contains(UInt8(ascii: "@")) ? "expected \(what)" : "expected \(what), not \(quoted(text))")
    }
}

/// One mapping of pharos.yml whose keys have been checked.
struct SectionKeys {
    var section: String
    var mark: YAMLDocument.Mark
    /// Key to value node. Values of null are left out: they say nothing, and the walk has said so.
    var values: [String: Int] = [:]
    /// The keys that stand there, those of null included.
    var keys: Set<String> = []
}

/// The walk over pharos.yml, or api.yml: checks mappings against ``Schema`` and reads typed values, gathering all that is wrong.
struct PharosFileReader {
    /// A text longer than this is no sensible value of any key, in bytes.
    static let textLimit = 4096

    let file: String
    let document: YAMLDocument
    let environment: SettingsEnvironment
    var problems: DiagnosticList
    /// All sections that a file of this kind may have: where a key belongs that stands in the wrong one.
    var schema = Schema.sections
    /// The dotted keys that were met, usable or not.
    var said: Set<String> = []

    func position(_ node: Int) -> Position { Position(file: self.file, mark: self.document[node].mark) }

    /// The pairs of a mapping; says so and answers nil if `node` is none. Unknown keys and duplicates are reported.
    mutating func fields(_ node: Int, _ section: Schema.Section) -> SectionKeys? {
        let keys = section.keys.joined(separator: ", ")
        let prefix = section.name.isEmpty ? "" : section.name + "."
        guard self.isUntagged(node), case .mapping(let pairs) = self.document[node].content else {
            let subject = section.name.isEmpty ? "the file" : "'\(section.name)'"
            if self.document[node].tag == nil {
                let message = "\(subject): expected a mapping with the keys \(keys), not \(self.kind(node))"
                self.problems.error(self.position(node), message)
            }
            self.said.formUnion(section.keys.map { prefix + $0 })
            return nil
        }
        var fields = SectionKeys(section: section.name, mark: self.document[node].mark)
        var seen: [String: YAMLDocument.Mark] = [:]
        for pair in pairs {
            guard let key = self.document.text(pair.key) else {
                let kind = self.kind(pair.key)
                self.problems.error(self.position(pair.key), "expected a key, one of \(keys), not \(kind)")
                continue
            }
            if let first = seen[key] {
                let message = "key \(quoted(key)) is given twice, first in line \(first.line)"
                self.problems.error(self.position(pair.key), message)
                continue
            }
            seen[key] = self.document[pair.key].mark
            guard section.keys.contains(key) else {
                self.problems.error(
                    self.position(pair.key), Schema.complaint(unknown: key, in: section, of: self.schema))
                continue
            }
            fields.keys.insert(key)
            self.said.insert(prefix + key)
            if self.document.isNull(pair.value) {
                let message = "'\(key)' has no value; give it one or leave the key out"
                self.problems.error(self.position(pair.key), message)
                continue
            }
            fields.values[key] = pair.value
        }
        return fields
    }

    /// The items of a list of at most `limit`; says so and answers none if `node` is no list.
    mutating func items(_ node: Int, _ name: String, of what: String, limit: Int) -> [Int] {
        guard self.isUntagged(node) else { return [] }
        guard case .sequence(let items) = self.document[node].content else {
            self.problems.error(self.position(node), "'\(name)': expected a list of \(what), not \(self.kind(node))")
            return []
        }
        if items.isEmpty { self.problems.error(self.position(node), "'\(name)': expected at least one of \(what)") }
        if items.count > limit {
            self.problems.error(self.position(items[limit]), "'\(name)': at most \(limit) \(what)")
        }
        return Array(items.prefix(limit))
    }

    /// Reads `key` through `parse`; nil if it is absent, or wrong and reported.
    mutating func value<Value>(
        _ fields: SectionKeys,
        _ key: String,
        _ parse: (String) throws(InvalidValue) -> Value
    ) -> Sourced<Value>? {
        guard let node = fields.values[key] else { return nil }
        return self.value(node, named: fields.section.isEmpty ? "'\(key)'" : "'\(key)' in '\(fields.section)'", parse)
    }

    /// Reads one scalar through `parse`.
    mutating func value<Value>(
        _ node: Int,
        named name: String,
        _ parse: (String) throws(InvalidValue) -> Value
    ) -> Sourced<Value>? {
        guard self.isUntagged(node) else { return nil }
        let position = self.position(node)
        do throws(InvalidValue) {
            guard case .scalar(let text, let isPlain) = self.document[node].content else {
                throw InvalidValue("expected one value, not \(self.kind(node))")
            }
            if isPlain, Self.isBoolean(text) {
                throw InvalidValue("expected text, not a boolean; put '\(text)' in quotes")
            }
            try Self.checkText(text)
            return Sourced(value: try parse(text), position: position)
        } catch {
            self.problems.error(position, "\(name): \(error.message)")
            return nil
        }
    }

    static func checkText(_ text: String) throws(InvalidValue) {
        guard !text.isEmpty else { throw InvalidValue("expected a value, not an empty text") }
        guard text.utf8.count <= self.textLimit else { throw InvalidValue("longer than \(self.textLimit) bytes") }
        guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw InvalidValue("a control character in the text")
        }
    }

    /// YAML 1.1's words for true and false, which a person may not have meant as text.
    private static func isBoolean(_ text: String) -> Bool {
        ["true", "false", "yes", "no", "on", "off"].contains(text.lowercased())
    }

    private mutating func isUntagged(_ node: Int) -> Bool {
        guard let tag = self.document[node].tag else { return true }
        self.problems.error(self.position(node), "tag \(quoted(tag)) has no meaning here; leave it out")
        return false
    }

    private func kind(_ node: Int) -> String {
        switch self.document[node].content {
        case .scalar(let text, _): self.document.isNull(node) ? "nothing" : "the text \(quoted(text))"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}
