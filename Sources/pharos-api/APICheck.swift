// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import EventLoop
import Settings
import WebServer

/// What `--check` looks at beside the configuration's own text: what its files hold, read with the rights of whoever calls.
@EventLoop
enum APICheck {
    static func problems(of settings: APISettings) -> [String] {
        var problems: [String] = []
        if let tls = settings.tls {
            CertificateKeeper(tls) { news in
                if case .refused(let reason) = news { problems.append("'tls': \(reason)") }
            }.refresh()
        }
        if let path = settings.tokens {
            TokenStore(path) { news in
                if case .refused(let reason) = news { problems.append("'tokens_file' in 'access': \(path): \(reason)") }
            }.refresh()
        }
        return problems
    }

    /// What is in effect.
    nonisolated static func summary(_ settings: APISettings) -> String {
        let places = settings.listen.map { "\($0)\(settings.tls == nil ? "" : " (TLS)")" }
        let open = APISettings.OpenPath.allCases.filter { settings.open.contains($0) }.map { "/\($0.rawValue)" }
        let names = settings.certificates.map { "\($0.name) (\($0.role.rawValue))" }
        func list(_ items: [String]) -> String { items.isEmpty ? "none" : items.joined(separator: ", ") }
        return """
            socket         \(settings.socket)
            daemon_socket  \(settings.daemonSocket)
            listen         \(list(places))
            tokens_file    \(settings.tokens ?? "none")
            certificates   \(list(names))
            open           \(list(open))

            """
    }
}
