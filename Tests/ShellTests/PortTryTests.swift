// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Glibc
import NetworkBed
import TestSupport
import Testing

@testable import Shell

/// Real sockets of this host.
struct PortTryTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `who listens accepts, and where nobody does it is refused`() async throws {
        let listener = try TCPSocket.listen("127.0.0.1", 0)
        let port = TCPSocket.port(of: listener)
        #expect(await PortTry.connect(to: "127.0.0.1", port, on: "lo") == .accepted)
        // Of a server that listens on another address of this host, as PostgreSQL with a `listen` of its own.
        #expect(await PortTry.connect(to: "127.0.0.2", port, on: "lo") == .refused)
        close(listener)
        #expect(await PortTry.connect(to: "127.0.0.1", port, on: "lo") == .refused)
    }

    @Test @EventLoop func `whoever has a full queue is silent`() async throws {
        let listener = try TCPSocket.listen("127.0.0.1", 0)
        defer { close(listener) }
        let port = TCPSocket.port(of: listener)
        try #require(listen(listener, 0) == 0)
        var kept: [Int32] = []
        defer { for descriptor in kept { close(descriptor) } }
        // Nobody accepts them.
        for _ in 0..<4 { kept.append(try #require(TCPSocket.connect("127.0.0.1", port))) }
        #expect(await PortTry.connect(to: "127.0.0.1", port, on: "lo") == .silent(after: PortTry.timeout))
    }

    @Test @EventLoop func `what is this node's own matter is not known`() async {
        for failure in [EADDRNOTAVAIL, EMFILE, EACCES, EPERM, ENETUNREACH, EHOSTUNREACH] {
            guard case .unknown = PortTry.answer(to: failure) else {
                Issue.record("\(String(cString: strerror(failure)))")
                continue
            }
        }
        guard case .unknown = await PortTry.connect(to: "no address", 5432, on: "lo") else {
            Issue.record("a name is no address")
            return
        }
    }
}
