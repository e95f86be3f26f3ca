// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import EventLoop
import Glibc
import Journal
import LenientJSON
import Settings
import TestSupport
import Testing
import WebServer

@testable import pharos_api

/// What is answered to whom, before any socket: requests in, answers out, with a daemon of the test's own behind it.
@Suite(.serialized)
struct APIAnswerTests {
    init() { EventLoop.shared.executor.startThread() }

    private static let local = WebPeer(.user(1000))
    private static let remote = WebPeer(.network("10.0.0.9"))

    @EventLoop
    private func get(
        _ api: API, _ path: String, _ peer: WebPeer = local, query: [WebRequest.Argument] = [], accept: String? = nil
    )
        async -> (status: UInt32, text: String, json: JSON)
    {
        let said = await answer(api.reply(to: WebRequest("GET", path, query: query, peer: peer, accept: accept)))
        return (said.status, said.body.text, JSON.parse(said.body.text.utf8) ?? .null)
    }

    @Test @EventLoop func `what the daemon says is handed on, and asked for once in a moment`() async throws {
        let daemon = try FakeDaemon()
        let api = try daemon.api()
        for (path, question) in [
            ("/v1/status", "/status"), ("/v1/cluster", "/cluster"), ("/v1/findings", "/findings"),
            ("/v1/failovers", "/failovers"),
        ] {
            for _ in 0..<5 {
                let said = await self.get(api, path)
                #expect(said.status == 200 && said.text == daemon.answers[question]?.1, "\(path)")
            }
            #expect(daemon.requests.count { $0 == "GET \(question) HTTP/1.0" } <= 2)
        }
        let events = await self.get(api, "/v1/events", query: [.init("since", "1"), .init("stream", "s")])
        #expect(events.status == 200 && events.json["events"]?.array?.map { $0["number"]?.int64 } == [2])
        #expect(await self.get(api, "/health").text == "ok\n")
    }

    @Test @EventLoop func `the page is for everybody, shows nothing by itself, and loads nothing from elsewhere`()
        async throws
    {
        let daemon = try FakeDaemon()
        let folder = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/Sources/page"
        let api = try daemon.api(page: Page(folder: folder))
        for (path, type) in [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")] {
            let said = await answer(api.reply(to: WebRequest("GET", path, query: [], peer: Self.remote, accept: nil)))
            #expect(
                said.status == 200 && said.contentType.hasPrefix(type) && said.body.text.contains("SPDX"), "\(path)")
            let policy = said.headers.first { $0.name == "Content-Security-Policy" }?.value ?? ""
            #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"))
            #expect(!said.body.text.contains("http://") && !said.body.text.contains("https://"))
        }
        #expect(daemon.requests.isEmpty)
        // What it asks for is refused to a stranger as to anybody.
        #expect(await self.get(api, "/v1/cluster", Self.remote).status == 401)
        let without = try daemon.api(page: Page(folder: "/nonexistent"))
        #expect(await self.get(without, "/").status == 404)
    }

    @Test @EventLoop func `metrics are the daemon's and the API's own, in the form that is preferred`() async throws {
        let daemon = try FakeDaemon()
        let api = try daemon.api()
        let plain = await self.get(api, "/metrics")
        #expect(
            plain.status == 200 && plain.text.contains("\npharos_up 1\n")
                && plain.text.contains("\npharos_leads{scope=\"demo\"} 1\n"))
        #expect(plain.text.contains("pharos_address_here{scope=\"demo\",address=\"10.0.0.3\"} 1"))
        #expect(plain.text.contains("pharos_api_answers_total{status=\"403\"} 0") && !plain.text.contains("# EOF"))
        let open = await self.get(api, "/metrics", accept: "application/openmetrics-text;version=1.0.0")
        #expect(open.text.hasSuffix("# EOF\n") && open.text.contains("# TYPE pharos_api_answers counter"))
    }

    @Test @EventLoop func `of one of several daemons of a host all figures say which, the API's own too`() async throws
    {
        let daemon = try FakeDaemon()
        let plain = try daemon.api()
        let api = API(plain.settings, plain.daemon, nil, cluster: "15-main", page: Page(folder: "/nonexistent")) { _ in
        }
        let lines = await self.get(api, "/metrics").text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.contains("pharos_up{cluster=\"15-main\"} 1") && lines.count > 20)
        #expect(lines.contains("pharos_api_answers_total{cluster=\"15-main\",status=\"304\"} 0"))
        #expect(lines.allSatisfy { $0.contains("{cluster=\"15-main\"") }, "\(lines)")
        #expect(!(await self.get(plain, "/metrics").text.contains("cluster=\"")))
    }

    @Test @EventLoop func `a daemon that does not answer is told as that, and nothing is invented`() async throws {
        let daemon = try FakeDaemon()
        let api = try daemon.api { $0.daemonSocket = "/nonexistent/pharos.sock" }
        for path in ["/v1/status", "/v1/cluster", "/v1/events", "/v1/failovers", "/v1/findings"] {
            let said = await self.get(api, path)
            #expect(said.status == 503 && said.json["error"]?.string == "daemon_silent", "\(path)")
            #expect(said.json["message"]?.string?.contains("/nonexistent/pharos.sock") == true)
            #expect(said.json["hint"]?.string?.contains("systemctl status pharos") == true)
        }
        let primary = await self.get(api, "/primary")
        #expect(primary.status == 503 && primary.json["is_primary"]?.bool == false)
        #expect(primary.json["code"]?.string == "daemon_silent")
        let health = await self.get(api, "/health")
        #expect(health.status == 503 && health.text.hasPrefix("the daemon does not answer: /nonexistent"))
        let metrics = await self.get(api, "/metrics")
        #expect(metrics.status == 200 && metrics.text.contains("\npharos_up 0\n"))
        #expect(!metrics.text.contains("pharos_leads"))
    }

    @Test @EventLoop func `a daemon of an earlier version is told as that`() async throws {
        let daemon = try FakeDaemon()
        let api = try daemon.api()
        daemon.answers = ["/cluster": (200, "null\n"), "/events": (200, "[]")]
        let old = await self.get(api, "/v1/failovers")
        #expect(old.status == 503 && old.json["error"]?.string == "daemon_of_another_version")
        #expect(await self.get(api, "/primary").status == 503)
        let nothing = await self.get(api, "/v1/cluster")
        #expect(nothing.status == 503 && nothing.json["error"]?.string == "unknown")
        #expect(await self.get(api, "/v1/events").status == 503)
    }

    @Test @EventLoop func `the primary's answer ends with the right, though the daemon's is kept`() async throws {
        let daemon = try FakeDaemon()
        let api = try daemon.api()
        daemon.answers["/primary"] = (200, #"{"is_primary":true,"lasts_milliseconds":120}"#)
        #expect(await self.get(api, "/primary", Self.remote).status == 200)
        try await EventLoop.sleep(for: .milliseconds(130))
        // The answer is not asked for anew before 250 ms; unless this machine has stood still meanwhile, it is the kept one.
        let later = await self.get(api, "/primary", Self.remote)
        if daemon.requests.count == 1 { #expect(later.status == 503 && later.json["code"]?.string == "right_over") }
        daemon.answers["/primary"] = (503, #"{"is_primary":false,"code":"no_leader","reason":"nobody leads"}"#)
        try await waitUntil { await self.get(api, "/primary", Self.remote).json["code"]?.string == "no_leader" }
    }

    @Test @EventLoop func `tokens: whose it is, what it permits, and that it is over`() async throws {
        let daemon = try FakeDaemon()
        let (look, operate, old) = (TokenText.random(), TokenText.random(), TokenText.random())
        let path = daemon.folder.file("tokens")
        func write(_ names: [AccessToken]) throws { try daemon.folder.write("tokens", TokenFile(names).text) }
        let tokens = [
            AccessToken(name: "prom", role: .look, digest: look.digest, expires: UTCTime.now + 100),
            AccessToken(name: "ops", role: .operate, digest: operate.digest, expires: nil),
            AccessToken(name: "old", role: .endanger, digest: old.digest, expires: UTCTime.now - 1),
        ]
        try write(tokens)
        let api = try daemon.api { $0.tokens = path }
        func ask(_ path: String, _ token: String?) async -> (UInt32, JSON) {
            let request = WebRequest("GET", path, peer: Self.remote, authorization: token.map { "Bearer \($0)" })
            let said = await answer(api.reply(to: request))
            return (said.status, JSON.parse(said.body.text.utf8) ?? .null)
        }
        let who = await ask("/v1/whoami", look.text)
        #expect(who.0 == 200 && who.1["name"]?.string == "prom" && who.1["role"]?.string == "look")
        #expect(who.1["means"]?.string == "token" && who.1["until"]?.string?.hasSuffix("Z") == true)
        #expect(await ask("/v1/tokens", look.text).0 == 403)
        let list = await ask("/v1/tokens", operate.text)
        #expect(list.0 == 200 && list.1["tokens"]?.array?.map { $0["name"]?.string } == ["prom", "ops", "old"])
        #expect(list.1["tokens"]?.array?[2]["is_expired"]?.bool == true)
        let expired = await ask("/v1/status", old.text)
        #expect(expired.0 == 401 && expired.1["message"]?.string == "the token of old has expired")
        #expect(await ask("/v1/status", nil).0 == 401)
        #expect(await ask("/health", nil).0 == 200)
        // Somebody takes one away: the next request with it is refused.
        try write([tokens[1]])
        #expect(await ask("/v1/status", look.text).0 == 401)
        #expect(await ask("/v1/status", operate.text).0 == 200)
        // A file that is damaged by hand changes nothing; one that is gone lets nobody in.
        try daemon.folder.write("tokens", "ops operate\n")
        #expect(await ask("/v1/status", operate.text).0 == 200)
        #expect(api.tokens?.problem?.contains("line 1") == true)
        try #require(remove(path) == 0)
        #expect(await ask("/v1/status", operate.text).0 == 401)
        let told = daemon.records.map { "\($0)" }.joined()
        for token in [look, operate, old] { #expect(!told.contains(token.text)) }
        #expect(told.contains("PEER") && told.contains("10.0.0.9"))
    }

    @Test @EventLoop func `refusals are told and counted, and whoever is refused too often is told to wait`()
        async throws
    {
        let daemon = try FakeDaemon()
        let api = try daemon.api()
        var statuses: [UInt32] = []
        for _ in 0..<20 { statuses.append(await self.get(api, "/v1/status", Self.remote).status) }
        #expect(statuses.first == 401 && statuses.last == 429 && Set(statuses) == [401, 429])
        #expect(daemon.told(.apiRefused).count == 1 && api.refusalCount == 20)
        let record = try #require(daemon.told(.apiRefused).first)
        #expect(
            record.message
                == "GET /v1/status by somebody at 10.0.0.9 was refused (401): a token or a client's certificate is needed"
        )
        // What needs no name, and who has one, is answered all the same.
        #expect(await self.get(api, "/health", Self.remote).status == 200)
        #expect(await self.get(api, "/v1/status").status == 200)
        #expect(await self.get(api, "/v1/tokens").status == 403)
        #expect(
            daemon.told(.apiRefused).last?.message.contains("GET /v1/tokens by uid 1000 at uid 1000 was refused (403)")
                == true)
    }

    @Test @EventLoop func `certificates count by the names that have roles`() async throws {
        let daemon = try FakeDaemon()
        let api = try daemon.api { $0.certificates = [.init(name: "prom", role: .look)] }
        func ask(_ certificate: ClientCertificate) async -> UInt32 {
            await self.get(api, "/v1/status", WebPeer(.network("10.0.0.9"), certificate)).status
        }
        #expect(await ask(.verified(name: "prom", until: UTCTime.now + 100)) == 200)
        #expect(await ask(.verified(name: "prom", until: UTCTime.now - 1)) == 401)
        #expect(await ask(.verified(name: "other", until: UTCTime.now + 100)) == 401)
        #expect(await ask(.refused("signer not found")) == 401)
        #expect(await ask(.absent) == 401)
    }

    // MARK: - What changes something

    private static let plan = #"{"operation":"switchover","to":"n2"}"#

    @EventLoop
    private func post(
        _ api: API, _ path: String, _ body: String? = plan, peer: WebPeer = WebPeer(.user(0)),
        type: String? = "application/json",
        origin: String? = nil
    ) async -> (status: UInt32, json: JSON) {
        let request = WebRequest(
            "POST", path, peer: peer, contentType: type, origin: origin, host: "n1:8010",
            body: body.map { Array($0.utf8) })
        let said = await answer(api.reply(to: request))
        return (said.status, JSON.parse(said.body.text.utf8) ?? .null)
    }

    @Test @EventLoop func `a plan is handed to the daemon with the name and the role of who asks, and its answer back`()
        async throws
    {
        let daemon = try FakeDaemon()
        let api = try daemon.api { $0.certificates = [.init(name: "dba one", role: .operate)] }
        let said = await self.post(api, "/v1/plans")
        #expect(said.status == 202 && said.json["number"]?.int64 == 7)
        #expect(daemon.posted.count == 1 && daemon.posted[0].body == Self.plan)
        #expect(daemon.posted[0].head.first == "POST /plan HTTP/1.0")
        #expect(
            daemon.posted[0].head.contains("Pharos-For: root")
                && daemon.posted[0].head.contains("Pharos-Role: endanger"))
        let remote = WebPeer(.network("10.0.0.9"), .verified(name: "dba one", until: UTCTime.now + 100))
        daemon.answers["/confirm/ab12"] = (409, #"{"error":"objections","message":"lag","hint":"look"}"#)
        let refused = await self.post(api, "/v1/plans/ab12/confirm", #"{"name":"n1"}"#, peer: remote)
        #expect(refused.status == 409 && refused.json["error"]?.string == "objections")
        #expect(
            daemon.posted[1].head.contains("Pharos-For: dba one")
                && daemon.posted[1].head.contains("Pharos-Role: operate"))
        #expect(await self.get(api, "/v1/operations").json["reason"]?.string == "not read yet")
    }

    @Test @EventLoop func `who may not, what is no JSON, what is too long and what another site wants is refused`()
        async throws
    {
        let daemon = try FakeDaemon()
        let api = try daemon.api { $0.certificates = [.init(name: "prom", role: .look)] }
        #expect(await self.post(api, "/v1/plans", peer: Self.local).status == 403, "every local user may look only")
        #expect(await self.post(api, "/v1/plans", peer: Self.remote).status == 401)
        let looker = WebPeer(.network("10.0.0.9"), .verified(name: "prom", until: UTCTime.now + 100))
        #expect(await self.post(api, "/v1/plans", peer: looker).status == 403)
        for type in [nil, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
            #expect(await self.post(api, "/v1/plans", type: type).status == 415, "\(type ?? "none")")
        }
        #expect(await self.post(api, "/v1/plans", nil).status == 413)
        for origin in ["https://elsewhere", "null", "https://n1:8010.elsewhere", "https://n1"] {
            #expect(await self.post(api, "/v1/plans", origin: origin).json["error"]?.string == "other_origin")
        }
        #expect(daemon.posted.isEmpty)
        #expect(
            await self.post(api, "/v1/plans", type: "application/json; charset=utf-8", origin: "https://n1:8010").status
                == 202)
        for path in [
            "/v1/plans/confirm", "/v1/plans//confirm", "/v1/plans/AB/confirm", "/v1/plans/a b/confirm",
            "/v1/plans/x/y/confirm",
        ] {
            #expect(await self.post(api, path).status == 404, "\(path)")
        }
        #expect(await self.get(api, "/v1/plans").status == 405)
    }

    @Test @EventLoop
    func `a daemon that is silent, or does not believe this process, is told apart from one that refuses`() async throws
    {
        let daemon = try FakeDaemon()
        let api = try daemon.api()
        daemon.answers["/plan"] = (403, "only root may do that\n")
        #expect(await self.post(api, "/v1/plans").json["error"]?.string == "daemon_of_another_version")
        daemon.answers["/plan"] = (403, #"{"error":"role_not_enough","message":"x","hint":null}"#)
        #expect(await self.post(api, "/v1/plans").status == 403)
        let alone = try daemon.api { $0.daemonSocket = "/nonexistent/socket" }
        let silent = await self.post(alone, "/v1/plans")
        #expect(silent.status == 503 && silent.json["message"]?.string?.contains("is not known") == true)
        #expect(alone.postsUnderWay == 0)
    }

    @Test @EventLoop func `what cannot be asked for says so, and what can`() async throws {
        let daemon = try FakeDaemon()
        let api = try daemon.api()
        #expect(await self.get(api, "/v2").json["error"]?.string == "not_found")
        let post = await answer(api.reply(to: WebRequest("POST", "/v1/status", peer: Self.local)))
        #expect(post.status == 405 && post.headers.contains { $0.name == "Allow" && $0.value == "GET, HEAD, OPTIONS" })
        let options = await answer(api.reply(to: WebRequest("OPTIONS", "/primary", peer: Self.remote)))
        #expect(options.status == 200 && options.body.text.isEmpty)
        let bad = await self.get(api, "/v1/events", query: [.init("since", "x")])
        #expect(bad.status == 400 && bad.json["message"]?.string == "'since': expected a whole number from 0, not 'x'")
        #expect(await self.get(api, "/openapi.json").json["openapi"]?.string == "3.0.3")
        #expect(await self.get(api, "/v1/status").status == 200 && api.answers[404] == 1 && api.answers[405] == 1)
    }
}
