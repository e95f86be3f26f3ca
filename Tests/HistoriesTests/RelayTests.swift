// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import pharos_histories

struct RelayTests {
    private static func request(_ path: String, _ body: String) -> ArraySlice<UInt8> {
        Array("POST \(path) HTTP/1.1\r\nHost: etcd\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)[...]
    }

    @Test(arguments: [
        ("/v3/lease/keepalive", #"{"ID":"7"}"#, Relay.Request.keepAlive),
        ("/v3/kv/txn", #"{"success":[{"request_range":{"key":"eA=="}}]}"#, .read),
        ("/v3/kv/txn", #"{"compare":[],"success":[{"request_put":{"key":"eA=="}}]}"#, .acquire),
        ("/v3/lease/grant", #"{"TTL":"5"}"#, .other), ("/v3/watch", "{}", .other),
    ])
    func `a request is known by its path and what it puts`(path: String, body: String, kind: Relay.Request) {
        #expect(Relay.Request(Self.request(path, body)) == kind)
    }

    @Test func `what does not begin a request is none`() {
        #expect(Relay.Request(Array(#""value":"eA=="}"#.utf8)[...]) == nil)
    }

    @Test(arguments: [
        ("3.4.23", true), ("3.4.30", true), ("3.4.31", false), ("3.5.12", true), ("3.5.13", false), ("3.6.0", false),
    ])
    func `the versions that end leases early are known`(version: String, endsLeasesEarly: Bool) {
        #expect(EtcdProgram.Version(text: version)?.endsLeasesEarly == endsLeasesEarly)
    }

    @Test(arguments: ["", "3.4", "3.4.x", "unknown"])
    func `what is no version is none`(text: String) {
        #expect(EtcdProgram.Version(text: text) == nil)
    }

    @Test(arguments: [("90s", 90), ("10m", 600), ("2h", 7200)])
    func `a span is a number and its unit`(text: String, seconds: Int) {
        #expect(Span(argument: text)?.seconds == seconds)
    }

    @Test(arguments: ["", "h", "0s", "-1h", "2", "2d", "1.5h"])
    func `what is no span is none`(text: String) {
        #expect(Span(argument: text) == nil)
    }
}
