// SPDX-License-Identifier: Apache-2.0
public import PostgresClient

/// Why the catalogs could not be read or written.
public enum CitusError: Error, Sendable, Equatable {
    /// The database refused, or cannot be reached. Nothing was changed.
    case database(PostgresError)
    /// The database refused a change of this group's rows, or the lock that it needs. Nothing was changed, of no group.
    case change(group: Int, PostgresError)
    /// An answer that the catalogs cannot give.
    case malformed(String)
    /// The connection was lost while the transaction was being committed: it may have been. Read the rows anew.
    case outcomeUnknown(PostgresError)
}

extension CitusError {
    /// The same, of one group's changes, where the database refused them.
    func of(_ group: Int) -> CitusError {
        // What has ended the connection has nothing to do with the group.
        guard case .database(let error) = self, case .query = error.kind else { return self }
        return .change(group: group, error)
    }
}
