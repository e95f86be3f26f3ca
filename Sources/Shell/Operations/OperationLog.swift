// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import LenientJSON

/// The record of what persons have asked for in this cluster, in etcd: who, when, what, and what came of it; the newest ``limit``.
///
/// It is read where somebody asks for it, at most every ``pace``, and after each record that this daemon adds. What cannot be written
/// is tried again each second, as long as this process lives.
@EventLoop
final class OperationLog {
    private let etcd: EtcdClient
    private let folder: String
    private let member: String
    /// By key: what waits to be written.
    private var pending: [String: [UInt8]] = [:]
    private var isBusy = false
    private var timer: EventSource?
    /// Each record as it stands there, which is JSON.
    private var content: (records: [String], readAt: Instant)?
    private var failure: String?
    private var isReading = false
    private var askedAt: Instant?
    /// Of the last record: no two have the same key.
    private var lastStamp: Int64 = 0

    nonisolated static let limit = 100
    nonisolated static let pendingLimit = 16
    nonisolated static let pace: Duration = .seconds(10)
    /// Bytes of one record that is read.
    private nonisolated static let sizeLimit = 16 << 10
    private static let retry: Duration = .seconds(1)

    init(_ etcd: EtcdClient, _ keys: DetectorKeys, member: String) {
        (self.etcd, self.folder, self.member) = (etcd, keys.acts, member)
    }

    func stop() {
        self.pending = [:]
        self.timer = nil
    }

    /// Adds a record, whose other members are `document`.
    func add(_ document: [JSONDocument.Member], at milliseconds: Int64) {
        let all = JSONDocument.object(
            [.init("at", .integer(milliseconds)), .init("node", .string(self.member))] + document)
        guard self.pending.count < Self.pendingLimit else { return }
        self.lastStamp = max(milliseconds, self.lastStamp + 1)
        self.pending[self.folder + DetectorKeys.name(self.lastStamp) + "-" + self.member] = Array(all.compact.utf8)
        self.turn()
    }

    private func turn() {
        guard !self.isBusy, self.timer == nil, let (key, value) = self.pending.min(by: { $0.key < $1.key }) else {
            return
        }
        self.isBusy = true
        EventLoop.spawn {
            let isWritten = await self.put(key, value)
            self.isBusy = false
            if isWritten {
                self.pending[key] = nil
                self.askedAt = nil
                self.refresh(at: .now)
                self.turn()
            } else if !self.pending.isEmpty {
                self.timer = .timer(after: Self.retry) { [unowned self] in
                    self.timer = nil
                    self.turn()
                }
            }
        }
    }

    private func put(_ key: String, _ value: [UInt8]) async -> Bool {
        do throws(EtcdError) {
            let response = try await self.etcd.commit(
                Transaction(
                    compares: [],
                    success: [
                        .put(key: key, value: value, lease: 0), .range(.prefix(self.folder), limit: 2 * Self.limit),
                    ]
                ))
            for case .range(let pairs) in response.responses where pairs.count > Self.limit {
                let keys = pairs.map(\.keyText).sorted()
                let stale = KeyRange(start: Array(self.folder.utf8), end: Array(keys[keys.count - Self.limit].utf8))
                _ = try await self.etcd.commit(Transaction(compares: [], success: [.delete(stale)]))
            }
            return true
        } catch {
            return false
        }
    }

    // MARK: - To read

    /// The records, oldest first, as they stood there last; nil before the first read, and then the reason says so.
    func records(at now: Instant) -> (records: [String]?, ago: Duration?, reason: String?) {
        self.refresh(at: now)
        var reason = self.failure.map { "etcd could not be read: \($0)" }
        if self.content == nil, reason == nil { reason = "not read yet; etcd is being asked now: ask again" }
        return (self.content?.records, self.content.map { max(.zero, now - $0.readAt) }, reason)
    }

    private func refresh(at now: Instant) {
        guard !self.isReading, self.askedAt.map({ now - $0 >= Self.pace }) ?? true else { return }
        (self.isReading, self.askedAt) = (true, now)
        EventLoop.spawn {
            do throws(EtcdError) {
                let pairs = try await self.etcd.range(.prefix(self.folder), limit: 2 * Self.limit).keyValues
                let sorted = pairs.sorted { $0.keyText < $1.keyText }.suffix(Self.limit)
                let records = sorted.filter { JSON.parse($0.value, limit: Self.sizeLimit)?.object != nil }
                self.content = (records.map(\.valueText), now)
                self.failure = nil
            } catch {
                self.failure = error.description
            }
            self.isReading = false
        }
    }
}
