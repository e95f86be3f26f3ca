// SPDX-License-Identifier: Apache-2.0
import Secrets

/// Reads values out of Patroni's file tolerantly: what is not understood is a warning and counts as not said.
///
/// Of a key that stands twice the last one counts, as for Patroni. Patroni's environment variables are not read.
struct PatroniFileReader {
    let file: String
    let document: YAMLDocument
    /// The file's permission bits.
    let mode: UInt32
    var problems: DiagnosticList

    func position(_ node: Int) -> Position { Position(file: self.file, mark: self.document[node].mark) }

    /// Where a key of the top level stands; `value` is what it has.
    func keyPosition(_ key: String, _ value: Int) -> Position {
        guard let root = self.document.root, case .mapping(let pairs) = self.document[root].content,
            let pair = pairs.last(where: { self.document.text($0.key) == key })
        else { return self.position(value) }
        return self.position(pair.key)
    }

    /// The node at a path of keys, which may be null; nil where there is none.
    func node(_ path: String...) -> Int? { self.node(path) }

    private func node(_ path: [String]) -> Int? {
        path.reduce(self.document.root) { node, key in node.flatMap { self.document.value(of: key, in: $0) } }
    }

    /// The value at a path of keys; nil if it is absent, null, or passed over with a warning.
    mutating func value<Value>(
        _ path: String...,
        parse: (String) throws(InvalidValue) -> Value
    ) -> Sourced<Value>? {
        guard let node = self.node(path) else { return nil }
        return self.value(node, named: path.joined(separator: "."), parse: parse)
    }

    mutating func value<Value>(
        _ node: Int,
        named name: String,
        parse: (String) throws(InvalidValue) -> Value
    ) -> Sourced<Value>? {
        guard !self.document.isNull(node) else { return nil }
        do throws(InvalidValue) {
            guard let text = self.document.text(node) else { throw InvalidValue("expected one value") }
            try PharosFileReader.checkText(text)
            return Sourced(value: try parse(text), position: self.position(node))
        } catch {
            self.problems.warning(self.position(node), "'\(name)' is passed over: \(error.message)")
            return nil
        }
    }

    /// A user and a password in one section. A password that every user can read in the file is a warning.
    mutating func login(_ user: Int?, _ password: Int?, named section: String) -> (Sourced<String>?, Sourced<Secret>?) {
        let user = user.flatMap { self.value($0, named: "\(section).username") { $0 } }
        let password = password.flatMap { self.value($0, named: "\(section).password", parse: Secret.init) }
        if let password { self.doubtMode(password.position) }
        return (user, password)
    }

    /// Says so if everyone can read the file, now that a password was found in it.
    mutating func doubtMode(_ position: Position) {
        guard let doubt = CredentialFiles.doubt(mode: self.mode, isSecret: true) else { return }
        self.problems.warning(position, "\(quoted(self.file)) \(doubt)")
    }
}

/// `text` without blanks at its ends.
func trimmed(_ text: some StringProtocol) -> String {
    let body = text.drop { $0.isWhitespace }
    return String(body.dropLast(body.reversed().prefix { $0.isWhitespace }.count))
}
