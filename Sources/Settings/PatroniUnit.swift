// SPDX-License-Identifier: Apache-2.0

/// What Patroni's unit gives it in its environment and Pharos is not told of: found in its units and drop-ins.
struct PatroniUnit {
    /// A file that sets something that Pharos would need to know.
    struct Source {
        var path: String
        /// The first such variable's.
        var line: Int
        /// Never their values.
        var names: [String]
        /// Nil if the file could be read.
        var problem: SettingsEnvironment.FileError?
    }

    /// Files of environments that are looked at.
    private static let limit = 64

    private let environment: SettingsEnvironment
    /// What `%i` stands for, as in Debian's `patroni@.service`, which reads `/etc/patroni/%i.yml`.
    private let instance: String

    /// `config`: Patroni's file.
    init(config: String, environment: SettingsEnvironment) {
        let name = config.split(separator: "/").last ?? ""
        self.instance = String(name.prefix(upTo: name.lastIndex(of: ".") ?? name.endIndex))
        self.environment = environment
    }

    var sources: [Source] {
        var sources: [Source] = []
        var names: Set<String> = []
        for unit in ["patroni.service", "patroni@.service", "patroni@\(self.instance).service"] {
            var named: [String] = []
            for (path, bytes) in UnitFiles(environment: self.environment).files(of: unit) {
                if let source = Self.source(path, bytes), names.insert(path).inserted { sources.append(source) }
                let text = String(decoding: bytes, as: UTF8.self)
                for entry in UnitText(text).entries where entry.key == "EnvironmentFile" {
                    // An empty one forgets those before it.
                    if entry.value.isEmpty { named = [] } else { named.append(self.resolved(entry.value)) }
                }
            }
            for path in named.prefix(Self.limit) where names.insert(path).inserted {
                switch self.environment.read(path, Settings.fileLimit) {
                case .success(let file):
                    if let source = Self.source(path, file.contents) { sources.append(source) }
                case .failure(.system(2)): break
                case .failure(let error): sources.append(Source(path: path, line: 0, names: [], problem: error))
                }
            }
        }
        return sources
    }

    private func resolved(_ text: String) -> String {
        let path = text.hasPrefix("-") ? String(text.dropFirst()) : text
        return path.replacing("%i", with: self.instance).replacing("%I", with: self.instance).replacing("%%", with: "%")
    }

    private static func source(_ path: String, _ bytes: [UInt8]) -> Source? {
        let found = EnvironmentFile.assignments(in: bytes).filter { PatroniEnvironment.meaning(of: $0.name) != nil }
        guard let first = found.first else { return nil }
        return Source(path: path, line: first.line, names: found.map(\.name))
    }
}

extension Settings {
    /// Warnings of what Patroni is given in its environment and these settings were not made from.
    public func unseenEnvironment(_ environment: SettingsEnvironment = .system) -> [Diagnostic] {
        guard let config = self.provenance.first(where: { $0.key == "patroni_config" })?.value else { return [] }
        let named = self.provenance.filter { $0.key.hasPrefix("patroni_environment[") }.map(\.value)
        return PatroniUnit(config: config, environment: environment).sources.filter { !named.contains($0.path) }.map {
            source in
            let way = "name the file in pharos.yml: patroni_environment: \(source.path)"
            let message =
                if let problem = source.problem {
                    "Patroni's unit reads its environment from here, and it cannot be read (\(problem)): what it says is not known"
                } else {
                    "Patroni's unit sets \(source.names.prefix(8).joined(separator: ", ")), which Pharos does not see; \(way)"
                }
            return Diagnostic(
                severity: .warning, file: source.path, line: source.line, column: source.line == 0 ? 0 : 1,
                message: message)
        }
    }
}
