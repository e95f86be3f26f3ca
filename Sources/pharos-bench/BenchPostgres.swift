// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkBed
import PostgresClient

/// A PostgreSQL of the test bed, in this process's namespace, that trusts everybody.
@EventLoop
final class BenchPostgres {
    let folder: String
    let port: Int
    private let bed: TestBed
    private var program: Program?
    /// Where it listens, and what it is set to.
    private var hosts: [String] = []
    private var settings: [String] = []

    private nonisolated static let binaries = "/usr/lib/postgresql/15/bin"
    /// Whether this machine offers Citus itself; the stand-in is used otherwise.
    nonisolated static let hasCitus = access("/usr/share/postgresql/15/extension/citus.control", F_OK) == 0
    nonisolated static let citus = hasCitus ? "Citus itself" : "a stand-in"
    /// What docs/citus.md advises.
    nonisolated static let citusSettings =
        (hasCitus ? ["shared_preload_libraries=citus", "wal_level=logical"] : []) + [
            "citus.node_conninfo=sslmode=prefer tcp_user_timeout=3000 keepalives_idle=2",
            "citus.node_connection_timeout=3s", "citus.recover_2pc_interval=60s",
            "citus.defer_shard_delete_interval=15s", "citus.background_task_queue_interval=5s",
        ]

    init(_ bed: TestBed, port: Int) {
        self.bed = bed
        self.port = port
        self.folder = "\(bed.folder)/postgres-\(port)"
    }

    var conninfo: String { "host=\(self.folder) port=\(self.port) user=postgres dbname=postgres" }

    /// `primary`: the server that it streams from; nil: it is one. `settings`: more of them, as NAME=VALUE.
    func start(
        hosts: [String], standbyOf primary: BenchPostgres? = nil, settings: [String] = []
    ) async throws(BedError) {
        (self.hosts, self.settings) = (hosts, settings)
        let asPostgres = try Self.asPostgres()
        try Files.makeFolder(self.folder)
        guard let account = getpwnam("postgres"),
            chown(self.folder, account.pointee.pw_uid, account.pointee.pw_gid) == 0
        else { throw BedError("there is no user postgres: install postgresql-15") }
        let data = self.folder + "/data"
        let creation =
            if let primary {
                [
                    "\(Self.binaries)/pg_basebackup", "-R", "-c", "fast", "-X", "stream", "-D", data, "-h",
                    primary.folder,
                    "-p", "\(primary.port)", "-U", "postgres",
                ]
            } else {
                ["\(Self.binaries)/initdb", "-D", data, "-A", "trust", "--no-sync", "--locale", "C.UTF-8"]
            }
        try await NetworkBed.run(asPostgres + creation)
        try await self.launch(self.settings)
    }

    /// Starts it again, stopped as it is, as the standby of `primary`.
    func start(following primary: BenchPostgres) async throws(BedError) {
        try Files.write(self.folder + "/data/standby.signal", "")
        let source = "primary_conninfo=host=\(primary.folder) port=\(primary.port) user=postgres"
        try await self.launch(self.settings + [source])
    }

    /// Without root's home, where Citus would look for certificates.
    private static func asPostgres() throws(BedError) -> [String] {
        guard let setpriv = Files.program("setpriv"), let env = Files.program("env") else {
            throw BedError("setpriv and env are needed: install util-linux and coreutils")
        }
        return [env, "HOME=/nonexistent", setpriv, "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    }

    private func launch(_ settings: [String]) async throws(BedError) {
        let program = try self.bed.start(
            "postgres",
            Self.asPostgres() + [
                "\(Self.binaries)/postgres", "-D", self.folder + "/data", "-k", self.folder, "-p", "\(self.port)", "-c",
                "listen_addresses=\(self.hosts.joined(separator: ","))", "-c", "max_prepared_transactions=10",
                // Its visits would be counted among the daemon's transactions.
                "-c", "autovacuum=off",
            ] + settings.flatMap { ["-c", $0] })
        self.program = program
        try await wait(for: "answer of PostgreSQL", timeout: .seconds(20)) { () async throws(BedError) in
            try program.check()
            do throws(BedError) {
                _ = try await self.connect()
                return true
            } catch {
                return false
            }
        }
    }

    /// At once, without a clean end; `isFast`: as Patroni demotes a primary, its standbys having all that it wrote.
    func stop(isFast: Bool = false) async {
        if let program = self.program { await self.bed.stop(program, isFast ? SIGINT : SIGQUIT) }
        self.program = nil
    }

    /// `place`: another one than the socket.
    func connect(_ place: String = "") async throws(BedError) -> PostgresConnection {
        do throws(PostgresError) {
            return try await PostgresConnection(
                self.conninfo + place, overriding: [(keyword: "application_name", value: "pharos-bench")])
        } catch {
            throw BedError(error.description)
        }
    }

    /// Citus where this machine offers it, else the stand-in: Debian has no Citus.
    func loadCitus(isStandIn: Bool = !BenchPostgres.hasCitus) async throws(BedError) {
        guard let psql = Files.program("psql") else { throw BedError("psql is needed: install postgresql-client") }
        let script = "Tests/CitusStandIn/\(isStandIn ? "stand-in" : "real").sql"
        guard access(script, R_OK) == 0 else {
            throw BedError("\(script) cannot be read: run this in the repository's root")
        }
        try await NetworkBed.run(
            [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo]
                + (isStandIn ? [] : ["-c", "create extension citus"]) + ["-f", script])
    }
}

@EventLoop
@discardableResult
func query(
    _ session: PostgresConnection, _ sql: String, timeout: Duration = .seconds(30)
) async throws(BedError) -> [[String?]] {
    do throws(PostgresError) { return try await session.query(sql, timeout: timeout) } catch {
        throw BedError("\(sql): \(error.description)")
    }
}
