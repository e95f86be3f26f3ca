// SPDX-License-Identifier: Apache-2.0

/// What of the sessions in an update's way is news: that there are some, once; and that Citus's synchronization of metadata is among
/// them, which is to be interrupted, also where it comes into the way after somebody else.
public struct BlockingNews: Hashable, Sendable {
    private var isTold = false
    /// Whether nothing more of it can be news.
    public private(set) var isOver = false

    public init() {}

    /// Answers whether it is to be told.
    public mutating func learn(_ sessions: [BlockingSession]) -> Bool {
        guard !self.isOver, !sessions.isEmpty else { return false }
        self.isOver = sessions.contains(where: \.isSynchronization)
        defer { self.isTold = true }
        return self.isOver || !self.isTold
    }
}
