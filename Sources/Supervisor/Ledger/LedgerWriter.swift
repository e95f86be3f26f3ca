// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop

/// Writes records of changes of leader to etcd, the newest state of each, and keeps the last ``limit`` of them there.
///
/// What cannot be written is tried again each second, as long as this process lives.
@EventLoop
final class LedgerWriter {
    private let etcd: EtcdClient
    private let keys: DetectorKeys
    private var pending: [Int64: FailoverRecord] = [:]
    private var isBusy = false
    private var timer: EventSource?

    static let limit = 100
    private static let pendingLimit = 16
    private static let retry: Duration = .seconds(1)

    init(_ etcd: EtcdClient, _ keys: DetectorKeys) {
        self.etcd = etcd
        self.keys = keys
    }

    func stop() {
        self.pending = [:]
        self.timer = nil
    }

    func write(_ record: FailoverRecord) {
        guard self.pending[record.revision] != nil || self.pending.count < Self.pendingLimit else { return }
        self.pending[record.revision] = record
        self.turn()
    }

    private func turn() {
        guard !self.isBusy, let record = self.pending.values.min(by: { $0.revision < $1.revision }) else { return }
        self.isBusy = true
        EventLoop.spawn {
            let isWritten = await self.put(record)
            self.isBusy = false
            // One that has changed meanwhile is written again.
            if isWritten, self.pending[record.revision] == record { self.pending[record.revision] = nil }
            guard !self.pending.isEmpty else { return }
            if isWritten { return self.turn() }
            self.timer = .timer(after: Self.retry) { [unowned self] in
                self.timer = nil
                self.turn()
            }
        }
    }

    private func put(_ record: FailoverRecord) async -> Bool {
        guard let folder = self.keys.history(of: record.group) else { return true }
        let value = Array(record.json(at: .now, WallClock.milliseconds).utf8)
        let key = folder + Self.name(record.revision)
        do throws(EtcdError) {
            let response = try await self.etcd.commit(
                Transaction(
                    compares: [.absent(key)],
                    success: [
                        .put(key: key, value: value, lease: 0), .range(.prefix(folder), limit: 2 * Self.limit),
                    ], failure: [.put(key: key, value: value, lease: 0)]))
            for case .range(let pairs) in response.responses where pairs.count > Self.limit {
                let old = pairs.map(\.keyText).sorted()[pairs.count - Self.limit]
                let stale = KeyRange(start: Array(folder.utf8), end: Array(old.utf8))
                _ = try await self.etcd.commit(Transaction(compares: [], success: [.delete(stale)]))
            }
            return true
        } catch {
            return false
        }
    }

    /// Revisions sort as text.
    nonisolated static func name(_ revision: Int64) -> String {
        let digits = "\(max(0, revision))"
        return String(repeating: "0", count: max(0, 19 - digits.utf8.count)) + digits
    }
}
