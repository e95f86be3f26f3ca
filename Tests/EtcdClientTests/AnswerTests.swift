// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import LenientJSON
import TestSupport
import Testing

@testable import EtcdClient

private let clusterID: UInt64 = 2_076_520_622_429_837_657

struct AnswerTests {
    @Test func `a recorded range has its key`() throws {
        let leader = KeyRange.key("/service/demo/leader")
        let answer = try GatewayDecoding.range(try Recorded("03-range_leader_serializable").json, of: leader)
        #expect(answer.header.clusterID == clusterID)
        #expect(answer.header.revision == 21 && answer.header.raftTerm == 2)
        #expect(answer.count == 1 && !answer.more)
        let value = try #require(answer.keyValues.first)
        #expect(value.keyText == "/service/demo/leader" && value.valueText == "pg2")
        #expect(value.createRevision == 12 && value.modRevision == 12 && value.version == 1)
        #expect(value.lease == 1_606_555_794_432_920_071)
    }

    @Test func `an absent key is no key, but an answer without header is malformed`() throws {
        let key = KeyRange.key("/x")
        #expect(try GatewayDecoding.range(try Recorded("03-range_absent").json, of: key).keyValues.isEmpty)
        for text in ["{}", "[]", #"{"header":{}}"#, #"{"header":{"cluster_id":"1"}}"#, #"{"header":"x"}"#] {
            let json = try #require(JSON.parse(Array(text.utf8)))
            #expect(throws: MalformedAnswer.self, "\(text)") { try GatewayDecoding.range(json, of: key) }
        }
    }

    @Test func `a key outside the asked range is malformed`() throws {
        let json = try Recorded("03-range_leader_serializable").json
        #expect(throws: MalformedAnswer.self) { try GatewayDecoding.range(json, of: .key("/service/demo/other")) }
    }

    @Test func `numbers may be strings or numbers`() throws {
        let text = #"{"header":{"cluster_id":18446744073709551615,"member_id":1,"revision":7,"raft_term":2},"count":0}"#
        let answer = try GatewayDecoding.range(try #require(JSON.parse(Array(text.utf8))), of: .key("/x"))
        #expect(answer.header == Header(clusterID: .max, memberID: 1, revision: 7, raftTerm: 2))
    }

    @Test(arguments: ["4611686018427387905", "9223372036854775807", "\"9223372036854775807\""])
    func `a revision that cannot be reckoned with is malformed`(number: String) throws {
        func json(_ revision: String, _ create: String, _ mod: String) throws -> JSON {
            let key = #"{"key":"L3g=","create_revision":\#(create),"mod_revision":\#(mod)}"#
            let header = #"{"cluster_id":"1","revision":\#(revision)}"#
            return try #require(JSON.parse(Array(#"{"header":\#(header),"kvs":[\#(key)],"count":"1"}"#.utf8)))
        }
        let most = "\(1 << 62)"
        #expect(try GatewayDecoding.range(try json(most, most, most), of: .key("/x")).header.revision == 1 << 62)
        for odd in [try json(number, "1", "1"), try json("1", number, "1"), try json("1", "1", number)] {
            #expect(throws: MalformedAnswer.self) { try GatewayDecoding.range(odd, of: .key("/x")) }
        }
    }

    @Test func `a lease's TTL is what etcd can grant`() throws {
        func json(_ ttl: String) throws -> JSON {
            try #require(JSON.parse(Array(#"{"header":{"cluster_id":"1"},"ID":"5","TTL":\#(ttl)}"#.utf8)))
        }
        func stream(_ ttl: String) throws -> JSON { .object(["result": try json(ttl)]) }
        #expect(try GatewayDecoding.grant(try json("1")).ttl == 1)
        #expect(try GatewayDecoding.grant(try json("9000000000")).ttl == 9_000_000_000)
        #expect(try GatewayDecoding.keepAlive(try stream("9000000000"), of: 5).ttl == 9_000_000_000)
        for ttl in ["9000000001", "9223372036854775807", "-1", "-9223372036854775808"] {
            #expect(throws: MalformedAnswer.self) { try GatewayDecoding.grant(try json(ttl)) }
            #expect(throws: MalformedAnswer.self) { try GatewayDecoding.keepAlive(try stream(ttl), of: 5) }
        }
        #expect(throws: MalformedAnswer.self) { try GatewayDecoding.grant(try json("0")) }
    }

    @Test func `a lease is granted and kept`() throws {
        let grant = try GatewayDecoding.grant(try Recorded("03-lease_grant").json)
        #expect(grant.id == 3_637_116_276_423_581_202 && grant.ttl == 30)
        let kept = try GatewayDecoding.keepAlive(try Recorded("03-keepalive_ok").json, of: grant.id)
        #expect(kept.ttl == 30)
    }

    @Test func `a lease that is gone has no time left`() throws {
        #expect(try GatewayDecoding.keepAlive(try Recorded("03-keepalive_unknown_lease").json, of: 12345).ttl == 0)
        // Another lease's answer must not be taken for ours.
        let json = try Recorded("03-keepalive_unknown_lease").json
        #expect(throws: MalformedAnswer.self) { try GatewayDecoding.keepAlive(json, of: 1) }
    }

    @Test func `a transaction's answer must fit its request`() throws {
        let json = try Recorded("03-txn_create_fails").json
        let refused = Transaction(compares: [.absent("/x")], success: [.put(key: "/x", value: [], lease: 0)])
        #expect(try GatewayDecoding.transaction(json, of: refused).succeeded == false)
        var other = refused
        other.failure = [.range(.key("/x"), limit: 0)]
        #expect(throws: MalformedAnswer.self) { try GatewayDecoding.transaction(json, of: other) }
    }

    @Test(arguments: [
        ("3.4.23", "/v3"), ("3.5.9", "/v3"), ("3.6.0-rc.1", "/v3"), ("4.0.0", "/v3"), ("3.3.27", "/v3beta"),
        ("3.2.1", "/v3alpha"),
    ])
    func `the version tells the path`(version: String, prefix: String) throws {
        let json = try #require(JSON.parse(Array(#"{"etcdserver":"\#(version)","etcdcluster":"x"}"#.utf8)))
        #expect(try GatewayDecoding.prefix(json) == prefix)
    }

    @Test func `the recorded version, and what is none`() throws {
        #expect(try GatewayDecoding.prefix(try Recorded("03-version").json) == "/v3")
        for text in ["{}", #"{"etcdserver":3}"#, #"{"etcdserver":"2.3.8"}"#, #"{"etcdserver":"3"}"#, "null"] {
            let json = try #require(JSON.parse(Array(text.utf8)))
            #expect(throws: MalformedAnswer.self) { try GatewayDecoding.prefix(json) }
        }
    }

    @Test func `a token is read`() throws {
        #expect(try GatewayDecoding.token(try Recorded("18-auth_ok").json) == "icOjtdATzTOIoWjY.14")
    }
}

struct FailureTests {
    static let recorded: [(Recorded, EtcdError.Kind, blames: Bool, certain: Bool, wantsToken: Bool)] = [
        (Recorded("03-auth_not_enabled"), .server(code: 9), false, true, false),
        (Recorded("03-nosuch_method"), .malformed, true, true, false),
        (Recorded("03-v3alpha"), .malformed, true, true, false),
        (Recorded("03-put_unknown_lease"), .leaseNotFound, false, true, false),
        (Recorded("03-range_bad_base64"), .server(code: 3), false, true, false),
        (Recorded("03-range_bad_json"), .server(code: 3), false, true, false),
        (Recorded("03-range_compacted"), .compacted(0), false, true, false),
        (Recorded("03-range_future_rev"), .server(code: 11), false, true, false),
        (Recorded("11-keepalive"), .noLeader, true, true, false),
        (Recorded("11-lease_grant"), .timeout, true, false, false),
        (Recorded("11-put"), .timeout, true, false, false),
        (Recorded("11-range_hasleader"), .noLeader, true, true, false),
        (Recorded("11-range_linearizable"), .timeout, true, false, false),
        (Recorded("11-timetolive"), .noLeader, true, true, false),
        (Recorded("11-watch_create_hasleader"), .noLeader, true, true, false),
        (Recorded("18-auth_bad"), .unauthenticated, false, true, false),
        (Recorded("18-put_denied"), .permissionDenied, false, true, false),
        (Recorded("18-range_bad_token"), .unauthenticated, false, true, true),
        (Recorded("18-range_no_token"), .unauthenticated, false, true, true),
        (Recorded("18-range_old_revision_token"), .unauthenticated, false, true, true),
        (Recorded("18-range_outside_denied"), .permissionDenied, false, true, false),
    ]

    @Test(arguments: Self.recorded)
    func `a recorded refusal is understood`(
        recorded: Recorded,
        kind: EtcdError.Kind,
        blames: Bool,
        certain: Bool,
        wantsToken: Bool
    ) throws {
        let failure = try recorded.failure
        #expect(failure.kind == kind)
        #expect(failure.blamesEndpoint == blames)
        #expect(failure.isCertain == certain)
        #expect(failure.wantsToken == wantsToken)
    }

    @Test(arguments: [
        (#"{"code":5,"message":"etcdserver: requested lease not found","details":[]}"#, EtcdError.Kind.leaseNotFound),
        (#"{"error":{"code":14,"message":"etcdserver: no leader","details":[]}}"#, .noLeader),
        (#"{"error":"x","code":"oops"}"#, .malformed),
        (#"{"error":"etcdserver: leader changed","code":14}"#, .unreachable),
        (#"{"error":"etcdserver: not a primary lessor","code":2}"#, .unreachable),
        (#"{"error":"raft proposal dropped","code":2}"#, .noLeader),
        (#"{"error":{"error":{"error":{}}},"code":13}"#, .malformed),
        (#"{"code":99}"#, .malformed), ("", .malformed), ("<html>", .malformed), ("[]", .malformed),
    ])
    func `other forms of refusals`(text: String, kind: EtcdError.Kind) {
        #expect(Failure(status: 400, body: Array(text.utf8)).kind == kind)
    }

    @Test func `a proxy's error blames the endpoint and leaves the outcome open`() {
        let failure = Failure(status: 502, body: Array("<html>Bad gateway</html>".utf8))
        #expect(failure.kind == .unreachable && failure.blamesEndpoint && !failure.isCertain)
    }

    @Test func `what answers is no etcd, or speaks TLS there, and its own words are told`() {
        let plain = "Client sent an HTTP request to an HTTPS server.\n"
        let failure = Failure(status: 400, body: Array(plain.utf8))
        #expect(failure.kind == .malformed && failure.blamesEndpoint)
        #expect(failure.message == "HTTP status 400: Client sent an HTTP request to an HTTPS server.")
        let other = Failure(status: 403, body: Array("no leader \u{1b}[31m\0here".utf8))
        #expect(other.kind == .permissionDenied && other.message == "HTTP status 403: no leader  [31m here")
        #expect(Failure(status: 502, body: Array("<html>Bad gateway</html>".utf8)).message == "HTTP status 502")
    }

    @Test func `a peer's words are cut to one printable line`() {
        let text = #"{"code":13,"message":"a\nb\u0000\#(String(repeating: "x", count: 5000))"}"#
        let message = Failure(status: 500, body: Array(text.utf8)).message
        #expect(message.count == 200 && message.hasPrefix("a b xxx"))
    }
}
