// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Conninfo
import Decision
import EventLoop
import NetworkAddress
import PostgresClient

/// Connections to the PostgreSQL of other nodes, to ask them about themselves.
///
/// A server that is being promoted is asked again and again over one connection, which ends when nobody has asked for a
/// while. At most ``limit`` are kept.
@EventLoop
final class NodeConnections {
    private let conninfo: String
    /// The one that is asked where it does not matter which, and `conninfo` names none: Citus has it on every node.
    private let database: String?
    let resolver: HostResolver
    private var kept: [NodeEndpoint: PostgresConnection] = [:]
    private var timer: EventSource?

    nonisolated static let limit = 16
    private static let idle: Duration = .seconds(5)
    /// For connecting, and for the question.
    nonisolated static let timeout: Duration = .seconds(1)

    /// `conninfo`: libpq's; what it says of host, address and port has no effect. `database`: one that every node has.
    init(conninfo: String, database: String?, resolver: HostResolver) {
        self.resolver = resolver
        self.conninfo = conninfo
        self.database = PostgresConnection.namesDatabase(conninfo) ? nil : database
    }

    func stop() {
        self.kept = [:]
        self.timer = nil
    }

    /// A new connection. Where the name has several addresses they are tried one after another, each with an equal share of the
    /// time that is left, until a server answers.
    func connect(
        _ endpoint: NodeEndpoint, database: String? = nil, timeout: Duration = NodeConnections.timeout
    ) async throws(PostgresError) -> PostgresConnection {
        let port = UInt16(exactly: endpoint.port)
        guard let port, port > 0 else { throw PostgresError(kind: .notAsked, message: "there is no such port") }
        // Each is asked for what it is, whatever kind of server the string would look for.
        let text = try PostgresConnector.parse(self.conninfo).text + " target_session_attrs=any"
        let isNumeric = IPAddress(endpoint.host) != nil
        // A certificate is checked against the name that the server goes by, an address too.
        let place: ConnectionTarget.Place =
            isNumeric ? .address(endpoint.host, name: endpoint.host) : .name(endpoint.host)
        return try await PostgresConnector(resolver: self.resolver).connect(
            text, to: [ConnectionTarget(place: place, port: port)], database: database ?? self.database,
            timeout: timeout)
    }

    /// Whether the server there accepts writes, says it.
    func ask(_ endpoint: NodeEndpoint) async -> WritableAnswer {
        do throws(PostgresError) {
            var connection = self.kept.removeValue(forKey: endpoint)
            if connection?.isUsable != true { connection = try await self.connect(endpoint) }
            guard let connection else { return .unreachable(reason: "no connection") }
            let rows = try await connection.query(
                "select pg_is_in_recovery()", timeout: Self.timeout, byteLimit: CitusCatalog.valueLimit)
            switch rows.first?.first ?? nil {
            case "f": return .primary
            case "t":
                self.keep(connection, to: endpoint)
                return .standby
            default: return .unreachable(reason: "an unexpected answer to pg_is_in_recovery()")  // Text from a server.
            }
        } catch {
            let reason = error.message.firstLine
            return self.isRefusal(error) ? .refused(reason: reason) : .unreachable(reason: reason)
        }
    }

    /// Which server answers there.
    func identify(_ endpoint: NodeEndpoint) async -> ServerIdentity {
        do throws(PostgresError) {
            let connection = try await self.connect(endpoint)
            let rows = try await connection.query(
                "select system_identifier, extract(epoch from pg_postmaster_start_time()), pg_is_in_recovery() from pg_control_system()",
                timeout: Self.timeout, byteLimit: CitusCatalog.valueLimit)
            guard let row = rows.first, row.count == 3, let system = row[0], let started = row[1] else {
                return .unknown(reason: "it does not say who it is")
            }
            return .server(system: system, started: started, isInRecovery: row[2] == "t")
        } catch {
            if error.isRefusedByHost, await self.hasOneAddress(endpoint.host) { return .nobody }
            return .unknown(reason: error.message.firstLine)
        }
    }

    /// Of several addresses the others may not have said anything.
    private func hasOneAddress(_ host: String) async -> Bool {
        guard IPAddress(host) == nil else { return true }
        switch await self.resolver.addresses(of: host, within: Self.timeout) {
        case .addresses(let found): return found.count == 1
        case .unknown, .unanswered: return false
        }
    }

    /// Whether a server that is up has said no. One that starts or stops (SQLSTATE class 57) has not said anything yet.
    private func isRefusal(_ error: PostgresError) -> Bool {
        error.kind == .authentication || error.sqlState.map { !$0.hasPrefix("57") } ?? false
    }

    private func keep(_ connection: PostgresConnection, to endpoint: NodeEndpoint) {
        if self.kept.count < Self.limit { self.kept[endpoint] = connection }
        if let timer = self.timer {
            timer.rearm(after: Self.idle)
        } else {
            self.timer = .timer(after: Self.idle) { [unowned self] in self.kept = [:] }
        }
    }
}
