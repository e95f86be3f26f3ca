// SPDX-License-Identifier: Apache-2.0
import CLab
import CLinux
public import EventLoop
import Glibc

/// Stands between the daemon and a real etcd: passes on what both say, and notes when each request came and was answered.
/// Where they speak TLS it sees connections only.
@EventLoop
public final class RecordingProxy {
    public struct Request: Sendable {
        /// Of the URL, as the request line has it.
        public let path: String
        public let begunAt: ContinuousClock.Instant
        /// When the answer began; nil: not yet.
        public internal(set) var answeredAt: ContinuousClock.Instant?
    }

    public private(set) var requests: [Request] = []
    public private(set) var connectionCount = 0
    private var connections: [ObjectIdentifier: ProxyConnection] = [:]
    private let descriptor: Int32
    private let target: sockaddr_in
    /// Linux's number of SOCK_STREAM: in which C module Swift finds that name depends on the order in which they are built.
    private nonisolated static let stream: Int32 = 1
    private var source: EventSource?

    /// Accepts on a listening socket, which it closes at its end; passes on to an IPv4 address and port, as this process's
    /// namespace reaches them.
    public init(listening descriptor: Int32, to address: String, _ port: UInt16) {
        self.descriptor = descriptor
        self.target = Self.socketAddress(address, port)
        self.source = .descriptor(descriptor, .read) { [weak self] _ in self?.accept() }
    }

    isolated deinit { self.stop() }

    /// A socket that listens on `address` and `port` in the namespace of the calling thread.
    public nonisolated static func listen(_ address: String, _ port: UInt16) throws(BedError) -> Int32 {
        let descriptor = socket(AF_INET, Self.stream | O_NONBLOCK | O_CLOEXEC, 0)
        var isOn: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
        let bound = self.with(self.socketAddress(address, port)) { bind(descriptor, $0, $1) }
        guard bound == 0, Glibc.listen(descriptor, 256) == 0 else {
            let failure = Files.failure("cannot listen on \(address):\(port)")
            close(descriptor)
            throw failure
        }
        return descriptor
    }

    private nonisolated static func socketAddress(_ address: String, _ port: UInt16) -> sockaddr_in {
        var result = sockaddr_in()
        result.sin_family = sa_family_t(AF_INET)
        result.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &result.sin_addr)
        return result
    }

    private nonisolated static func with(
        _ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// As when etcd is stopped: every connection ends, and no other is accepted.
    public func stop() {
        guard self.source != nil else { return }
        self.source = nil
        close(self.descriptor)
        self.endConnections()
    }

    public func endConnections() { for connection in self.connections.values { connection.end() } }

    /// Watches that are open and have been answered.
    public var watchCount: Int {
        self.connections.values.count { connection in
            guard let index = connection.request, !connection.hasEnded else { return false }
            return self.requests[index].path == "/v3/watch" && self.requests[index].answeredAt != nil
        }
    }

    /// Begins a record of a request; answers its place.
    fileprivate func note(_ path: String) -> Int {
        self.requests.append(Request(path: path, begunAt: .now))
        return self.requests.count - 1
    }

    fileprivate func noteAnswer(_ index: Int) {
        if self.requests[index].answeredAt == nil { self.requests[index].answeredAt = .now }
    }

    private func accept() {
        while case let client = Glibc.accept(self.descriptor, nil, nil), client >= 0 {
            _ = fcntl(client, F_SETFL, O_NONBLOCK)
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            self.connectionCount += 1
            let server = socket(AF_INET, Self.stream | O_NONBLOCK | O_CLOEXEC, 0)
            _ = Self.with(self.target) { connect(server, $0, $1) }
            let connection = ProxyConnection(client, server, self)
            self.connections[ObjectIdentifier(connection)] = connection
            EventLoop.spawn { [weak self] in
                await connection.pass()
                self?.connections[ObjectIdentifier(connection)] = nil
            }
        }
    }
}

@EventLoop
private final class ProxyConnection {
    private let client: Int32
    private let server: Int32
    /// The same two once more, to be written to: a descriptor can be waited for by one task at a time.
    private let toClient: Int32
    private let toServer: Int32
    private weak var proxy: RecordingProxy?
    /// The place of the last request in the proxy's record.
    private(set) var request: Int?
    private(set) var hasEnded = false
    /// No connection lives longer without a byte in one direction.
    private static let patience: Duration = .seconds(600)

    init(_ client: Int32, _ server: Int32, _ proxy: RecordingProxy) {
        (self.client, self.server, self.proxy) = (client, server, proxy)
        (self.toClient, self.toServer) = (fcntl(client, F_DUPFD_CLOEXEC, 0), fcntl(server, F_DUPFD_CLOEXEC, 0))
    }

    func end() {
        self.hasEnded = true
        shutdown(self.client, Int32(SHUT_RDWR))
        shutdown(self.server, Int32(SHUT_RDWR))
    }

    /// Passes on until either side ends.
    func pass() async {
        let answers = EventLoop.spawn { await self.pump(from: self.server, to: self.toClient, isAnswer: true) }
        await self.pump(from: self.client, to: self.toServer, isAnswer: false)
        await answers.value
        for descriptor in [self.client, self.server, self.toClient, self.toServer] { close(descriptor) }
    }

    private func pump(from source: Int32, to target: Int32, isAnswer: Bool) async {
        var buffer = [UInt8](repeating: 0, count: 65536)
        do throws(WaitError) {
            while !self.hasEnded {
                let count = recv(source, &buffer, buffer.count, 0)
                if count < 0, errno == EAGAIN || errno == ENOTCONN {
                    _ = try await EventLoop.readiness(of: source, .read, timeout: Self.patience)
                    continue
                }
                guard count > 0 else { break }
                self.note(buffer[..<count], isAnswer)
                try await self.write(buffer[..<count], to: target)
            }
        } catch {
            // Silent for all that time.
        }
        self.end()
    }

    private func note(_ bytes: ArraySlice<UInt8>, _ isAnswer: Bool) {
        if isAnswer {
            if let request = self.request { self.proxy?.noteAnswer(request) }
        } else if bytes.starts(with: "POST ".utf8) || bytes.starts(with: "GET ".utf8) {
            let line = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
            self.request = self.proxy?.note(String(line.split(separator: " ")[1]))
        }
    }

    private func write(_ bytes: ArraySlice<UInt8>, to target: Int32) async throws(WaitError) {
        var rest = bytes
        while !rest.isEmpty, !self.hasEnded {
            let count = rest.withUnsafeBytes { send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN || errno == ENOTCONN || errno == EINPROGRESS {
                _ = try await EventLoop.readiness(of: target, .write, timeout: .seconds(60))
            } else {
                return self.end()
            }
        }
    }
}
