// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import HTTPClient
import TestSupport
import Testing

@testable import EtcdClient

/// A client among endpoints of several clusters.
@Suite(.serialized)
struct EtcdClustersTests {
    init() { EventLoop.shared.executor.startThread() }

    /// A member of a cluster that can be put into another. It grants leases, and knows none.
    @EventLoop private final class Member {
        var cluster: Int
        private(set) var server: ScriptedServer?
        private(set) var writes = 0

        init(_ cluster: Int) throws {
            self.cluster = cluster
            self.server = try ScriptedServer(answering: { [weak self] in
                guard let self else { return [] }
                let header = #""header":{"cluster_id":"\#(self.cluster)","revision":"9","raft_term":"3"}"#
                if $0.contains("/version") { return httpAnswer(200, #"{"etcdserver":"3.4.23"}"#) }
                if $0.contains("keepalive") { return httpAnswer(200, #"{"result":{\#(header),"ID":"5"}}"#) }
                if $0.contains("grant") || $0.contains("txn") { self.writes += 1 }
                return httpAnswer(
                    200, #"{\#(header),"ID":"5","TTL":"9","succeeded":true,"responses":[{"response_put":{}}]}"#)
            })
        }

        var url: String { self.server?.url ?? "" }
    }

    @EventLoop private static func client(
        _ endpoints: [String], remembered: UInt64? = nil, patience: Duration = .seconds(120), http: HTTPClient
    ) -> EtcdClient {
        let choice = ClusterChoice(configured: endpoints, remembered: remembered, now: BootClock.microseconds)
        return EtcdClient(
            EtcdConfiguration(endpoints: endpoints, requestTimeout: .seconds(20), attemptTimeout: .seconds(10)),
            http: http, clusters: EtcdClusters(choice, patience: { patience }), jitter: { 0 })
    }

    private static let put = Transaction(compares: [], success: [.put(key: "k", value: [1], lease: 0)])

    @Test(arguments: [nil, UInt64(1)]) @EventLoop
    func `whoever begins at the odd one goes on to the others`(remembered: UInt64?) async throws {
        let http = HTTPClient()
        let (odd, one, two) = (try Member(2), try Member(1), try Member(1))
        let client = Self.client([odd.url, one.url, two.url], remembered: remembered, http: http)
        let answer = try await client.range(.key("x"))
        #expect(answer.header.clusterID == 1 && client.clusters?.choice.followed == 1)
        #expect(client.currentEndpoint != odd.url)
        #expect(client.endpointStates.map(\.isForeign) == [true, false, false])
        // It is never asked to change anything, nor whether a lease lives.
        #expect(try await client.grantLease(seconds: 9).header.clusterID == 1)
        #expect(try await client.commit(Self.put).succeeded && odd.writes == 0)
        http.close()
    }

    @Test @EventLoop func `a member that changes sides says nothing of a lease any more`() async throws {
        let http = HTTPClient()
        let (one, two, three) = (try Member(1), try Member(1), try Member(1))
        let client = Self.client([one.url, two.url, three.url], http: http)
        _ = try await client.range(.key("x"))
        let current = try #require([one, two, three].first { $0.url == client.currentEndpoint })
        current.cluster = 2
        // It says that the lease is gone, which is what only the followed cluster knows.
        #expect(try await client.keepAlive(5).header.clusterID == 1)
        #expect(client.currentEndpoint != current.url)
        current.cluster = 1
        _ = await client.members(at: current.url)
        #expect(client.endpointStates.allSatisfy { !$0.isForeign })
        http.close()
    }

    @Test @EventLoop func `where only another cluster answers, reads fail, and nothing is written there`() async throws
    {
        let http = HTTPClient()
        let odd = try Member(2)
        let dead = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
        let client = Self.client([odd.url] + dead, remembered: 1, http: http)
        for _ in 0..<3 {
            let error = await #expect(throws: EtcdError.self) { _ = try await client.range(.key("x")) }
            #expect(error?.kind == .otherCluster && error?.endpoint == odd.url)
            await #expect(throws: EtcdError.self) { _ = try await client.commit(Self.put) }
        }
        #expect(odd.writes == 0)
        http.close()
    }

    @Test @EventLoop func `until it has been silent for so long that nothing it granted is in force`() async throws {
        let http = HTTPClient()
        let odd = try Member(2)
        let dead = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
        let client = Self.client([odd.url] + dead, remembered: 1, patience: .zero, http: http)
        #expect(try await client.range(.key("x")).header.clusterID == 2)
        #expect(try await client.commit(Self.put).succeeded && odd.writes == 1)
        http.close()
    }

    @Test @EventLoop func `who remembers nothing believes the only one, once all were tried, within one request`()
        async throws
    {
        let http = HTTPClient()
        let odd = try Member(2)
        let client = Self.client(["http://127.0.0.1:1", odd.url, "http://127.0.0.1:2"], http: http)
        #expect(try await client.range(.key("x")).header.clusterID == 2)
        http.close()
    }

    @Test @EventLoop func `an etcd that is replaced is followed within one request`() async throws {
        let http = HTTPClient()
        let members = try [Member(1), Member(1), Member(1)]
        let client = Self.client(members.map(\.url), http: http)
        #expect(try await client.range(.key("x")).header.clusterID == 1)
        for member in members { member.cluster = 2 }
        #expect(try await client.range(.key("x")).header.clusterID == 2)
        #expect(client.endpointStates.count { $0.isForeign } <= 1)
        http.close()
    }
}
