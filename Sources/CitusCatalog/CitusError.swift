// SPDX-License-Identifier: Apache-2.0
public import PostgresClient

/// Why the catalogs could not be read or written.
public enum CitusError: Error, Sendable, Equatable {
    /// The database refused, or cannot be reached. Nothing was changed.
    case database(PostgresError)
    /// An answer that the catalogs cannot give.
    case malformed(String)
    /// The connection was lost while the transaction was being committed: it may have been. Read the rows anew.
    case outcomeUnknown(PostgresError)
}
