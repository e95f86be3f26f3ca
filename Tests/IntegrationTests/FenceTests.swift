// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import LeaseKeys
import PatroniValues
import TestSupport
import Testing

@testable import Shell

/// The records that were made, in order.
@EventLoop
private final class Records {
    private(set) var kinds: [LogKind] = []
    func add(_ record: LogRecord) { self.kinds.append(record.kind) }
}

extension IntegrationTests {
    /// One address in the configurations of two clusters, on a real etcd.
    @Suite(.serialized)
    struct FenceTests {
        private static let address = "10.0.0.3"

        init() { EventLoop.shared.executor.startThread() }

        /// The only member of a cluster, which leads it, in an etcd that Pharos has settled in.
        @EventLoop
        private static func link(
            _ client: EtcdClient, namespace: String, scope: String, _ records: Records
        ) -> (EtcdLink, PharosKeys) {
            let keys = PharosKeys(root: "/pharos/", namespace: namespace, scope: scope, group: nil)
            let link = EtcdLink(client, keys, member: "n1", node: "boot-\(scope)", report: { records.add($0) })
            link.addresses = [Self.address]
            return (link, keys)
        }

        @EventLoop
        private static func acquire(_ link: EtcdLink, _ client: EtcdClient, _ keys: PharosKeys) async throws -> Event {
            guard
                case .leaseGranted(_, let lease, let ttl, _) = await link.grant(
                    Self.address, ttl: .seconds(60), sentAt: .now)
            else { throw TestSupportError("no lease") }
            let found = try await client.range(.key(keys.trail(Self.address))).keyValues.first
            let seen = found.map { PharosKeys.trail($0) } ?? TrailInEtcd()
            let entry = Trail.Entry(lease: lease, ttl: ttl)
            let clusterID = try await client.range(.key(keys.mark)).header.clusterID
            return await link.acquire(
                Self.address, lease, clusterID, TrailStep(seen: seen, next: seen.trail.extended(by: entry)),
                sentAt: .now)
        }

        @EventLoop
        private static func settle(_ client: EtcdClient, _ keys: [PharosKeys]) async throws {
            let clusterID = try await client.range(.key("/x")).header.clusterID
            for keys in keys {
                let puts: [Transaction.Operation] = [
                    .put(key: keys.mark, value: Array("\(clusterID)".utf8), lease: 0),
                    .put(key: keys.patroni.leader, value: Array("n1".utf8), lease: 0),
                ]
                #expect(try await client.commit(Transaction(compares: [], success: puts)).succeeded)
            }
        }

        @Test @EventLoop
        func `the second cluster is refused, is told by whom, and gets it when the first has let it go`()
            async throws
        {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            let records = Records()
            for (first, second) in [(("/service/", "one"), ("/service/", "two")), (("/a/", "same"), ("/b/", "same"))] {
                let (one, oneKeys) = Self.link(client, namespace: first.0, scope: first.1, records)
                let (two, twoKeys) = Self.link(client, namespace: second.0, scope: second.1, records)
                try await Self.settle(client, [oneKeys, twoKeys])
                guard case .acquired(_, let lease, _, _, _) = try await Self.acquire(one, client, oneKeys) else {
                    Issue.record("the first was refused")
                    return
                }
                guard case .acquireRefused(_, _, let found, _) = try await Self.acquire(two, client, twoKeys) else {
                    Issue.record("two clusters hold one address")
                    return
                }
                // In two namespaces of one scope, the address's own key is the same one.
                #expect(found.rivals == [Addressed(Self.address, oneKeys.cluster)])
                guard case .leaseRevoked = await one.revoke(Self.address, lease) else {
                    Issue.record("not given back")
                    return
                }
                guard case .acquired(_, let next, _, _, _) = try await Self.acquire(two, client, twoKeys) else {
                    Issue.record("the second was refused although nobody holds it")
                    return
                }
                _ = await two.revoke(Self.address, next)
            }
        }

        @Test @EventLoop func `what a version before leaves behind when it takes an address over holds nobody up`()
            async throws
        {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            let records = Records()
            let (link, keys) = Self.link(client, namespace: "/service/", scope: "demo", records)
            try await Self.settle(client, [keys])
            guard case .acquired = try await Self.acquire(link, client, keys) else {
                Issue.record("refused")
                return
            }
            // It moves the address's key to a lease of its own, knows nothing of the fence, and gives its lease back.
            let lease = try await client.grantLease(seconds: 60)
            let put = Transaction.Operation.put(key: keys.address(Self.address), value: [], lease: lease.id)
            _ = try await client.commit(Transaction(compares: [], success: [put]))
            try await client.revokeLease(lease.id)
            let left = try await client.range(.key(keys.fence(Self.address))).keyValues
            #expect(left.count == 1)
            guard case .acquired(_, let next, _, _, _) = try await Self.acquire(link, client, keys) else {
                Issue.record("its own cluster's fence held it up")
                return
            }
            let fence = try await client.range(.key(keys.fence(Self.address))).keyValues
            #expect(fence.map(\.lease) == [next])
        }

        @Test @EventLoop
        func `a user without the right to what all scopes share acquires all the same, and is told once`()
            async throws
        {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(http: http)
            let root = EtcdClient(
                EtcdConfiguration(endpoints: etcd.endpoints, username: "root", password: "r"), http: http, jitter: { 0 }
            )
            let client = EtcdClient(
                EtcdConfiguration(endpoints: etcd.endpoints, username: "pharos", password: "s3cret"), http: http,
                jitter: { 0 })
            let records = Records()
            let (link, keys) = Self.link(client, namespace: "/service/", scope: "demo", records)
            try await etcd.control("user", "add", "root:r")
            try await etcd.control("user", "add", "pharos:s3cret")
            try await etcd.control("role", "add", "pharos")
            // What the manual granted before there were fences.
            try await etcd.control("role", "grant-permission", "pharos", "--prefix=true", "read", "/service/demo/")
            try await etcd.control("role", "grant-permission", "pharos", "--prefix=true", "readwrite", "/pharos/demo/")
            try await etcd.control("user", "grant-role", "pharos", "pharos")
            try await etcd.control("user", "grant-role", "root", "root")
            try await etcd.control("auth", "enable")
            try await Self.settle(root, [keys])
            for _ in 0..<2 {
                guard case .acquired(_, let lease, _, _, _) = try await Self.acquire(link, client, keys) else {
                    Issue.record("refused")
                    return
                }
                _ = await link.revoke(Self.address, lease)
            }
            #expect(records.kinds == [.fencesForbidden])
        }
    }
}
