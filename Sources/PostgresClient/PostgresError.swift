// SPDX-License-Identifier: Apache-2.0

/// Why there is no connection, or no result. Never contains the conninfo.
public struct PostgresError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// Nobody was asked, for a reason of this side's: the connection string, a name, a certificate or another file, TLS that the two
        /// sides do not agree on. It says nothing of whether the server works.
        case notAsked
        /// There is no connection (any more); ``PostgresError/sqlState`` says why where the server said so.
        case connection
        /// The server refused the user or the password (SQLSTATE class 28).
        case authentication
        case timeout
        /// The server refused the statement; the connection can be used on.
        case query(sqlState: String)
        /// The result was longer than the limits.
        case resultTooLarge
        /// The task was cancelled.
        case cancelled
        /// Another query is running on this connection.
        case busy
    }
    public let kind: Kind
    public let message: String
    /// The server's code, where it gave one: such as 57P03 while it starts, 57P01 when it ends the connection.
    public let sqlState: String?
    /// The server's own function that refused a connection, in no language, where it said so.
    public let routine: String?
    public var description: String { "postgres: \(self.message)" }

    public init(kind: Kind, message: String, sqlState: String? = nil, routine: String? = nil) {
        self.kind = kind
        self.message = message
        self.sqlState = sqlState
        self.routine = routine
    }

    /// Whether the machine has answered, and nobody listens there (ECONNREFUSED): no server, and nothing in between that is silent. Of
    /// one address; libpq has no code for it, and this process speaks no other language.
    public var isRefusedByHost: Bool {
        self.kind == .connection && self.sqlState == nil && self.message.hasSuffix(" failed: Connection refused")
    }

    /// Whether the server has room, and the role that asks, or the database, has used up what it was allowed (`CONNECTION LIMIT`). The code
    /// is that of a server without room (53300).
    public var isLimitOfRole: Bool {
        self.sqlState == "53300" && ["InitializeSessionUserId", "CheckMyDatabase"].contains(self.routine)
    }

    /// What libpq says of a failed connection with `PQERRORS_VERBOSE`: `… FATAL:  28P01: password authentication …`, then
    /// more lines, such as `LOCATION:  InitializeSessionUserId, miscinit.c:763`.
    init(connectionMessage text: String, needsPassword: Bool) {
        let line = text.split(separator: "\n").first { !$0.isEmpty }.map(String.init) ?? "no connection"
        let parts = line.split(separator: ":").map { String($0.drop { $0 == " " }) }
        let state = parts.first(where: Self.isState)
        let isRefusal = needsPassword || state?.hasPrefix("28") == true
        // The host's name stands first, and may be any word.
        let said = line.firstRange(of: " failed: ").map { line[$0.upperBound...] } ?? line[...]
        let isOurs = state == nil && Self.ours.contains { said.contains($0) }
        self.init(
            kind: isRefusal ? .authentication : isOurs ? .notAsked : .connection, message: line, sqlState: state,
            routine: Self.routine(in: text))
    }

    /// The last line that ends with a place in the server's source; the word before the place is translated.
    private static func routine(in text: String) -> String? {
        guard let line = text.split(separator: "\n").last(where: { $0.contains(".c:") }),
            let comma = line.lastIndex(of: ",")
        else { return nil }
        return line[..<comma].split(separator: " ").last.map(String.init)
    }

    /// What libpq, which has no codes for it, and OpenSSL say where the two sides do not agree on TLS or on how to log in, where the string
    /// demands another kind of server, or where a file or a port of this side's cannot be had
    /// (PostgreSQL 15 to 18, src/interfaces/libpq/fe-secure-openssl.c, fe-secure-common.c, fe-connect.c, fe-auth.c). A connection that breaks within
    /// TLS ("SSL SYSCALL error", "unexpected eof") is not among it: so does a server that dies.
    private static let ours = [
        "certificate verify failed", "does not match host name",
        "could not get server's host name from server certificate",
        "root certificate file", "certificate file", "private key file", "could not load", "SSL error: tlsv1 alert",
        "SSL error: tlsv13 alert", "SSL error: sslv3 alert", "SSL error: ssl/tls alert",
        "wrong version number",
        "unsupported protocol", "server does not support SSL", "could not create socket", "Too many open files",
        "Cannot assign requested address", "channel binding", "authentication method", "SASL authentication",
        "GSSAPI encryption required", "session is read-only", "session is not read-only", "hot standby mode",
    ]

    private static func isState(_ part: String) -> Bool {
        guard part.utf8.count == 5, !["FATAL", "ERROR", "PANIC"].contains(part) else { return false }
        return part.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) }
    }
}
