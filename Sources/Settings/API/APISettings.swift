// SPDX-License-Identifier: Apache-2.0
/// What `pharos-api` is configured to do: api.yml.
public struct APISettings: Sendable, Equatable {
    /// Paths that can be open to everybody who reaches the API.
    public enum OpenPath: String, CaseIterable, Sendable {
        case health, primary, metrics
    }

    /// PEM files, by absolute paths.
    public struct TLS: Sendable, Equatable {
        public var certificate: String
        public var key: String
        /// Who signs clients' certificates; nil: none are asked for.
        public var clientAuthorities: String?
    }

    /// Whom a client's certificate stands for, by its common name.
    public struct CertificateName: Sendable, Equatable {
        public var name: String
        public var role: AccessRole

        public init(name: String, role: AccessRole) { (self.name, self.role) = (name, role) }
    }

    /// The API's own unix socket.
    public var socket: String
    /// The daemon's.
    public var daemonSocket: String
    public var listen: [ListenAddress] = []
    public var tls: TLS?
    /// Who may ask, by tokens; nil: nobody.
    public var tokens: String?
    public var certificates: [CertificateName] = []
    public var open: Set<OpenPath> = [.health, .primary]
    public var warnings: [Diagnostic] = []

    /// Addresses to listen on, and names of certificates.
    public static let (listenLimit, certificateLimit) = (4, 64)

    /// Reads `path`; throws every error that was found, up to ``SettingsError/limit``.
    public static func load(
        path: String, environment: SettingsEnvironment = .system
    ) throws(SettingsError) -> APISettings {
        var problems = DiagnosticList()
        guard let document = Settings.document(path, environment, &problems) else { throw problems.failure ?? .init() }
        var reader = PharosFileReader(file: path, document: document.yaml, environment: environment, problems: problems)
        reader.schema = APIFile.sections
        guard let file = APIFile(&reader) else { throw reader.problems.failure ?? .init() }
        var settings = file.settings(APIInstance(configuration: path), environment, &reader.problems)
        if let failure = reader.problems.failure { throw failure }
        settings.warnings = reader.problems.sortedWarnings
        return settings
    }
}
