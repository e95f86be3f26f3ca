// SPDX-License-Identifier: Apache-2.0

/// Patroni's own configuration on this node, its environment laid over, for whoever judges it as a whole: texts at paths of keys. It holds
/// secrets, and prints nothing of itself.
public struct PatroniExcerpt: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let document: YAMLDocument
    /// The file, or the folder, that pharos.yml names.
    public let path: String

    /// That of the cluster whose pharos.yml stands at `path`; nil where that names none.
    public static func load(
        path: String, environment: SettingsEnvironment = .system
    ) throws(SettingsError) -> PatroniExcerpt? {
        var problems = DiagnosticList()
        guard let document = Settings.document(path, environment, &problems) else { throw problems.failure ?? .init() }
        var reader = PharosFileReader(file: path, document: document.yaml, environment: environment, problems: problems)
        guard let pharos = PharosFile(&reader) else { throw reader.problems.failure ?? .init() }
        problems = reader.problems
        guard let config = pharos.patroniConfig else { return nil }
        guard let sources = PatroniSources(pharos, environment, &problems) else { throw problems.failure ?? .init() }
        return PatroniExcerpt(document: sources.document, path: config.value)
    }

    /// What stands at a path of keys, as Patroni reads a text; nil: nothing, or a list, or a mapping.
    public func text(_ path: String...) -> String? { self.node(path).flatMap { self.text(at: $0) } }

    /// Whether something stands there that Python does not take for false.
    public func has(_ path: String...) -> Bool {
        guard let node = self.node(path) else { return false }
        switch self.document[node].content {
        case .scalar: return !(self.document.scalar(node)?.isFalsy ?? true)
        case .sequence(let items): return !items.isEmpty
        case .mapping(let pairs): return !pairs.isEmpty
        }
    }

    /// The texts of a mapping, by their keys.
    public func texts(_ path: String...) -> [String: String] {
        guard let node = self.node(path), case .mapping(let pairs) = self.document[node].content else { return [:] }
        var texts: [String: String] = [:]
        for pair in pairs {
            if let key = self.document.text(pair.key), let value = self.text(at: pair.value) { texts[key] = value }
        }
        return texts
    }

    private func node(_ path: [String]) -> Int? {
        var node = self.document.root
        for key in path { node = node.flatMap { self.document.value(of: key, in: $0) } }
        return node.flatMap { self.document.isNull($0) ? nil : $0 }
    }

    private func text(at node: Int) -> String? {
        switch self.document.scalar(node) {
        case .boolean(let value)?: value ? "true" : "false"
        case let scalar?: scalar.pythonText
        case nil: nil
        }
    }

    public var description: String { "Patroni's configuration in \(self.path)" }
    public var debugDescription: String { self.description }
    public var customMirror: Mirror { Mirror(self, children: ["path": self.path]) }
}
