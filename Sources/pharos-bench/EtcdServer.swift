// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import LenientJSON
import NetworkBed

/// One etcd, and the requests that the benchmarks send to it: as bare as can be, over one kept connection.
@EventLoop
final class EtcdServer {
    let address: String
    var url: String { "http://\(self.address):2379" }
    private let http = HTTPClient()

    init(address: String) { self.address = address }

    isolated deinit { self.http.close() }

    /// The command that starts it; with API v2 where this etcd still has it, for vip-manager.
    func command(dataFolder: String) async throws(BedError) -> [String] {
        guard let etcd = Files.program("etcd") else {
            throw BedError("there is no etcd program: install etcd-server")
        }
        var command = [
            etcd, "--name", "bench", "--data-dir", dataFolder, "--logger", "zap", "--log-level", "error",
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
            "--initial-cluster", "bench=http://127.0.0.1:2380",
        ]
        do throws(ChildProcessError) {
            let help = try await ChildProcess([etcd, "--help"]).run()
            if help.text.contains("--enable-v2") { command.append("--enable-v2=true") }
        } catch {
            throw BedError(error.description)
        }
        return command
    }

    func isReady() async -> Bool {
        do throws(BedError) {
            return try await self.send(.get, "/health").contains("true")
        } catch {
            return false
        }
    }

    // MARK: - API v3

    func put(_ key: String, _ value: String, lease: Int64 = 0) async throws(BedError) {
        _ = try await self.send(
            .post,
            "/v3/kv/put",
            #"{"key":"\#(base64(key))","value":"\#(base64(value))","lease":"\#(lease)"}"#
        )
    }

    /// Puts many in one transaction: at most 128, as etcd allows.
    func put(_ pairs: [(key: String, value: String)]) async throws(BedError) {
        for start in stride(from: 0, to: pairs.count, by: 128) {
            let puts = pairs[start..<min(start + 128, pairs.count)].map {
                #"{"request_put":{"key":"\#(base64($0.key))","value":"\#(base64($0.value))"}}"#
            }
            _ = try await self.send(.post, "/v3/kv/txn", #"{"success":[\#(puts.joined(separator: ","))]}"#)
        }
    }

    func delete(_ key: String) async throws(BedError) {
        _ = try await self.send(.post, "/v3/kv/deleterange", #"{"key":"\#(base64(key))"}"#)
    }

    func grant(seconds: Int) async throws(BedError) -> Int64 {
        let answer = JSON.parse(Array(try await self.send(.post, "/v3/lease/grant", #"{"TTL":"\#(seconds)"}"#).utf8))
        guard let lease = answer?["ID"]?.int64 else { throw BedError("etcd granted no lease") }
        return lease
    }

    func revoke(_ lease: Int64) async throws(BedError) {
        _ = try await self.send(.post, "/v3/lease/revoke", #"{"ID":"\#(lease)"}"#)
    }

    /// The transaction that acquires an address: if `leader` is `member` and `key` is absent, put `key`.
    func acquire(_ key: String, lease: Int64, leader: String, member: String) async throws(BedError) {
        let compares = [
            #"{"target":"VALUE","key":"\#(base64(leader))","value":"\#(base64(member))"}"#,
            #"{"target":"VERSION","key":"\#(base64(key))","version":"0"}"#,
        ]
        let put = #"{"request_put":{"key":"\#(base64(key))","value":"\#(base64(member))","lease":"\#(lease)"}}"#
        let answer = try await self.send(
            .post,
            "/v3/kv/txn",
            #"{"compare":[\#(compares.joined(separator: ","))],"success":[\#(put)]}"#
        )
        guard answer.contains(#""succeeded":true"#) else {
            throw BedError("the floor's transaction failed: \(answer)")
        }
    }

    /// Makes Pharos regard this cluster as one that it has long known, so that no quarantine has to be waited for.
    func settle(_ scope: String) async throws(BedError) {
        let answer = JSON.parse(Array(try await self.send(.post, "/v3/kv/range", #"{"key":"\#(base64("/"))"}"#).utf8))
        guard let cluster = answer?["header"]?["cluster_id"]?.uint64 else { throw BedError("etcd has no cluster id") }
        try await self.put("/pharos/\(scope)/cluster", "\(cluster)")
    }

    // MARK: - Besides

    /// Puts a key by API v2; throws where this etcd has no such API.
    func putV2(_ key: String, _ value: String) async throws(BedError) {
        var request = HTTPRequest(.put, "\(self.url)/v2/keys\(key)")
        request.headers = [("Content-Type", "application/x-www-form-urlencoded")]
        request.body = Array("value=\(value)".utf8)
        _ = try await self.send(request)
    }

    /// How many gRPC requests this etcd has answered since its start, those of its JSON gateway included.
    func requestCount() async throws(BedError) -> Int {
        let metrics = try await self.send(.get, "/metrics")
        return metrics.split(separator: "\n").filter { $0.hasPrefix("grpc_server_handled_total{") }
            .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0) { $0 + Int($1) }
    }

    private func send(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ body: String = ""
    ) async throws(BedError) -> String {
        var request = HTTPRequest(method, self.url + path)
        request.body = Array(body.utf8)
        if !body.isEmpty { request.headers = [("Content-Type", "application/json")] }
        return try await self.send(request)
    }

    private func send(_ request: HTTPRequest) async throws(BedError) -> String {
        let response: HTTPResponse
        do throws(HTTPError) { response = try await self.http.send(request) } catch { throw BedError(error.message) }
        let text = String(decoding: response.body, as: UTF8.self)
        guard (200..<300).contains(response.status) else { throw BedError("etcd: \(response.status) \(text)") }
        return text
    }
}

/// Base64 of a short text, as the gateway writes keys and values.
func base64(_ text: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var result = ""
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let group = Array(rest.prefix(3))
        let bits = (0..<3).reduce(0) { $0 << 8 | ($1 < group.count ? Int(group[$1]) : 0) }
        for index in 0..<4 { result.append(index <= group.count ? alphabet[bits >> (18 - 6 * index) & 63] : "=") }
        rest = rest.dropFirst(3)
    }
    return result
}
