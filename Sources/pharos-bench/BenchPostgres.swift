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

    private nonisolated static let binaries = "/usr/lib/postgresql/15/bin"
    private nonisolated static let standIn = "Tests/CitusStandIn/stand-in.sql"

    init(_ bed: TestBed, port: Int) {
        self.bed = bed
        self.port = port
        self.folder = "\(bed.folder)/postgres-\(port)"
    }

    var conninfo: String { "host=\(self.folder) port=\(self.port) user=postgres dbname=postgres" }

    /// `primary`: the server that it streams from; nil: it is one.
    func start(hosts: [String], standbyOf primary: BenchPostgres? = nil) async throws(BedError) {
        guard let setpriv = Files.program("setpriv") else { throw BedError("setpriv is needed: install util-linux") }
        let asPostgres = [setpriv, "--reuid=postgres", "--regid=postgres", "--clear-groups"]
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
        let program = try self.bed.start(
            "postgres",
            asPostgres + [
                "\(Self.binaries)/postgres", "-D", data, "-k", self.folder, "-p", "\(self.port)", "-c",
                "listen_addresses=\(hosts.joined(separator: ","))", "-c", "max_prepared_transactions=10",
                // Its visits would be counted among the daemon's transactions.
                "-c", "autovacuum=off",
            ])
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

    func stop() async {
        if let program = self.program { await self.bed.stop(program, SIGQUIT) }
        self.program = nil
    }

    func connect() async throws(BedError) -> PostgresConnection {
        do throws(PostgresError) {
            return try await PostgresConnection(
                self.conninfo, overriding: [(keyword: "application_name", value: "pharos-bench")])
        } catch {
            throw BedError(error.description)
        }
    }

    /// The stand-in for Citus: Debian has no Citus.
    func loadStandIn() async throws(BedError) {
        guard let psql = Files.program("psql") else { throw BedError("psql is needed: install postgresql-client") }
        guard access(Self.standIn, R_OK) == 0 else {
            throw BedError("\(Self.standIn) cannot be read: run this in the repository's root")
        }
        try await NetworkBed.run([psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo, "-f", Self.standIn])
    }
}

@EventLoop
@discardableResult
func query(_ session: PostgresConnection, _ sql: String) async throws(BedError) -> [[String?]] {
    do throws(PostgresError) { return try await session.query(sql, timeout: .seconds(30)) } catch {
        throw BedError("\(sql): \(error.description)")
    }
}
