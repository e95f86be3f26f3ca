// SPDX-License-Identifier: Apache-2.0

/// Why there is no connection, or no result. Never contains the conninfo.
public struct PostgresError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
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
    public var description: String { "postgres: \(self.message)" }

    public init(kind: Kind, message: String, sqlState: String? = nil) {
        self.kind = kind
        self.message = message
        self.sqlState = sqlState
    }

    /// What libpq says of a failed connection with `PQERRORS_VERBOSE`: `… FATAL:  28P01: password authentication …`, then
    /// lines of no use here.
    init(connectionMessage text: String, needsPassword: Bool) {
        let line = text.split(separator: "\n").first { !$0.isEmpty }.map(String.init) ?? "no connection"
        let parts = line.split(separator: ":").map { String($0.drop { $0 == " " }) }
        let state = parts.first(where: Self.isState)
        let isRefusal = needsPassword || state?.hasPrefix("28") == true
        self.init(kind: isRefusal ? .authentication : .connection, message: line, sqlState: state)
    }

    private static func isState(_ part: String) -> Bool {
        guard part.utf8.count == 5, !["FATAL", "ERROR", "PANIC"].contains(part) else { return false }
        return part.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) }
    }
}
