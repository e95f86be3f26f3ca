// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import LenientJSON
import TestSupport

@testable import EtcdClient

/// An etcd of one member as its JSON gateway shows it, in the test's own process: keys, revisions, leases that end only
/// when told to, transactions, watches. Every answer can be tampered with on its way out.
@EventLoop
final class FakeEtcd {
    struct Entry {
        var value: [UInt8]
        var created: Int64
        var modified: Int64
        var lease: Int64
    }

    private(set) var server: ScriptedServer?
    private(set) var revision: Int64 = 1
    private(set) var entries: [String: Entry] = [:]
    private(set) var leases: [Int64: Int64] = [:]
    private var lastLease: Int64 = 0x10
    private var history: [(key: String, revision: Int64, json: String)] = []
    private var watchers: [(range: KeyRange, connection: ScriptedServer.Connection)] = []
    /// The paths asked for, in order.
    private(set) var requests: [String] = []
    /// What its members announce.
    lazy var clientURLs = [self.url]
    /// Keys that this user may not read.
    var forbidden: KeyRange?
    /// Changes an answer; nil: there is none, ever.
    var tamper: (_ path: String, _ answer: String) -> String? = { $1 }
    /// Holds the answer to this request back as long as it is true, at most for a minute.
    var holdsBack: (_ path: String, _ body: String) -> Bool = { _, _ in false }
    /// As ``holdsBack``, but what is answered was true before the wait.
    var holdsAnswer: (_ path: String) -> Bool = { _ in false }
    /// Called before a lease ends.
    var beforeRevocation: (_ keys: [String]) -> Void = { _ in }

    init() throws {
        self.server = try ScriptedServer { [weak self] connection in
            while let line = try await connection.readRequest() {
                let path = String(line.split(separator: " ").dropFirst().first ?? "")
                guard let self else { return }
                self.requests.append(path)
                try await self.answer(path, connection)
            }
        }
    }

    var url: String { self.server?.url ?? "" }
    func count(of path: String) -> Int { self.requests.count { $0 == path } }

    /// As a key stands in a request.
    static func encoded(_ key: String) -> String { Base64.encode(Array(key.utf8)) }

    // MARK: - Keys

    func put(_ key: String, _ value: String, lease: Int64 = 0) { self.put(key, Array(value.utf8), lease: lease) }

    func put(_ key: String, _ value: [UInt8], lease: Int64 = 0) {
        self.revision += 1
        self.write(key, value, lease)
    }

    func delete(_ key: String) {
        guard self.entries[key] != nil else { return }
        self.revision += 1
        self.remove(key)
    }

    func text(_ key: String) -> String? { self.entries[key].map { String(decoding: $0.value, as: UTF8.self) } }

    private func write(_ key: String, _ value: [UInt8], _ lease: Int64) {
        let created = self.entries[key]?.created ?? self.revision
        let entry = Entry(value: value, created: created, modified: self.revision, lease: lease)
        self.entries[key] = entry
        self.publish(key, #"{"kv":\#(Self.json(key, entry))}"#)
    }

    private func remove(_ key: String) {
        self.entries[key] = nil
        let name = Base64.encode(Array(key.utf8))
        self.publish(key, #"{"type":"DELETE","kv":{"key":"\#(name)","mod_revision":"\#(self.revision)"}}"#)
    }

    func grant(seconds: Int64) -> Int64 {
        self.lastLease += 1
        self.leases[self.lastLease] = seconds
        return self.lastLease
    }

    /// A lease ends, by its time or by a revocation.
    func end(_ lease: Int64) {
        let keys = self.entries.filter { $0.value.lease == lease }.map(\.key).sorted()
        self.beforeRevocation(keys)
        self.leases[lease] = nil
        guard !keys.isEmpty else { return }
        self.revision += 1
        for key in keys { self.remove(key) }
    }

    // MARK: - Answers

    private var header: String {
        #""header":{"cluster_id":"7","member_id":"1","revision":"\#(self.revision)","raft_term":"2"}"#
    }

    private static func json(_ key: String, _ entry: Entry) -> String {
        let lease = entry.lease == 0 ? "" : #","lease":"\#(entry.lease)""#
        return
            #"{"key":"\#(Base64.encode(Array(key.utf8)))","create_revision":"\#(entry.created)","mod_revision":"\#(entry.modified)","version":"1","value":"\#(Base64.encode(entry.value))"\#(lease)}"#
    }

    private func answer(_ path: String, _ connection: ScriptedServer.Connection) async throws {
        if path.hasSuffix("/watch") { return try await self.watch(path, connection) }
        let body = String(decoding: connection.body, as: UTF8.self)
        for _ in 0..<6000 where self.holdsBack(path, body) { try await EventLoop.sleep(for: .milliseconds(10)) }
        let (status, text) = self.process(path, JSON.parse(connection.body) ?? .null)
        for _ in 0..<6000 where self.holdsAnswer(path) { try await EventLoop.sleep(for: .milliseconds(10)) }
        if let text = self.tamper(path, text) {
            try await connection.write(httpAnswer(status, text))
        } else {
            try await EventLoop.sleep(for: .seconds(60))
        }
    }

    private func process(_ path: String, _ body: JSON) -> (Int, String) {
        switch path {
        case "/version": return (200, #"{"etcdserver":"3.5.16","etcdcluster":"3.5.0"}"#)
        case "/v3/cluster/member/list":
            let urls = self.clientURLs.map { #""\#($0)""# }.joined(separator: ",")
            return (200, #"{\#(self.header),"members":[{"ID":"1","name":"m1","clientURLs":[\#(urls)]}]}"#)
        case "/v3/kv/range": return (200, "{\(self.header),\(self.range(body))}")
        case "/v3/kv/txn": return self.transaction(body)
        case "/v3/lease/grant":
            let ttl = body["TTL"]?.int64 ?? 0
            _ = self.grant(seconds: ttl)
            return (200, #"{\#(self.header),"ID":"\#(self.lastLease)","TTL":"\#(ttl)"}"#)
        case "/v3/lease/keepalive":
            let id = body["ID"]?.int64 ?? 0
            let ttl = self.leases[id].map { #","TTL":"\#($0)""# } ?? ""
            return (200, #"{"result":{\#(self.header),"ID":"\#(id)"\#(ttl)}}"#)
        case "/v3/lease/revoke":
            let id = body["ID"]?.int64 ?? 0
            guard self.leases[id] != nil else {
                return (404, #"{"code":5,"message":"etcdserver: requested lease not found"}"#)
            }
            self.end(id)
            return (200, "{\(self.header)}")
        default: return (404, "404 page not found\n")
        }
    }

    private func keyRange(_ body: JSON) -> KeyRange {
        let start = Base64.decode(body["key"]?.string ?? "") ?? []
        guard let end = body["range_end"]?.string.flatMap({ Base64.decode($0) }), !end.isEmpty else {
            return .key(String(decoding: start, as: UTF8.self))
        }
        return KeyRange(start: start, end: end)
    }

    private func isForbidden(_ body: JSON) -> Bool {
        guard let forbidden = self.forbidden else { return false }
        // Every range in a request that also reaches beyond what is allowed.
        return KeyRange.joined([self.keyRange(body), forbidden]).count == 1
    }

    private func range(_ body: JSON) -> String {
        let range = self.keyRange(body)
        let found = self.entries.filter { range.contains(Array($0.key.utf8)) }.sorted { $0.key < $1.key }
        let pairs = found.map { Self.json($0.key, $0.value) }.joined(separator: ",")
        return found.isEmpty ? #""count":"0""# : #""kvs":[\#(pairs)],"count":"\#(found.count)""#
    }

    private func transaction(_ body: JSON) -> (Int, String) {
        let holds = (body["compare"]?.array ?? []).allSatisfy(self.holds)
        let operations = body[holds ? "success" : "failure"]?.array ?? []
        let isWrite = operations.contains { $0["request_put"] != nil || $0["request_delete_range"] != nil }
        for operation in operations {
            if let lease = operation["request_put"]?["lease"]?.int64, lease != 0, self.leases[lease] == nil {
                return (404, #"{"code":5,"message":"etcdserver: requested lease not found"}"#)
            }
        }
        if operations.contains(where: { $0["request_range"].map(self.isForbidden) ?? false }) {
            return (
                403, #"{"error":"etcdserver: permission denied","code":7,"message":"etcdserver: permission denied"}"#
            )
        }
        if isWrite { self.revision += 1 }
        let responses = operations.map { operation -> String in
            if let put = operation["request_put"] {
                let key = String(decoding: Base64.decode(put["key"]?.string ?? "") ?? [], as: UTF8.self)
                self.write(key, Base64.decode(put["value"]?.string ?? "") ?? [], put["lease"]?.int64 ?? 0)
                return #"{"response_put":{"header":{"revision":"\#(self.revision)"}}}"#
            }
            if let delete = operation["request_delete_range"] {
                let range = self.keyRange(delete)
                let keys = self.entries.keys.filter { range.contains(Array($0.utf8)) }.sorted()
                for key in keys { self.remove(key) }
                return #"{"response_delete_range":{"deleted":"\#(keys.count)"}}"#
            }
            return
                #"{"response_range":{"header":{"revision":"\#(self.revision)"},\#(self.range(operation["request_range"] ?? .null))}}"#
        }
        let succeeded = holds ? #","succeeded":true"# : ""
        return (200, #"{\#(self.header)\#(succeeded),"responses":[\#(responses.joined(separator: ","))]}"#)
    }

    private func holds(_ compare: JSON) -> Bool {
        let key = String(decoding: Base64.decode(compare["key"]?.string ?? "") ?? [], as: UTF8.self)
        let entry = self.entries[key]
        switch compare["target"]?.string {
        case "VALUE": return entry.map { $0.value == Base64.decode(compare["value"]?.string ?? "") ?? [] } ?? false
        case "CREATE": return entry?.created ?? 0 == compare["create_revision"]?.int64 ?? 0
        case "MOD": return entry?.modified ?? 0 == compare["mod_revision"]?.int64 ?? 0
        case "LEASE": return entry?.lease ?? 0 == compare["lease"]?.int64 ?? 0
        default: return false
        }
    }

    // MARK: - Watches

    private func watch(_ path: String, _ connection: ScriptedServer.Connection) async throws {
        try await connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        let create = JSON.parse(connection.body)?["create_request"] ?? .null
        let range = self.keyRange(create)
        let from = create["start_revision"]?.int64 ?? 0
        if self.isForbidden(create) {
            let denied = #""watch_id":"-1","created":true,"canceled":true,"cancel_reason":"permission denied""#
            return try await connection.write(Self.chunk(#"{"result":{\#(self.header),\#(denied)}}"#))
        }
        guard let created = self.tamper(path, #"{"result":{\#(self.header),"created":true}}"#) else {
            return try await EventLoop.sleep(for: .seconds(60))
        }
        try await connection.write(Self.chunk(created))
        for entry in self.history where entry.revision >= from && range.contains(Array(entry.key.utf8)) {
            try await connection.write(self.batch(path, entry.json))
        }
        self.watchers.append((range, connection))
        // The client sends nothing more, and closes in the end.
        _ = try await connection.readRequest()
        self.watchers.removeAll { $0.connection === connection }
    }

    /// How many watches of how many clients would be told of a change of `key`.
    func watchCount(of key: String) -> Int {
        self.watchers.count { $0.range.contains(Array(key.utf8)) }
    }

    private func publish(_ key: String, _ json: String) {
        self.history.append((key, self.revision, json))
        for watcher in self.watchers where watcher.range.contains(Array(key.utf8)) {
            let batch = self.batch("/v3/watch", json)
            EventLoop.spawn { do { try await watcher.connection.write(batch) } catch {} }
        }
    }

    private func batch(_ path: String, _ event: String) -> [UInt8] {
        self.tamper(path, #"{"result":{\#(self.header),"events":[\#(event)]}}"#).map(Self.chunk) ?? []
    }

    private static func chunk(_ line: String) -> [UInt8] {
        let bytes = Array((line + "\n").utf8)
        return Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8)
    }
}
