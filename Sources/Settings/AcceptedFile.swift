// SPDX-License-Identifier: Apache-2.0

/// A finding that somebody has accepted, as a file says it.
public struct AcceptedEntry: Sendable, Equatable {
    public var code: String
    public var reason: String
    /// As it was checked by whoever read the file.
    public var until: String

    public init(code: String, reason: String, until: String) {
        self.code = code
        self.reason = reason
        self.until = until
    }
}

/// The file of accepted findings: a list of `code`, `reason` and `until`, all three required.
public enum AcceptedFile {
    /// Entries of one file.
    package static let limit = 200

    /// Beside the configuration: `/etc/pharos/pharos.accepted`. (A file that ends with `.yml` there is another cluster's configuration.)
    public static func path(besideConfiguration path: String) -> String {
        (path.hasSuffix(".yml") ? String(path.dropLast(4)) : path) + ".accepted"
    }

    /// Reads it; throws all that is wrong with it, with place and advice.
    ///
    /// - Parameters:
    ///   - codes: those that there are.
    ///   - isDay: whether a text is a day.
    public static func read(
        _ path: String, codes: [String], isDay: (String) -> Bool, environment: SettingsEnvironment = .system
    ) throws(SettingsError) -> [AcceptedEntry] {
        var problems = DiagnosticList()
        guard let document = Settings.document(path, environment, &problems) else { throw problems.failure ?? .init() }
        guard let root = document.yaml.root, !document.yaml.isNull(root) else { return [] }
        var reader = PharosFileReader(file: path, document: document.yaml, environment: environment, problems: problems)
        var entries: [AcceptedEntry] = []
        for (index, item) in reader.items(root, "the file", of: "accepted findings", limit: Self.limit).enumerated() {
            if let entry = Self.entry(item, index, codes, isDay, entries.map(\.code), &reader) { entries.append(entry) }
        }
        if let failure = reader.problems.failure { throw failure }
        return entries
    }

    private static func entry(
        _ node: Int, _ index: Int, _ codes: [String], _ isDay: (String) -> Bool, _ taken: [String],
        _ reader: inout PharosFileReader
    ) -> AcceptedEntry? {
        let section = Schema.Section(name: "entry \(index + 1)", keys: ["code", "reason", "until"])
        guard let fields = reader.fields(node, section) else { return nil }
        let code = reader.value(fields, "code") { text throws(InvalidValue) in
            guard codes.contains(text) else {
                let advice = nearest(to: text, in: codes).map { "did you mean '\($0)'?" } ?? "docs/audit.md lists all"
                throw InvalidValue("there is no finding \(quoted(text)); \(advice)")
            }
            guard !taken.contains(text) else { throw InvalidValue("\(text) is accepted twice; keep one of them") }
            return text
        }
        let reason = reader.value(fields, "reason") { text throws(InvalidValue) in text }
        let until = reader.value(fields, "until") { text throws(InvalidValue) in
            guard isDay(text) else { throw .expected("a day such as 2027-03-31", not: text) }
            return text
        }
        for key in section.keys where !fields.keys.contains(key) {
            reader.problems.error(
                Position(file: reader.file, mark: fields.mark),
                "'\(key)' is missing in \(section.name); expected code, reason and until")
        }
        guard let code, let reason, let until else { return nil }
        return AcceptedEntry(code: code.value, reason: reason.value, until: until.value)
    }
}
