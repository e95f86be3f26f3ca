// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import LenientJSON

/// The newest records of the ledger, as they stood in etcd when this daemon read them last: for `/failovers`.
///
/// A question is answered in the turn in which it comes, of what is here; it makes the daemon read again where that is older than
/// ``pace``. So a crowd that asks costs etcd one read in that time, of the plane that looks at others, and nobody who does not ask
/// costs it any.
@EventLoop
final class LedgerCopy {
    private struct Content {
        /// JSON of the records, oldest first, made when they were read: an answer only copies it.
        let records: String
        let isWhole: Bool
        let readAt: Instant
    }

    private let keys: DetectorKeys
    private let read: @EventLoop () async throws(EtcdError) -> (records: [FailoverRecord], isWhole: Bool)
    private let redact: @EventLoop (String) -> String
    private var content: Content?
    private var failure: String?
    private var isReading = false
    private var askedAt: Instant?

    nonisolated static let pace: Duration = .seconds(10)
    nonisolated static let keyLimit = 2000
    nonisolated static let recordLimit = 100

    init(_ etcd: EtcdClient, _ keys: DetectorKeys, redact: @escaping @EventLoop (String) -> String) {
        self.keys = keys
        self.redact = redact
        self.read = { () async throws(EtcdError) in
            try await FailoverHistory.read(keys, by: etcd, limit: LedgerCopy.keyLimit)
        }
    }

    /// `failovers`: null before the first read, and then the reason says so.
    func answer(at now: Instant) -> String {
        self.refresh(at: now)
        var reason = self.failure.map { "etcd could not be read: \($0)" }
        if self.content == nil, reason == nil { reason = "not read yet; etcd is being asked now: ask again" }
        let head: JSONDocument = [
            "read_seconds_ago": .seconds(self.content.map { max(.zero, now - $0.readAt) }),
            "is_whole": self.content.map { .bool($0.isWhole) } ?? .null, "reason": .text(reason.map(self.redact)),
        ]
        // The records are JSON already, and are not made anew for each answer.
        return String(head.compact.dropLast()) + ",\n\"failovers\":\(self.content?.records ?? "null")}\n"
    }

    /// As it stands in etcd, and its spans with their budgets. Its instants are counted from 1970.
    private static func document(_ record: FailoverRecord) -> String {
        let end = Instant(sinceBoot: .milliseconds(WallClock.milliseconds))
        let spans = record.spans(at: end).compact
        return String(record.document(at: Instant(sinceBoot: .zero), 0).compact.dropLast()) + ",\"spans\":\(spans)}"
    }

    private func refresh(at now: Instant) {
        guard !self.isReading, self.askedAt.map({ now - $0 >= Self.pace }) ?? true else { return }
        self.isReading = true
        self.askedAt = now
        EventLoop.spawn {
            do throws(EtcdError) {
                let found = try await self.read()
                let newest = found.records.suffix(Self.recordLimit)
                let lines = newest.map { Self.document($0) }
                self.content = Content(
                    records: self.redact("[" + lines.joined(separator: ",\n") + "]"),
                    isWhole: found.isWhole && newest.count == found.records.count, readAt: now)
                self.failure = nil
            } catch {
                self.failure = error.description
            }
            self.isReading = false
        }
    }
}
