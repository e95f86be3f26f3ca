// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop

/// Writes records of changes of leader to etcd, the newest state of each, and keeps the last ``limit`` of them there.
///
/// What cannot be written is tried again each second, as long as this process lives.
@EventLoop
final class LedgerWriter {
    private let etcd: EtcdClient
    private let keys: DetectorKeys
    /// By key.
    private var pending: [String: LedgerEntry] = [:]
    private var isBusy = false
    private var timer: EventSource?

    nonisolated static let limit = 100
    nonisolated static let pendingLimit = 16
    private static let retry: Duration = .seconds(1)
    /// A record grows while a change goes on. What is written of it waits a moment: the address moves by commits of the same
    /// etcd, and comes first.
    private static let patience: Duration = .milliseconds(500)

    init(_ etcd: EtcdClient, _ keys: DetectorKeys) {
        self.etcd = etcd
        self.keys = keys
    }

    func stop() {
        self.pending = [:]
        self.timer = nil
    }

    func write(_ entry: LedgerEntry) {
        // A group that has no place in etcd here has none in the ledger.
        guard let key = self.keys.history(entry),
            self.pending[key] != nil || self.pending.count < Self.pendingLimit
        else { return }
        self.pending[key] = entry
        self.wait(Self.patience)
    }

    private func wait(_ delay: Duration) {
        guard self.timer == nil, !self.isBusy else { return }
        self.timer = .timer(after: delay) { [unowned self] in
            self.timer = nil
            self.turn()
        }
    }

    private func turn() {
        guard let (key, entry) = self.pending.min(by: { $0.key < $1.key }) else { return }
        self.isBusy = true
        EventLoop.spawn {
            let isWritten = await self.put(entry, key)
            self.isBusy = false
            // One that has changed meanwhile is written again.
            if isWritten, self.pending[key] == entry { self.pending[key] = nil }
            if !self.pending.isEmpty { self.wait(isWritten ? Self.patience : Self.retry) }
        }
    }

    private func put(_ entry: LedgerEntry, _ key: String) async -> Bool {
        let value = Array(entry.json(at: .now, WallClock.milliseconds).utf8)
        let folder = String(key[...(key.lastIndex(of: "/") ?? key.startIndex)])
        var again: [Transaction.Operation] = [.put(key: key, value: value, lease: 0)]
        if case .witnessed = entry { again = [] }
        do throws(EtcdError) {
            let response = try await self.etcd.commit(
                Transaction(
                    compares: [.absent(key)],
                    success: [
                        .put(key: key, value: value, lease: 0), .range(.prefix(folder), limit: 4 * Self.limit),
                    ], failure: again))
            for case .range(let pairs) in response.responses {
                guard let oldest = Self.oldest(of: pairs.map(\.keyText)) else { continue }
                let stale = KeyRange(start: Array(folder.utf8), end: Array(oldest.utf8))
                _ = try await self.etcd.commit(Transaction(compares: [], success: [.delete(stale)]))
            }
            return true
        } catch {
            return false
        }
    }

    /// The key of the oldest record that stays; nil: all do. What is written beside a record sorts right after it.
    nonisolated static func oldest(of keys: [String]) -> String? {
        let records = keys.filter { !$0.hasSuffix(DetectorKeys.metadata) }.sorted()
        return records.count > self.limit ? records[records.count - self.limit] : nil
    }
}
