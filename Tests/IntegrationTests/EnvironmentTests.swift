// SPDX-License-Identifier: Apache-2.0
import EventLoop
import TestSupport
import Testing

extension IntegrationTests {
    /// What libpq would take from the environment, around the real command.
    struct EnvironmentTests {
        init() { EventLoop.shared.executor.startThread() }

        private static let command =
            "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/.build/debug/pharos"

        /// Each of these alone brings libpq elsewhere, or to nothing, if it sees it.
        @Test(arguments: [
            "PGHOST=/elsewhere", "PGHOSTADDR=127.0.0.1", "PGHOST=db.example.org", "PGSERVICE=db", "PGSERVICE=none",
            "PGSSLMODE=bogus", "PGTARGETSESSIONATTRS=bogus", "PGCHANNELBINDING=bogus",
        ])
        @EventLoop func `a command connects as its configuration says, whatever the environment says`(
            variable: String
        ) async throws {
            let folder = try TemporaryDirectory("environment")
            try folder.write("service", "[db]\nhost=/elsewhere\n")
            try folder.write(
                "pharos.yml",
                """
                scope: demo
                member: c
                group: 0
                etcd: { endpoints: ["http://127.0.0.1:1"] }
                postgres: { conninfo: "port=1 user=pharos" }
                citus: { databases: [app] }
                """)
            let outcome = try await ChildProcess(
                [
                    "/usr/bin/env", variable, "PGSERVICEFILE=\(folder.file("service"))",
                    "PGSYSCONFDIR=\(folder.path)", Self.command, "verify", "-c", folder.file("pharos.yml"),
                ], timeout: .seconds(20)
            ).run()
            // Debian's libpq looks there where nothing is said. Nobody listens on port 1.
            let expected = #"connection to server on socket "/var/run/postgresql/.s.PGSQL.1" failed"#
            #expect(outcome.exitCode == 2 && outcome.text.contains(expected), "\(outcome.text)")
        }
    }
}
