// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import PostgresClient
import Settings

/// Asks the local PostgreSQL whether it accepts writes, over one connection that it keeps.
///
/// Where clients use up all connections, Patroni still has one: from the second refusal on it is asked instead. It puts the same
/// question to PostgreSQL at each request (`GET /patroni`: role and state; state "running" only if the server has answered).
@EventLoop
final class PostgresProbe {
    private let conninfo: String
    private let connector: PostgresConnector
    private var connection: PostgresConnection?
    /// For connecting and for the question, each.
    nonisolated static let timeout: Duration = .seconds(1)
    private let patroni: @EventLoop () async -> PatroniAnswer
    private let ended: @EventLoop () -> Void
    /// The last answer was that no connection is left for this role; it was told as such.
    private var isFull = false

    /// - Parameters:
    ///   - patroni: what this node's Patroni says now.
    ///   - ended: the server has ended the kept connection, between two questions.
    init(
        conninfo: String, resolver: HostResolver, patroni: @escaping @EventLoop () async -> PatroniAnswer,
        ended: @escaping @EventLoop () -> Void
    ) {
        self.patroni = patroni
        self.conninfo = conninfo
        self.connector = PostgresConnector(resolver: resolver)
        self.ended = ended
    }

    func ask() async -> PostgresState {
        do throws(PostgresError) {
            let state = try await self.answer()
            self.isFull = false
            return state
        } catch {
            self.connection = nil
            let wasFull = self.isFull
            self.isFull = error.sqlState == "53300"
            if wasFull, self.isFull, case .answered(isRunningPrimary: true, _) = await self.patroni() {
                return .primary
            }
            return .unreachable(reason: error.message.firstLine + Self.hint(error))
        }
    }

    private func answer() async throws(PostgresError) -> PostgresState {
        let isReused = self.connection != nil
        let connection = try await self.connect()
        do throws(PostgresError) {
            return try await self.ask(connection)
        } catch {
            self.connection = nil
            // A kept connection says nothing about the server that has taken the place of the old one.
            guard isReused else { throw error }
            return try await self.ask(try await self.connect())
        }
    }

    /// What is likely to be behind it, where that is not plain.
    nonisolated static func hint(_ error: PostgresError) -> String {
        if error.kind == .authentication { return " (hint: CREATE ROLE pharos LOGIN, and a line in pg_hba)" }
        if error.isLimitOfRole { return " (hint: alter role pharos connection limit -1; or a larger one)" }
        if error.sqlState == "53300" {
            return
                " (hint: its connections are used up; leave some for the daemon: reserved_connections and pg_use_reserved_connections, from PostgreSQL 16 on, or raise max_connections)"
        }
        if let hint = DaemonUnit.hint(failedSocket: error.message) { return " (hint: \(hint))" }
        guard error.message.contains("socket \""), error.message.contains("No such file") else { return "" }
        return
            " (hint: no server runs, or its unix_socket_directories are others: patronictl show-config; then postgres.conninfo in pharos.yml)"
    }

    private func connect() async throws(PostgresError) -> PostgresConnection {
        if let connection = self.connection { return connection }
        let connection = try await self.connector.connect(self.conninfo, timeout: Self.timeout)
        self.connection = connection
        connection.whenEnded { [unowned self] in
            self.connection = nil
            self.ended()
        }
        return connection
    }

    private func ask(_ connection: PostgresConnection) async throws(PostgresError) -> PostgresState {
        let rows = try await connection.query("select pg_is_in_recovery()", timeout: Self.timeout)
        switch rows.first?.first ?? nil {
        case "f": return .primary
        case "t": return .standby
        default: return .unreachable(reason: "an unexpected answer to pg_is_in_recovery()")  // Text from a server.
        }
    }
}

extension String {
    /// The first line, without what a terminal could misread, and of a bearable length.
    var firstLine: String {
        let line = self.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: true).first ?? ""
        return String(line.prefix(300))
    }
}
