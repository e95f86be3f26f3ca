// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

extension Settings {
    /// Where pharos.yml is unless said otherwise.
    public static let defaultPath = DaemonInstance().configuration
    /// Bytes of pharos.yml or patroni.yml.
    public static let fileLimit = 1 << 20
    /// Reads of a configuration that somebody may be writing until it is given up, and the pause between two of them.
    package static let settlingReads = 20
    package static let settlingPause: Duration = .milliseconds(250)

    /// Reads `path` (pharos.yml), the Patroni configuration that it names, and the credential files of both.
    ///
    /// Throws every error that was found, up to ``SettingsError/limit``. Blocks for as long as the file system does.
    public static func load(
        path: String,
        environment: SettingsEnvironment = .system
    ) throws(SettingsError) -> Settings {
        var problems = DiagnosticList()
        guard let document = self.document(path, environment, &problems) else { throw problems.failure ?? .init() }
        var reader = PharosFileReader(file: path, document: document.yaml, environment: environment, problems: problems)
        guard let pharos = PharosFile(&reader) else { throw reader.problems.failure ?? .init() }
        problems = reader.problems
        let patroni = self.patroniSettings(pharos, environment, &problems)
        var resolution = Resolution(pharos: pharos, patroni: patroni, environment: environment, problems: problems)
        resolution.instance = DaemonInstance(configuration: path)
        let settings = resolution.resolve()
        if let failure = resolution.problems.failure { throw failure }
        guard var settings else { throw SettingsError(diagnostics: []) }
        settings.warnings = resolution.problems.sortedWarnings
        return settings
    }

    /// What Patroni's file says; nil if it is named but cannot be used, which has been reported.
    private static func patroniSettings(
        _ pharos: PharosFile,
        _ environment: SettingsEnvironment,
        _ problems: inout DiagnosticList
    ) -> PartialSettings? {
        guard pharos.patroniConfig != nil || !pharos.patroniEnvironment.isEmpty else { return PartialSettings() }
        guard let sources = PatroniSources(pharos, environment, &problems) else { return nil }
        let errors = problems.count
        var reader = PatroniFileReader(sources: sources, problems: problems)
        let file = PatroniFile(&reader)
        problems = reader.problems
        return problems.count == errors ? file.settings : nil
    }

    /// Reads and parses a file. `namedAt`: where its name was said, the place to blame if it cannot be read.
    static func document(
        _ path: String,
        _ environment: SettingsEnvironment,
        _ problems: inout DiagnosticList,
        namedAt: Position? = nil,
        isPatroni: Bool = false
    ) -> (yaml: YAMLDocument, mode: UInt32)? {
        switch environment.read(path, self.fileLimit) {
        case .failure(let error):
            let message = "cannot read \(quoted(path)): \(error)"
            problems.error(file: namedAt?.file ?? path, mark: namedAt?.mark, message)
            return nil
        case .success(let file):
            do throws(YAMLError) {
                let document = try YAMLParser.parse(file.contents)
                if isPatroni {
                    try PatroniDialect.check(document, of: file.contents)
                    PatroniDialect.warn(document, file: path, &problems)
                }
                return (document, file.mode)
            } catch {
                problems.error(file: path, mark: error.mark, error.message)
                return nil
            }
        }
    }
}

extension SettingsError {
    init() { self.init(diagnostics: []) }
}

extension Settings.Postgres {
    /// Where Debian's PostgreSQL has its socket.
    static let defaultSocketDirectory = "/var/run/postgresql"
}
