// SPDX-License-Identifier: Apache-2.0
import Conninfo

extension PostgresConnection {
    /// Whether `conninfo` itself names a database.
    public nonisolated static func namesDatabase(_ conninfo: String) -> Bool {
        do throws(ConnectionString.ParsingError) {
            return try ConnectionString(conninfo)["dbname"] != nil
        } catch {
            return false
        }
    }
}
