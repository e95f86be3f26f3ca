// SPDX-License-Identifier: Apache-2.0
package import CMicroHTTPD
package import EventLoop
import Glibc

/// What a server does for the connections and requests that its ``HTTPDriver`` brings.
@EventLoop
package protocol HTTPResponder: AnyObject {
    /// Whether a new connection may be: asked before anything is done for it, of servers that are started so. `network` is empty for
    /// a peer that has no address.
    func accepts(_ network: [UInt8]) -> Bool
    func opened(_ descriptor: Int32, _ peer: ConnectionTable.Peer)
    func closed(_ descriptor: Int32)
    /// A request has come, with its body (``HTTPExchange/body``): it is to be answered, or waits (``HTTPExchange``).
    func respond(to exchange: HTTPExchange, _ method: String, _ path: String) -> MHD_Result
}

extension HTTPResponder {
    package func accepts(_ network: [UInt8]) -> Bool { true }
    package func opened(_ descriptor: Int32, _ peer: ConnectionTable.Peer) {}
    package func closed(_ descriptor: Int32) {}
}

/// Drives a server of libmicrohttpd's, in its external epoll mode, on the event loop: no thread of its own. Lets it do what is ready,
/// holds the connections that wait for an answer, and ends those whose time is over or that make room (``ConnectionTable``).
///
/// What is served, and whether by TLS, its owner says: ``StatusServer`` in the daemon, `WebServer` in the API.
///
/// Invariant: libmicrohttpd is stopped only when no connection is suspended: it would end the process.
@EventLoop
package final class HTTPDriver {
    /// Who serves; without one, requests are refused.
    package weak var responder: (any HTTPResponder)?
    /// At a unix socket.
    package let isLocal: Bool
    private let daemon: OpaquePointer
    private let callbacks: HTTPCallbacks
    private var source: EventSource?
    private var timer: EventSource?
    private var table = ConnectionTable()
    private var suspended: [ObjectIdentifier: HTTPExchange] = [:]
    private var isStopped = false

    /// Nil where libmicrohttpd does not start; then the socket is closed.
    ///
    /// - Parameters:
    ///   - socket: listens.
    ///   - start: starts libmicrohttpd there, with these callbacks.
    package init?(_ socket: Int32, isLocal: Bool, start: (Int32, mhd_callbacks) -> OpaquePointer?) {
        let callbacks = HTTPCallbacks()
        guard let daemon = start(socket, callbacks.all) else {
            close(socket)
            return nil
        }
        (self.daemon, self.callbacks, self.isLocal) = (daemon, callbacks, isLocal)
        callbacks.driver = self
        self.source = .descriptor(mhd_epoll_descriptor(daemon), .read) { [weak self] _ in self?.turn() }
    }

    isolated deinit { self.stop() }

    /// Closes all connections, those that still wait for an answer too.
    package func stop() {
        guard !self.isStopped else { return }
        self.isStopped = true
        self.source = nil
        self.timer = nil
        self.callbacks.driver = nil
        for exchange in self.suspended.values { MHD_resume_connection(exchange.connection) }
        self.suspended = [:]
        MHD_stop_daemon(self.daemon)
    }

    // MARK: - Connections

    fileprivate func opened(_ descriptor: Int32) {
        let peer = self.peer(descriptor)
        self.responder?.opened(descriptor, peer)
        self.shutDown(self.table.opened(descriptor, peer, at: BootClock.microseconds))
    }

    fileprivate func closed(_ descriptor: Int32) {
        self.responder?.closed(descriptor)
        self.table.closed(descriptor)
    }

    fileprivate func answered(_ descriptor: Int32) { self.table.answered(descriptor, at: BootClock.microseconds) }

    private func peer(_ descriptor: Int32) -> ConnectionTable.Peer {
        if self.isLocal { return UInt32(exactly: mhd_user(descriptor)).map { .user($0) } ?? .unknown }
        var bytes = [UInt8](repeating: 0, count: 8)
        let count = mhd_peer_network(descriptor, &bytes)
        return count > 0 ? .network(Array(bytes.prefix(Int(count)))) : .unknown
    }

    /// libmicrohttpd finds the end of these connections in its next turn, and closes them.
    private func shutDown(_ descriptors: [Int32]) {
        for descriptor in descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    // MARK: - Turns

    /// Nothing is done for this connection until ``resume(_:)``.
    func suspend(_ exchange: HTTPExchange) {
        self.suspended[ObjectIdentifier(exchange)] = exchange
        MHD_suspend_connection(exchange.connection)
    }

    /// libmicrohttpd asks again for the answer.
    func resume(_ exchange: HTTPExchange) {
        guard self.suspended.removeValue(forKey: ObjectIdentifier(exchange)) != nil else { return }
        MHD_resume_connection(exchange.connection)
        self.turn()
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

/// What libmicrohttpd holds instead of the driver itself. All of it is called by MHD_run and MHD_stop_daemon, so on the loop's
/// thread.
@EventLoop
private final class HTTPCallbacks {
    weak var driver: HTTPDriver?

    private nonisolated static func of(_ context: UnsafeMutableRawPointer?) -> HTTPCallbacks? {
        context.map { Unmanaged<HTTPCallbacks>.fromOpaque($0).takeUnretainedValue() }
    }

    var all: mhd_callbacks {
        mhd_callbacks(
            handle: { context, connection, url, method, _, upload, uploadSize, state in
                guard let owner = HTTPCallbacks.of(context), let connection, let url, let method, let state else {
                    return .NO
                }
                return EventLoop.assumeIsolated {
                    guard let driver = owner.driver, let responder = driver.responder else { return .NO }
                    guard let exchange = HTTPExchange.known(by: state, or: connection, driver) else { return .YES }
                    return exchange.proceed(
                        responder, String(cString: method), String(cString: url), upload, uploadSize)
                }
            },
            answered: { context, connection, state, _ in
                guard let owner = HTTPCallbacks.of(context), let connection else { return }
                EventLoop.assumeIsolated {
                    // Also where nobody serves any more.
                    if let state { HTTPExchange.end(state) }
                    owner.driver?.answered(mhd_descriptor(connection))
                }
            },
            connected: { context, connection, _, code in
                guard let owner = HTTPCallbacks.of(context), let connection else { return }
                EventLoop.assumeIsolated {
                    let descriptor = mhd_descriptor(connection)
                    switch code {
                    case .CONNECTION_NOTIFY_STARTED: owner.driver?.opened(descriptor)
                    case .CONNECTION_NOTIFY_CLOSED: owner.driver?.closed(descriptor)
                    @unknown default: break  // libmicrohttpd knows no more.
                    }
                }
            },
            accept: { context, address, _ in
                guard let owner = HTTPCallbacks.of(context), let address else { return .NO }
                var bytes = [UInt8](repeating: 0, count: 8)
                let count = Int(mhd_network(address, &bytes))
                let network = Array(bytes.prefix(count))
                return EventLoop.assumeIsolated {
                    owner.driver?.responder?.accepts(network) == true ? .YES : .NO
                }
            }, context: Unmanaged.passUnretained(self).toOpaque())
    }
}
