// SPDX-License-Identifier: Apache-2.0
public import Decision
import EtcdClient
import EtcdValues
public import EventLoop
import HTTPClient
public import Settings

/// Reads the ledger from etcd, without the daemon.
@EventLoop
public enum FailoverHistory {
    /// Why it cannot be read.
    public struct Failure: Error, CustomStringConvertible, Sendable {
        public let description: String
    }

    /// The records of every group that is followed here, oldest first, their instants counted from 1970. What cannot be read is left
    /// out.
    public static func read(_ settings: Settings) async throws(Failure) -> [FailoverRecord] {
        let keys = DetectorKeys(settings)
        let http = HTTPClient()
        defer { http.close() }
        let client = await EtcdClient.ofCommand(settings, http)
        do throws(EtcdError) {
            return try await self.read(keys, by: client, limit: Self.pairLimit).records
        } catch {
            throw Failure(description: error.description)
        }
    }

    /// The same through `client`; of at most `limit` keys and a page. `isWhole`: there were no more.
    static func read(
        _ keys: DetectorKeys, by client: EtcdClient, limit: Int
    ) async throws(EtcdError) -> (records: [FailoverRecord], isWhole: Bool) {
        var pairs: [(key: String, value: [UInt8])] = []
        var isWhole = true
        for folder in keys.histories {
            var range = KeyRange.prefix(folder)
            while true {
                guard pairs.count < limit else {
                    isWhole = false
                    break
                }
                let page = try await client.range(range, limit: Self.page).keyValues
                pairs += page.map { (key: $0.keyText, value: $0.value) }
                guard page.count == Self.page, let last = page.last else { break }
                range = KeyRange(start: Array(last.keyText.utf8) + [0], end: range.end)
            }
        }
        return (Self.records(pairs), isWhole)
    }

    /// Keys that are read at once, and in all: those of some 300 groups that are full.
    private static let page = 400
    private static let pairLimit = 64_000

    /// The records, each with what stands beside it.
    nonisolated static func records(_ pairs: [(key: String, value: [UInt8])]) -> [FailoverRecord] {
        let metadata = Dictionary(
            pairs.filter { $0.key.hasSuffix(DetectorKeys.metadata) }.map { ($0.key, $0.value) }
        ) { $1 }
        return pairs.compactMap { pair in
            guard !pair.key.hasSuffix(DetectorKeys.metadata), var record = FailoverRecord(value: pair.value) else {
                return nil
            }
            if let value = metadata[pair.key + DetectorKeys.metadata] { record.add(metadata: value) }
            return record
        }.sorted { $0.revision < $1.revision }
    }
}
