// SPDX-License-Identifier: Apache-2.0
import EventLoop
import LenientJSON
import StatusServer
import TestSupport
import Testing
import WebServer

@testable import pharos_api

/// By what a client learns that nothing has changed.
@Suite(.serialized)
struct EntityTagTests {
    init() { EventLoop.shared.executor.startThread() }

    private static func said(age: Int, time: Int = 1000, lag: String = "7", read: String? = nil) -> [UInt8] {
        let text =
            #"{"time":\#(time),"is_current":true,"read_seconds_ago":\#(read ?? "\(age)"),"groups":[{"leader_for_seconds": \#(age + 60),"lag_bytes":\#(lag),"text":"\"time\":1, x"}]}"#
        return Array(text.utf8)
    }

    @Test func `an age that has gone on is no news, one that has begun anew is, and so is everything else`() {
        var tags = AnswerTags()
        let first = tags.tag(of: Self.said(age: 1), at: 500)
        #expect(first.hasPrefix("W/\"") && first.hasSuffix("\""))
        // Whole seconds at both ends come out one second earlier or later, and never far from where they began.
        for (now, age) in [(501, 2), (502, 2), (503, 4), (504, 6), (560, 60), (561, 62)] as [(Int64, Int)] {
            #expect(tags.tag(of: Self.said(age: age, time: 1000 + age), at: now) == first, "\(now) \(age)")
        }
        let again = tags.tag(of: Self.said(age: 63, read: "2"), at: 562)
        #expect(again != first && tags.tag(of: Self.said(age: 64, read: "3"), at: 563) == again)
        let lagging = tags.tag(of: Self.said(age: 64, lag: "8", read: "3"), at: 563)
        #expect(lagging != again)
        #expect(tags.tag(of: Self.said(age: 64, lag: "8", read: "null"), at: 563) != lagging)
    }

    @Test func `no text, however broken, is read beyond its end`() {
        var tags = AnswerTags()
        for text in [
            "", "\"", "\"\\", "\"time\"", "\"time\":", "\"seconds_ago\": 99999999999999999999999", "{\"time\": -",
        ] { #expect(tags.tag(of: Array(text.utf8), at: 1).hasPrefix("W/")) }
    }

    @Test(arguments: [
        ("\"a-1\"", true), ("W/\"a-1\"", true), ("*", true), (" * ", true), ("\"b\", W/\"a-1\"", true),
        ("\"b,c\" , \"a-1\"", true), ("\"a\"", false), ("", false), ("a-1", false), ("\"a-1", false),
        ("*, \"b\"", false), ("\"b\" \"a-1\"", true), ("W/W/\"a-1\"", false), ("w/\"a-1\"", false),
    ]) func `If-None-Match names tags, compared weakly, or any`(header: String, isNamed: Bool) {
        #expect(EntityTag.isNamed("\"a-1\"", by: header) == isNamed)
        #expect(EntityTag.isNamed("W/\"a-1\"", by: header) == isNamed)
    }

    @EventLoop
    private func ask(_ api: API, _ path: String, _ method: String = "GET", known: String? = nil, peer: WebPeer.Kind)
        async -> WebAnswer
    {
        await answer(api.reply(to: WebRequest(method, path, peer: WebPeer(peer), ifNoneMatch: known)))
    }

    @Test @EventLoop func `who has what there is gets 304, once he may see it, and until it changes`() async throws {
        let daemon = try FakeDaemon()
        let folder = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/Sources/page"
        let api = try daemon.api(page: Page(folder: folder))
        for path in ["/v1/cluster", "/v1/failovers", "/v1/findings", "/", "/page.css", "/page.js"] {
            let first = await self.ask(api, path, peer: .user(1000))
            let tag = try #require(first.tag, "\(path)")
            #expect(first.status == 200)
            for method in ["GET", "HEAD"] {
                let again = await self.ask(api, path, method, known: "\"x\", \(tag)", peer: .user(1000))
                #expect(again.status == 304 && again.tag == tag, "\(method) \(path)")
            }
            #expect(await self.ask(api, path, known: "*", peer: .user(1000)).status == 304)
            #expect(await self.ask(api, path, known: "\"x\"", peer: .user(1000)).status == 200)
            #expect(await self.ask(api, path, "OPTIONS", known: tag, peer: .user(1000)).status == 200)
            guard path.hasPrefix("/v1/") else { continue }
            #expect(await self.ask(api, path, known: tag, peer: .network("10.0.0.9")).status == 401)
        }
        for path in ["/v1/status", "/v1/events", "/health", "/primary", "/metrics"] {
            let said = await self.ask(api, path, known: "*", peer: .user(1000))
            #expect(said.status == 200 && said.tag == nil, "\(path)")
        }
        let tag = try #require(await self.ask(api, "/v1/cluster", peer: .user(1000)).tag)
        daemon.answers["/cluster"] = (200, #"{"scope":"demo","is_current":false,"groups":[],"problems":[]}"#)
        #expect(
            try await eventually(within: .seconds(10)) {
                await self.ask(api, "/v1/cluster", known: tag, peer: .user(1000)).status == 200
            })
        daemon.answers["/cluster"] = (404, "")
        #expect(
            try await eventually(within: .seconds(10)) {
                await self.ask(api, "/v1/cluster", known: "*", peer: .user(1000)).status == 503
            })
    }

    @Test @EventLoop func `on the wire 304 has the tag, no body, and no length but that of the whole`() async throws {
        let daemon = try FakeDaemon()
        let api = try daemon.api()
        let path = daemon.folder.file("api.sock")
        let server = try WebServer(.unix(path: path), handler: { api.reply(to: $0) })
        @EventLoop func asked(_ header: String) async throws -> String {
            let curl = ChildProcess(
                [
                    "/usr/bin/env", "curl", "--silent", "--include", "--max-time", "10", "--unix-socket", path,
                    "--header",
                    header, "http://localhost/v1/cluster",
                ], timeout: .seconds(20))
            return String(decoding: try await curl.run().output, as: UTF8.self)
        }
        let whole = try await asked("X-Nothing: 1")
        let lines = whole.split(separator: "\r\n")
        let tag = try #require(lines.first { $0.lowercased().hasPrefix("etag: ") }?.dropFirst(6))
        #expect(whole.hasPrefix("HTTP/1.1 200"))
        let length = try #require(lines.first { $0.lowercased().hasPrefix("content-length: ") })
        let same = try await asked("If-None-Match: \(tag)")
        #expect(same.hasPrefix("HTTP/1.1 304") && same.hasSuffix("\r\n\r\n"), "\(same)")
        let headers = same.split(separator: "\r\n").map { $0.lowercased() }
        #expect(headers.contains("etag: \(tag)".lowercased()) && headers.contains("cache-control: no-store"))
        #expect(!headers.contains { $0.hasPrefix("content-type:") })
        #expect(headers.filter { $0.hasPrefix("content-length:") }.allSatisfy { $0 == length.lowercased() }, "\(same)")
        // The connection goes on: the next answer of it is whole.
        let both = ChildProcess(
            [
                "/usr/bin/env", "curl", "--silent", "--max-time", "10", "--unix-socket", path, "--header",
                "If-None-Match: \(tag)", "--write-out", "%{http_code} %{num_connects} ", "http://localhost/v1/cluster",
                "http://localhost/health",
            ], timeout: .seconds(20))
        #expect(String(decoding: try await both.run().output, as: UTF8.self) == "304 1 ok\n200 0 ")
        server.stop()
    }
}
