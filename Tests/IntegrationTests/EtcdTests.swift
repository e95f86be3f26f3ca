// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop
import Glibc
import HTTPClient
import TestSupport
import Testing

@Suite(.serialized) enum IntegrationTests {}

extension IntegrationTests {
    @Suite(.serialized)
    struct EtcdTests {
        init() { EventLoop.shared.executor.startThread() }

        @Test @EventLoop func `what is put is found, compared and deleted`() async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            let lease = try await client.grantLease(seconds: 20)
            let acquire = Transaction(
                compares: [.absent("/a/x"), .init("/a/leader", is: .value(Array("n1".utf8)))],
                success: [.put(key: "/a/x", value: Array("v".utf8), lease: lease.id)],
                failure: [.range(.key("/a/leader"), limit: 1)]
            )
            let refused = try await client.commit(acquire)
            #expect(!refused.succeeded && refused.responses == [.range([])])
            let put = try await client.commit(
                Transaction(compares: [], success: [.put(key: "/a/leader", value: Array("n1".utf8), lease: 0)])
            )
            #expect(put.succeeded && put.responses == [.put])
            let done = try await client.commit(acquire)
            #expect(done.succeeded)
            let found = try await client.range(.prefix("/a/"))
            #expect(found.keyValues.map(\.keyText) == ["/a/leader", "/a/x"])
            #expect(found.keyValues[1].lease == lease.id)
            #expect(found.header.revision == done.header.revision)
            #expect(try await client.keepAlive(lease.id).ttl == 20)
            try await client.revokeLease(lease.id)
            #expect(try await client.keepAlive(lease.id).ttl == 0)
            let error = await #expect(throws: EtcdError.self) { try await client.revokeLease(lease.id) }
            #expect(error?.kind == .leaseNotFound)
            http.close()
        }

        @Test @EventLoop func `a compacted revision is said, with the oldest one left`() async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            var revision: Int64 = 0
            for number in 0..<10 {
                let put = Transaction(compares: [], success: [.put(key: "/a", value: [UInt8(number)], lease: 0)])
                revision = try await client.commit(put).header.revision
            }
            var request = HTTPRequest(.post, etcd.endpoints[0] + "/v3/kv/compaction")
            request.body = Array(#"{"revision":"\#(revision - 2)"}"#.utf8)
            try #require(try await http.send(request).status == 200)
            let error = await #expect(throws: EtcdError.self) {
                try await client.watch(.key("/a"), from: 2) { _ in }
            }
            #expect(error?.kind == .compacted(revision - 2))
            var seen: [UInt8] = []
            let enough = await #expect(throws: EtcdError.self) {
                try await client.watch(.key("/a"), from: revision - 2) { batch in
                    seen += batch.events.flatMap(\.keyValue.value)
                    if seen.count == 3 { client.dropCurrentEndpoint("enough") }
                }
            }
            #expect(enough?.kind == .unreachable && seen == [7, 8, 9])
            http.close()
        }

        @Test @EventLoop func `an expired lease takes its keys along, and a watch sees it`() async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            let lease = try await client.grantLease(seconds: 1)
            let put = Transaction(
                compares: [],
                success: [.put(key: "/a", value: [], lease: lease.id), .put(key: "/b", value: [], lease: lease.id)]
            )
            let revision = try await client.commit(put).header.revision
            var deleted: [WatchEvent] = []
            await #expect(throws: EtcdError.self) {
                try await client.watch(.prefix("/"), from: revision + 1) { batch in
                    deleted += batch.events
                    if !batch.events.isEmpty { client.dropCurrentEndpoint("enough") }
                }
            }
            #expect(deleted.map(\.kind) == [.delete, .delete])
            #expect(Set(deleted.map(\.keyValue.modRevision)).count == 1)
            #expect(try await client.keepAlive(lease.id).ttl == 0)
            let dead = await #expect(throws: EtcdError.self) { _ = try await client.commit(put) }
            #expect(dead?.kind == .leaseNotFound)
            http.close()
        }

        /// As many as the scopes of 64 groups have, Patroni's keys and ours: each watch has a connection of its own.
        @Test @EventLoop func `128 ranges are watched at once, and requests go on beside them`() async throws {
            let http = HTTPClient(.unlimited)
            let etcd = try await LocalEtcd(http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            let keys = (0..<128).map { "/service/scope\($0)/leader" }
            var established: Set<String> = []
            var seen: Set<String> = []
            let watches = keys.map { key in
                EventLoop.spawn {
                    do throws(EtcdError) {
                        try await client.watch(.key(key), from: 1) { batch in
                            if batch.isCreation { established.insert(key) }
                            seen.formUnion(batch.events.map(\.keyValue.keyText))
                        }
                    } catch {}
                }
            }
            #expect(try await eventually(within: .seconds(10)) { established.count == 128 })
            for key in keys {
                _ = try await client.commit(
                    Transaction(compares: [], success: [.put(key: key, value: [1], lease: 0)]))
            }
            #expect(try await eventually(within: .seconds(10)) { seen == Set(keys) })
            client.dropCurrentEndpoint("enough")
            for watch in watches { await watch.value }
            http.close()
        }

        @Test @EventLoop func `an authority that is replaced is believed at the next connection, without a restart`()
            async throws
        {
            let certificates = try await TestCertificates()
            let http = HTTPClient()
            let etcd = try await LocalEtcd(certificates: certificates, http: http)
            let configuration = EtcdConfiguration(endpoints: etcd.endpoints, tls: certificates.clientFiles)
            let client = EtcdClient(configuration, http: http, jitter: { 0 })
            _ = try await client.range(.key("/a"))
            etcd.kill(0)
            try await certificates.renew()
            try etcd.start(0)
            try await etcd.waitForHealth(0, http: HTTPClient())
            _ = try await client.range(.key("/a"))
            http.close()
        }
    }
}
