// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import HTTPClient
import LenientJSON
import TestSupport
import Testing

@testable import EtcdClient

// Answers in the shapes of etcd 3.5 and 3.6; the recorded ones are all of 3.4. Sources of the shapes:
// - Fields and their types: etcd, api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto, v3.5.16 and v3.6.9.
// - 3.5: grpc-gateway v1.16.0 with its default marshaler `JSONPb{OrigName: true}` (server/embed/serve.go;
//   runtime/marshaler_registry.go). Errors: internal/errors.proto, `{error, code, message, details}`, and
//   `{grpc_code, http_code, message, http_status, details}` in streams. Unknown paths: plain text (DefaultOtherErrorHandler).
// - 3.6: grpc-gateway v2.26.3 with `UseProtoNames: true, EmitUnpopulated: false` (server/embed/serve.go, all of v3.6.x):
//   the same names, 64-bit numbers as strings, zero values absent. Errors are google.rpc.Status, `{code, message}` with
//   `details` absent where empty (runtime/errors.go, DefaultHTTPErrorHandler; in streams inside `error`:
//   runtime/handler.go, errorChunk). Unknown paths: `{"code":5,"message":"Not Found"}` (DefaultRoutingErrorHandler).
//   protojson puts spaces behind commas and colons, or not, at random.
// - `/version`: api/version/version.go; 3.6 has `storage` besides.
// - Watches that are refused are `created` and `canceled` at once, with watch_id -1: server/etcdserver/api/v3rpc/watch.go.

/// One answer as 3.5 writes it, and as 3.6 does: also with the spaces.
private func shapes(_ text: String) throws -> [JSON] {
    let spaced = text.replacing(":", with: ": ").replacing(",", with: ", ").replacing(": //", with: "://")
    return try [text, spaced].map { try #require(JSON.parse(Array($0.utf8)), "\($0)") }
}

private let header =
    #""header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"42","raft_term":"3"}"#

struct LaterVersionTests {
    @Test(arguments: [
        #"{"etcdserver":"3.5.16","etcdcluster":"3.5.0"}"#,
        #"{"etcdserver":"3.6.9","etcdcluster":"3.6.0","storage":"3.6.0"}"#,
        #"{"etcdserver":"3.6.9","etcdcluster":"not_decided","storage":"unknown"}"#,
    ])
    func `the version`(text: String) throws {
        for json in try shapes(text) { #expect(try GatewayDecoding.prefix(json) == "/v3") }
    }

    @Test func `a range`() throws {
        let pair =
            #"{"key":"L3g=","create_revision":"40","mod_revision":"41","version":"2","value":"cGcx","lease":"7587"}"#
        for json in try shapes(#"{\#(header),"kvs":[\#(pair)],"count":"1"}"#) {
            let answer = try GatewayDecoding.range(json, of: .key("/x"))
            #expect(answer.header.clusterID == 14_841_639_068_965_178_418 && answer.header.revision == 42)
            let found = try #require(answer.keyValues.first)
            #expect(found.valueText == "pg1" && found.modRevision == 41 && found.lease == 7587 && !answer.more)
        }
        // Nothing found: kvs and count are zero, and absent.
        for json in try shapes("{\(header)}") {
            #expect(try GatewayDecoding.range(json, of: .key("/x")).keyValues.isEmpty)
        }
    }

    @Test func `numbers as numbers, as other proxies and marshalers write them`() throws {
        let text = #"{"header":{"cluster_id":14841639068965178418,"revision":42},"ID":7587,"TTL":30}"#
        for json in try shapes(text) {
            let grant = try GatewayDecoding.grant(json)
            #expect(grant.id == 7587 && grant.ttl == 30 && grant.header.clusterID == 14_841_639_068_965_178_418)
        }
    }

    @Test func `a transaction that held, and one that did not`() throws {
        let request = Transaction(
            compares: [.absent("/x")], success: [.put(key: "/x", value: [], lease: 0)],
            failure: [.range(.key("/x"), limit: 1), .range(.prefix("/y"), limit: 1)])
        let put = #"{"response_put":{"header":{"revision":"42"}}}"#
        for json in try shapes(#"{\#(header),"succeeded":true,"responses":[\#(put)]}"#) {
            let answer = try GatewayDecoding.transaction(json, of: request)
            #expect(answer.succeeded && answer.responses == [.put])
        }
        // `succeeded` false is absent, and so is all of an empty range but its header.
        let found =
            #"{"response_range":{"header":{"revision":"42"},"kvs":[{"key":"L3g=","mod_revision":"3"}],"count":"1"}}"#
        let empty = #"{"response_range":{"header":{"revision":"42"}}}"#
        for json in try shapes(#"{\#(header),"responses":[\#(found),\#(empty)]}"#) {
            let answer = try GatewayDecoding.transaction(json, of: request)
            #expect(!answer.succeeded && answer.responses.count == 2)
            guard case .range(let pairs) = answer.responses[0] else { throw TestSupportError("no range") }
            #expect(pairs.first?.value == [] && answer.responses[1] == .range([]))
        }
        // A transaction without operations has no responses.
        let bare = Transaction(compares: [], success: [])
        for json in try shapes(#"{\#(header),"succeeded":true}"#) {
            #expect(try GatewayDecoding.transaction(json, of: bare).succeeded)
        }
    }

    @Test func `a lease granted, kept alive, and gone`() throws {
        for json in try shapes(#"{\#(header),"ID":"7587888426529","TTL":"30"}"#) {
            #expect(try GatewayDecoding.grant(json).id == 7_587_888_426_529)
        }
        for json in try shapes(#"{"result":{\#(header),"ID":"75","TTL":"30"}}"#) {
            #expect(try GatewayDecoding.keepAlive(json, of: 75).ttl == 30)
        }
        for json in try shapes(#"{"result":{\#(header),"ID":"75"}}"#) {
            #expect(try GatewayDecoding.keepAlive(json, of: 75).ttl == 0)
        }
    }

    // MARK: - Errors

    @Test(
        arguments: [
            // 3.5
            (
                404,
                #"{"error":"etcdserver: requested lease not found","code":5,"message":"etcdserver: requested lease not found"}"#,
                EtcdError.Kind.leaseNotFound
            ),
            (
                400,
                #"{"error":"etcdserver: mvcc: required revision has been compacted","code":11,"message":"etcdserver: mvcc: required revision has been compacted"}"#,
                .compacted(0)
            ),
            (503, #"{"error":"etcdserver: no leader","code":14,"message":"etcdserver: no leader"}"#, .noLeader),
            (
                503, #"{"error":"etcdserver: request timed out","code":14,"message":"etcdserver: request timed out"}"#,
                .timeout
            ),
            (
                401,
                #"{"error":"etcdserver: invalid auth token","code":16,"message":"etcdserver: invalid auth token"}"#,
                .unauthenticated
            ),
            (
                400,
                #"{"error":{"grpc_code":3,"http_code":400,"message":"etcdserver: user name is empty","http_status":"Bad Request"}}"#,
                .unauthenticated
            ),
            (
                503,
                #"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#,
                .noLeader
            ),
            (404, "Not Found\n", .malformed),
            // 3.6
            (404, #"{"code":5,"message":"etcdserver: requested lease not found"}"#, .leaseNotFound),
            (404, #"{"code":5,"message":"etcdserver: requested lease not found","details":[]}"#, .leaseNotFound),
            (400, #"{"code":11,"message":"etcdserver: mvcc: required revision has been compacted"}"#, .compacted(0)),
            (403, #"{"code":7,"message":"etcdserver: permission denied"}"#, .permissionDenied),
            (401, #"{"code":16,"message":"etcdserver: invalid auth token"}"#, .unauthenticated),
            (
                400, #"{"code":3,"message":"etcdserver: authentication failed, invalid user ID or password"}"#,
                .unauthenticated
            ),
            (400, #"{"code":9,"message":"etcdserver: authentication is not enabled"}"#, .server(code: 9)),
            (429, #"{"code":8,"message":"etcdserver: too many requests"}"#, .server(code: 8)),
            (503, #"{"error":{"code":14,"message":"etcdserver: no leader"}}"#, .noLeader),
            (504, #"{"code":4,"message":"context deadline exceeded"}"#, .timeout),
            (404, #"{"code":5,"message":"Not Found"}"#, .malformed),
        ] as [(Int, String, EtcdError.Kind)])
    func `a refusal`(status: Int, text: String, kind: EtcdError.Kind) {
        for text in [text, text.replacing(#"":"#, with: #"": "#).replacing(#","""#, with: #", """#)] {
            let failure = Failure(status: status, body: Array(text.utf8))
            #expect(failure.kind == kind, "\(text)")
            // What the cluster may do better elsewhere, and where the API is looked for anew.
            let isEndpoint = kind == .noLeader || kind == .timeout || kind == .malformed
            #expect(failure.blamesEndpoint == isEndpoint)
            #expect(failure.wantsPrefix == (kind == .malformed))
        }
    }

    // MARK: - Watches

    private func messages(_ text: String) throws -> [WatchMessage] {
        var all: [WatchMessage] = []
        for line in [text, text.replacing(":", with: ": ").replacing(",", with: ", ")] {
            var decoder = WatchDecoder()
            decoder.append(Array((line + "\n").utf8))
            while let message = try decoder.next() { all.append(message) }
        }
        return all
    }

    @Test func `a watch is created, tells changes, and how far it has come`() throws {
        let created = try self.messages(#"{"result":{\#(header),"created":true}}"#)
        #expect(created.count == 2)
        for case .batch(let batch) in created { #expect(batch.isCreation && batch.events.isEmpty) }
        let put = #"{"kv":{"key":"L3g=","create_revision":"43","mod_revision":"43","version":"1","value":"cGcx"}}"#
        let delete = #"{"type":"DELETE","kv":{"key":"L3k=","mod_revision":"43"}}"#
        for message in try self.messages(#"{"result":{\#(header),"events":[\#(put),\#(delete)]}}"#) {
            guard case .batch(let batch) = message else { throw TestSupportError("\(message)") }
            #expect(
                batch.events.map(\.kind) == [.put, .delete] && batch.events.allSatisfy { $0.keyValue.modRevision == 43 }
            )
        }
        // A progress notice; one that was asked for has watch_id -1.
        for text in [#"{"result":{\#(header)}}"#, #"{"result":{\#(header),"watch_id":"-1"}}"#] {
            for message in try self.messages(text) {
                guard case .batch(let batch) = message else { throw TestSupportError("\(message)") }
                #expect(!batch.isCreation && batch.events.isEmpty && batch.header.revision == 42)
            }
        }
    }

    @Test(arguments: [
        (
            #""watch_id":"-1","created":true,"canceled":true,"cancel_reason":"rpc error: code = PermissionDenied desc = etcdserver: permission denied""#,
            EtcdError.Kind.permissionDenied
        ),
        (
            #""watch_id":"-1","created":true,"canceled":true,"cancel_reason":"rpc error: code = Unauthenticated desc = etcdserver: invalid auth token""#,
            .unauthenticated
        ),
        (
            #""watch_id":"-1","created":true,"canceled":true,"cancel_reason":"rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old""#,
            .unauthenticated
        ),
        (#""canceled":true,"compact_revision":"21""#, .compacted(21)),
        (#""canceled":true,"cancel_reason":"etcdserver: mvcc: required revision has been compacted""#, .compacted(0)),
        (#""canceled":true"#, .watchCancelled),
    ])
    func `a watch is refused or ended`(fields: String, kind: EtcdError.Kind) throws {
        let read = try self.messages(#"{"result":{\#(header),\#(fields)}}"#)
        #expect(read.count == 2)
        for message in read {
            guard case .failed(let failure) = message else { throw TestSupportError("\(message)") }
            #expect(failure.kind == kind)
        }
    }

    @Test func `a stream's error ends a watch`() throws {
        for text in [
            #"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#,
            #"{"error":{"code":14,"message":"etcdserver: no leader"}}"#,
            #"{"error":{"code":14,"message":"etcdserver: no leader","details":[]}}"#,
        ] {
            for message in try self.messages(text) {
                guard case .failed(let failure) = message else { throw TestSupportError("\(message)") }
                #expect(failure.kind == .noLeader && failure.blamesEndpoint)
            }
        }
    }
}
