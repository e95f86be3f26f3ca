// SPDX-License-Identifier: Apache-2.0
import CMicroHTTPD
public import EventLoop
import Glibc

/// A small HTTP API on the event loop, by libmicrohttpd in its external epoll mode: no thread of its own.
///
/// Limits: 32 connections, 16 kB each, 5 s of patience. Answers are made in one call and sent whole.
@EventLoop
public final class StatusServer {
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
        case .unix: self.act = act
        case .tcp: self.act = nil
        }
        let socket = try endpoint.open()
        let slot = HandlerSlot()
        guard
            let daemon = mhd_start(
                socket,
                { context, connection, url, method, _, _, uploadSize, state in
                    guard let context, let connection, let url, let method else { return .NO }
                    let slot = Unmanaged<HandlerSlot>.fromOpaque(context).takeUnretainedValue()
                    return EventLoop.assumeIsolated {
                        StatusServer.handle(
                            slot, connection, String(cString: url), String(cString: method), state, uploadSize)
                    }
                }, Unmanaged.passUnretained(slot).toOpaque())
        else {
            close(socket)
            throw StatusServerError(endpoint.description, "MHD_start_daemon")
        }
        self.daemon = daemon
        self.slot = slot
        slot.server = self
        self.source = .descriptor(mhd_epoll_descriptor(daemon), .read) { [weak self] _ in self?.turn() }
    }

    private let slot: HandlerSlot

    /// What libmicrohttpd holds instead of the server itself.
    @EventLoop
    private final class HandlerSlot {
        weak var server: StatusServer?
        /// The address of this byte marks a request whose headers have been seen.
        let marker = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
        isolated deinit { self.marker.deallocate() }
    }

    isolated deinit {
        self.source = nil
        self.timer = nil
        MHD_stop_daemon(self.daemon)
    }

    /// Lets libmicrohttpd do what is ready, and wakes up again when a connection's patience ends.
    private func turn() {
        MHD_run(self.daemon)
        var milliseconds: CUnsignedLongLong = 0
        guard MHD_get_timeout(self.daemon, &milliseconds) == .YES else {
            self.timer = nil
            return
        }
        let delay = Duration.milliseconds(Int64(min(milliseconds, 60_000)))
        if let timer = self.timer {
            timer.rearm(after: delay)
        } else {
            self.timer = .timer(after: delay) { [weak self] in self?.turn() }
        }
    }

    private static func handle(
        _ slot: HandlerSlot, _ connection: OpaquePointer, _ path: String, _ method: String,
        _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ uploadSize: UnsafeMutablePointer<Int>?
    ) -> MHD_Result {
        guard let server = slot.server, let state else { return .NO }
        // The first call shows the headers only; an answer is due in the next.
        if state.pointee == nil {
            state.pointee = UnsafeMutableRawPointer(slot.marker)
            return .YES
        }
        if let uploadSize, uploadSize.pointee > 0 {
            uploadSize.pointee = 0
            return .YES
        }
        if method == "POST", let act = server.act {
            let user = mhd_peer_user(connection)
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
