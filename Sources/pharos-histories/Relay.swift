// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkBed

/// Stands between one node's daemon and one member of etcd: it passes on what both say, or holds it back, or ends the
/// connections, and knows which request an answer belongs to.
@EventLoop
final class Relay {
    /// What a request asks for, as far as it matters here.
    enum Request: String, CaseIterable, Sendable {
        case read, keepAlive = "keep-alive", acquire, other

        /// The request that begins with these bytes; nil: they do not begin one.
        init?(_ bytes: ArraySlice<UInt8>) {
            guard bytes.starts(with: "POST ".utf8) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            let path = text.dropFirst(5).prefix { $0 != " " }
            if path.hasSuffix("/lease/keepalive") { self = .keepAlive; return }
            guard path.hasSuffix("/kv/txn") else { self = .other; return }
            self = text.contains("equestPut") || text.contains("request_put") ? .acquire : .read
        }
    }

    /// What becomes of what is said.
    struct Faults: Equatable, Sendable {
        /// Nothing reaches the member; it arrives late, when this ends.
        var holdsRequests = false
        /// No answer reaches the daemon; it arrives late.
        var holdsAnswers = false
        /// These requests alone do not reach the member.
        var heldRequests: Request?
        /// Answers to these alone are held.
        var heldKind: Request?
        /// Connections with an answer to these are ended instead.
        var lostKind: Request?
        /// No connections at all.
        var isClosed = false
    }

    /// Where the daemon finds the member.
    let url: String
    var faults = Faults() {
        didSet { if self.faults.isClosed { self.endConnections() } }
    }
    /// No connections, whatever the faults: etcd is being changed.
    var isShut = false {
        didSet { if self.isShut { self.endConnections() } }
    }
    /// Is told of each request before it is passed on.
    var requested: @EventLoop (Request) -> Void = { _ in }

    /// Is told of each answer that is no refusal, once it was passed on.
    var answered: @EventLoop (Request) -> Void = { _ in }

    private let descriptor: Int32
    private let target: sockaddr_in
    private var connections: [ObjectIdentifier: Connection] = [:]
    private var source: EventSource?

    /// Listens on `address` and `port`, passes on to port 2379 of `member`.
    init(_ address: String, _ port: UInt16, to member: String) throws(BedError) {
        self.url = "http://\(address):\(port)"
        self.target = Self.socketAddress(member, 2379)
        self.descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK | O_CLOEXEC, 0)
        guard self.descriptor >= 0 else { throw Files.failure("cannot open a socket") }
        let own = Self.socketAddress(address, port)
        guard Self.with(own, { bind(self.descriptor, $0, $1) }) == 0, listen(self.descriptor, 64) == 0 else {
            throw Files.failure("cannot listen on \(self.url)")
        }
        self.source = .descriptor(self.descriptor, .read) { [weak self] _ in self?.accept() }
    }

    isolated deinit { close(self.descriptor) }

    /// Ends every connection; both sides notice.
    func endConnections() { for connection in self.connections.values { connection.end() } }

    private func accept() {
        let client = Glibc.accept(self.descriptor, nil, nil)
        guard client >= 0 else { return }
        _ = fcntl(client, F_SETFL, O_NONBLOCK)
        _ = fcntl(client, F_SETFD, FD_CLOEXEC)
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK | O_CLOEXEC, 0)
        guard server >= 0, !self.faults.isClosed, !self.isShut else {
            close(client)
            if server >= 0 { close(server) }
            return
        }
        _ = Self.with(self.target) { connect(server, $0, $1) }
        let connection = Connection(client, server, self)
        self.connections[ObjectIdentifier(connection)] = connection
        EventLoop.spawn {
            await connection.pass()
            self.connections[ObjectIdentifier(connection)] = nil
        }
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
}

/// One connection through a relay. What is not passed on stays in the kernel's buffers, which are its limit.
@EventLoop
private final class Connection {
    private let client: Int32
    private let server: Int32
    /// The same two once more, to be written to: a descriptor can be waited for by one task at a time.
    private let toClient: Int32
    private let toServer: Int32
    private let relay: Relay
    private var request = Relay.Request.other
    private var hasEnded = false
    /// How often a held-back side looks whether it may go on.
    private static let pace: Duration = .milliseconds(10)
    /// No connection lives longer without a byte in one direction.
    private static let patience: Duration = .seconds(3600)

    init(_ client: Int32, _ server: Int32, _ relay: Relay) {
        (self.client, self.server, self.relay) = (client, server, relay)
        (self.toClient, self.toServer) = (fcntl(client, F_DUPFD_CLOEXEC, 0), fcntl(server, F_DUPFD_CLOEXEC, 0))
    }

    /// Passes on until either side ends.
    func pass() async {
        let answers = EventLoop.spawn { await self.pump(from: self.server, to: self.toClient, isAnswer: true) }
        await self.pump(from: self.client, to: self.toServer, isAnswer: false)
        await answers.value
        for descriptor in [self.client, self.server, self.toClient, self.toServer] { close(descriptor) }
    }

    func end() {
        self.hasEnded = true
        shutdown(self.client, Int32(SHUT_RDWR))
        shutdown(self.server, Int32(SHUT_RDWR))
    }

    private func pump(from source: Int32, to target: Int32, isAnswer: Bool) async {
        var buffer = [UInt8](repeating: 0, count: 65536)
        do throws(WaitError) {
            while !self.hasEnded {
                _ = try await EventLoop.readiness(of: source, .read, timeout: Self.patience)
                while !self.hasEnded, self.isHeld(isAnswer) { try await EventLoop.sleep(for: Self.pace) }
                let count = recv(source, &buffer, buffer.count, 0)
                if count < 0, errno == EAGAIN { continue }
                guard count > 0 else { break }
                if isAnswer {
                    if self.relay.faults.lostKind == self.request { break }
                } else if let request = Relay.Request(buffer[..<count]) {
                    self.request = request
                    self.relay.requested(request)
                    // What that has caused may hold back this very request.
                    while !self.hasEnded, self.isHeld(isAnswer) || self.relay.faults.heldRequests == request {
                        try await EventLoop.sleep(for: Self.pace)
                    }
                }
                try await self.write(buffer[..<count], to: target)
                if isAnswer, Self.isGood(buffer[..<count], to: self.request) { self.relay.answered(self.request) }
            }
        } catch {
            // The other side is gone or silent for an hour: the connection ends.
        }
        self.end()
    }

    /// Whether this begins an answer that is no refusal. Where a lease is gone, its keep-alive is answered without a TTL.
    private static func isGood(_ answer: ArraySlice<UInt8>, to request: Relay.Request) -> Bool {
        guard answer.starts(with: "HTTP/1.1 200".utf8) else { return false }
        return request != .keepAlive || String(decoding: answer, as: UTF8.self).contains(#""TTL":"#)
    }

    private func isHeld(_ isAnswer: Bool) -> Bool {
        let faults = self.relay.faults
        return isAnswer ? faults.holdsAnswers || faults.heldKind == self.request : faults.holdsRequests
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
