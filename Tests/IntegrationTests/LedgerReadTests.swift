// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Settings
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// The ledger as a command reads it, on any node.
    @Suite(.serialized)
    struct LedgerReadTests {
        init() { EventLoop.shared.executor.startThread() }

        private static let scopes = [0: "demo", 1: "demo-w1", 2: "demo-w2"]

        @EventLoop
        private static func settings(_ etcd: LocalEtcd, group: Int, scopes: Bool) throws -> Settings {
            let groups = Self.scopes.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
            return try Settings.load(
                text: """
                    scope: \(scopes ? Self.scopes[group] ?? "" : "demo")
                    member: n\(group)
                    \(scopes ? "" : "group: \(group)")
                    etcd: { endpoints: [\(etcd.endpoints.map { "\"\($0)\"" }.joined(separator: ", "))] }
                    patroni: { url: "http://127.0.0.1:1" }
                    postgres: { conninfo: "host=127.0.0.1 user=pharos" }
                    citus:
                      databases: [app]
                      mode: own
                      \(scopes ? "groups: { \(groups.joined(separator: ", ")) }" : "settle: 2s")
                    """)
        }

        @Test(arguments: [false, true]) @EventLoop
        func `every group's changes are read on the coordinator and on a worker`(scopes: Bool) async throws {
            let http = HTTPClient()
            defer { http.close() }
            let etcd = try await LocalEtcd(http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            // As each group's own daemon writes it, and the coordinator's beside it.
            for group in [0, 1, 2] {
                let keys = DetectorKeys(try Self.settings(etcd, group: group, scopes: scopes))
                let record = FailoverRecord(
                    revision: 20 + Int64(group), group: group, from: "x\(group)", to: "n\(group)",
                    phases: [.keyGained: Instant(sinceBoot: .seconds(5))])
                let writer = DetectorKeys(try Self.settings(etcd, group: 0, scopes: scopes))
                let entries: [(DetectorKeys, LedgerEntry)] = [
                    (keys, .own(record)),
                    (
                        writer,
                        .metadata(
                            group: group, revision: record.revision,
                            phases: [.metadataCommitted: Instant(sinceBoot: .seconds(7))], by: "n0")
                    ),
                ]
                for (keys, entry) in entries {
                    let key = try #require(keys.history(entry))
                    let value = Array(entry.json(at: Instant(sinceBoot: .zero), 1000).utf8)
                    _ = try await client.commit(
                        Transaction(compares: [], success: [.put(key: key, value: value, lease: 0)]))
                }
            }
            for group in [0, 1, 2] {
                let read = try await FailoverHistory.read(Self.settings(etcd, group: group, scopes: scopes))
                #expect(read.map(\.group) == [0, 1, 2], "on a node of group \(group)")
                #expect(read.map(\.to) == ["n0", "n1", "n2"])
                #expect(read.allSatisfy { $0.phases[.keyGained] != nil && $0.phases[.metadataCommitted] != nil })
            }
        }
    }
}
