// SPDX-License-Identifier: Apache-2.0
import Journal
import LenientJSON

/// The last records' messages, oldest first, for the status and for whoever follows them.
struct RecentRecords {
    struct Entry {
        let seconds: Int64
        let kind: LogKind
        let priority: LogRecord.Priority
        let message: String
    }
    static let limit = 200
    /// Of these, so many are in the status.
    static let statusLimit = 50
    /// Characters of a message that are kept.
    static let messageLimit = 2000
    private(set) var entries: [Entry] = []
    /// How many of each kind there have been since the start.
    private(set) var counts: [LogKind: Int] = [:]
    /// How many there have been in all: the number of the last one.
    private(set) var total: Int64 = 0

    /// The number of the oldest that is kept; of the next one where none is.
    var first: Int64 { self.total - Int64(self.entries.count) + 1 }

    mutating func append(_ record: LogRecord) {
        self.counts[record.kind, default: 0] += 1
        self.total += 1
        if self.entries.count == Self.limit { self.entries.removeFirst() }
        let message = String(record.message.prefix(Self.messageLimit))
        self.entries.append(
            Entry(seconds: WallClock.seconds, kind: record.kind, priority: record.priority, message: message))
    }

    /// All that are kept, with their numbers. `stream` names this process: the next one counts from 1 again.
    func document(stream: String) -> JSONDocument {
        let first = self.first
        let events = self.entries.enumerated().map { offset, entry -> JSONDocument in
            [
                "number": .integer(first + Int64(offset)), "time": .integer(entry.seconds),
                "priority": .number(entry.priority.rawValue), "kind": .string("\(entry.kind)"),
                "message": .string(entry.message),
            ]
        }
        return [
            "stream": .string(stream), "first": .integer(first), "last": .integer(self.total), "events": .list(events),
        ]
    }
}
