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

    /// The records of this node's group, oldest first, their instants counted from 1970. What cannot be read is left out.
    public static func read(_ settings: Settings) async throws(Failure) -> [FailoverRecord] {
        let keys = DetectorKeys(settings)
        guard let folder = keys.history(of: settings.memberID.group) else { return [] }
        let http = HTTPClient()
        defer { http.close() }
        let client = EtcdClient(EtcdConfiguration(settings), http: http, jitter: { 0.5 })
        do throws(EtcdError) {
            let answer = try await client.range(.prefix(folder), limit: 4 * LedgerWriter.limit)
            return Self.records(answer.keyValues.map { (key: $0.keyText, value: $0.value) })
        } catch {
            throw Failure(description: error.description)
        }
    }

    /// The records, each with what stands beside it.
    nonisolated static func records(_ pairs: [(key: String, value: [UInt8])]) -> [FailoverRecord] {
        let metadata = pairs.filter { $0.key.hasSuffix(DetectorKeys.metadata) }.map(\.value)
        return pairs.compactMap { pair in
            guard !pair.key.hasSuffix(DetectorKeys.metadata), var record = FailoverRecord(value: pair.value) else {
                return nil
            }
            for value in metadata { record.add(metadata: value) }
            return record
        }.sorted { $0.revision < $1.revision }
    }
}
