// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Files (PEM, absolute paths) that a TLS connection is made with. Peers are always verified, from TLS 1.2 on.
public struct TLSFiles: Sendable, Equatable {
    /// The authorities that may have signed the server's certificate; nil: the system's.
    public var authorities: String?
    /// The certificate that this side presents, and its private key.
    public var certificate: String?
    public var key: String?

    public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) {
        self.authorities = authorities
        self.certificate = certificate
        self.key = key
    }
}

/// A user and a password for basic authentication. Prints without the password.
public struct Credentials: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    public let user: String
    public let password: String

    public init(user: String, password: String) {
        self.user = user
        self.password = password
    }

    public var description: String { "\(self.user):…" }
    public var debugDescription: String { self.description }
    public var customMirror: Mirror { Mirror(self, children: ["user": self.user]) }
}

/// One HTTP/1.1 request over `http` or `https`. Redirects are not followed, proxies of the environment not used.
public struct HTTPRequest: Sendable {
    public enum Method: String, Sendable {
        case get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE"
    }

    public var method: Method
    public var url: String
    public var headers: [(name: String, value: String)] = []
    public var body: [UInt8] = []
    /// Limit on the whole exchange; a stream has none.
    public var timeout: Duration = .seconds(5)
    /// Limit on name resolution, connecting and the TLS handshake.
    public var connectTimeout: Duration = .seconds(2)
    /// Bytes of an answer's body that are accepted; a stream has no total limit.
    public var bodyLimit = HTTPRequest.usualBodyLimit
    /// Of a request that names none, in bytes.
    public static let usualBodyLimit = 4 << 20
    public var tls: TLSFiles?
    public var credentials: Credentials?
    /// Connect to this Unix socket instead of the URL's host.
    public var unixSocket: String?
    /// Whether it may be sent again when a kept connection turns out to have been closed: libcurl does that silently.
    /// False for what must not happen twice.
    public var isRepeatable = true

    public init(_ method: Method, _ url: String) {
        self.method = method
        self.url = url
    }

    /// The URL's host, where that is a name, and its port.
    public var nameToResolve: (name: String, port: Int)? {
        guard self.unixSocket == nil, let start = self.url.firstRange(of: "://")?.upperBound else { return nil }
        var authority = self.url[start...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        guard !authority.hasPrefix("[") else { return nil }
        let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        var address = in_addr()
        guard !name.isEmpty, inet_pton(AF_INET, name, &address) != 1 else { return nil }
        let usual = self.url.hasPrefix("https:") ? 443 : 80
        return (name, parts.count == 2 ? Int(parts[1]) ?? usual : usual)
    }

    /// The URL without user information and query, fit for messages.
    var printableURL: String {
        var text = Substring(self.url.prefix { $0 != "?" && $0 != "#" })
        guard let authority = text.firstRange(of: "://")?.upperBound else { return String(text) }
        let end = text[authority...].firstIndex(of: "/") ?? text.endIndex
        if let at = text[authority..<end].lastIndex(of: "@") { text.removeSubrange(authority...at) }
        return String(text)
    }
}

/// A whole answer, of any status.
public struct HTTPResponse: Sendable {
    public let status: Int
    public let body: [UInt8]

    public init(status: Int, body: [UInt8]) {
        self.status = status
        self.body = body
    }
}

/// Why there was no whole answer. Never contains credentials, bodies or a query string.
public struct HTTPError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// The name was not resolved, or nobody accepted the connection.
        case connect
        /// The time limit passed.
        case timeout
        /// The handshake failed, or a TLS file could not be used.
        case tls
        /// The connection broke before the answer was complete.
        case disconnected
        /// The body was longer than `bodyLimit`.
        case bodyTooLarge
        /// The answers that are arriving at this client were too long together: that is no fault of whoever sent this one.
        case crowded
        /// The waiting task was cancelled, or the client closed.
        case cancelled
        /// The request could not be made, or the answer was not HTTP.
        case other
    }

    public let kind: Kind
    public let message: String
    /// Whether some of the request may have reached the peer: if so, its effect is unknown.
    public let mayHaveBeenSent: Bool
    public var description: String { self.message }

    public init(kind: Kind, message: String, mayHaveBeenSent: Bool) {
        self.kind = kind
        self.message = message
        self.mayHaveBeenSent = mayHaveBeenSent
    }
}
