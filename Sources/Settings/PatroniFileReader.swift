// SPDX-License-Identifier: Apache-2.0
import Secrets

/// Reads values out of Patroni's configuration as Patroni itself does: of a key that stands twice the last one counts, a key of
/// the top level without a value is none, and a number is no text.
///
/// What cannot be used, and has a meaning for Patroni, is refused under the name of our own setting that would say it instead;
/// what would do no harm is a warning and counts as not said.
struct PatroniFileReader {
    let sources: PatroniSources
    var problems: DiagnosticList
    /// By the key of pharos.yml that would say it instead.
    var refused: [String: Sourced<String>] = [:]

    var document: YAMLDocument { self.sources.document }
    /// The first file, which stands for all of them.
    var file: String { self.sources.files.first?.path ?? "" }

    init(sources: PatroniSources, problems: DiagnosticList) {
        self.sources = sources
        self.problems = problems
    }

    func position(_ node: Int) -> Position {
        Position(file: self.sources.file(of: node).path, mark: self.document[node].mark)
    }

    /// Where a key of the top level stands; `value` is what it has.
    func keyPosition(_ key: String, _ value: Int) -> Position {
        guard let root = self.document.root, case .mapping(let pairs) = self.document[root].content,
            let pair = pairs.last(where: { self.document.text($0.key) == key })
        else { return self.position(value) }
        return self.position(pair.key)
    }

    /// The node at a path of keys; nil where there is none. It may be null, but not on the top level.
    func node(_ path: String...) -> Int? { self.node(path) }

    private func node(_ path: [String]) -> Int? {
        guard let first = path.first, let root = self.document.root,
            let node = self.document.value(of: first, in: root), !self.document.isNull(node)
        else { return nil }
        return path.dropFirst().reduce(node) { node, key in node.flatMap { self.document.value(of: key, in: $0) } }
    }

    /// What Patroni takes for a text at a node; nothing else is one.
    func text(_ node: Int) throws(InvalidValue) -> String {
        switch self.document.scalar(node) {
        case .text(let text): return text
        case let scalar?:
            throw .patroniRefuses("expected a text, not \(scalar.kind); put it in quotes if it is one")
        case nil: throw .patroniRefuses("expected a text, not a list or a mapping")
        }
    }

    /// Whether Python takes what stands at a node for false; so does Patroni in most places, where it means "not said".
    func isFalsy(_ node: Int) -> Bool {
        switch self.document[node].content {
        case .scalar: self.document.scalar(node)?.isFalsy ?? false
        case .sequence(let items): items.isEmpty
        case .mapping(let pairs): pairs.isEmpty
        }
    }

    /// The value at a path of keys; nil if it is absent, null, an empty text, or passed over with a warning.
    mutating func value<Value>(
        _ path: String...,
        parse: (String) throws(InvalidValue) -> Value
    ) -> Sourced<Value>? {
        guard let node = self.node(path), !self.isFalsy(node) else { return nil }
        do throws(InvalidValue) { return try self.parsed(node, parse) } catch {
            self.problems.warning(
                self.position(node), "'\(path.joined(separator: "."))' is passed over: \(error.message)")
            return nil
        }
    }

    /// The value at a path of keys that follows pharos.yml's `key`; nil if it is absent, or refused.
    mutating func needed<Value>(
        _ path: String..., for key: String, parse: (String) throws(InvalidValue) -> Value
    ) -> Sourced<Value>? {
        guard let node = self.node(path) else { return nil }
        do throws(InvalidValue) { return try self.parsed(node, parse) } catch {
            self.refuse(key, self.position(node), "'\(path.joined(separator: "."))': \(error.message)")
            return nil
        }
    }

    private func parsed<Value>(
        _ node: Int, _ parse: (String) throws(InvalidValue) -> Value
    ) throws(InvalidValue) -> Sourced<Value> {
        let text = try self.text(node)
        if text.isEmpty { throw .patroniRefuses("expected a value, not an empty text") }
        try PharosFileReader.checkText(text)
        return Sourced(value: try parse(text), position: self.position(node))
    }

    /// The first thing that is said against it counts.
    mutating func refuse(_ key: String, _ position: Position, _ message: String) {
        if self.refused[key] == nil { self.refused[key] = Sourced(value: message, position: position) }
    }

    /// Says so if everyone can read the file, now that a password was found in it.
    mutating func doubtMode(_ position: Position) {
        guard let file = self.sources.files.first(where: { $0.path == position.file }),
            let doubt = CredentialFiles.doubt(mode: file.mode, isSecret: true)
        else { return }
        self.problems.warning(position, "\(quoted(file.path)) \(doubt)")
    }
}

/// `text` without blanks at its ends.
func trimmed(_ text: some StringProtocol) -> String {
    let body = text.drop { $0.isWhitespace }
    return String(body.dropLast(body.reversed().prefix { $0.isWhitespace }.count))
}
