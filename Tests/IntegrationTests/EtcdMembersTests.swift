// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import Settings
import TestSupport
import Testing

@testable import Shell

/// Two clients as the daemon has them, that know one endpoint of a cluster, and what keeps their list up to date.
@EventLoop
private final class OneEndpoint {
    let client: EtcdClient
    private let looking: EtcdClient
    private(set) var directory: EtcdDirectory?
    private(set) var records: [LogRecord] = []
    private(set) var remembered: [String]

    init(_ endpoint: String, _ http: HTTPClient, remembered: [String] = []) throws {
        let configuration = EtcdConfiguration(endpoints: [endpoint])
        self.client = EtcdClient(configuration, http: http, jitter: { 0 })
        self.looking = EtcdClient(configuration, http: http, jitter: { 0 })
        self.remembered = remembered
        let settings = try Settings.load(
            text: """
                scope: demo
                member: n1
                addresses: [{ address: 10.0.0.3/24, interface: eth0 }]
                etcd: { endpoints: ["\(endpoint)"] }
                """)
        self.directory = EtcdDirectory(
            settings.etcd, asked: self.looking, told: [self.client, self.looking], remembered: remembered,
            report: { [weak self] in self?.records.append($0) }, learned: { [weak self] in self?.remembered = $0 })
    }

    var urls: Set<String> { Set(self.client.endpointStates.map(\.url)) }
    func look() async { await self.directory?.look() }
    func read() async throws { _ = try await self.client.range(.key("x")) }
}

extension IntegrationTests {
    /// The members of a real cluster, of which the configuration names one.
    @Suite(.serialized)
    struct EtcdMembersTests {
        init() { EventLoop.shared.executor.startThread() }

        @Test(.timeLimit(.minutes(2))) @EventLoop
        func `one endpoint is enough, also for a process that begins without it`() async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(members: 3, http: http)
            let node = try OneEndpoint(etcd.endpoints[0], http)
            try await node.read()
            await node.look()
            #expect(node.urls == Set(etcd.endpoints) && node.records.map(\.kind) == [.etcdMembersLearned])
            etcd.kill(0)
            try await node.read()
            #expect(etcd.endpoints.dropFirst().contains(node.client.currentEndpoint))
            let next = try OneEndpoint(etcd.endpoints[0], http, remembered: node.remembered)
            try await next.read()
            let forgetful = try OneEndpoint(etcd.endpoints[0], http)
            await #expect(throws: EtcdError.self) { try await forgetful.read() }
            http.close()
        }

        @Test(.timeLimit(.minutes(3))) @EventLoop
        func `all members are replaced, one by one, and the keys are in reach all the while`() async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(members: 3, http: http)
            let node = try OneEndpoint(etcd.endpoints[0], http)
            await node.look()
            for old in 0..<3 {
                let new = try await etcd.addMember(asking: 2 + old, http: http)
                await node.look()
                #expect(node.urls.contains(etcd.endpoints[new]))
                try await etcd.removeMember(old, asking: new)
                for member in (old + 1)...new { try await etcd.waitForHealth(member, http: http) }
                try await node.read()
                await node.look()
                try await node.read()
            }
            // The one of the configuration stays in the list, and nothing else that has gone.
            #expect(node.urls == Set([etcd.endpoints[0]] + etcd.endpoints.dropFirst(3)))
            let next = try OneEndpoint(etcd.endpoints[0], http, remembered: node.remembered)
            try await next.read()
            http.close()
        }
    }
}
