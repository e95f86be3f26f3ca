// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc

/// A coordinator and two workers on loopback, each a real PostgreSQL with the stand-in for Citus (Tests/CitusStandIn):
/// Debian offers no Citus. Nodes are not registered; the servers end with the last reference.
@EventLoop
public final class LocalCitus {
    /// The names that recorded calls use: `c`, `w1`, `w2`, and `w1s` once ``addStandby()`` was called.
    public private(set) var servers: [String: LocalPostgres] = [:]
    /// In ascending order: c, w1, w2, w1's standby, w2's standby (never there), and one where nobody listens.
    public let ports: [Int]

    public init() async throws {
        self.ports = try freePorts(6).sorted()
        for (name, port) in zip(["c", "w1", "w2"], self.ports) {
            self.servers[name] = try await LocalPostgres(port: port)
            try await self.untilAccepting(name)
            let outcome = try await self.psql(name, ["-f", Self.script])
            guard outcome.exitCode == 0 else { throw TestSupportError(outcome.text) }
        }
    }

    /// Adds the standby of w1.
    public func addStandby() async throws {
        self.servers["w1s"] = try await LocalPostgres(port: self.ports[3], standbyOf: self.servers["w1"])
        try await self.untilAccepting("w1s")
    }

    /// Makes another database with the stand-in on every server that is up.
    public func createDatabase(_ database: String) async throws {
        for name in self.servers.keys.sorted() where name != "w1s" {
            let made = try await self.psql(name, ["-c", "create database \(database)"])
            guard made.exitCode == 0 else { throw TestSupportError(made.text) }
            let filled = try await self.psql(name, ["-c", "\\connect \(database)", "-f", Self.script])
            guard filled.exitCode == 0 else { throw TestSupportError(filled.text) }
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
        while case let outcome = try await self.psql(name, ["-c", "select 1"]), outcome.exitCode != 0 {
            guard ContinuousClock.now < deadline else { throw TestSupportError(outcome.text) }
            try await EventLoop.sleep(for: .milliseconds(20))
        }
    }

    private static var script: String {
        let here = "\(#filePath)".split(separator: "/", omittingEmptySubsequences: false)
        return here.dropLast(2).joined(separator: "/") + "/CitusStandIn/stand-in.sql"
    }
}
