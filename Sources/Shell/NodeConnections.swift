// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import HTTPClient
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

    /// `conninfo`: libpq's, without host and port. `database`: one that every node has.
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
        let end = Instant.now + timeout
        let addresses: [String]
        switch await self.resolver.answer(to: endpoint.host, within: timeout) {
        case .addresses(let found): addresses = found
        case .failed(let reason): throw PostgresError(kind: .connection, message: reason)
        }
        var failure: PostgresError?
        for (index, address) in addresses.enumerated() {
            do throws(PostgresError) {
                return try await self.connect(
                    endpoint, at: address, database, within: (end - .now) / (addresses.count - index))
            } catch {
                // A server that has said why does not say otherwise at its other address.
                guard error.kind == .timeout || error.kind == .connection, error.sqlState == nil else { throw error }
                failure = failure ?? error
            }
        }
        throw failure ?? PostgresError(kind: .connection, message: "the name \(endpoint.host) has no address")
    }

    private func connect(
        _ endpoint: NodeEndpoint, at address: String, _ database: String?, within limit: Duration
    ) async throws(PostgresError) -> PostgresConnection {
        // libpq would resolve a name while the whole loop waits; the certificate is checked against the name all the same.
        var options = [("host", endpoint.host), ("hostaddr", address), ("port", "\(endpoint.port)")]
        if let database = database ?? self.database { options.append(("dbname", database)) }
        return try await PostgresConnection(
            self.conninfo, overriding: options.map { (keyword: $0.0, value: $0.1) },
            timeout: max(limit, .milliseconds(1)))
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
