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

/// How the daemon's list of endpoints is kept up to date.
struct EtcdDirectoryTests {
    init() { EventLoop.shared.executor.startThread() }

    /// A member that announces `urls` for each of its members.
    @EventLoop private final class Member {
        var urls: [[String]] = []
        var refusal: [UInt8]?
        var cluster = 1
        /// 0: it does not say who it is.
        var id = 0
        private(set) var server: ScriptedServer?

        init() throws {
            self.server = try ScriptedServer(answering: { [weak self] in
                $0.contains("/version") ? httpAnswer(200, #"{"etcdserver":"3.4.23"}"#) : self?.answer ?? []
            })
        }

        var url: String { self.server?.url ?? "" }

        private var answer: [UInt8] {
            if let refusal = self.refusal { return refusal }
            let members = self.urls.enumerated().map { number, urls in
                let list = urls.map { #""\#($0)""# }.joined(separator: ",")
                return #"{"ID":"\#(number + 1)","name":"m\#(number)","clientURLs":[\#(list)]}"#
            }
            return httpAnswer(
                200,
                #"{"header":{"cluster_id":"\#(self.cluster)","member_id":"\#(self.id)"},"members":[\#(members.joined(separator: ","))]}"#
            )
        }
    }

    @EventLoop private final class Bench {
        let http = HTTPClient()
        let clients: [EtcdClient]
        private(set) var records: [LogRecord] = []
        let clusters: EtcdClusters
        private(set) var directory: EtcdDirectory?

        init(_ endpoints: [String], remembered: [String] = []) throws {
            let configuration = EtcdConfiguration(endpoints: endpoints)
            let clusters = EtcdClusters(
                ClusterChoice(configured: endpoints, learned: remembered, now: BootClock.microseconds))
            self.clusters = clusters
            self.clients = [self.http, self.http].map {
                EtcdClient(configuration, http: $0, clusters: clusters, jitter: { 0 })
            }
            let settings = try Settings.load(etcd: endpoints)
            self.directory = EtcdDirectory(
                settings.etcd, clusters, asked: self.clients[0], told: self.clients, remembered: remembered,
                report: { [weak self] in self?.records.append($0) })
        }

        func look() async { await self.directory?.look() }
        var urls: [[String]] { self.clients.map { $0.endpointStates.map(\.url) } }
    }

    @Test @EventLoop func `every client learns what any endpoint tells, once told`() async throws {
        let (one, other) = (try Member(), try Member())
        one.urls = [[one.url], [other.url], []]
        other.urls = [["http://localhost:7"]]
        let bench = try Bench([one.url, "http://127.0.0.1:1"])
        await bench.look()
        // The other was asked too, and told of a third.
        #expect(Set(bench.urls[0]) == [one.url, "http://127.0.0.1:1", other.url, "http://localhost:7"])
        #expect(bench.urls[0] == bench.urls[1])
        #expect(bench.records.map(\.kind) == [.etcdMembersLearned, .etcdMembersLearned])
        #expect(bench.records[0].message.contains(other.url) && bench.clusters.choice.provenURLs == [other.url])
        await bench.look()
        #expect(bench.records.count == 2)
        // The members have gone from every list.
        (one.urls, other.urls) = ([[one.url]], [[one.url]])
        await bench.look()
        #expect(bench.urls[0] == [one.url, "http://127.0.0.1:1"] && bench.clusters.choice.provenURLs == [])
    }

    @Test @EventLoop func `what was learned stays while nobody answers`() async throws {
        let bench = try Bench(["http://127.0.0.1:1"], remembered: ["http://127.0.0.1:3", "http://127.0.0.1:2"])
        let urls = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]
        #expect(bench.urls == [urls, urls])
        await bench.look()
        #expect(bench.urls == [urls, urls] && bench.records.isEmpty)
        #expect(bench.clusters.choice.provenURLs == ["http://127.0.0.1:2", "http://127.0.0.1:3"])
    }

    @Test @EventLoop func `one endpoint of three is told where the others cannot be used`() async throws {
        let member = try Member()
        member.urls = [["http://0.0.0.0:2379"], ["https://10.0.0.2:2379"], [member.url]]
        let bench = try Bench([member.url])
        await bench.look()
        await bench.look()
        let record = try #require(bench.records.first)
        #expect(bench.records.count == 1 && record.kind == .etcdEndpointAlone && record.priority == .warning)
        #expect(record.message.contains("3 members") && record.message.contains("http://0.0.0.0:2379"))
        #expect(record.message.contains("reaches only one, \(member.url)"))
        // A cluster of one has no others.
        member.urls = [[member.url]]
        let single = try Bench([member.url])
        await single.look()
        #expect(single.records.isEmpty)
    }

    @Test @EventLoop func `endpoints that lead to one member are one, and so is one whose others do not answer`()
        async throws
    {
        // The three members announce the default of etcd, which leads each node to its own.
        let (member, same) = (try Member(), try Member())
        (member.id, same.id) = (7, 7)
        member.urls = [[member.url], [same.url], [same.url]]
        same.urls = member.urls
        let bench = try Bench([member.url])
        for _ in 0..<3 { await bench.look() }
        #expect(bench.records.map(\.kind) == [.etcdMembersLearned, .etcdEndpointAlone])
        #expect(bench.records[1].message.contains("\(same.url): it leads to the same member"))
        let away = try Member()
        away.urls = [[away.url], ["http://127.0.0.1:9"]]
        let cutOff = try Bench([away.url])
        for _ in 0..<3 { await cutOff.look() }
        #expect(cutOff.records.map(\.kind) == [.etcdMembersLearned, .etcdEndpointAlone])
        #expect(cutOff.records[1].message.contains("http://127.0.0.1:9: "))
        // A second member that answers is enough; that it is over is told again if it comes back.
        same.id = 8
        for _ in 0..<3 { await bench.look() }
        same.id = 7
        for _ in 0..<3 { await bench.look() }
        #expect(bench.records.map(\.kind).count { $0 == .etcdEndpointAlone } == 2)
    }

    @Test @EventLoop func `a member that was added and has not been started makes no one alone`() async throws {
        let member = try Member()
        member.urls = [[member.url], []]
        let bench = try Bench([member.url])
        for _ in 0..<3 { await bench.look() }
        #expect(bench.records.isEmpty)
    }

    @Test @EventLoop func `what answers is tried before what was only announced`() async throws {
        let (local, other) = (try Member(), try Member())
        (local.id, other.id) = (1, 2)
        let dead = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
        local.urls = [dead + [other.url], [local.url]]
        other.urls = local.urls
        let bench = try Bench([local.url])
        await bench.look()
        #expect(bench.urls.map { Array($0.prefix(2)) } == [[local.url, other.url], [local.url, other.url]])
        #expect(Set(bench.urls[0].suffix(2)) == Set(dead))
    }

    @Test @EventLoop func `a right that is missing is told once, an etcd out of reach is not`() async throws {
        let member = try Member()
        member.refusal = httpAnswer(403, #"{"error":"etcdserver: permission denied","code":7}"#)
        let bench = try Bench([member.url])
        await bench.look()
        await bench.look()
        #expect(bench.records.map(\.kind) == [.requestFailed])
        #expect(bench.records[0].message.contains("permission denied"))
    }

    @Test @EventLoop func `what a member of another cluster tells is not learned, and it is told`() async throws {
        let (one, two, odd) = (try Member(), try Member(), try Member())
        odd.cluster = 2
        one.urls = [[one.url], [two.url], [odd.url]]
        two.urls = one.urls
        odd.urls = [["http://127.0.0.1:9"]]
        let bench = try Bench([one.url, two.url, odd.url])
        var records: [LogRecord] = []
        let foreigners = EtcdForeigners(bench.clusters, patience: .milliseconds(10), report: { records.append($0) })
        await bench.look()
        #expect(bench.urls[0] == [one.url, two.url, odd.url] && bench.records.isEmpty)
        try await waitUntil { !records.isEmpty }
        #expect(records.map(\.kind) == [.etcdEndpointForeign] && records[0].priority == .critical)
        #expect(records[0].message.contains("\(odd.url) belongs to another cluster, 2: it is left out"))
        #expect(records[0].message.contains("Followed is 1, for which 2 of 3 endpoints answered last"))
        #expect(records[0]["ENDPOINT"] == odd.url && records[0]["CLUSTER_ID"] == "1")
        // Said once, and that it is over.
        await bench.look()
        odd.cluster = 1
        await bench.look()
        try await waitUntil { records.count == 2 }
        #expect(records[1].kind == .etcdEndpointBack && records[1].priority == .notice)
        // Another one, and then both: that is the cluster now.
        for member in [one, two] { member.cluster = 2 }
        await bench.look()
        try await waitUntil { records.contains { $0.kind == .etcdEndpointForeign && $0["ENDPOINT"] == odd.url } }
        let chosen = try #require(records.first { $0.kind == .etcdClusterChosen })
        #expect(chosen.message.contains("cluster 2 is followed instead of 1: 2 of 3 endpoints belong to it"))
        withExtendedLifetime(foreigners) {}
    }

    @Test @EventLoop func `a node that remembers nothing tells that it cannot decide`() async throws {
        let (one, odd) = (try Member(), try Member())
        odd.cluster = 2
        (one.urls, odd.urls) = ([[one.url]], [[odd.url]])
        let bench = try Bench([one.url, odd.url])
        var records: [LogRecord] = []
        let foreigners = EtcdForeigners(bench.clusters, patience: .milliseconds(10), report: { records.append($0) })
        await bench.look()
        await bench.look()
        try await waitUntil { !records.isEmpty }
        await bench.look()
        #expect(records.map(\.kind) == [.etcdClustersUndecided] && records[0].priority == .critical)
        #expect(records[0].message.contains("\(one.url) to 1, \(odd.url) to 2"))
        await #expect(throws: EtcdError.self) { _ = try await bench.clients[1].range(.key("x")) }
        withExtendedLifetime(foreigners) {}
    }

    @Test @EventLoop func `an endpoint that fails makes the daemon look for others soon`() async throws {
        let member = try Member()
        let bench = try Bench(["http://127.0.0.1:1", member.url])
        member.urls = [[member.url], ["http://127.0.0.1:9"]]
        bench.directory?.start(after: .seconds(3600))
        await #expect(throws: EtcdError.self) { _ = try await bench.clients[1].range(.key("x")) }
        try await waitUntil { bench.urls[1].contains("http://127.0.0.1:9") }
        bench.directory?.stop()
    }
}
