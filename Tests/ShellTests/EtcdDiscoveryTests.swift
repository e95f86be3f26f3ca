// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import LenientJSON
import ServiceRecords
import Settings
import TestSupport
import Testing

@testable import Shell

/// How etcd's endpoints are found by a domain, and what follows for the daemon's list of them.
struct EtcdDiscoveryTests {
    init() { EventLoop.shared.executor.startThread() }

    private typealias Records = [String: [(priority: UInt16, port: UInt16, target: String)]]

    @EventLoop private static func find(
        _ records: Records, suffix: String? = nil, http: HTTPClient = HTTPClient()
    ) async throws -> Result<[String], EtcdDiscovery.Failure> {
        let server = try TestNameServer(records)
        return await Self.discovery(server, suffix: suffix, http).endpoints()
    }

    @EventLoop private static func discovery(
        _ server: TestNameServer, suffix: String? = nil, _ http: HTTPClient
    ) -> EtcdDiscovery {
        let (port, source) = (server.port, Settings.Etcd.Discovery(domain: "db.test", suffix: suffix))
        return EtcdDiscovery(.records(source), tls: nil, http: http, resolver: HostResolver(kind: .tool), kind: .tool) {
            ServiceLookup("nameserver 127.0.0.1", port: port, patience: .seconds(20), limit: .seconds(60))
        }
    }

    @Test @EventLoop func `the first of Patroni's names that has records counts`() async throws {
        let all: Records = [
            "_etcd-client-ssl._tcp.db.test": [(1, 2379, "a")], "_etcd-client._tcp.db.test": [(1, 2379, "b")],
            "_etcd-ssl._tcp.db.test": [(1, 2379, "c")], "_etcd._tcp.db.test": [(2, 2379, "d"), (1, 4001, "e.test")],
        ]
        let expected = [
            ("_etcd-client-ssl._tcp.db.test", ["https://a:2379"]), ("_etcd-client._tcp.db.test", ["http://b:2379"]),
            ("_etcd-ssl._tcp.db.test", ["https://c:2379"]),
            ("_etcd._tcp.db.test", ["http://e.test:4001", "http://d:2379"]),
        ]
        var records = all
        for (name, urls) in expected {
            #expect(try await Self.find(records) == .success(urls))
            records[name] = nil
        }
        #expect(
            try await Self.find(records)
                == .failure(.init(description: "SRV records of db.test for etcd: there are none")))
        // A suffix belongs to each name; what it says of TLS counts too, as in Patroni.
        let suffixed: Records = [
            "_etcd-client-blue._tcp.db.test": [(1, 1, "a")], "_etcd-blue._tcp.db.test": [(1, 2, "b")],
        ]
        #expect(try await Self.find(suffixed, suffix: "blue") == .success(["http://a:1"]))
        #expect(
            try await Self.find(["_etcd-ssl._tcp.db.test": [(1, 2, "b")]], suffix: "ssl") == .success(["https://b:2"]))
    }

    @Test @EventLoop func `peers are asked for their members, until one answers`() async throws {
        let http = HTTPClient()
        let peer = try ScriptedServer(answering: {
            $0.hasPrefix("GET /members")
                ? httpAnswer(
                    200,
                    #"[{"clientURLs":["http://10.0.0.1:2379"]},{"clientURLs":["http://10.0.0.2:2379","x",7]},{},7]"#)
                : httpAnswer(404, "")
        })
        let odd = try ScriptedServer(answering: { _ in httpAnswer(200, #"{"members":[]}"#) })
        let port = try #require(UInt16(exactly: try freePorts(1)[0]))
        let records: Records = [
            "_etcd-server._tcp.db.test": [
                (1, port, "localhost"), (2, UInt16(odd.port), "localhost"), (3, UInt16(peer.port), "localhost"),
            ]
        ]
        #expect(
            try await Self.find(records, http: http) == .success(["http://10.0.0.1:2379", "http://10.0.0.2:2379"]))
        guard
            case .failure(let failure) = try await Self.find(
                ["_etcd-server._tcp.db.test": [(2, UInt16(odd.port), "localhost")]], http: http)
        else {
            Issue.record("an endpoint of none")
            return
        }
        #expect(failure.description.contains("/members tells no endpoints"))
        http.close()
    }

    // MARK: - The daemon's list

    /// A member that tells itself.
    @EventLoop private final class Member {
        private(set) var server: ScriptedServer?
        var isDown = false

        init() throws {
            self.server = try ScriptedServer(answering: { [weak self] in
                guard let self, !self.isDown else { return httpAnswer(503, "") }
                if $0.contains("/version") { return httpAnswer(200, #"{"etcdserver":"3.4.23"}"#) }
                let header = #""header":{"cluster_id":"1","member_id":"7","revision":"9","raft_term":"3"}"#
                return httpAnswer(200, #"{\#(header),"members":[{"ID":"7","clientURLs":["\#(self.url)"]}]}"#)
            })
        }

        var port: UInt16 { UInt16(self.server?.port ?? 0) }
        var url: String { "http://localhost:\(self.port)" }
    }

    /// What a test changes while others look at it.
    @EventLoop private final class Box<Value: Sendable> {
        var value: Value
        init(_ value: Value) { self.value = value }
    }

    @EventLoop private final class Node {
        let http = HTTPClient()
        let client: EtcdClient
        let clusters: EtcdClusters
        private(set) var directory: EtcdDirectory?
        private(set) var records: [LogRecord] = []
        private(set) var discovered: [String] = []

        init(_ server: TestNameServer, fallback: [String] = [], given: [String]? = nil) throws {
            var settings = try Settings.load(etcd: ["http://127.0.0.1:1"]).etcd
            settings.endpoints = fallback
            self.clusters = EtcdClusters(ClusterChoice(configured: given ?? fallback, now: BootClock.microseconds))
            self.client = EtcdClient(
                EtcdConfiguration(endpoints: fallback, requestTimeout: .seconds(60), attemptTimeout: .seconds(30)),
                http: self.http, clusters: self.clusters, jitter: { 0 })
            let directory = EtcdDirectory(
                settings, self.clusters, asked: self.client, told: [self.client], given: given, remembered: [],
                discovery: EtcdDiscoveryTests.discovery(server, self.http),
                report: { [weak self] in self?.records.append($0) })
            directory.discovered = { [weak self] in self?.discovered = $0 }
            self.directory = directory
        }

        func look() async { await self.directory?.look() }
        var urls: [String] { self.client.endpointStates.map(\.url) }
    }

    @Test @EventLoop func `a domain is enough; it is asked again only while nobody answers`() async throws {
        let (one, two) = (try Member(), try Member())
        let ports = Box([one.port])
        let server = try TestNameServer { question, name, _ in
            guard name == "_etcd-client._tcp.db.test" else { return [TestNameServer.message(question, flags: 0x8183)] }
            let records = ports.value.map { TestNameServer.service(1, $0, "localhost") }
            return [TestNameServer.message(question, flags: 0x8180, records)]
        }
        let node = try Node(server)
        await #expect(throws: EtcdError.self) { _ = try await node.client.range(.key("x")) }
        await node.look()
        #expect(node.urls == [one.url] && node.discovered == [one.url] && node.records.map(\.kind) == [.etcdDiscovered])
        #expect(try await node.client.range(.key("x")).header.clusterID == 1)
        // DNS says something else: as long as the cluster answers, that matters as little as to Patroni.
        ports.value = [two.port]
        let count = server.questions.count
        await node.look()
        #expect(node.urls == [one.url] && server.questions.count == count)
        one.isDown = true
        await node.look()
        await node.look()
        #expect(node.client.configuredEndpoints == [two.url] && node.discovered == [two.url])
        #expect(try await node.client.range(.key("x")).header.clusterID == 1)
        node.http.close()
    }

    @Test @EventLoop func `silent name servers cost nothing that is known`() async throws {
        let member = try Member()
        let server = try TestNameServer([:])
        for (fallback, given) in [([member.url], nil), ([], [member.url])] as [([String], [String]?)] {
            let node = try Node(server, fallback: fallback, given: given)
            #expect(try await node.client.range(.key("x")).header.clusterID == 1)
            await node.look()
            await node.look()
            #expect(node.urls == [member.url] && node.records.map(\.kind) == [.requestFailed])
            #expect(node.records[0].message.contains("there are none. What is known of them already is used"))
            node.http.close()
        }
        let lost = try Node(server)
        await lost.look()
        #expect(lost.records.map(\.message).joined().contains("No endpoint is known"))
        lost.http.close()
    }

    @Test @EventLoop func `a request waits for endpoints that are being looked up`() async throws {
        let member = try Member()
        let server = try TestNameServer(["_etcd-client._tcp.db.test": [(1, member.port, "localhost")]])
        let node = try Node(server)
        let read = EventLoop.task { () -> UInt64 in
            do throws(EtcdError) { return try await node.client.range(.key("x")).header.clusterID } catch { return 0 }
        }
        await node.look()
        #expect(await read.value == 1)
        node.http.close()
    }

    @Test @EventLoop func `a name with several addresses is several endpoints`() async throws {
        let answer = Box(HostResolver.Answer.addresses(["10.0.0.1", "fd00::1"]))
        let resolver = HostResolver(kind: .tool, lookUp: { _ in answer.value })
        let http = HTTPClient()
        let discovery = EtcdDiscovery(
            .addresses("etcd.test", port: 2379), tls: nil, http: http, resolver: resolver, kind: .tool)
        #expect(await discovery.endpoints() == .success(["http://10.0.0.1:2379", "http://[fd00::1]:2379"]))
        // Looked up anew each time; with one address it stays a name, which may move.
        answer.value = .addresses(["10.0.0.2"])
        #expect(await discovery.endpoints() == .success(["http://etcd.test:2379"]))
        answer.value = .unknown
        #expect(await discovery.endpoints() == .failure(.init(description: "the name etcd.test has no address")))
        http.close()
    }

    @Test @EventLoop func `who remembers nothing asks all servers of a name before it believes one`() async throws {
        // 127.0.0.1 and ::1 are two servers here: one of three was rebuilt alone.
        let http = HTTPClient()
        let settings = try Settings.load(etcd: ["http://etcd.test:2379"])
        let resolver = HostResolver(kind: .tool, lookUp: { _ in .addresses(["127.0.0.2", "127.0.0.3"]) })
        let endpoints = EtcdEndpoints(settings, nil, nil, longestTTL: { .zero })
        let client = EtcdClient(EtcdConfiguration(settings), http: http, clusters: endpoints.clusters, jitter: { 0 })
        endpoints.serve(client, client, http, resolver) { _ in }
        #expect(client.endpointStates.isEmpty && client.isAwaitingEndpoints)
        endpoints.start()
        try await waitUntil { client.endpointStates.count == 2 }
        #expect(client.endpointStates.map(\.url) == ["http://127.0.0.2:2379", "http://127.0.0.3:2379"])
        #expect(!client.isAwaitingEndpoints && endpoints.clusters.choice.share(of: 0).all == 2)
        endpoints.stop()
        http.close()
    }

    @Test @EventLoop func `while failsafe mode covers an address, silence of etcd makes no other one believed`() throws
    {
        let settings = try Settings.load(etcd: ["http://127.0.0.1:1"])
        let isCovered = Box(true)
        let endpoints = EtcdEndpoints(settings, nil, nil, longestTTL: { .seconds(90) }, isCovered: { isCovered.value })
        #expect(endpoints.patience() >= .seconds(86_400))
        isCovered.value = false
        #expect(endpoints.patience() == .seconds(180))
    }

    @Test @EventLoop func `what DNS told is remembered for the same domain only`() async throws {
        var memory = EtcdMemory(
            configured: ["srv db.test"], discovered: ["http://a:1"], learned: ["http://b:1"], cluster: 5)
        #expect(EtcdMemory(try #require(.parse(Array(memory.document.compact.utf8)))) == memory)
        let settings = try Settings.load(etcd: ["http://127.0.0.1:1"])
        var other = settings
        other.etcd.endpoints = []
        other.etcd.discovery = .init(domain: "db.test")
        let http = HTTPClient()
        func urls(_ settings: Settings, _ memory: EtcdMemory?) -> [String] {
            let endpoints = EtcdEndpoints(settings, memory, nil, longestTTL: { .zero })
            let client = EtcdClient(
                EtcdConfiguration(settings), http: http, clusters: endpoints.clusters, jitter: { 0 })
            endpoints.serve(client, client, http, HostResolver(kind: .tool)) { _ in }
            return client.endpointStates.map(\.url)
        }
        #expect(urls(other, memory) == ["http://a:1", "http://b:1"])
        #expect(urls(settings, memory) == ["http://127.0.0.1:1"])
        memory.configured = ["srv else.test"]
        #expect(urls(other, memory) == [])
        http.close()
    }
}
