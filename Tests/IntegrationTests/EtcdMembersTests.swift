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
    let clusters: EtcdClusters
    var remembered: [String] { self.clusters.choice.provenURLs }

    convenience init(_ endpoint: String, _ http: HTTPClient, remembered: [String] = []) throws {
        try self.init([endpoint], http, remembered: remembered)
    }

    init(
        _ endpoints: [String], _ http: HTTPClient, remembered: [String] = [], cluster: UInt64? = nil,
        patience: Duration? = nil
    ) throws {
        let configuration = EtcdConfiguration(endpoints: endpoints)
        let clusters = EtcdClusters(
            ClusterChoice(
                configured: endpoints, learned: remembered, remembered: cluster, now: BootClock.microseconds),
            patience: { patience ?? ClusterChoice.leastPatience })
        self.clusters = clusters
        self.client = EtcdClient(configuration, http: http, clusters: clusters, jitter: { 0 })
        self.looking = EtcdClient(configuration, http: http, clusters: clusters, jitter: { 0 })
        let settings = try Settings.load(etcd: endpoints)
        self.directory = EtcdDirectory(
            settings.etcd, clusters, asked: self.looking, told: [self.client, self.looking], remembered: remembered,
            report: { [weak self] in self?.records.append($0) })
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

        /// ETCD-13: the third is rebuilt alone at its URL.
        @Test(.timeLimit(.minutes(2))) @EventLoop
        func `a member that was rebuilt alone is believed by nobody, whoever begins with it`() async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(members: 3, http: http)
            // The first of the list is the one to begin with.
            let endpoints = [etcd.endpoints[2], etcd.endpoints[0], etcd.endpoints[1]]
            let node = try OneEndpoint(endpoints, http)
            let cluster = try await node.client.range(.key("x")).header.clusterID
            try await etcd.rebuildAlone(2, http: http)
            for _ in 0..<3 {
                #expect(try await node.client.range(.key("x")).header.clusterID == cluster)
                await node.look()
            }
            #expect(node.clusters.choice.foreigners.map(\.url) == [etcd.endpoints[2]])
            for remembered in [nil, cluster] {
                let fresh = try OneEndpoint(endpoints, http, cluster: remembered)
                #expect(try await fresh.client.range(.key("x")).header.clusterID == cluster)
            }
            // One endpoint in the file, the local one, and the members that were learned.
            let local = try OneEndpoint(
                [etcd.endpoints[2]], http, remembered: Array(etcd.endpoints.prefix(2)), cluster: cluster)
            #expect(try await local.client.range(.key("x")).header.clusterID == cluster)
            // All of it is rebuilt: two of three say the same only if they are one cluster, which these are not.
            try await etcd.rebuildAlone(1, http: http)
            await #expect(throws: EtcdError.self) { _ = try await node.client.range(.key("x")) }
            http.close()
        }

        /// As after an outage of etcd, while Patroni's failsafe mode keeps the address: nothing but more than half of the endpoints ends
        /// the old cluster, and that Patroni itself follows.
        @Test(.timeLimit(.minutes(2)), arguments: [false, true]) @EventLoop
        func `two of three that are rebuilt together are followed, the third no more`(isCovered: Bool) async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(members: 3, http: http)
            let node = try OneEndpoint(etcd.endpoints, http, patience: isCovered ? .seconds(86_400) : nil)
            let cluster = try await node.client.range(.key("x")).header.clusterID
            etcd.kill(1)
            etcd.kill(2)
            await #expect(throws: EtcdError.self) { _ = try await node.client.range(.key("x")) }
            #expect(node.clusters.choice.followed == cluster)
            try await etcd.rebuildTogether([1, 2], http: http)
            await node.look()
            let other = try await node.client.range(.key("x")).header.clusterID
            #expect(other != cluster && node.clusters.choice.followed == other)
            #expect(node.clusters.choice.reason == .majority(2, of: 3))
            // The third has no quorum, but tells of what it was a member.
            #expect(node.clusters.choice.foreigners.map(\.url) == [etcd.endpoints[0]])
            // One that begins now, with the memory of before.
            let fresh = try OneEndpoint(etcd.endpoints, http, cluster: cluster)
            await fresh.look()
            #expect(try await fresh.client.range(.key("x")).header.clusterID == other)
            http.close()
        }

        @Test(.timeLimit(.minutes(2))) @EventLoop
        func
            `one that is forced to be a cluster of its own keeps the number, and is told once former members are back`()
            async throws
        {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(members: 3, http: http)
            let node = try OneEndpoint(etcd.endpoints, http)
            let cluster = try await node.client.range(.key("x")).header.clusterID
            for _ in 0..<3 { await node.look() }
            etcd.kill(1)
            etcd.kill(2)
            try await etcd.forceNewCluster(0, http: http)
            // The same history, of which it is the only member: nothing is lost, and nothing is odd.
            #expect(try await node.client.range(.key("x")).header.clusterID == cluster)
            for _ in 0..<2 { await node.look() }
            #expect(
                node.clusters.choice.foreigners.isEmpty && !node.records.contains { $0.kind == .etcdMembersDivided })
            try etcd.start(1)
            try etcd.start(2)
            for number in 1...2 { try await etcd.waitForHealth(number, http: http) }
            for _ in 0..<3 { await node.look() }
            let told = node.records.filter { $0.kind == .etcdMembersDivided }
            #expect(told.count == 1 && told.first?.priority == .critical, "\(node.records.map(\.message))")
            #expect(
                told.first?.message.contains("\(etcd.endpoints[0]) names no member at \(etcd.endpoints[1])") == true)
            etcd.kill(0)
            for _ in 0..<2 { await node.look() }
            #expect(node.records.last?.kind == .etcdMembersUnited)
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
