// SPDX-License-Identifier: Apache-2.0

/// Where Patroni's configuration stands: a file, or a folder whose `*.yml` and `*.yaml` it reads in the order of their names, with its
/// environment laid over. All of it becomes one document.
package struct PatroniSources {
    /// Files of one folder, files of the environment, and values in all of them.
    package static let fileLimit = 64
    package static let environmentLimit = 8
    package static let nodeLimit = 2 * YAMLLimits().nodes

    struct File {
        var path: String
        var mode: UInt32
        /// The first of its nodes in the document.
        var start: Int
    }

    private(set) var document = YAMLDocument()
    private(set) var files: [File] = []
    /// Keys that may be looked at while putting files together.
    private var room = 4 * Self.nodeLimit

    /// Nil if a part cannot be used, which has been reported.
    init?(_ pharos: PharosFile, _ environment: SettingsEnvironment, _ problems: inout DiagnosticList) {
        let errors = problems.count
        if let path = pharos.patroniConfig { self.read(path, environment, &problems) }
        for path in pharos.patroniEnvironment {
            guard let file = PatroniEnvironment(path, environment, &problems) else { continue }
            self.add(file.document(&problems), path.value, file.mode)
        }
        if self.room < 0, let file = self.files.last {
            let message = "more values in Patroni's files together than expected: at most \(Self.nodeLimit)"
            problems.error(Position(file: file.path, mark: .start), message)
        }
        guard problems.count == errors else { return nil }
    }

    private mutating func read(
        _ path: Sourced<String>, _ environment: SettingsEnvironment, _ problems: inout DiagnosticList
    ) {
        guard case .failure(.notRegular) = environment.read(path.value, Settings.fileLimit),
            case .success(let names) = environment.list(path.value)
        else { return self.readFile(path.value, path.position, environment, &problems) }
        // Python's order: by code points.
        let chosen = names.filter { $0.hasSuffix(".yml") || $0.hasSuffix(".yaml") }
            .sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
        guard !chosen.isEmpty, chosen.count <= Self.fileLimit else {
            let what = chosen.isEmpty ? "holds no '*.yml'" : "holds more than \(Self.fileLimit) files"
            return problems.error(path.position, "\(quoted(path.value)) is a folder and \(what)")
        }
        for name in chosen {
            let file = path.value.hasSuffix("/") ? path.value + name : "\(path.value)/\(name)"
            if case .failure(.notRegular) = environment.read(file, Settings.fileLimit) { continue }
            self.readFile(file, path.position, environment, &problems)
        }
    }

    private mutating func readFile(
        _ path: String, _ position: Position, _ environment: SettingsEnvironment, _ problems: inout DiagnosticList
    ) {
        let document = Settings.document(path, environment, &problems, namedAt: position, isPatroni: true)
        guard let document else { return }
        guard let root = document.yaml.root, case .mapping = document.yaml[root].content else {
            let mark = document.yaml.root.map { document.yaml[$0].mark } ?? .start
            let message = "expected Patroni's configuration: a mapping with 'scope', 'name' and 'etcd3'"
            return problems.error(Position(file: path, mark: mark), message)
        }
        self.add(document.yaml, path, document.mode)
    }

    private mutating func add(_ document: YAMLDocument, _ path: String, _ mode: UInt32) {
        guard self.document.nodes.count + document.nodes.count <= Self.nodeLimit else { return self.room = -1 }
        self.files.append(File(path: path, mode: mode, start: self.document.nodes.count))
        guard let root = self.document.append(document) else { return }
        guard let target = self.document.root else { return self.document.root = root }
        self.document.patch(target, with: root, room: &self.room)
    }

    /// Which file a node is from.
    func file(of node: Int) -> File { self.files.last { $0.start <= node } ?? File(path: "", mode: 0, start: 0) }
}
