// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import HTTPClient
import LenientJSON
import TestSupport
import Testing

@testable import EtcdClient

/// What etcd tells of its members, and the endpoints that are learned from it.
struct EtcdMembersTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test(arguments: ["03-member_list", "11-member_list"])
    func `a recorded list names each member's URLs`(name: String) throws {
        let list = try GatewayDecoding.members(try Recorded(name).json, toldBy: "http://10.252.77.1:2379")
        #expect(list.header.clusterID == 2_076_520_622_429_837_657)
        #expect(list.members.map(\.name) == ["e1", "e3", "e2"])
        #expect(list.members.map(\.clientURLs) == [1, 3, 2].map { ["http://10.252.77.\($0):2379"] })
        #expect(list.members.allSatisfy { !$0.isLearner && $0.id != 0 })
    }

    @Test func `with authentication it takes no token in 3_4`() throws {
        let list = try GatewayDecoding.members(try Recorded("18-member_list_no_token").json, toldBy: "")
        #expect(list.members.map(\.clientURLs) == [["http://127.0.0.1:22379"]])
    }

    @Test func `a learner, and a member that has not been started`() throws {
        let text = #"""
            {"header":{"cluster_id":"1"},"members":[{"ID":"2","isLearner":true,"clientURLs":["http://a:1"]},
            {"ID":"3","peerURLs":["http://b:2380"]}]}
            """#
        let list = try GatewayDecoding.members(try #require(JSON.parse(Array(text.utf8))), toldBy: "")
        #expect(list.members.map(\.isLearner) == [true, false])
        #expect(list.members[1].clientURLs == [] && list.members[1].name == "")
    }

    @Test(arguments: [
        #"{}"#, #"{"header":{"cluster_id":"1"}}"#, #"{"header":{"cluster_id":"1"},"members":[7]}"#,
        #"{"header":{"cluster_id":"1"},"members":{}}"#, #"{"header":{"cluster_id":"1"},"members":[{"ID":"x"}]}"#,
    ])
    func `what is no list of members is malformed`(text: String) throws {
        let json = try #require(JSON.parse(Array(text.utf8)))
        #expect(throws: MalformedAnswer.self) { try GatewayDecoding.members(json, toldBy: "") }
    }

    @Test func `a list without end is cut`() throws {
        let urls = (0..<100).map { #""http://h:\#($0)""# }.joined(separator: ",")
        let member = #"{"ID":"1","clientURLs":[\#(urls),"\#(String(repeating: "h", count: 600))"]}"#
        let members = Array(repeating: member, count: 100).joined(separator: ",")
        let text = #"{"header":{"cluster_id":"1"},"members":[\#(members)]}"#
        let list = try GatewayDecoding.members(try #require(JSON.parse(Array(text.utf8))), toldBy: "")
        #expect(list.members.count == 32 && list.members.allSatisfy { $0.clientURLs.count == 32 })
    }

    // MARK: - The endpoints

    @Test func `learned endpoints come behind those of the configuration, and never instead of them`() {
        var list = EndpointList(["a"], jitter: 0)
        list.learn(["b", "a", "c"])
        #expect(list.endpoints.map(\.url) == ["a", "b", "c"] && list.current == 0)
        list.failed(0, now: 0, jitter: 0)
        #expect(list[list.current].url == "b")
        list.learn([])
        // What is in use and works stays until it fails.
        #expect(list.endpoints.map(\.url) == ["a", "b"])
        list.failed(list.current, now: 0, jitter: 0)
        list.learn([])
        #expect(list.endpoints.map(\.url) == ["a"] && list[list.current].url == "a")
    }

    @Test func `learned endpoints are tried in the order in which they are told last`() {
        var list = EndpointList(["a"], jitter: 0)
        list.learn(["b", "c", "d"])
        let c = list.endpoints[2].number
        list.learn(["d", "c", "b"])
        #expect(list.endpoints.map(\.url) == ["a", "d", "c", "b"] && list[c].url == "c")
        list.failed(0, now: 0, jitter: 0)
        #expect(list[list.current].url == "d")
    }

    @Test func `endpoints that are found anew take the place of those of before, but not of one that works`() {
        var list = EndpointList(["a", "b"], jitter: 0)
        list.configure(["c", "b"])
        #expect(list.endpoints.map(\.url) == ["c", "b"] && list[list.current].url == "c")
        list.learn(["d", "a"])
        list.succeeded(list.current, now: 0)
        list.configure(["d", "e"])
        #expect(list.endpoints.map(\.url) == ["d", "e", "c", "a"] && list[list.current].url == "c")
        #expect(list.endpoints.filter(\.isConfigured).map(\.url) == ["d", "e"])
        list.failed(list.current, now: 0, jitter: 0)
        list.learn([])
        #expect(list.endpoints.map(\.url) == ["d", "e", "a"] && list[list.current].url == "a")
        // None is known at a start where they are looked up.
        list = EndpointList(["a"], jitter: 0)
        list.configure([])
        #expect(list.endpoints.isEmpty && list[list.current].url == "")
        list.configure(["f"])
        #expect(list[list.current].url == "f")
        // However often, and whatever works: there is a limit.
        for round in 0..<100 {
            list.succeeded(list.current, now: 0)
            list.configure(["g\(round)"])
        }
        #expect(list.endpoints.count <= 1 + EndpointList.learnedLimit)
    }

    @Test @EventLoop func `a token that ended between two looks is got anew`() async throws {
        let http = HTTPClient()
        var tokens = 0
        let server = try ScriptedServer { connection in
            while let request = try await connection.readRequest() {
                let header = #""header":{"cluster_id":"1"}"#
                var answer = httpAnswer(401, #"{"code":16,"message":"etcdserver: invalid auth token"}"#)
                if request.contains("/version") {
                    answer = httpAnswer(200, #"{"etcdserver":"3.6.9"}"#)
                } else if request.contains("/authenticate") {
                    tokens += 1
                    answer = httpAnswer(200, #"{\#(header),"token":"t\#(tokens)"}"#)
                } else if connection.head.contains("Authorization: t2") {
                    answer = httpAnswer(200, #"{\#(header),"members":[{"ID":"2","clientURLs":["http://b:1"]}]}"#)
                }
                try await connection.write(answer)
            }
        }
        var configuration = EtcdConfiguration(
            endpoints: [server.url], requestTimeout: .seconds(60), attemptTimeout: .seconds(30))
        (configuration.username, configuration.password) = ("pharos", "secret")
        let client = EtcdClient(configuration, http: http, jitter: { 0 })
        #expect(try await client.members(at: server.url).get().members.map(\.clientURLs) == [["http://b:1"]])
        #expect(tokens == 2)
        http.close()
    }

    @Test func `a number means the same endpoint for ever`() {
        var list = EndpointList(["a"], jitter: 0)
        list.learn(["b", "c"])
        let (b, c) = (list.endpoints[1].number, list.endpoints[2].number)
        list.learn(["c", "d"])
        #expect(list[c].url == "c" && list[b].url == "" && list.endpoints.map(\.url) == ["a", "c", "d"])
        // What was under way at one that has gone changes nothing.
        let before = list
        list.failed(b, now: 0, jitter: 0)
        list.succeeded(b, now: 0)
        list.setPrefix("/v3", of: b)
        #expect(list == before)
    }

    @Test func `a flood of learned endpoints has its limit`() {
        var list = EndpointList(["a"], jitter: 0)
        list.learn((0..<1000).map { "h\($0)" })
        #expect(list.endpoints.count == 1 + EndpointList.learnedLimit)
    }

    @Test @EventLoop func `an endpoint that does not know the question is not blamed for it`() async throws {
        let http = HTTPClient()
        let server = try ScriptedServer(answering: {
            $0.contains("/version")
                ? httpAnswer(200, #"{"etcdserver":"3.4.23"}"#) : httpAnswer(404, "404 page not found\n")
        })
        let client = EtcdClient(EtcdConfiguration(endpoints: [server.url]), http: http, jitter: { 0 })
        var failures = 0
        client.endpointFailed = { failures += 1 }
        let answer = await client.members()
        #expect(answer.count == 1 && failures == 0 && !client.endpointStates[0].hasFailed)
        guard case .failure(let error)? = answer.first?.answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(error.kind == .malformed && error.endpoint == server.url)
        http.close()
    }

    @Test @EventLoop func `a learned endpoint answers where the configured one has gone`() async throws {
        let http = HTTPClient()
        let server = try ScriptedServer(answering: {
            $0.contains("/version")
                ? httpAnswer(200, #"{"etcdserver":"3.4.23"}"#)
                : httpAnswer(200, #"{"header":{"cluster_id":"1","revision":"9","raft_term":"3"}}"#)
        })
        let client = EtcdClient(EtcdConfiguration(endpoints: ["http://127.0.0.1:1"]), http: http, jitter: { 0 })
        await #expect(throws: EtcdError.self) { _ = try await client.range(.key("x")) }
        client.learn([server.url])
        _ = try await client.range(.key("x"))
        #expect(client.currentEndpoint == server.url)
        http.close()
    }
}
