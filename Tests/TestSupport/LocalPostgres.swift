// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc

/// A real PostgreSQL 15 that listens on a Unix socket in a temporary directory, and on a port of 127.0.0.1 if asked to.
/// Ends with the last reference.
///
/// Everyone is trusted but the role `guarded`, whose password is asked for.
@EventLoop
public final class LocalPostgres {
    private let directory: TemporaryDirectory
    private let process: TestProcess
    /// How to connect as the superuser.
    public var conninfo: String { "host=\(self.directory.path) port=\(self.port) user=postgres dbname=postgres" }
    public var socketDirectory: String { self.directory.path }
    private let port: Int

    private static let defaultPort = 5432
    private static let binaries = "/usr/lib/postgresql/15/bin"
    /// Without root's home, where Citus's connections between nodes would look for certificates.
    private static let asPostgres = [
        "/usr/bin/env", "HOME=/nonexistent", "/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres",
        "--clear-groups", "--pdeathsig", "KILL",
    ]

    /// - Parameters:
    ///   - port: where it listens on 127.0.0.1, too; nil: nowhere.
    ///   - settings: more of the server's settings, as `NAME=VALUE`.
    ///   - primary: the server whose standby this one becomes; it must accept connections. nil: a primary of its own.
    ///   - restore: the backup from which its data come; nil: new ones.
    public init(
        port: Int? = nil, settings: [String] = [], standbyOf primary: LocalPostgres? = nil,
        restoring restore: Restore? = nil
    ) async throws {
        let directory = try TemporaryDirectory("postgres")
        guard let account = getpwnam("postgres"),
            chown(directory.path, account.pointee.pw_uid, account.pointee.pw_gid) == 0
        else { throw TestSupportError("no account postgres") }
        self.directory = directory
        let data = directory.file("data")
        var makeData = [
            "\(Self.binaries)/initdb", "-D", data, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C.UTF-8",
        ]
        if let primary {
            let source = "host=\(primary.socketDirectory) port=\(primary.port) user=postgres"
            makeData = ["\(Self.binaries)/pg_basebackup", "-D", data, "-d", source, "-R", "--no-sync", "-c", "fast"]
        }
        if let restore { makeData = ["/bin/cp", "-a", restore.backup.backupFolder, data] }
        let outcome = try await ChildProcess(Self.asPostgres + makeData, timeout: .seconds(60)).run()
        guard outcome.exitCode == 0 else { throw TestSupportError(outcome.text) }
        let rules =
            "local all guarded scram-sha-256\nlocal all,replication all trust\nhost all all 127.0.0.1/32 trust\n"
        try directory.write("data/pg_hba.conf", rules)
        var more = settings
        if let restore {
            try directory.write("data/recovery.signal", "")
            more.append("restore_command=cp \(restore.backup.archiveFolder)/%f %p")
            if let target = restore.target {
                more += ["recovery_target_name=\(target)", "recovery_target_action=promote"]
            }
        }
        if mkdir(directory.file("archive"), 0o755) == 0 {
            _ = chown(directory.file("archive"), account.pointee.pw_uid, account.pointee.pw_gid)
        }
        self.port = port ?? Self.defaultPort
        let server = [
            "\(Self.binaries)/postgres", "-D", data, "-k", directory.path, "-p", "\(self.port)",
            "-c", "listen_addresses=\(port == nil ? "" : "127.0.0.1")", "-c", "fsync=off", "-c", "shared_buffers=16MB",
            "-c", "max_connections=20", "-c", "max_prepared_transactions=10",
        ]
        let options = more.flatMap { ["-c", $0] }
        // SIGQUIT: an immediate end, shared memory removed.
        self.process = try TestProcess(
            Self.asPostgres + server + options, log: directory.file("log"), stopSignal: SIGQUIT)
    }

    /// A backup, and where in its log the recovery ends; nil: at its end.
    public struct Restore {
        public let backup: LocalPostgres
        public let target: String?

        public init(_ backup: LocalPostgres, to target: String?) {
            self.backup = backup
            self.target = target
        }
    }

    /// Makes the server put every finished segment of its log into ``archiveFolder``.
    public nonisolated static let archiving = ["archive_mode=on", "archive_command=cp %p ../archive/%f"]
    public var archiveFolder: String { self.directory.file("archive") }
    var backupFolder: String { self.directory.file("backup") }

    /// A base backup into this server's own folder.
    public func takeBackup() async throws {
        let command = [
            "\(Self.binaries)/pg_basebackup", "-D", self.backupFolder, "-d",
            "host=\(self.socketDirectory) port=\(self.port) user=postgres", "--no-sync", "-c", "fast",
        ]
        let outcome = try await ChildProcess(Self.asPostgres + command, timeout: .seconds(60)).run()
        guard outcome.exitCode == 0 else { throw TestSupportError(outcome.text) }
    }

    /// Ends it at once, as a crash would.
    public func kill() { self.process.kill() }
    public func freeze() { self.process.freeze() }
    public func thaw() { self.process.thaw() }
}
