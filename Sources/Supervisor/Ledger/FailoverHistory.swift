// SPDX-License-Identifier: Apache-2.0
public import Decision
import EtcdClient
public import EventLoop
import HTTPClient

/// Reads the ledger from etcd, without the daemon.
@EventLoop
public enum FailoverHistory {
    /// Why it cannot be read.
    public struct Failure: Error, CustomStringConvertible, Sendable {
        public let description: String
    }

    /// The records of this node's group, oldest first, their instants counted from 1970. What cannot be read is left out.
    public static func read(_ settings: SupervisorSettings) async throws(Failure) -> [FailoverRecord] {
        let keys = DetectorKeys(root: settings.root, scope: settings.scope, settings.layout)
        guard let folder = keys.history(of: settings.memberID.group) else { return [] }
        let http = HTTPClient()
        defer { http.close() }
        let client = EtcdClient(settings.etcd, http: http, jitter: { 0.5 })
        do throws(EtcdError) {
            let answer = try await client.range(.prefix(folder), limit: 2 * LedgerWriter.limit)
            return answer.keyValues.compactMap { FailoverRecord(value: $0.value) }.sorted { $0.revision < $1.revision }
        } catch {
            throw Failure(description: error.description)
        }
    }
}
