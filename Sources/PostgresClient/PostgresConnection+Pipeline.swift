// SPDX-License-Identifier: Apache-2.0
import CLinux
import CPostgres

/// One statement with its parameters (`$1`, `$2`, …) as text.
public struct PostgresStatement: Sendable, Equatable {
    public var sql: String
    public var parameters: [String?]

    public init(_ sql: String, _ parameters: [String?] = []) {
        self.sql = sql
        self.parameters = parameters
    }

    /// About what it takes on the network.
    fileprivate var byteCount: Int {
        64 + self.sql.utf8.count + self.parameters.reduce(0) { $0 + 8 + ($1?.utf8.count ?? 0) }
    }
}

/// What came of statements that were sent together.
public struct PipelineAnswer: Sendable, Equatable {
    /// Of each one that was carried out, in their order: its rows, every value as text.
    public var rows: [[[String?]]] = []
    /// Why the one after those was refused; nil: all were carried out.
    public var refusal: PostgresError?
}

extension PostgresConnection {
    /// What leaves in one piece (libpq sends 8 KiB as soon as it has them): who freezes in the middle of more than that leaves a
    /// server that waits for the rest, within a transaction and beyond the reach of `idle_in_transaction_session_timeout`.
    package nonisolated static let pipelineByteLimit = 8000

    /// Runs statements one after the other in one round trip; after one that the server refuses it carries out none. Where no
    /// transaction has been begun, they are one.
    ///
    /// - Parameters:
    ///   - statements: together at most ``pipelineByteLimit``.
    ///   - timeout: limit on the whole call.
    ///   - byteLimit: bytes that are accepted, all values of all answers together, and about twice as many on the network.
    public func pipeline(
        _ statements: [PostgresStatement], timeout: Duration = .seconds(5),
        byteLimit: Int = PostgresConnection.usualByteLimit
    ) async throws(PostgresError) -> PipelineAnswer {
        assert(statements.reduce(0) { $0 + $1.byteCount } <= Self.pipelineByteLimit, "more than leaves in one piece")
        return try await self.alone { () async throws(PostgresError) in
            let deadline = ContinuousClock.now + timeout
            guard PQenterPipelineMode(self.handle.raw) == 1 else { throw self.connectionError() }
            for statement in statements { try self.put(statement.sql, statement.parameters) }
            guard PQpipelineSync(self.handle.raw) == 1 else { throw self.connectionError() }
            try await self.flush(until: deadline)
            let answer = try await self.receive(statements.count, byteLimit: byteLimit, until: deadline)
            guard PQexitPipelineMode(self.handle.raw) == 1 else { throw self.connectionError() }
            return answer
        }
    }

    private func receive(
        _ count: Int, byteLimit: Int, until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) -> PipelineAnswer {
        var answer = PipelineAnswer()
        var bytes = 0
        let before = linux_received_bytes(PQsocket(self.handle.raw))
        for _ in 0..<count {
            var rows: [[String?]] = []
            var isAnswered = false
            // libpq ends each statement's answer with no result.
            while let result = try await self.nextResult(
                limit: byteLimit, receivedBefore: before, until: deadline)
            {
                defer { PQclear(result) }
                guard !isAnswered else { throw self.outOfOrder(answer) }
                isAnswered = try self.take(result, &rows, into: &answer)
                bytes += rows.suffix(Int(PQntuples(result))).joined().reduce(0) { $0 + ($1?.utf8.count ?? 0) }
                guard bytes <= byteLimit else {
                    throw PostgresError(kind: .resultTooLarge, message: "the results are longer than their limit")
                }
            }
            guard isAnswered else { throw self.outOfOrder(answer) }
        }
        let last = try await self.nextResult(limit: byteLimit, receivedBefore: before, until: deadline)
        defer { PQclear(last) }
        guard PQstatus(self.handle.raw) == CONNECTION_OK, PQresultStatus(last) == PGRES_PIPELINE_SYNC else {
            throw self.outOfOrder(answer)
        }
        return answer
    }

    /// Takes a result of one statement; answers whether it is the last one.
    private func take(
        _ result: OpaquePointer, _ rows: inout [[String?]], into answer: inout PipelineAnswer
    ) throws(PostgresError) -> Bool {
        let isCarriedOut: Bool
        switch PQresultStatus(result) {
        // The first statement comes row by row where the one before this pipeline did.
        case PGRES_SINGLE_TUPLE: isCarriedOut = false
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: isCarriedOut = true
        case PGRES_FATAL_ERROR:
            guard answer.refusal == nil else { throw self.outOfOrder(answer) }
            answer.refusal = PostgresError(refusalIn: result)
            return true
        case PGRES_PIPELINE_ABORTED:
            guard answer.refusal != nil else { throw self.outOfOrder(answer) }
            return true
        default: throw self.outOfOrder(answer)  // COPY, PGRES_PIPELINE_SYNC, PGRES_BAD_RESPONSE
        }
        guard answer.refusal == nil else { throw self.outOfOrder(answer) }
        rows += (0..<PQntuples(result)).map { Self.row($0, of: result) }
        if isCarriedOut { answer.rows.append(rows) }
        return isCarriedOut
    }

    /// The connection has ended, or has said what nobody asked for. What was refused before it ended is why.
    private func outOfOrder(_ answer: PipelineAnswer) -> PostgresError {
        PostgresError(
            kind: .connection, message: answer.refusal?.message ?? "the connection ended, or what came is no answer",
            sqlState: answer.refusal?.sqlState)
    }
}
