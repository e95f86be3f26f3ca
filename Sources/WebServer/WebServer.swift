// SPDX-License-Identifier: Apache-2.0
package import CMicroHTTPD
public import EventLoop
import Glibc
public import StatusServer

/// Why a ``WebServer`` cannot be had.
public struct WebServerError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(description: String) { self.description = description }
}

/// HTTP and HTTPS on the event loop, by libmicrohttpd: see ``HTTPDriver``.
///
/// Limits: those of ``ConnectionTable`` (32 connections, 8 of one peer, 5 s for a request, its handshake included), and handshakes
/// by ``PeerBuckets``. Answers may come later; until then the connection is suspended.
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

    private let handler: Handler
    private let refusedHandshake: @EventLoop (_ peer: String) -> Void
    private let driver: HTTPDriver
    private var connections: [Int32: Connection] = [:]
    private var handshakes = PeerBuckets.ofHandshakes
    /// How many there were.
    public private(set) var (handshakeCount, refusedHandshakeCount): (Int64, Int64) = (0, 0)
    private let tls: TLS?
    /// Held by libmicrohttpd for as long as it runs.
    private let texts: [UnsafeMutablePointer<CChar>]
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
        let isLocal = if case .unix = endpoint { true } else { false }
        let socket: Int32
        do throws(StatusServerError) {
            socket = try endpoint.open()
        } catch {
            throw WebServerError(description: error.reason)
        }
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
        let driver = HTTPDriver(socket, isLocal: isLocal) { socket, callbacks in
            tls == nil ? mhd_start_web(socket, callbacks, nil) : mhd_start_web(socket, callbacks, &options)
        }
        guard let driver else {
            for text in texts { text.deallocate() }
            let hint =
                tls?.clientAuthorities == nil ? "" : "; are the authorities of clients (PEM) readable certificates?"
            throw WebServerError(description: "\(endpoint): MHD_start_daemon\(hint)")
        }
        self.driver = driver
        driver.responder = self
    }

    isolated deinit { self.stop() }

    /// Closes all connections, those that still wait for an answer too.
    public func stop() {
        guard !self.isStopped else { return }
        self.isStopped = true
        self.driver.stop()
        for text in self.texts { text.deallocate() }
    }

    /// Its certificate is verified once, at its first request.
    private func peer(of connection: OpaquePointer) -> WebPeer {
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
}

extension WebServer: HTTPResponder {
    /// Those of a peer with too many handshakes are closed before they cost one.
    package func accepts(_ network: [UInt8]) -> Bool {
        guard self.tls != nil else { return true }
        let peer: ConnectionTable.Peer = network.isEmpty ? .unknown : .network(network)
        guard self.handshakes.take(peer, at: BootClock.microseconds) else {
            self.refusedHandshakeCount += 1
            self.refusedHandshake(Self.text(network))
            return false
        }
        self.handshakeCount += 1
        return true
    }

    package func opened(_ descriptor: Int32, _ peer: ConnectionTable.Peer) {
        let kind: WebPeer.Kind =
            switch peer {
            case .user(let user): .user(user)
            case .network: .network(Self.address(of: descriptor))
            // Nobody's number, where a unix socket does not say whose it is.
            case .unknown: self.driver.isLocal ? .user(.max) : .network(Self.address(of: descriptor))
            }
        self.connections[descriptor] = Connection(peer: kind)
    }

    package func closed(_ descriptor: Int32) { self.connections[descriptor] = nil }

    package func respond(to exchange: HTTPExchange, _ method: String, _ path: String) -> MHD_Result {
        let request = WebRequest(
            method, path, query: exchange.query, peer: self.peer(of: exchange.connection),
            authorization: exchange.header("Authorization"), accept: exchange.header("Accept"),
            ifNoneMatch: exchange.header("If-None-Match"), contentType: exchange.header("Content-Type"),
            origin: exchange.header("Origin"), host: exchange.header("Host"), body: exchange.body)
        switch self.handler(request) {
        case .now(let answer): return exchange.send(answer)
        case .later(let answer):
            return exchange.wait {
                let answer = await answer()
                return { $0.send(answer) }
            }
        }
    }

    /// Of a network; of an IPv6 one the first half.
    private static func text(_ bytes: [UInt8]) -> String {
        if bytes.count == 4 { return bytes.map { "\($0)" }.joined(separator: ".") }
        guard bytes.count == 8 else { return "a local user" }
        let groups = stride(from: 0, to: 8, by: 2).map {
            String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16)
        }
        return groups.joined(separator: ":") + "::/64"
    }

    /// Of the other end of a TCP connection, for records; empty where there is none.
    private static func address(of descriptor: Int32) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        mhd_peer_text(descriptor, &text)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
