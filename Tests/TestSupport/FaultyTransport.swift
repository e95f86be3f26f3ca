// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc

/// A TCP relay on loopback that does with connections what networks and hosts do: it refuses them, accepts and never serves them,
/// delays and swallows what they carry, and cuts them in the middle. By chance, the same in each run with the same seed and timing.
@EventLoop
public final class FaultyTransport {
    /// How often, of 1000: connections that are refused, or accepted and never served; pieces that are late, swallowed with
    /// everything after them, or the last before the connection is cut.
    public struct Faults: Sendable {
        public var refused = 0, silent = 0, late = 0, swallowed = 0, cut = 0
        public init() {}
        public static var none: Faults { Faults() }
        public static var many: Faults {
            var faults = Faults()
            (faults.refused, faults.silent, faults.late, faults.swallowed, faults.cut) = (200, 200, 150, 80, 80)
            return faults
        }
    }

    public var faults: Faults
    public let port: Int
    public var url: String { "http://127.0.0.1:\(self.port)" }
    /// How often each fault was injected.
    public private(set) var injected: [String: Int] = [:]
    private let upstream: Int
    private let descriptor: Int32
    private var acceptor: EventSource?
    private var generator: SeededGenerator
    private var silent: [Int32] = []
    private static let longestDelay = 60

    public init(to upstream: Int, seed: UInt64, _ faults: Faults) throws {
        self.upstream = upstream
        self.faults = faults
        self.generator = SeededGenerator(seed)
        (self.descriptor, self.port) = try listenOnLoopback()
        self.acceptor = .descriptor(self.descriptor, .read) { [weak self] _ in self?.accept() }
    }

    isolated deinit {
        self.acceptor = nil
        for descriptor in [self.descriptor] + self.silent { close(descriptor) }
    }

    private func happens(_ thousandths: Int, _ name: String) -> Bool {
        guard Int.random(in: 0..<1000, using: &self.generator) < thousandths else { return false }
        self.injected[name, default: 0] += 1
        return true
    }

    private func accept() {
        let client = Glibc.accept(self.descriptor, nil, nil)
        guard client >= 0 else { return }
        _ = fcntl(client, F_SETFD, FD_CLOEXEC)
        _ = fcntl(client, F_SETFL, O_NONBLOCK)
        if self.happens(self.faults.refused, "refused") { return _ = close(client) }
        if self.happens(self.faults.silent, "silent") { return self.silent.append(client) }
        guard let server = self.connect() else { return _ = close(client) }
        // Once more, to be written to: a descriptor can be waited for by one task at a time.
        let (toClient, toServer) = (fcntl(client, F_DUPFD_CLOEXEC, 0), fcntl(server, F_DUPFD_CLOEXEC, 0))
        EventLoop.spawn {
            let there = EventLoop.spawn { await self.relay(from: client, to: toServer) }
            await self.relay(from: server, to: toClient)
            await there.value
            for descriptor in [client, server, toClient, toServer] { close(descriptor) }
        }
    }

    /// On loopback a connection is made at once.
    private func connect() -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(self.upstream).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            close(descriptor)
            return nil
        }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        return descriptor
    }

    /// Until either side ends, or the connection is cut: then both sides see it.
    private func relay(from source: Int32, to sink: Int32) async {
        var isSwallowing = false
        do {
            while true {
                // Pieces of any length, so that they are cut anywhere.
                var bytes = [UInt8](repeating: 0, count: Int.random(in: 1...2048, using: &self.generator))
                let count = recv(source, &bytes, bytes.count, 0)
                if count == 0 { break }
                if count < 0 {
                    guard errno == EAGAIN || errno == EINTR else { break }
                    _ = try await EventLoop.readiness(of: source, .read, timeout: .seconds(120))
                    continue
                }
                if isSwallowing { continue }
                if self.happens(self.faults.cut, "cut") { break }
                if self.happens(self.faults.swallowed, "swallowed") {
                    isSwallowing = true
                    continue
                }
                if self.happens(self.faults.late, "late") {
                    let delay = Int.random(in: 1...Self.longestDelay, using: &self.generator)
                    try await EventLoop.sleep(for: .milliseconds(delay))
                }
                try await self.send(bytes[..<count], to: sink)
            }
        } catch {}
        shutdown(source, Int32(SHUT_RDWR))
        shutdown(sink, Int32(SHUT_RDWR))
    }

    private func send(_ bytes: ArraySlice<UInt8>, to sink: Int32) async throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(sink, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else {
                guard errno == EAGAIN || errno == EINTR else { throw TestSupportError("send: \(errno)") }
                _ = try await EventLoop.readiness(of: sink, .write, timeout: .seconds(120))
            }
        }
    }
}
