// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Metrics
import Settings
import StatusServer
import TestSupport
import Testing
import WebServer

@testable import pharos_api

/// What the API is made of, without a socket.
struct ValueTests {
    // MARK: - Accept

    @Test(
        arguments: [
            (nil, false), ("*/*", false), ("text/plain", false), ("text/html", false), ("", false),
            ("application/openmetrics-text", true),
            // As Prometheus 2.42 sends it.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true
            ),
            ("application/openmetrics-text; version=1.0.0; q=0.2, text/plain; q=0.8", false),
            ("application/openmetrics-text; version=2.0.0", false), ("application/openmetrics-text;q=0", false),
            ("APPLICATION/OPENMETRICS-TEXT", true), (";;;,,,q=q,;q=", false),
        ] as [(String?, Bool)]) func `the form of the metrics is what Accept prefers`(accept: String?, isOpen: Bool)
    {
        #expect((Negotiation.exposition(accept) == .openMetrics) == isOpen)
    }

    // MARK: - Events

    private func events(_ first: Int64, _ last: Int64, stream: String = "s") -> EventFeed {
        let list =
            first > last ? [] : (first...last).map { ["number": .integer($0), "message": "m\($0)"] as JSONDocument }
        let document: JSONDocument = [
            "stream": .string(stream), "first": .integer(first), "last": .integer(last), "events": .list(list),
        ]
        return EventFeed(said: JSON.parse(document.compact.utf8) ?? .null)
    }

    private func said(_ feed: EventFeed, since: Int64?, stream: String? = nil) throws -> (numbers: [Int64?], JSON) {
        let document = try #require(feed.document(since: since, stream: stream))
        let json = try #require(JSON.parse(document.compact.utf8))
        return ((json["events"]?.array ?? []).map { $0["number"]?.int64 }, json)
    }

    @Test func `events behind a known one, and how many of them are lost`() throws {
        let feed = self.events(11, 20)
        let (all, first) = try self.said(feed, since: nil)
        #expect(all == (11...20).map { Int64($0) } && first.object?["lost"] == .null)
        let (some, second) = try self.said(feed, since: 17)
        #expect(some == [18, 19, 20] && second["lost"]?.int64 == 0)
        #expect(try self.said(feed, since: 20).numbers == [])
        #expect(try self.said(feed, since: 10).1["lost"]?.int64 == 0, "the next one is still there")
        let (gap, third) = try self.said(feed, since: 4)
        #expect(gap.count == 10 && third["lost"]?.int64 == 6)
        #expect(try self.said(self.events(1, 0), since: 0).1["lost"]?.int64 == 0)
    }

    @Test func `another stream, or a number that was never reached, is a new beginning of which nothing is known`()
        throws
    {
        let feed = self.events(1, 3, stream: "new")
        for (since, stream) in [(Int64(2), "old"), (9, nil)] as [(Int64, String?)] {
            let (numbers, said) = try self.said(feed, since: since, stream: stream)
            #expect(numbers == [1, 2, 3] && said["is_new_stream"]?.bool == true)
            #expect(said.object?["lost"] == .null && said["lost_reason"]?.string?.isEmpty == false)
        }
        let (numbers, said) = try self.said(feed, since: 2, stream: "new")
        #expect(numbers == [3] && said["is_new_stream"]?.bool == false)
        #expect(EventFeed(said: .null).document(since: 1, stream: nil) == nil)
    }

    // MARK: - The primary

    private func primary(_ text: String?, askedAt: Int64 = 0, at now: Int64) -> PrimaryAnswer {
        PrimaryAnswer(text.flatMap { JSON.parse($0.utf8) }, askedAt: askedAt, silence: "no answer", at: now)
    }

    @Test func `the primary is one until the end that the daemon has said, reckoned from the question`() {
        let said = #"{"is_primary": true, "lasts_milliseconds": 1500}"#
        let fresh = self.primary(said, askedAt: 1_000_000, at: 1_250_000)
        #expect(fresh.isPrimary && fresh.lasts == 1250 && fresh.reason == nil)
        #expect(self.primary(said, askedAt: 1_000_000, at: 2_499_999).isPrimary)
        let over = self.primary(said, askedAt: 1_000_000, at: 2_500_000)
        #expect(!over.isPrimary && over.code == "right_over" && over.lasts == nil)
    }

    @Test(arguments: [
        nil, "null", "[]", #"{"is_primary": "true", "lasts_milliseconds": 9}"#, #"{"is_primary": true}"#,
        #"{"is_primary": true, "lasts_milliseconds": -1}"#, #"{"is_primary": true, "lasts_milliseconds": 1e300}"#,
        #"{"is_primary": true, "lasts_milliseconds": 9223372036854775807}"#,
        #"{"is_primary": false, "lasts_milliseconds": 5000, "code": "no_leader", "reason": "nobody leads"}"#,
    ]) func `what does not say that it is the primary, and for how long, is none`(text: String?) {
        let answer = self.primary(text, at: 1)
        #expect(!answer.isPrimary && answer.lasts == nil)
        if text?.contains("no_leader") == true {
            #expect(answer.code == "no_leader" && answer.reason == "nobody leads")
        }
        if text == nil { #expect(answer.reason == "no answer") }
    }

    // MARK: - Refusals

    @Test func `of equal refusals the first is told, and then once a minute how many there were`() {
        var book = RefusalBook()
        let key = RefusalBook.Key(peer: "10.0.0.1", name: "", reason: "nobody's")
        #expect(book.note(key, at: 0)?.count == 1)
        for second in Int64(1)..<60 { #expect(book.note(key, at: second * 1_000_000) == nil) }
        #expect(book.note(RefusalBook.Key(peer: "10.0.0.2", name: "", reason: "nobody's"), at: 1)?.count == 1)
        #expect(book.note(key, at: 60_000_000)?.count == 60)
        #expect(book.note(key, at: 61_000_000) == nil && book.total == 63)
    }

    @Test func `a crowd of different refusals fills no journal`() {
        var book = RefusalBook()
        var told = 0
        for number in 0..<10_000 {
            let key = RefusalBook.Key(peer: "\(number)", name: "", reason: "x")
            if let said = book.note(key, at: Int64(number)) {
                told += 1
                if said.isCrowd { #expect(said.count == 1) }
            }
        }
        #expect(told == RefusalBook.limit + 1)
        let later = book.note(RefusalBook.Key(peer: "later", name: "", reason: "x"), at: 2 * RefusalBook.pace)
        #expect(later?.count == 1 && later?.isCrowd == false, "what is long past makes room")
    }

    @Test func `handshakes of a peer run out, come back with time, and are nobody else's`() {
        var buckets = PeerBuckets(each: .init(burst: 3, perSecond: 1), all: .init(burst: 100, perSecond: 10))
        let (one, other) = (ConnectionTable.Peer.network([10, 0, 0, 1]), ConnectionTable.Peer.network([10, 0, 0, 2]))
        #expect((0..<5).map { _ in buckets.take(one, at: 0) } == [true, true, true, false, false])
        #expect(buckets.take(other, at: 0) == true)
        let moments: [Int64] = [999_999, 1_000_000, 1_000_000]
        #expect(moments.map { buckets.take(one, at: $0) } == [false, true, false])
        #expect(
            (0..<5).map { _ in buckets.take(one, at: 60_000_000) } == [true, true, true, false, false],
            "no more than that")
    }

    @Test func `all peers together have a limit too, and one that is out of its own takes nothing of it`() {
        var buckets = PeerBuckets(each: .init(burst: 2, perSecond: 1), all: .init(burst: 5, perSecond: 1))
        let greedy = ConnectionTable.Peer.user(1)
        #expect((0..<100).count { _ in buckets.take(greedy, at: 0) } == 2)
        #expect((2..<100).count { buckets.take(.user($0), at: 0) } == 3)
        // More peers than are remembered: none of them is let in for that.
        for number in UInt32(100)..<5000 { #expect(buckets.take(.user(number), at: 0) == false) }
        #expect(buckets.take(.user(9000), at: 1_000_000) == true)
    }

    // MARK: - The daemon's answer

    @Test func `an answer of the daemon's is whole, or none`() {
        func answer(_ text: String) -> DaemonAnswer? { DaemonAnswer(Array(text.utf8)) }
        #expect(
            answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                == DaemonAnswer(status: 200, body: Array("ok".utf8)))
        #expect(answer("HTTP/1.0 503 X\r\nA: b\r\ncontent-length:  0\r\n\r\n") == DaemonAnswer(status: 503, body: []))
        for wrong in [
            "", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokk",
            "HTTP/1.1 200 OK\r\n\r\nok", "HTTP/1.1 two OK\r\nContent-Length: 2\r\n\r\nok",
            "200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok",
            "HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nok", "\r\n\r\n",
        ] { #expect(answer(wrong) == nil, "\(wrong)") }
    }

    // MARK: - Arguments

    private static let parameters = [
        Route.Parameter(name: "since", kind: .integer, help: ""),
        Route.Parameter(name: "stream", kind: .text, help: ""),
    ]

    @Test func `arguments are what the route's parameters say`() throws {
        let arguments = try Arguments([.init("since", "12"), .init("stream", "a-b")], Self.parameters)
        #expect(arguments.integers == ["since": 12] && arguments.texts == ["stream": "a-b"])
        #expect(try Arguments([], Self.parameters) == Arguments())
    }

    @Test(
        arguments: [
            ("since", "-1", "expected a whole number from 0, not '-1'"), ("since", "+1", "from 0, not '+1'"),
            ("since", "", "from 0, not ''"), ("since", nil, "from 0, not ''"),
            ("since", "9223372036854775808", "from 0"),
            ("since", "1\u{1b}[2J", "not '1?[2J'"),
            ("sinse", "1", "unknown argument 'sinse'; expected one of since, stream"),
            ("stream", "", "expected 1 to 256 characters of ASCII"), ("stream", "a b", "no blanks"),
            ("stream", String(repeating: "x", count: 257), "1 to 256 characters"),
        ] as [(String, String?, String)]) func `what they do not say is told`(
            name: String, value: String?, message: String
        )
    {
        do throws(Arguments.Mistake) {
            Issue.record("\(try Arguments([.init(name, value)], Self.parameters))")
        } catch {
            #expect(error.message.contains(message), "\(error.message)")
        }
    }

    @Test func `an argument that is given twice, or where none is expected, is refused`() {
        #expect(throws: Arguments.Mistake.self) {
            try Arguments([.init("since", "1"), .init("since", "1")], Self.parameters)
        }
        #expect(throws: Arguments.Mistake(message: "unknown argument 'lag'; expected none")) {
            try Arguments([.init("lag", "1")], [])
        }
    }

    @Test func `a path that is known says which methods it answers`() {
        func match(_ method: String, _ path: String) -> String {
            switch RouteMatch(method, path) {
            case .route(let route, _): route.path
            case .otherMethod(let allowed): allowed
            case .none: "none"
            }
        }
        for method in ["GET", "HEAD", "OPTIONS"] { #expect(match(method, "/primary") == "/primary") }
        #expect(match("POST", "/primary") == "GET, HEAD, OPTIONS")
        for path in ["/primary/", "/Primary", "", "/", "/v1", "/v1/cluster/x"] { #expect(match("GET", path) == "none") }
    }

    @Test(
        arguments: [
            ([], Invocation.run("/etc/pharos/api.yml")), (["--config", "x"], .run("x")),
            (["--check"], .check("/etc/pharos/api.yml")),
            (["--check", "-c", "x"], .check("x")), (["--config=x", "--check"], .check("x")), (["--version"], .version),
            (["--help"], .help), (["--openapi"], .openAPI), (["--config"], .mistake("--config expects a file")),
            (["serve"], .mistake("unexpected argument 'serve'")),
            (["--version", "x"], .mistake("--version stands alone")),
        ] as [([String], Invocation)]) func `arguments of the program`(arguments: [String], expected: Invocation)
    {
        #expect(Invocation(arguments) == expected)
    }
}
