// SPDX-License-Identifier: Apache-2.0
import CMicroHTTPD
public import EventLoop
import Glibc

/// A small HTTP API on the event loop, by libmicrohttpd in its external epoll mode: no thread of its own.
///
/// Limits: 32 connections, 8 of one peer, 16 kB each, 5 s for a request; see ``ConnectionTable``. Answers are made in one call
/// and sent whole.
@EventLoop
public final class StatusServer {
    /// Connections that libmicrohttpd may hold, those included that were told to go, and bytes of its memory for each.
    package nonisolated static var openConnections: Int { Int(mhd_connection_limit) }
    package nonisolated static var connectionMemory: Int { Int(mhd_connection_memory) }

    public struct Answer: Sendable {
        /// An HTTP status.
        public let status: UInt32
        public let contentType: String
        public let body: String
        public init(status: UInt32 = 200, contentType: String = "application/json", body: String) {
            self.status = status
            self.contentType = contentType
            self.body = body
        }
    }

    private let answer: @EventLoop (_ path: String) -> Answer
    /// Nil where nothing may be changed.
    private let act: (@EventLoop (_ path: String) -> Answer)?
    private let daemon: OpaquePointer
    private var source: EventSource?
    private var timer: EventSource?
    private var connections = ConnectionTable()
    private let isLocal: Bool

    /// - Parameters:
    ///   - answer: is called with the path of each GET.
    ///   - act: is called with the path of each POST, which has no body; on a Unix socket only, and for root and the daemon's
    ///     own user only: everybody may read the status.
    public init(
        _ endpoint: StatusEndpoint, answer: @escaping @EventLoop (_ path: String) -> Answer,
        act: (@EventLoop (_ path: String) -> Answer)? = nil
    ) throws(StatusServerError) {
        self.answer = answer
        switch endpoint {
        case .unix: (self.act, self.isLocal) = (act, true)
        case .tcp: (self.act, self.isLocal) = (nil, false)
        }
        let socket = try endpoint.open()
        let owner = CallbackContext()
        guard let daemon = mhd_start(socket, owner.callbacks) else {
            close(socket)
            throw StatusServerError(endpoint.description, "MHD_start_daemon")
        }
        self.daemon = daemon
        self.owner = owner
        owner.server = self
        self.source = .descriptor(mhd_epoll_descriptor(daemon), .read) { [weak self] _ in self?.turn() }
    }

    private let owner: CallbackContext

    /// What libmicrohttpd holds instead of the server itself.
    @EventLoop
    private final class CallbackContext {
        weak var server: StatusServer?
        /// The address of this byte marks a request whose headers have been seen.
        let marker = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
        isolated deinit { self.marker.deallocate() }

        nonisolated static func of(_ context: UnsafeMutableRawPointer?) -> CallbackContext? {
            context.map { Unmanaged<CallbackContext>.fromOpaque($0).takeUnretainedValue() }
        }

        /// All are called by MHD_run, so on the loop's thread.
        var callbacks: mhd_callbacks {
            mhd_callbacks(
                handle: { context, connection, url, method, _, _, uploadSize, state in
                    guard let owner = CallbackContext.of(context), let connection, let url, let method else {
                        return .NO
                    }
                    return EventLoop.assumeIsolated {
                        StatusServer.handle(
                            owner, connection, String(cString: url), String(cString: method), state, uploadSize)
                    }
                },
                answered: { context, connection, _, _ in
                    guard let owner = CallbackContext.of(context), let connection else { return }
                    EventLoop.assumeIsolated {
                        owner.server?.connections.answered(mhd_descriptor(connection), at: BootClock.microseconds)
                    }
                },
                connected: { context, connection, _, code in
                    guard let owner = CallbackContext.of(context), let connection else { return }
                    let descriptor = mhd_descriptor(connection)
                    EventLoop.assumeIsolated {
                        switch code {
                        case .CONNECTION_NOTIFY_STARTED: owner.server?.opened(descriptor)
                        case .CONNECTION_NOTIFY_CLOSED: owner.server?.connections.closed(descriptor)
                        @unknown default: break  // libmicrohttpd knows no more.
                        }
                    }
                }, context: Unmanaged.passUnretained(self).toOpaque())
        }
    }

    isolated deinit {
        self.source = nil
        self.timer = nil
        MHD_stop_daemon(self.daemon)
    }

    private func opened(_ descriptor: Int32) {
        self.shutDown(self.connections.opened(descriptor, self.peer(descriptor), at: BootClock.microseconds))
    }

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

    /// Lets libmicrohttpd do what is ready, and wakes up again when a connection's time ends.
    private func turn() {
        self.shutDown(self.connections.expired(at: BootClock.microseconds))
        MHD_run(self.daemon)
        var milliseconds: CUnsignedLongLong = 0
        var delays: [Duration] = []
        if MHD_get_timeout(self.daemon, &milliseconds) == .YES {
            delays.append(.milliseconds(Int64(min(milliseconds, 60_000))))
        }
        if let expiry = self.connections.nextExpiry {
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

    private static func handle(
        _ owner: CallbackContext, _ connection: OpaquePointer, _ path: String, _ method: String,
        _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ uploadSize: UnsafeMutablePointer<Int>?
    ) -> MHD_Result {
        guard let server = owner.server, let state else { return .NO }
        // The first call shows the headers only; an answer is due in the next.
        if state.pointee == nil {
            state.pointee = UnsafeMutableRawPointer(owner.marker)
            return .YES
        }
        if let uploadSize, uploadSize.pointee > 0 {
            uploadSize.pointee = 0
            return .YES
        }
        if method == "POST", let act = server.act {
            let user = mhd_user(mhd_descriptor(connection))
            guard user == 0 || user == Int(geteuid()) else {
                return self.send(
                    Answer(status: 403, contentType: "text/plain", body: "only root may do that\n"), on: connection)
            }
            return self.send(act(path), on: connection)
        }
        guard method == "GET" else {
            return self.send(Answer(status: 405, body: #"{"error": "only GET is answered"}"# + "\n"), on: connection)
        }
        return self.send(server.answer(path), on: connection)
    }

    private static func send(_ answer: Answer, on connection: OpaquePointer) -> MHD_Result {
        var body = Array(answer.body.utf8)
        guard let response = MHD_create_response_from_buffer(body.count, &body, .RESPMEM_MUST_COPY) else {
            return .NO
        }
        MHD_add_response_header(response, "Content-Type", answer.contentType)
        let result = MHD_queue_response(connection, answer.status, response)
        MHD_destroy_response(response)
        return result
    }
}
