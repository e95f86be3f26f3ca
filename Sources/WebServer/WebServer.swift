// SPDX-License-Identifier: Apache-2.0
import CMicroHTTPD
public import EventLoop
import Glibc
public import StatusServer

/// Why a ``WebServer`` cannot be had.
public struct WebServerError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(description: String) { self.description = description }
}

/// HTTP and HTTPS on the event loop, by libmicrohttpd in its external epoll mode: no thread of its own.
///
/// Limits: those of ``ConnectionTable`` (32 connections, 8 of one peer, 5 s for a request, its handshake included), and handshakes
/// by ``PeerBuckets``. Answers may come later; until then the connection is suspended.
///
/// Invariant: libmicrohttpd is stopped only when no connection is suspended: it would end the process.
@EventLoop
public final class WebServer {
    /// What a listener with TLS needs beside the pair that ``TLSIdentity`` presents.
    public struct TLS: Sendable {
        /// PEM of the authorities of clients' certificates; nil: none are asked for.
        public let clientAuthorities: [UInt8]?
        public init(clientAuthorities: [UInt8]?) { self.clientAuthorities = clientAuthorities }

        /// From TLS 1.2 on. Sessions are not resumed: each handshake verifies.
        fileprivate static let priorities = "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%NO_TICKETS"
    }

    public typealias Handler = @EventLoop (WebRequest) -> WebReply

    private struct Connection {
        let peer: WebPeer.Kind
        /// Nil until a request was there to be asked about.
        var certificate: ClientCertificate?
    }

    let handler: Handler
    private let refusedHandshake: @EventLoop (_ peer: String) -> Void
    private let daemon: OpaquePointer
    private var source: EventSource?
    private var timer: EventSource?
    private var table = ConnectionTable()
    private var connections: [Int32: Connection] = [:]
    private var handshakes = PeerBuckets.ofHandshakes
    /// How many there were.
    public private(set) var (handshakeCount, refusedHandshakeCount): (Int64, Int64) = (0, 0)
    private let (isLocal, tls): (Bool, TLS?)
    private let callbacks: WebCallbacks
    /// Held by libmicrohttpd for as long as it runs.
    private let texts: [UnsafeMutablePointer<CChar>]
    private var suspended: [ObjectIdentifier: WebExchange] = [:]
    private var isStopped = false

    /// - Parameters:
    ///   - tls: nil: plain HTTP.
    ///   - refusedHandshake: is told the address of a peer whose connection was closed before its handshake.
    ///   - handler: is called with each request, once its body has come.
    public init(
        _ endpoint: StatusEndpoint, tls: TLS? = nil,
        refusedHandshake: @escaping @EventLoop (_ peer: String) -> Void = { _ in },
        handler: @escaping Handler
    ) throws(WebServerError) {
        (self.handler, self.refusedHandshake, self.tls) = (handler, refusedHandshake, tls)
        self.isLocal = if case .unix = endpoint { true } else { false }
        let socket: Int32
        do throws(StatusServerError) {
            socket = try endpoint.open()
        } catch {
            throw WebServerError(description: error.reason)
        }
        let callbacks = WebCallbacks()
        self.callbacks = callbacks
        let texts = [TLS.priorities.utf8.map { $0 }, tls?.clientAuthorities ?? []].map { bytes in
            let text = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
            for (index, byte) in bytes.enumerated() { text[index] = CChar(bitPattern: byte) }
            text[bytes.count] = 0
            return text
        }
        self.texts = texts
        var options = mhd_tls(
            choose_certificate: unsafeBitCast(TLSIdentity.choose, to: UnsafeMutableRawPointer.self),
            priorities: UnsafePointer(texts[0]),
            client_authorities: tls?.clientAuthorities == nil ? nil : UnsafePointer(texts[1]))
        let started =
            tls == nil
            ? mhd_start_web(socket, callbacks.all, WebCallbacks.accept, nil)
            : mhd_start_web(socket, callbacks.all, WebCallbacks.accept, &options)
        guard let daemon = started else {
            close(socket)
            for text in texts { text.deallocate() }
            let hint =
                tls?.clientAuthorities == nil ? "" : "; are the authorities of clients (PEM) readable certificates?"
            throw WebServerError(description: "\(endpoint): MHD_start_daemon\(hint)")
        }
        self.daemon = daemon
        callbacks.server = self
        self.source = .descriptor(mhd_epoll_descriptor(daemon), .read) { [weak self] _ in self?.turn() }
    }

    isolated deinit { self.stop() }

    /// Closes all connections, those that still wait for an answer too.
    public func stop() {
        guard !self.isStopped else { return }
        self.isStopped = true
        self.source = nil
        self.timer = nil
        self.callbacks.server = nil
        for exchange in self.suspended.values { exchange.resume() }
        self.suspended = [:]
        MHD_stop_daemon(self.daemon)
        for text in self.texts { text.deallocate() }
    }

    // MARK: - libmicrohttpd's calls

    /// Whether a new connection may be: those of a peer with too many handshakes are closed before they cost one.
    func accepts(_ peer: ConnectionTable.Peer, _ name: String) -> Bool {
        guard self.tls != nil else { return true }
        guard self.handshakes.take(peer, at: BootClock.microseconds) else {
            self.refusedHandshakeCount += 1
            self.refusedHandshake(name)
            return false
        }
        self.handshakeCount += 1
        return true
    }

    func opened(_ descriptor: Int32) {
        let user = self.isLocal ? UInt32(exactly: mhd_user(descriptor)) : nil
        let network = WebCallbacks.network(of: descriptor)
        let peer: ConnectionTable.Peer = user.map { .user($0) } ?? network.map { .network($0) } ?? .unknown
        // Nobody's number, where a unix socket does not say whose it is.
        let kind: WebPeer.Kind = self.isLocal ? .user(user ?? .max) : .network(WebCallbacks.address(of: descriptor))
        self.connections[descriptor] = Connection(peer: kind)
        self.shutDown(self.table.opened(descriptor, peer, at: BootClock.microseconds))
    }

    func closed(_ descriptor: Int32) {
        self.connections[descriptor] = nil
        self.table.closed(descriptor)
    }

    func answered(_ descriptor: Int32) { self.table.answered(descriptor, at: BootClock.microseconds) }

    /// Its certificate is verified once, at its first request.
    func peer(of connection: OpaquePointer) -> WebPeer {
        let descriptor = mhd_descriptor(connection)
        guard let known = self.connections[descriptor] else { return WebPeer(.network("")) }
        if let certificate = known.certificate { return WebPeer(known.peer, certificate) }
        var certificate = ClientCertificate.absent
        if self.tls?.clientAuthorities != nil, let session = mhd_session(connection) {
            certificate = .of(OpaquePointer(session))
        }
        self.connections[descriptor]?.certificate = certificate
        return WebPeer(known.peer, certificate)
    }

    func suspend(_ exchange: WebExchange) {
        self.suspended[ObjectIdentifier(exchange)] = exchange
        MHD_suspend_connection(exchange.connection)
    }

    /// The answer of a suspended connection is there.
    func resume(_ exchange: WebExchange) {
        guard self.suspended.removeValue(forKey: ObjectIdentifier(exchange)) != nil else { return }
        exchange.resume()
        self.turn()
    }

    /// libmicrohttpd finds the end of these connections in its next turn, and closes them.
    private func shutDown(_ descriptors: [Int32]) {
        for descriptor in descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    /// Lets libmicrohttpd do what is ready, and wakes up again when a connection's time ends.
    private func turn() {
        guard !self.isStopped else { return }
        self.shutDown(self.table.expired(at: BootClock.microseconds))
        MHD_run(self.daemon)
        var milliseconds: CUnsignedLongLong = 0
        var delays: [Duration] = []
        if MHD_get_timeout(self.daemon, &milliseconds) == .YES {
            delays.append(.milliseconds(Int64(min(milliseconds, 60_000))))
        }
        if let expiry = self.table.nextExpiry {
            delays.append(.microseconds(max(expiry - BootClock.microseconds, 0)))
        }
        guard let delay = delays.min() else {
            self.timer = nil
            return
        }
        if let timer = self.timer {
            timer.rearm(after: delay)
        } else {
            self.timer = .timer(after: delay) { [weak self] in self?.turn() }
        }
    }
}
