// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import PostgresClient
@testable import Shell

/// Whether libpq's words mean that nobody was asked.
struct PostgresErrorTests {
    private static func kind(_ reason: String, host: String = "10.0.0.1") -> PostgresError.Kind {
        PostgresError(
            connectionMessage: "connection to server at \"\(host)\", port 5432 failed: \(reason)\n",
            needsPassword: false
        ).kind
    }

    @Test(arguments: [
        "SSL error: certificate verify failed", "SSL error: tlsv13 alert certificate required",
        "SSL error: tlsv1 alert unknown ca", "server does not support SSL, but SSL was required",
        "root certificate file \"/nowhere\" does not exist", "session is read-only", "server is in hot standby mode",
        "channel binding required, but server authenticated client without channel binding",
        "authentication method requirement \"scram-sha-256\" failed: server requested a cleartext password",
        "Cannot assign requested address\n\tIs the server running on that host and accepting TCP/IP connections?",
    ]) func `what the two sides do not agree on says nothing of the server`(reason: String) {
        #expect(Self.kind(reason) == .notAsked)
    }

    @Test(arguments: [
        "Connection refused", "timeout expired", "SSL SYSCALL error: EOF detected",
        "server closed the connection unexpectedly",
    ]) func `a server that does not answer has failed, whatever it is called`(reason: String) {
        for host in ["10.0.0.1", "alert-db1", "could-not-load", "private key file", "tlsv1 alert"] {
            #expect(Self.kind(reason, host: host) == .connection, "\(host)")
        }
    }
}

/// Who has no connection left.
struct ConnectionLimitTests {
    private static func error(_ message: String, _ location: String) -> PostgresError {
        PostgresError(
            connectionMessage:
                "connection to server at \"10.0.0.1\", port 5432 failed: FATAL:  53300: \(message)\nLOCATION:  \(location)\n",
            needsPassword: false)
    }

    @Test(arguments: [
        ("too many connections for role \"pharos\"", "InitializeSessionUserId, miscinit.c:829"),
        ("zu viele Verbindungen von Rolle »pharos«", "InitializeSessionUserId, miscinit.c:829"),
        ("too many connections for database \"postgres\"", "CheckMyDatabase, postinit.c:382"),
    ]) func `a limit of the role or the database says nothing of the server`(message: String, location: String) {
        let error = Self.error(message, location)
        #expect(error.isLimitOfRole && MemberProbe.isRefusal(error), "\(error.routine ?? "nil")")
    }

    @Test(arguments: [
        ("sorry, too many clients already", "ProcArrayAdd, procarray.c:470"),
        (
            "remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "InitPostgres, postinit.c:850"
        ),
        ("no more connections allowed", ""),
    ]) func `a server without room has no room for anybody`(message: String, location: String) {
        let error = Self.error(message, location)
        #expect(!error.isLimitOfRole && !MemberProbe.isRefusal(error))
        #expect(error.kind == .connection && error.sqlState == "53300")
    }
}

/// What is said beside a server's own words.
struct PostgresHintTests {
    private static func hint(_ message: String) -> String {
        PostgresProbe.hint(PostgresError(kind: .connection, message: message))
    }

    @Test func `a server without a connection left, and a role without one, are told apart`() {
        func hint(_ routine: String?) -> String {
            PostgresProbe.hint(PostgresError(kind: .connection, message: "no", sqlState: "53300", routine: routine))
        }
        #expect(hint("InitializeSessionUserId").contains("alter role pharos connection limit"))
        #expect(hint("InitProcess").contains("pg_use_reserved_connections"))
        #expect(hint(nil).contains("max_connections"))
    }

    @Test func `a socket that is not there may be looked for elsewhere`() {
        let place = #"connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: "#
        #expect(Self.hint(place + "No such file or directory").contains("patronictl show-config"))
        #expect(Self.hint(place + "Connection refused") == "")
        #expect(Self.hint(#"connection to server at "10.0.0.1", port 5432 failed: Connection refused"#) == "")
    }
}
