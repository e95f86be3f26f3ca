// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import HTTPClient
import Journal
import TestSupport
import Testing

@testable import Shell
@testable import StatusServer

/// Who may be connected to the status API: the value alone.
struct ConnectionTableTests {
    private static let second: Int64 = 1_000_000

    @Test func `a peer with as many as it may have makes room for its newest by its oldest`() {
        var table = ConnectionTable()
        for number in 0..<ConnectionTable.peerLimit {
            #expect(table.opened(Int32(number), .user(7), at: Int64(number)) == [])
        }
        #expect(table.opened(100, .user(8), at: 50) == [], "another's are not touched")
        #expect(table.opened(101, .user(7), at: 51) == [0])
        table.closed(1)
        #expect(table.opened(102, .user(7), at: 52) == [])
        #expect(table.opened(103, .user(7), at: 53) == [2])
    }

    @Test func `with many peers, whoever has most makes room, and never more than may be are kept`() {
        var table = ConnectionTable()
        var descriptor: Int32 = 0
        for user in UInt32(1)...4 {
            for _ in 0..<(user == 3 ? 8 : 7) {
                _ = table.opened(descriptor, .user(user), at: Int64(descriptor))
                descriptor += 1
            }
        }
        while table.count < ConnectionTable.limit {
            #expect(table.opened(descriptor, .user(1000 + UInt32(descriptor)), at: Int64(descriptor)) == [])
            descriptor += 1
        }
        // The third's first.
        #expect(table.opened(900, .user(99), at: 900) == [14])
        for number in 0..<1000 {
            let leaving = table.opened(1000 + Int32(number), .user(2000 + UInt32(number)), at: 1000)
            #expect(leaving.count == 1 && leaving != [1000 + Int32(number)])
            #expect(table.count == ConnectionTable.limit)
        }
    }

    @Test func `a request has its time in all, and an answer begins the next one's`() {
        var table = ConnectionTable()
        _ = table.opened(1, .unknown, at: 0)
        _ = table.opened(2, .unknown, at: Self.second)
        #expect(table.nextExpiry == ConnectionTable.patience)
        #expect(table.expired(at: ConnectionTable.patience - 1) == [])
        table.answered(1, at: 2 * Self.second)
        #expect(table.expired(at: ConnectionTable.patience + Self.second) == [2])
        #expect(table.expired(at: ConnectionTable.patience + 2 * Self.second) == [1])
        #expect(table.count == 0 && table.nextExpiry == nil)
    }
}

/// The same over real sockets.
@Suite(.serialized)
struct StatusConnectionTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop
    private func get(_ socket: String, _ path: String) async throws -> HTTPResponse {
        let http = HTTPClient()
        defer { http.close() }
        var request = HTTPRequest(.get, "http://localhost" + path)
        request.unixSocket = socket
        return try await http.send(request)
    }

    /// Whether the server has closed the connection; what it says is read away.
    private func isClosed(_ descriptor: Int32) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1024)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count == 0 || (count < 0 && errno != EAGAIN) { return true }
            if count < 0 { return false }
        }
    }

    /// 60 are more than libmicrohttpd itself holds.
    @Test(arguments: [32, 60]) @EventLoop
    func `idle connections, one of which sends a byte each second, shut nobody out and are ended`(count: Int)
        async throws
    {
        let folder = try TemporaryDirectory("status")
        let socket = folder.file("socket")
        let server = try StatusServer(.unix(path: socket)) { .init(contentType: "text/plain", body: $0) }
        for text in [
            "\u{0}\u{1}\u{2}", "GET", "GET / HTTP/9.9\r\n\r\n", "GET /\(String(repeating: "a", count: 60_000))",
        ] { try sendRaw(text, to: socket) }
        let trickle = try connectRaw(socket)
        let idle = try (0..<count).map { _ in try connectRaw(socket) }
        defer { for descriptor in idle + [trickle] { closeRaw(descriptor) } }
        // The newest of the idle ones trickles too: it is not its silence that ends it.
        let last = try #require(idle.last)
        let sending = EventLoop.spawn {
            for byte in "GET /a-path-of-twenty-seconds HTTP/1.1".utf8 {
                var byte = byte
                for descriptor in [trickle, last] { _ = send(descriptor, &byte, 1, Int32(MSG_NOSIGNAL)) }
                do throws(WaitError) { try await EventLoop.sleep(for: .seconds(1)) } catch { return }
            }
        }
        defer { sending.cancel() }
        // At once, while all of them are there, and again and again.
        for number in 0..<20 { #expect(try await self.get(socket, "/\(number)").body == Array("/\(number)".utf8)) }
        let began = ContinuousClock.now
        #expect(try await eventually(within: .seconds(60)) { (idle + [trickle]).allSatisfy { self.isClosed($0) } })
        #expect(ContinuousClock.now - began < .seconds(20), "a request has 5 s in all")
        withExtendedLifetime(server) {}
    }

    @Test @EventLoop func `where the status cannot be served yet it is tried again and again, and each is told once`()
        async throws
    {
        let folder = try TemporaryDirectory("status")
        let path = folder.file("later/socket")
        var records: [LogKind] = []
        let listeners = StatusListeners(
            [.unix(path: path)], answer: { .init(body: $0) }, act: { _ in .init(body: "") },
            log: { records.append($0.kind) }, pause: .milliseconds(5))
        #expect(try await eventually(within: .seconds(20)) { listeners.tries > 20 })
        #expect(records == [.statusUnavailable])
        try #require(mkdir(folder.file("later"), 0o700) == 0)
        #expect(try await eventually(within: .seconds(20)) { records == [.statusUnavailable, .statusServed] })
        #expect(try await self.get(path, "/x").body == Array("/x".utf8))
        let tries = listeners.tries
        #expect(try await self.get(path, "/y").status == 200)
        #expect(listeners.tries == tries, "then it is tried no more")
    }

    /// As at boot, when the address of `status.listen` is not there yet: then in the way is somebody else's socket.
    @Test @EventLoop func `a port that is in use is served once it is free`() async throws {
        let port = UInt16(try freePorts(1)[0])
        var other: StatusServer? = try StatusServer(.tcp(address: "127.0.0.1", port: port)) { _ in .init(body: "other")
        }
        var records: [LogKind] = []
        let listeners = StatusListeners(
            [.tcp(address: "127.0.0.1", port: port)], answer: { _ in .init(body: "ours") },
            act: { _ in .init(body: "") }, log: { records.append($0.kind) }, pause: .milliseconds(20))
        #expect(records == [.statusUnavailable])
        #expect(other != nil)
        other = nil
        #expect(try await eventually(within: .seconds(20)) { records == [.statusUnavailable, .statusServed] })
        let http = HTTPClient()
        defer { http.close() }
        #expect(try await http.send(HTTPRequest(.get, "http://127.0.0.1:\(port)/")).body == Array("ours".utf8))
        withExtendedLifetime(listeners) {}
    }
}
