// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc

/// A real PostgreSQL 15 that listens on a Unix socket in a temporary directory only. Ends with the last reference.
///
/// Everyone is trusted but the role `guarded`, whose password is asked for.
@EventLoop
public final class LocalPostgres {
    private let directory: TemporaryDirectory
    private let process: TestProcess
    /// How to connect as the superuser.
    public var conninfo: String { "host=\(self.directory.path) user=postgres dbname=postgres" }
    public var socketDirectory: String { self.directory.path }

    private static let binaries = "/usr/lib/postgresql/15/bin"
    private static let asPostgres = [
        "/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig", "KILL",
    ]

    public init() async throws {
        let directory = try TemporaryDirectory("postgres")
        guard let account = getpwnam("postgres"),
            chown(directory.path, account.pointee.pw_uid, account.pointee.pw_gid) == 0
        else { throw TestSupportError("no account postgres") }
        self.directory = directory
        let data = directory.file("data")
        let initdb = [
            "\(Self.binaries)/initdb", "-D", data, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C.UTF-8",
        ]
        let outcome = try await ChildProcess(Self.asPostgres + initdb, timeout: .seconds(60)).run()
        guard outcome.exitCode == 0 else { throw TestSupportError(outcome.text) }
        try directory.write("data/pg_hba.conf", "local all guarded scram-sha-256\nlocal all all trust\n")
        let server = [
            "\(Self.binaries)/postgres", "-D", data, "-k", directory.path, "-c", "listen_addresses=", "-c", "fsync=off",
            "-c", "shared_buffers=16MB", "-c", "max_connections=20",
        ]
        // SIGQUIT: an immediate end, shared memory removed.
        self.process = try TestProcess(Self.asPostgres + server, log: directory.file("log"), stopSignal: SIGQUIT)
    }

    public func freeze() { self.process.freeze() }
    public func thaw() { self.process.thaw() }
}
