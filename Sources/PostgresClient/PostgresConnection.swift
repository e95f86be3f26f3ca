// SPDX-License-Identifier: Apache-2.0
import CPostgres
public import EventLoop
import Glibc

public struct PostgresError: Error, CustomStringConvertible {
    public enum Kind: Sendable { case connection, timeout, query(sqlState: String) }
    public let kind: Kind
    public let message: String
    public var description: String { "postgres: \(self.message)" }
}

/// One libpq connection. After any error other than `.query` it is useless: drop it and connect again.
@EventLoop
public final class PostgresConnection {
    private let handle: Handle

    /// Owns the `PGconn`.
    private struct Handle: ~Copyable {
        let raw: OpaquePointer
        deinit { PQfinish(self.raw) }
    }

    public init(_ conninfo: String, timeout: Duration = .seconds(5)) async throws(PostgresError) {
        guard let raw = PQconnectStart(conninfo) else { throw PostgresError(kind: .connection, message: "out of memory") }
        self.handle = Handle(raw: raw)
        guard PQstatus(raw) != CONNECTION_BAD else { throw self.error(.connection) }
        var poll = PGRES_POLLING_WRITING
        while poll != PGRES_POLLING_OK {
            // The descriptor may change from one poll to the next, as libpq tries one address after another.
            switch poll {
            case PGRES_POLLING_READING: try await self.wait(.read, timeout)
            case PGRES_POLLING_WRITING: try await self.wait(.write, timeout)
            default: throw self.error(.connection)
            }
            poll = PQconnectPoll(raw)
        }
        PQsetnonblocking(raw, 1)
    }

    public func query(_ sql: String, timeout: Duration = .seconds(5)) async throws(PostgresError) -> [[String?]] {
        let raw = self.handle.raw
        guard PQsendQueryParams(raw, sql, 0, nil, nil, nil, nil, 0) == 1 else { throw self.error(.connection) }
        while PQflush(raw) == 1 {
            try await self.wait([.read, .write], timeout)
            guard PQconsumeInput(raw) == 1 else { throw self.error(.connection) }
        }
        // Every result must be fetched, also after a failed one, or libpq refuses the next command.
        var outcome: Result<[[String?]], PostgresError> = .success([])
        while let result = try await self.nextResult(timeout) {
            defer { PQclear(result) }
            outcome = Self.outcome(of: result)
        }
        return try outcome.get()
    }

    private static func outcome(of result: OpaquePointer) -> Result<[[String?]], PostgresError> {
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK: return .success(self.rows(of: result))
        default:
            let state = PQresultErrorField(result, 67 /* PG_DIAG_SQLSTATE */).map { String(cString: $0) } ?? ""
            return .failure(PostgresError(kind: .query(sqlState: state), message: String(cString: PQresultErrorMessage(result))))
        }
    }

    private func nextResult(_ timeout: Duration) async throws(PostgresError) -> OpaquePointer? {
        while PQisBusy(self.handle.raw) == 1 {
            try await self.wait(.read, timeout)
            guard PQconsumeInput(self.handle.raw) == 1 else { throw self.error(.connection) }
        }
        return PQgetResult(self.handle.raw)
    }

    private func wait(_ readiness: EventSource.Readiness, _ timeout: Duration) async throws(PostgresError) {
        do throws(WaitError) {
            _ = try await EventLoop.readiness(of: PQsocket(self.handle.raw), readiness, timeout: timeout)
        } catch {
            throw PostgresError(kind: .timeout, message: "\(error)")
        }
    }

    private func error(_ kind: PostgresError.Kind) -> PostgresError {
        PostgresError(kind: kind, message: String(cString: PQerrorMessage(self.handle.raw)))
    }

    private static func rows(of result: OpaquePointer) -> [[String?]] {
        (0..<PQntuples(result)).map { row in
            (0..<PQnfields(result)).map { column in
                PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
            }
        }
    }
}
