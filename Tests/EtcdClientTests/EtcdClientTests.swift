// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import HTTPClient
import TestSupport
import Testing

@testable import EtcdClient

private let header = #""header":{"cluster_id":"1","member_id":"2","revision":"9","raft_term":"3"}"#
private let emptyRange = httpAnswer(200, "{\(header)}")
private let version = httpAnswer(200, #"{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}"#)
private let noLeader = httpAnswer(503, #"{"error":"etcdserver: no leader","code":14}"#)
private let put = Transaction(compares: [], success: [.put(key: "k", value: [1], lease: 0)])

/// A server that says its version, and answers everything else with `answer`.
@EventLoop
private func member(_ answer: @escaping @EventLoop (String) -> [UInt8]) throws -> ScriptedServer {
    try ScriptedServer(answering: { $0.contains("/version") ? version : answer($0) })
}

@EventLoop
private func client(
    _ servers: [ScriptedServer],
    http: HTTPClient,
    user: String? = nil,
    attemptTimeout: Duration = .seconds(10)
) -> EtcdClient {
    let configuration = EtcdConfiguration(
        endpoints: servers.map(\.url),
        username: user,
        password: user.map { _ in "s3cret" },
        requestTimeout: .seconds(20),
        attemptTimeout: attemptTimeout
    )
    return EtcdClient(configuration, http: http, jitter: { 0 })
}

/// The error that `operation` throws.
@EventLoop
private func failure(_ operation: @EventLoop () async throws -> Void) async -> EtcdError? {
    await #expect(throws: EtcdError.self) { try await operation() }
}

@Suite(.serialized)
struct EtcdClientTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `an endpoint without leader is left for the next, by everyone`() async throws {
        let http = HTTPClient()
        let (bad, good) = (try member { _ in noLeader }, try member { _ in emptyRange })
        let etcd = client([bad, good], http: http)
        _ = try await etcd.range(.key("x"))
        #expect(etcd.currentEndpoint == good.url)
        _ = try await etcd.range(.key("x"))
        #expect(bad.requests.count == 2 && good.requests.count == 3)
        http.close()
    }

    @Test @EventLoop func `a transaction goes on after a refusal, but not after silence`() async throws {
        let http = HTTPClient()
        let answered = httpAnswer(200, #"{\#(header),"succeeded":true,"responses":[{"response_put":{}}]}"#)
        let (refusing, good) = (try member { _ in noLeader }, try member { _ in answered })
        #expect(try await client([refusing, good], http: http).commit(put).succeeded)
        let unreachable = "http://127.0.0.1:\(try freePorts(1)[0])"
        let configuration = EtcdConfiguration(endpoints: [unreachable, good.url])
        #expect(try await EtcdClient(configuration, http: http, jitter: { 0 }).commit(put).succeeded)
        let before = good.requests.count
        for ending in ["silence", "end"] {
            let silent = try ScriptedServer { connection in
                while let line = try await connection.readRequest() {
                    guard line.contains("/version") else {
                        if ending == "silence" { _ = try await connection.readRequest() }
                        return
                    }
                    try await connection.write(version)
                }
            }
            let etcd = client([silent, good], http: http, attemptTimeout: .milliseconds(500))
            #expect(await failure { _ = try await etcd.commit(put) }?.kind == .outcomeUnknown)
            #expect(silent.requests.filter { $0.contains("/txn") }.count == 1)
            #expect(good.requests.count == before)
            // The endpoint is left all the same.
            #expect(etcd.currentEndpoint == good.url)
        }
        http.close()
    }

    @Test(arguments: [
        "", "garbage", "{}", "[]", "null", #"{"header":{}}"#, #"{"header":{"cluster_id":{}}}"#,
        #"{"header":{"cluster_id":"1","revision":"x"}}"#, "{\"header\":", "\u{0}\u{1}",
    ])
    @EventLoop func `what is not an answer is malformed, and for a transaction unknown`(body: String) async throws {
        let http = HTTPClient()
        let server = try member { _ in httpAnswer(200, body) }
        let etcd = client([server], http: http)
        #expect(await failure { _ = try await etcd.range(.key("x")) }?.kind == .malformed)
        #expect(await failure { _ = try await etcd.keepAlive(1) }?.kind == .malformed)
        #expect(await failure { _ = try await etcd.revokeLease(1) }?.kind == .malformed)
        #expect(await failure { _ = try await etcd.grantLease(seconds: 9) }?.kind == .outcomeUnknown)
        #expect(await failure { _ = try await etcd.commit(put) }?.kind == .outcomeUnknown)
        http.close()
    }

    @Test @EventLoop func `an answer over the limit is malformed`() async throws {
        let http = HTTPClient()
        let huge = httpAnswer(200, String(repeating: "x", count: 5 << 20))
        let server = try member { _ in huge }
        let etcd = client([server], http: http)
        let error = await failure { _ = try await etcd.range(.key("x")) }
        #expect(error?.kind == .malformed, "\(error.debugDescription)")
        http.close()
    }

    @Test @EventLoop func `silence everywhere ends within the request's time`() async throws {
        let http = HTTPClient()
        let servers = try (0..<3).map { _ in
            try ScriptedServer { connection in while try await connection.readRequest() != nil {} }
        }
        let etcd = client(servers, http: http, attemptTimeout: .milliseconds(300))
        let clock = ContinuousClock()
        let took = await clock.measure {
            #expect(await failure { _ = try await etcd.range(.key("x")) }?.kind == .timeout)
        }
        #expect(took < .seconds(4))
        http.close()
    }

    @Test @EventLoop func `nothing configured and nobody there are errors`() async throws {
        let http = HTTPClient()
        #expect(await failure { _ = try await client([], http: http).range(.key("x")) }?.kind == .unreachable)
        #expect(
            await failure { try await client([], http: http).watch(.key("x"), from: 1) { _ in } }?.kind == .unreachable
        )
        let configuration = EtcdConfiguration(endpoints: ["127.0.0.1:\(try freePorts(1)[0])"])
        let etcd = EtcdClient(configuration, http: http, jitter: { 0 })
        #expect(await failure { _ = try await etcd.range(.key("x")) }?.kind == .unreachable)
        #expect(await failure { _ = try await etcd.commit(put) }?.kind == .unreachable)
        http.close()
    }

    @Test @EventLoop func `a lease revoked at the second attempt may have gone with the first`() async throws {
        let http = HTTPClient()
        let gone = httpAnswer(404, #"{"error":"etcdserver: requested lease not found","code":5}"#)
        let unsure = try member { _ in httpAnswer(503, #"{"error":"etcdserver: request timed out","code":14}"#) }
        let sure = try member { _ in gone }
        try await client([unsure, sure], http: http).revokeLease(5)
        #expect(await failure { try await client([sure], http: http).revokeLease(5) }?.kind == .leaseNotFound)
        http.close()
    }

    @Test @EventLoop func `an old server is asked under its own path`() async throws {
        let http = HTTPClient()
        let server = try ScriptedServer(answering: {
            $0.contains("/version") ? httpAnswer(200, #"{"etcdserver":"3.3.25"}"#) : emptyRange
        })
        _ = try await client([server], http: http).range(.key("x"))
        #expect(server.requests == ["GET /version HTTP/1.1", "POST /v3beta/kv/range HTTP/1.1"])
        http.close()
    }

    @Test @EventLoop func `a token is fetched once for many, sent, and renewed once when refused`() async throws {
        let http = HTTPClient()
        var valid = 1
        var issued = 0
        let server = try ScriptedServer { connection in
            while let line = try await connection.readRequest() {
                if line.contains("/version") {
                    try await connection.write(version)
                } else if line.contains("/auth/authenticate") {
                    issued += 1
                    let answer = httpAnswer(200, #"{\#(header),"token":"token.\#(issued)"}"#)
                    try await connection.write(answer)
                } else if connection.head.contains("Authorization: token.\(valid)") {
                    if line.contains("/kv/put") { valid += 1 }
                    try await connection.write(emptyRange)
                } else {
                    try await connection.write(
                        httpAnswer(401, #"{"error":"etcdserver: invalid auth token","code":16}"#)
                    )
                }
            }
        }
        let etcd = client([server], http: http, user: "pharos")
        func askTenTimes() async {
            let tasks = (0..<10).map { _ in
                EventLoop.spawn {
                    do { _ = try await etcd.range(.key("x")) } catch { Issue.record(error) }
                }
            }
            for task in tasks { await task.value }
        }
        await askTenTimes()
        #expect(issued == 1)
        // A put makes the server forget the token.
        _ = try await http.send(
            {
                var request = HTTPRequest(.post, server.url + "/v3/kv/put")
                request.headers = [("Authorization", "token.1")]
                return request
            }()
        )
        await askTenTimes()
        #expect(issued == 2)
        http.close()
    }

    @Test @EventLoop func `a token that one endpoint does not give is asked for at the next`() async throws {
        let http = HTTPClient()
        var release: (() -> Void)?
        let silent = try ScriptedServer { connection in
            while let line = try await connection.readRequest() {
                if line.contains("/auth/authenticate") {
                    await withCheckedContinuation { continuation in release = { continuation.resume() } }
                }
                try await connection.write(line.contains("/version") ? version : noLeader)
            }
        }
        let good = try member {
            $0.contains("/auth/") ? httpAnswer(200, #"{\#(header),"token":"token.1"}"#) : emptyRange
        }
        let etcd = client([silent, good], http: http, user: "pharos")
        var isFirstDone = false
        let first = EventLoop.task { () -> EtcdError? in
            defer { isFirstDone = true }
            do throws(EtcdError) { _ = try await etcd.range(.key("x")) } catch { return error }
            return nil
        }
        try await waitUntil { release != nil }
        etcd.dropCurrentEndpoint("test")
        // Meanwhile the other endpoint is asked, and answers.
        _ = try await etcd.range(.key("x"))
        #expect(!isFirstDone)
        release?()
        #expect(await first.value == nil)
        #expect(etcd.currentEndpoint == good.url && good.requests.count { $0.contains("/auth/authenticate") } == 1)
        http.close()
    }

    @Test @EventLoop func `a wrong password is said so, without it`() async throws {
        let http = HTTPClient()
        let refusal = #"{"error":"etcdserver: authentication failed, invalid user ID or password","code":3}"#
        let server = try member { _ in httpAnswer(400, refusal) }
        let etcd = client([server], http: http, user: "pharos")
        let error = await failure { _ = try await etcd.range(.key("x")) }
        #expect(error?.kind == .unauthenticated && error?.description.contains("s3cret") == false)
        http.close()
    }

    @Test @EventLoop func `an empty token, or one that is no header, is refused`() async throws {
        for token in [#""""#, "5", #""a\r\nX-Other: b""#] {
            let http = HTTPClient()
            let server = try member { _ in httpAnswer(200, #"{\#(header),"token":\#(token)}"#) }
            let etcd = client([server], http: http, user: "pharos")
            _ = await failure { _ = try await etcd.range(.key("x")) }
            #expect(!server.requests.contains { $0.contains("/kv/range") })
            http.close()
        }
    }

    @Test @EventLoop func `random answers crash nothing`() async throws {
        let http = HTTPClient()
        var generator = SeededGenerator(11)
        let answers = try [
            "03-range_leader_serializable", "11-range_hasleader", "03-keepalive_ok", "18-range_bad_token",
        ]
        .map { httpAnswer(200, String(decoding: try Recorded($0).body, as: UTF8.self)) }
        let server = try ScriptedServer { connection in
            while let line = try await connection.readRequest() {
                let answer = answers[Int.random(in: 0..<answers.count, using: &generator)]
                try await connection.write(line.contains("/version") ? version : mutated(answer, &generator))
                if Bool.random(using: &generator) { return }
            }
        }
        let configuration = EtcdConfiguration(
            endpoints: [server.url],
            requestTimeout: .milliseconds(100),
            attemptTimeout: .milliseconds(20)
        )
        let etcd = EtcdClient(configuration, http: http, jitter: { 0 })
        var failures = 0
        for _ in 0..<250 {
            do { _ = try await etcd.range(.key("/service/demo/leader")) } catch { failures += 1 }
            do { _ = try await etcd.commit(put) } catch { failures += 1 }
        }
        #expect(failures > 150)
        http.close()
    }
}
