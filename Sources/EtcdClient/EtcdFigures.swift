// SPDX-License-Identifier: Apache-2.0

/// What etcd serves for Prometheus, of what tells whether it is well. What is not there, or does not fit, is nil.
public struct EtcdFigures: Sendable, Equatable {
    /// Seconds that 99 of 100 writes of its log to the disk take at most, since the process began: the bound of a histogram; beyond the
    /// largest bound twice that.
    public private(set) var slowestSync: Double?
    /// Elections since the process began.
    public private(set) var leaderChanges: Double?
    /// Bytes that the database may have.
    public private(set) var quota: Double?
    /// Seconds since 1970 when the process began.
    public private(set) var startedAt: Double?

    private static let lineLimit = 50_000

    public init(_ text: some Sequence<UInt8>) {
        var buckets: [(bound: Double, count: Double)] = []
        for line in Array(text).split(separator: UInt8(ascii: "\n")).prefix(Self.lineLimit)
        where line.first != UInt8(ascii: "#") {
            let words = String(decoding: line, as: UTF8.self).split(separator: " ")
            guard words.count == 2, let value = Double(words[1]), value.isFinite, value >= 0 else { continue }
            switch words[0] {
            case "etcd_server_leader_changes_seen_total": self.leaderChanges = value
            case "etcd_server_quota_backend_bytes": self.quota = value
            case "process_start_time_seconds": self.startedAt = value
            default:  // Other names.
                let name = "etcd_disk_wal_fsync_duration_seconds_bucket{le=\""
                guard words[0].hasPrefix(name) else { continue }
                let bound = words[0].dropFirst(name.count).prefix { $0 != "\"" }
                buckets.append((bound == "+Inf" ? .infinity : Double(bound) ?? .infinity, value))
            }
        }
        buckets.sort { $0.bound < $1.bound }
        guard let all = buckets.last?.count, all > 0, let found = buckets.first(where: { $0.count >= 0.99 * all })
        else { return }
        let largest = buckets.last { $0.bound.isFinite }?.bound
        self.slowestSync = found.bound.isFinite ? found.bound : largest.map { 2 * $0 }
    }
}
