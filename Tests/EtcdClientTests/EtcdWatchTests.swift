// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import HTTPClient
import TestSupport
import Testing

@testable import EtcdClient

private let version = httpAnswer(200, #"{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}"#)
private let streamHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

private func chunk(_ bytes: some Collection<UInt8>) -> [UInt8] {
    Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8)
}

/// Answers `/version`, and watches with `stream`.
@EventLoop
private func member(_ stream: @escaping @EventLoop (ScriptedServer.Connection) async throws -> Void) throws
    -> ScriptedServer
{
    try ScriptedServer { connection in
        while let line = try await connection.readRequest() {
            if line.contains("/version") {
                try await connection.write(version)
            } else {
                try await stream(connection)
                return
            }
        }
    }
}

@EventLoop
private func client(
    _ servers: [ScriptedServer],
    http: HTTPClient,
    attemptTimeout: Duration = .seconds(10)
) -> EtcdClient {
    let configuration = EtcdConfiguration(
        endpoints: servers.map(\.url),
        requestTimeout: .seconds(20),
        attemptTimeout: attemptTimeout
    )
    return EtcdClient(configuration, http: http, jitter: { 0 })
}

@EventLoop
private func watch(
    _ etcd: EtcdClient,
    each: @escaping @EventLoop (WatchBatch) -> Void = { _ in }
) async -> EtcdError.Kind? {
    do throws(EtcdError) {
        try await etcd.watch(.prefix("/service/demo/"), from: 1, each: each)
        return nil
    } catch {
        return error.kind
    }
}

@Suite(.serialized)
struct EtcdWatchTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `a recorded watch arrives whole, sent byte by byte`() async throws {
        let lines = try recordedWatch("19-watch.tsv").prefix(6)
        let server = try member { connection in
            try await connection.write(streamHead)
            for byte in lines.joined() { try await connection.write(chunk([byte])) }
            try await connection.write("0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n")
        }
        let http = HTTPClient()
        let etcd = client([server], http: http)
        var batches: [WatchBatch] = []
        #expect(await watch(etcd) { batches.append($0) } == .streamEnded)
        #expect(batches.count == 6)
        #expect(batches.first?.isCreation == true)
        #expect(batches.dropFirst().map { $0.header.revision } == [16, 17, 18, 19, 20])
        http.close()
    }

    @Test @EventLoop func `a watch asks for a leader`() async throws {
        var head: [String] = []
        var body: [UInt8] = []
        let server = try member { connection in
            (head, body) = (connection.head, connection.body)
            try await connection.write(
                httpAnswer(503, #"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}"#)
            )
        }
        let http = HTTPClient()
        #expect(await watch(client([server], http: http)) == .noLeader)
        #expect(head.contains("Grpc-Metadata-hasleader: true") && head.first == "POST /v3/watch HTTP/1.1")
        let text = String(decoding: body, as: UTF8.self)
        #expect(text.contains(#""start_revision":"1""#) && text.contains(#""range_end":"#))
        http.close()
    }

    @Test @EventLoop func `a watch that is not established in time ends, and the next goes elsewhere`() async throws {
        let silent = try member { connection in _ = try await connection.readRequest() }
        let stalled = try member { connection in
            try await connection.write(streamHead)
            _ = try await connection.readRequest()
        }
        let http = HTTPClient()
        let etcd = client([silent, stalled], http: http, attemptTimeout: .milliseconds(300))
        #expect(await watch(etcd) == .timeout)
        #expect(etcd.currentEndpoint == stalled.url)
        #expect(await watch(etcd) == .timeout)
        #expect(etcd.currentEndpoint == silent.url)
        http.close()
    }

    @Test @EventLoop func `a watch ends when a request finds its endpoint dead, or the caller drops it`() async throws {
        let created = try #require(try recordedWatch("19-watch.tsv").first)
        let half = try ScriptedServer { connection in
            // Watches work, requests are never answered.
            while let line = try await connection.readRequest() {
                if line.contains("/version") { try await connection.write(version) }
                if line.contains("/watch") { try await connection.write(Array(streamHead.utf8) + chunk(created)) }
            }
        }
        let http = HTTPClient()
        for drops in [true, false] {
            let etcd = client([half, try member { _ in }], http: http, attemptTimeout: .milliseconds(500))
            var ending: EtcdError.Kind?
            var established = false
            let task = EventLoop.spawn { ending = await watch(etcd) { _ in established = true } }
            try await waitUntil { established }
            if drops {
                etcd.dropCurrentEndpoint("stale")
            } else {
                do { _ = try await etcd.range(.key("x")) } catch {}
            }
            await task.value
            #expect(ending == (drops ? .unreachable : .timeout))
            #expect(etcd.currentEndpoint != half.url || !drops)
        }
        http.close()
    }

    @Test @EventLoop func `a cancelled watch ends at once`() async throws {
        let created = try #require(try recordedWatch("19-watch.tsv").first)
        var isClosed = false
        let server = try member { connection in
            try await connection.write(Array(streamHead.utf8) + chunk(created))
            isClosed = try await connection.readRequest() == nil
        }
        let http = HTTPClient()
        let etcd = client([server], http: http)
        var ending: EtcdError.Kind?
        var established = false
        let task = EventLoop.spawn { ending = await watch(etcd) { _ in established = true } }
        try await waitUntil { established }
        task.cancel()
        await task.value
        #expect(ending == .cancelled)
        try await waitUntil { isClosed }
        // Nobody blames the endpoint for that.
        #expect(etcd.endpoints[0].failures == 0)
        http.close()
    }

    @Test @EventLoop func `a watch's line that never ends is cut off`() async throws {
        let server = try member { connection in
            try await connection.write(streamHead)
            let piece = chunk([UInt8](repeating: UInt8(ascii: "x"), count: 1 << 18))
            for _ in 0..<100 { try await connection.write(piece) }
        }
        let http = HTTPClient()
        let configuration = EtcdConfiguration(endpoints: [server.url], attemptTimeout: .seconds(20))
        #expect(await watch(EtcdClient(configuration, http: http, jitter: { 0 })) == .malformed)
        http.close()
    }

    @Test @EventLoop func `mutated watches crash nothing`() async throws {
        let lines = try recordedWatch("19-watch.tsv").prefix(4)
        var generator = SeededGenerator(5)
        let server = try member { connection in
            let bytes = mutated(Array(lines.joined()), &generator)
            try await connection.write(Array(streamHead.utf8) + chunk(bytes) + Array("0\r\n\r\n".utf8))
        }
        let http = HTTPClient()
        var endings: [EtcdError.Kind: Int] = [:]
        for _ in 0..<300 {
            // A client each: no backoff.
            if let ending = await watch(client([server], http: http)) { endings[ending, default: 0] += 1 }
        }
        #expect(endings.values.reduce(0, +) == 300)
        #expect(endings[.malformed, default: 0] > 50)
        http.close()
    }

    @Test @EventLoop func `lines that do not end may not be too long together, over all watches`() async throws {
        let server = try member { connection in
            try await connection.write(streamHead)
            // Within the limit of one line.
            let piece = [UInt8](repeating: 32, count: 1 << 20)
            for _ in 0..<7 { try await connection.write(chunk(piece)) }
            try await EventLoop.sleep(for: .seconds(60))
        }
        let http = HTTPClient(.unlimited)
        let etcd = client([server], http: http, attemptTimeout: .seconds(60))
        var ended: [EtcdError.Kind?] = []
        let watches = (0..<5).map { _ in EventLoop.spawn { ended.append(await watch(etcd)) } }
        #expect(try await eventually(within: .seconds(30)) { !ended.isEmpty })
        #expect(ended.contains(.malformed))
        #expect(etcd.unfinished <= EtcdClient.unfinishedLimit)
        for watch in watches { watch.cancel() }
        for watch in watches { await watch.value }
        #expect(etcd.unfinished == 0)
        http.close()
    }
}
