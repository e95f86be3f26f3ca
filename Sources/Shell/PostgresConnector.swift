// SPDX-License-Identifier: Apache-2.0
import Conninfo
import Decision
import EventLoop
import HTTPClient
import PostgresClient

/// Connects to the servers that a connection string names, one after another. Names are looked up by the plane's own resolver;
/// libpq is given addresses only, and each of them a time limit, which it has not for itself.
@EventLoop
struct PostgresConnector {
    let resolver: HostResolver

    /// - Parameters:
    ///   - conninfo: libpq's connection string, which names the servers.
    ///   - database: instead of the string's.
    ///   - timeout: for all servers together; each has an equal share of what is left.
    /// - Throws: `.notAsked` for a name that could not be looked up; else the first server's reason.
    func connect(
        _ conninfo: String, database: String? = nil, timeout: Duration
    ) async throws(PostgresError) -> PostgresConnection {
        let (text, targets) = try Self.parse(conninfo)
        return try await self.connect(text, to: targets, database: database, timeout: timeout)
    }

    /// `text`: without what names a server; `targets`: at least one.
    func connect(
        _ text: String, to targets: [ConnectionTarget], database: String?, timeout: Duration
    ) async throws(PostgresError) -> PostgresConnection {
        try await self.inTurn(targets, within: timeout) { target, share throws(PostgresError) in
            guard case .name(let name) = target.place else {
                return try await Self.open(text, target.options(), database, share)
            }
            let end = Instant.now + share
            let addresses: [String]
            switch await self.resolver.answer(to: name, within: share) {
            case .addresses(let found): addresses = found
            case .failed(let reason): throw PostgresError(kind: .notAsked, message: reason)
            }
            return try await self.inTurn(addresses, within: end - .now) { address, share throws(PostgresError) in
                try await Self.open(text, target.options(at: address), database, share)
            }
        }
    }

    /// A connection string's parts: what names the servers, and all else.
    static func parse(_ conninfo: String) throws(PostgresError) -> (text: String, targets: [ConnectionTarget]) {
        do {
            let string = try ConnectionString(conninfo)
            return (string.textWithoutTargets, try string.targets())
        } catch let error as TargetsError {
            throw PostgresError(kind: .notAsked, message: "the conninfo: \(error.message)")
        } catch {
            throw PostgresError(kind: .notAsked, message: "the conninfo is malformed")
        }
    }

    private static func open(
        _ text: String, _ options: [(keyword: String, value: String)], _ database: String?, _ limit: Duration
    ) async throws(PostgresError) -> PostgresConnection {
        try await PostgresConnection(
            text, overriding: options + (database.map { [(keyword: "dbname", value: $0)] } ?? []),
            timeout: max(limit, .milliseconds(1)))
    }

    /// Tries the places until a server answers, each with an equal share of the time that is left.
    private func inTurn<Place>(
        _ places: [Place], within limit: Duration,
        _ connect: (Place, Duration) async throws(PostgresError) -> PostgresConnection
    ) async throws(PostgresError) -> PostgresConnection {
        let end = Instant.now + limit
        var failure: PostgresError?
        for (index, place) in places.enumerated() {
            do throws(PostgresError) {
                return try await connect(place, (end - .now) / (places.count - index))
            } catch {
                guard Self.leavesOthers(error) else { throw error }
                failure = failure ?? error
            }
        }
        throw failure ?? PostgresError(kind: .notAsked, message: "there is no address to connect to")
    }

    /// A server that has said why does not say otherwise at its other address. Unless it starts or stops: another one may be there.
    private static func leavesOthers(_ error: PostgresError) -> Bool {
        [.timeout, .connection, .notAsked].contains(error.kind) && (error.sqlState == nil || error.sqlState == "57P03")
    }
}
