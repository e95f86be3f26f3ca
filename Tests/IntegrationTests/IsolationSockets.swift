// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import NetworkBed
import TestSupport

/// Sockets that are opened in a network namespace, and used by this process wherever it is.
enum IsolationSockets {
    /// Runs `open` in the namespace. Not on the loop's thread: who enters a namespace may wait in the kernel, and the other
    /// scenes' loop with it.
    @concurrent
    static func open(
        in namespace: String, _ open: @Sendable () throws -> Int32
    ) async throws -> Int32 {
        let own = Glibc.open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        let other = Glibc.open("/run/netns/\(namespace)", O_RDONLY | O_CLOEXEC)
        defer {
            close(own)
            close(other)
        }
        guard own >= 0, other >= 0, setns(other, 0) == 0 else { throw TestSupportError("\(namespace): \(errno)") }
        defer { precondition(setns(own, 0) == 0, "setns back: \(errno)") }
        return try open()
    }

    /// A socket that listens on `address` and `port` there.
    static func listening(_ address: String, _ port: UInt16, in namespace: String) async throws -> Int32 {
        try await self.open(in: namespace) { try RecordingProxy.listen(address, port) }
    }
}

/// A server that accepts every connection, and never says anything.
@EventLoop
final class SilentServer {
    private(set) var connectionCount = 0
    private let descriptor: Int32
    private var accepted: [Int32] = []
    private var source: EventSource?

    /// Accepts on a listening socket, which it closes at its end.
    init(listening descriptor: Int32) {
        self.descriptor = descriptor
        self.source = .descriptor(descriptor, .read) { [weak self] _ in
            guard let self else { return }
            let accepted = accept(self.descriptor, nil, nil)
            guard accepted >= 0 else { return }
            self.connectionCount += 1
            self.accepted.append(accepted)
        }
    }

    isolated deinit {
        self.source = nil
        for descriptor in self.accepted + [self.descriptor] { close(descriptor) }
    }
}
