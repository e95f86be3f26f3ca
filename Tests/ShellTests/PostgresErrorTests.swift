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
        "root certificate file \"/nowhere\" does not exist",
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

/// What is said beside a server's own words.
struct PostgresHintTests {
    private static func hint(_ message: String) -> String {
        PostgresProbe.hint(PostgresError(kind: .connection, message: message))
    }

    @Test func `a socket that is not there may be looked for elsewhere`() {
        let place = #"connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: "#
        #expect(Self.hint(place + "No such file or directory").contains("patronictl show-config"))
        #expect(Self.hint(place + "Connection refused") == "")
        #expect(Self.hint(#"connection to server at "10.0.0.1", port 5432 failed: Connection refused"#) == "")
    }
}
