// SPDX-License-Identifier: Apache-2.0
import CPostgres

extension PostgresError {
    /// Why the server has refused a statement, as `result` says.
    init(refusalIn result: OpaquePointer) {
        let diagnosticSQLState = Int32(UInt8(ascii: "C"))  // PG_DIAG_SQLSTATE
        let diagnosticMessage = Int32(UInt8(ascii: "M"))  // PG_DIAG_MESSAGE_PRIMARY
        let state = PQresultErrorField(result, diagnosticSQLState).map { String(cString: $0) } ?? ""
        let message = PQresultErrorField(result, diagnosticMessage) ?? PQresultErrorMessage(result)
        self.init(
            kind: .query(sqlState: state),
            message: message.map { String(cString: $0) } ?? "refused",
            sqlState: state
        )
    }
}

extension PostgresConnection {
    /// The one row of a result in single-row mode.
    nonisolated static func row(of result: OpaquePointer) -> [String?] { self.row(0, of: result) }

    nonisolated static func row(_ number: Int32, of result: OpaquePointer) -> [String?] {
        (0..<PQnfields(result)).map { column in
            PQgetisnull(result, number, column) == 1
                ? nil : PQgetvalue(result, number, column).map { String(cString: $0) }
        }
    }
}
