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
                200, #"{"header":{"cluster_id":"1"},"members":[\#(members.joined(separator: ","))]}"#)
        }
    }

    @EventLoop private final class Bench {
        let http = HTTPClient()
        let clients: [EtcdClient]
        private(set) var records: [LogRecord] = []
        private(set) var remembered: [[String]] = []
        private(set) var directory: EtcdDirectory?

        init(_ endpoints: [String], remembered: [String] = []) throws {
            let configuration = EtcdConfiguration(endpoints: endpoints)
            self.clients = [self.http, self.http].map { EtcdClient(configuration, http: $0, jitter: { 0 }) }
            let settings = try Settings.load(
                text: """
                    scope: demo
                    member: n1
                    addresses: [{ address: 10.0.0.3/24, interface: eth0 }]
                    etcd: { endpoints: [\(endpoints.map { "\"\($0)\"" }.joined(separator: ", "))] }
                    """)
            self.directory = EtcdDirectory(
                settings.etcd, asked: self.clients[0], told: self.clients, remembered: remembered,
                report: { [weak self] in self?.records.append($0) },
                learned: { [weak self] in self?.remembered.append($0) })
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
        #expect(bench.urls == Array(repeating: [one.url, "http://127.0.0.1:1", other.url], count: 2))
        #expect(bench.records.map(\.kind) == [.etcdMembersLearned] && bench.remembered == [[other.url]])
        #expect(bench.records[0].message.contains(other.url))
        // Now the other is asked too, and tells of a third.
        await bench.look()
        #expect(bench.urls[0].contains("http://localhost:7"))
        await bench.look()
        #expect(bench.records.count == 2)
        // The members have gone from every list.
        (one.urls, other.urls) = ([[one.url]], [[one.url]])
        await bench.look()
        #expect(bench.urls[0] == [one.url, "http://127.0.0.1:1"] && bench.remembered.last == [])
    }

    @Test @EventLoop func `what was learned stays while nobody answers`() async throws {
        let bench = try Bench(["http://127.0.0.1:1"], remembered: ["http://127.0.0.1:3", "http://127.0.0.1:2"])
        let urls = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]
        #expect(bench.urls == [urls, urls])
        await bench.look()
        #expect(bench.urls == [urls, urls] && bench.records.isEmpty && bench.remembered.isEmpty)
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
        // A cluster of one has no others.
        member.urls = [[member.url]]
        let single = try Bench([member.url])
        await single.look()
        #expect(single.records.isEmpty)
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
