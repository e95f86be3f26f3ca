// SPDX-License-Identifier: Apache-2.0
import EtcdClient
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
            let clock = ContinuousClock()
            let took = try await clock.measure { for _ in 0..<500 { _ = try await client.range(.key("/a/x")) } }
            print("range", took / 500)
            #expect(try await client.keepAlive(lease.id).ttl == 20)
            try await client.revokeLease(lease.id)
            #expect(try await client.keepAlive(lease.id).ttl == 0)
            let error = await #expect(throws: EtcdError.self) { try await client.revokeLease(lease.id) }
            #expect(error?.kind == .leaseNotFound)
            http.close()
        }
    }
}
