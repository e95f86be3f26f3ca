// SPDX-License-Identifier: Apache-2.0
import Journal

/// The last records' messages, oldest first, for the status.
struct RecentRecords {
    struct Entry {
        let seconds: Int64
        let priority: LogRecord.Priority
        let message: String
    }
    static let limit = 50
    /// Characters of a message that are kept.
    static let messageLimit = 2000
    private(set) var entries: [Entry] = []
    /// How many of each kind there have been since the start.
    private(set) var counts: [LogKind: Int] = [:]

    mutating func append(_ record: LogRecord) {
        self.counts[record.kind, default: 0] += 1
        if self.entries.count == Self.limit { self.entries.removeFirst() }
        let message = String(record.message.prefix(Self.messageLimit))
        self.entries.append(Entry(seconds: WallClock.seconds, priority: record.priority, message: message))
    }
}
