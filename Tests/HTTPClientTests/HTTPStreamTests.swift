// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import TestSupport
import Testing

private let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
private func chunk(_ text: String) -> String { "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n" }

@Suite(.serialized)
struct HTTPStreamTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `chunks are read as they come, then the end`() async throws {
        var mayGoOn: CheckedContinuation<Void, Never>?
        let server = try ScriptedServer { connection in
            _ = try await connection.readRequest()
            try await connection.write(head + chunk("one"))
            await withCheckedContinuation { mayGoOn = $0 }
            try await connection.write(chunk("two") + "0\r\n\r\n")
        }
        let http = HTTPClient()
        let stream = http.stream(HTTPRequest(.get, server.url))
        #expect(try await stream.next() == Array("one".utf8))
        #expect(stream.status == 200)
        try await waitUntil { mayGoOn != nil }
        mayGoOn?.resume()
        #expect(try await stream.next() == Array("two".utf8))
        #expect(try await stream.next() == nil)
        #expect(try await stream.next() == nil)
        http.close()
    }

    @Test @EventLoop func `a stream that breaks says so`() async throws {
        let server = try ScriptedServer { connection in
            _ = try await connection.readRequest()
            try await connection.write(head + chunk("one"))
        }
        let http = HTTPClient()
        let stream = http.stream(HTTPRequest(.get, server.url))
        #expect(try await stream.next() == Array("one".utf8))
        let error = await #expect(throws: HTTPError.self) { _ = try await stream.next() }
        #expect(error?.kind == .disconnected)
        http.close()
    }

    @Test @EventLoop func `a slow reader holds the writer up, and misses nothing`() async throws {
        let total = 64 << 20
        var written = 0
        let server = try ScriptedServer { connection in
            _ = try await connection.readRequest()
            try await connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
            let piece = [UInt8](repeating: 7, count: 1 << 16)
            while written < total {
                try await connection.write(piece)
                written += piece.count
            }
        }
        let http = HTTPClient()
        let stream = http.stream(HTTPRequest(.get, server.url))
        // Until the writer has not moved for a while: the kernel's buffers are full, and ours.
        var last = -1
        while last != written || written == 0 {
            last = written
            try await EventLoop.sleep(for: .milliseconds(50))
        }
        #expect(written < total / 2)
        var read = 0
        var largest = 0
        while let bytes = try await stream.next() {
            read += bytes.count
            largest = max(largest, bytes.count)
        }
        #expect(read == total)
        #expect(largest <= 256 << 10)
        http.close()
    }

    @Test @EventLoop func `dropping or cancelling a stream closes its connection`() async throws {
        var ended = 0
        let server = try ScriptedServer { connection in
            _ = try await connection.readRequest()
            try await connection.write(head + chunk("one"))
            if try await connection.readRequest() == nil { ended += 1 }
        }
        let http = HTTPClient()
        do {
            let stream = http.stream(HTTPRequest(.get, server.url))
            _ = try await stream.next()
        }
        try await waitUntil { ended >= 1 }
        let stream = http.stream(HTTPRequest(.get, server.url))
        _ = try await stream.next()
        stream.cancel("enough")
        let error = await #expect(throws: HTTPError.self) { _ = try await stream.next() }
        #expect(error?.kind == .cancelled && error?.message.hasSuffix("enough") == true)
        try await waitUntil { ended >= 2 }
        http.close()
    }
}
