// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import TestSupport
import Testing

@Suite(.serialized)
struct HTTPBufferTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop
    private final class Gate {
        var isOpen = false
    }

    @Test @EventLoop func `answers that are arriving share one limit, and give back what they took`() async throws {
        let gate = Gate()
        let server = try ScriptedServer { connection in
            while try await connection.readRequest() != nil {
                try await connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                try await connection.write([UInt8](repeating: 120, count: 90_000))
                try await waitUntil { gate.isOpen }
                try await connection.write([UInt8](repeating: 120, count: 10_000))
            }
        }
        var limits = ConnectionLimits.few
        limits.buffered = 150_000
        let http = HTTPClient(limits)
        var request = HTTPRequest(.get, server.url)
        request.timeout = .seconds(60)
        let ask = { () async -> Result<Int, HTTPError> in
            do throws(HTTPError) { return .success(try await http.send(request).body.count) } catch {
                return .failure(error)
            }
        }
        let tasks = (0..<2).map { _ in EventLoop.task { await ask() } }
        // Each is within its own limit; the second to come so far is one too many.
        #expect(try await eventually(within: .seconds(30)) { server.connectionCount == 2 })
        try await EventLoop.sleep(for: .milliseconds(50))
        gate.isOpen = true
        var (whole, refused) = (0, 0)
        for task in tasks {
            switch await task.value {
            case .success(let count): whole += count == 100_000 ? 1 : 0
            case .failure(let error):
                #expect(
                    error.kind == .crowded && error.message.hasSuffix("body over what all answers may be together")
                )
                refused += 1
            }
        }
        #expect(whole == 1 && refused == 1)
        for _ in 0..<3 { #expect(try await ask().get() == 100_000) }
        http.close()
    }
}
