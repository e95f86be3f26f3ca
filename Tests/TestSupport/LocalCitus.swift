// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc

/// A coordinator and two workers on loopback, each a real PostgreSQL with Citus where the server offers it, and with the
/// stand-in (Tests/CitusStandIn) otherwise: Debian offers none. Nodes are not registered; the servers end with the last
/// reference.
@EventLoop
public final class LocalCitus {
    /// The names that recorded calls use: `c`, `w1`, `w2`, and `w1s` once ``addStandby()`` was called.
    public private(set) var servers: [String: LocalPostgres] = [:]
    /// In ascending order: c, w1, w2, w1's standby, w2's standby (never there), and one where nobody listens.
    public let ports: [Int]

    /// Whether the server offers Citus itself.
    public nonisolated static let isReal = access("/usr/share/postgresql/15/extension/citus.control", F_OK) == 0
    /// With what docs/citus.md advises, and Citus's own defaults of what acts by itself.
    public nonisolated static let settings =
        (isReal
            ? [
                "shared_preload_libraries=citus", "wal_level=logical",
                // Changes of the catalogs by hand are brought to the nodes as soon as the stand-in's sync() would do it.
                "citus.metadata_sync_interval=300ms", "citus.metadata_sync_retry_interval=300ms",
            ] : []) + [
            "citus.node_conninfo=sslmode=prefer tcp_user_timeout=3000 keepalives_idle=2",
            "citus.node_connection_timeout=3s",
            "citus.recover_2pc_interval=60s", "citus.defer_shard_delete_interval=15s",
            "citus.background_task_queue_interval=5s",
        ]

    /// What leaves no background worker free for `citus_update_node` with `force`.
    public nonisolated static let withoutWorkers =
        isReal
        ? ["max_worker_processes=1", "max_logical_replication_workers=0"] : ["citus_stand_in.without_workers=on"]

    /// What makes the stand-in, which is no extension, name a version of one.
    public nonisolated static func pretendedVersion(_ version: String) -> [String] {
        [
            "set allow_system_table_mods = on", "delete from pg_extension where extname = 'citus'",
            "insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) values (16000, 'citus', 10, 11, false, '\(version)')",
        ]
    }

    private let more: [String]

    /// - Parameter settings: more of them, for every server.
    public init(settings: [String] = []) async throws {
        self.more = settings
        print("with \(Self.isReal ? "Citus itself" : "the stand-in for Citus (Tests/CitusStandIn)")")
        self.ports = try freePorts(6).sorted()
        for (name, port) in zip(["c", "w1", "w2"], self.ports) {
            self.servers[name] = try await LocalPostgres(
                port: port, settings: Self.settings + LocalPostgres.archiving + settings)
            try await self.untilAccepting(name)
            let outcome = try await self.psql(name, Self.fill)
            guard outcome.exitCode == 0 else { throw TestSupportError(outcome.text) }
        }
    }

    /// Adds the standby of w1.
    public func addStandby() async throws {
        self.servers["w1s"] = try await LocalPostgres(
            port: self.ports[3], settings: Self.settings + self.more, standbyOf: self.servers["w1"])
        try await self.untilAccepting("w1s")
    }

    /// Puts a server that was restored from the backup of `backup` in the place of `name`; the three daemons of Citus that act by
    /// themselves are off. Ends the server that was there.
    public func restore(_ name: String, from backup: LocalPostgres, to target: String?) async throws {
        guard let index = ["c", "w1", "w2"].firstIndex(of: name) else { throw TestSupportError("no server \(name)") }
        self.servers[name]?.kill()
        self.servers[name] = nil
        let quiet = [
            "citus.recover_2pc_interval=-1", "citus.defer_shard_delete_interval=-1",
            "citus.background_task_queue_interval=-1",
        ]
        self.servers[name] = try await LocalPostgres(
            port: self.ports[index], settings: Self.settings + quiet, restoring: .init(backup, to: target))
        try await self.untilAccepting(name)
    }

    /// Makes another database with the stand-in on every server that is up.
    public func createDatabase(_ database: String) async throws {
        for name in self.servers.keys.sorted() where name != "w1s" {
            let made = try await self.psql(name, ["-c", "create database \(database)"])
            guard made.exitCode == 0 else { throw TestSupportError(made.text) }
            let filled = try await self.psql(name, ["-c", "\\connect \(database)"] + Self.fill)
            guard filled.exitCode == 0 else { throw TestSupportError(filled.text) }
        }
    }

    /// The coordinator's role on the workers, where Citus makes it by itself, and the stand-in does not; with `rights` there.
    public func shareRole(_ role: String, rights: [String] = []) async throws {
        for name in ["w1", "w2"] {
            let statements =
                (Self.isReal ? [] : ["create role \(role) login"]) + rights.map { "grant \($0) to \(role)" }
            let outcome = try await self.psql(name, statements.flatMap { ["-c", $0] } + ["-c", "select 1"])
            guard outcome.exitCode == 0 else { throw TestSupportError(outcome.text) }
        }
    }

    /// Where `name` is connected to.
    public func conninfo(_ name: String) throws -> String {
        guard let server = self.servers[name] else { throw TestSupportError("no server \(name)") }
        return server.conninfo
    }

    /// Runs psql as `user`; what it prints is not aligned, without headers.
    public func psql(_ name: String, user: String = "postgres", _ arguments: [String]) async throws
        -> ChildProcess.Outcome
    {
        let command =
            ["/usr/bin/psql", "-X", "-q", "-A", "-t", "-d", try self.conninfo(name) + " user=\(user)"] + arguments
        return try await ChildProcess(command, timeout: .seconds(30)).run()
    }

    private func untilAccepting(_ name: String) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        // A standby of these never becomes anything else; a server that is restored is one until it has come to its target.
        let question =
            "do $$ begin if pg_is_in_recovery() and \(name == "w1s" ? "false" : "true") then raise 'in recovery'; end if; end $$"
        while case let outcome = try await self.psql(name, ["-c", question]), outcome.exitCode != 0 {
            guard ContinuousClock.now < deadline else { throw TestSupportError(outcome.text) }
            try await EventLoop.sleep(for: .milliseconds(20))
        }
    }

    /// What psql is to run in a new database.
    private static var fill: [String] {
        self.isReal ? ["-c", "create extension citus", "-f", self.script("real")] : ["-f", self.script("stand-in")]
    }

    private static func script(_ name: String) -> String {
        let here = "\(#filePath)".split(separator: "/", omittingEmptySubsequences: false)
        return here.dropLast(2).joined(separator: "/") + "/CitusStandIn/\(name).sql"
    }
}
