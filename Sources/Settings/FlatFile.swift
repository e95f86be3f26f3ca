// SPDX-License-Identifier: Apache-2.0

/// Another program's configuration that is a flat list of names and values: read for `pharos migrate`, which says itself what each
/// name means.
package enum FlatFile {
    /// Entries of one file.
    package static let limit = EnvironmentFile.limit

    /// One name, and what was said for it.
    package struct Entry: Equatable, Sendable {
        package var name: String
        /// Several where the file has a list; none where it says nothing.
        package var values: [String]
        /// From 1.
        package var line: Int
        /// Nil where the value is something else than a text or a list of texts: what it is.
        package var oddity: String?

        package init(name: String, values: [String], line: Int, oddity: String? = nil) {
            (self.name, self.values, self.line, self.oddity) = (name, values, line, oddity)
        }
    }

    /// A mapping of YAML. Throws, with the place, what keeps it from being read.
    package static func yaml(_ bytes: [UInt8], file: String) throws(SettingsError) -> [Entry] {
        func failure(_ mark: YAMLDocument.Mark, _ message: String) -> SettingsError {
            SettingsError(diagnostics: [
                Diagnostic(severity: .error, file: file, line: mark.line, column: mark.column, message: message)
            ])
        }
        let document: YAMLDocument
        do throws(YAMLError) {
            document = try YAMLParser.parse(bytes)
        } catch {
            throw failure(error.mark, error.message)
        }
        guard let root = document.root, case .mapping(let pairs) = document[root].content else {
            let mark = document.root.map { document[$0].mark } ?? .start
            throw failure(mark, "expected lines 'name: value'")
        }
        guard pairs.count <= self.limit else { throw failure(.start, "more than \(self.limit) entries") }
        return pairs.map { pair in
            let line = document[pair.key].mark.line
            guard let name = document.text(pair.key) else {
                return Entry(name: "", values: [], line: line, oddity: "a key that is no text")
            }
            switch document[pair.value].content {
            case .scalar: return Entry(name: name, values: [document.text(pair.value)].compactMap(\.self), line: line)
            case .sequence(let items):
                let texts = items.prefix(self.limit).compactMap { document.text($0) }
                let oddity = texts.count == items.count ? nil : "a list of more than texts"
                return Entry(name: name, values: texts, line: line, oddity: oddity)
            case .mapping: return Entry(name: name, values: [], line: line, oddity: "a mapping")
            }
        }
    }

    /// Assignments, as systemd reads them for `EnvironmentFile=`.
    package static func environment(_ bytes: [UInt8]) -> [Entry] {
        EnvironmentFile.assignments(in: bytes).map { assignment in
            Entry(
                name: assignment.name, values: assignment.value.isEmpty ? [] : [assignment.value],
                line: assignment.line)
        }
    }
}
