// SPDX-License-Identifier: Apache-2.0
package import CMicroHTTPD
package import EventLoop
import Glibc

/// One request and its answer, from libmicrohttpd's first call about it to the last. libmicrohttpd holds it in between.
@EventLoop
package final class HTTPExchange {
    private enum State {
        /// Headers have come, a body may follow.
        case reading
        /// The connection is suspended.
        case waiting
        /// It goes on, and libmicrohttpd asks for what this sends.
        case ready(@EventLoop (HTTPExchange) -> MHD_Result)
        case answered
        /// The connection may be gone.
        case over
    }

    /// Bytes of a request's body.
    package nonisolated static let bodyLimit = 4096

    package let connection: OpaquePointer
    /// What has come of the body; nil: it is longer than ``bodyLimit``, and was thrown away.
    package private(set) var body: [UInt8]? = []
    private weak var driver: HTTPDriver?
    private var state = State.reading

    private init(_ connection: OpaquePointer, _ driver: HTTPDriver) {
        (self.connection, self.driver) = (connection, driver)
    }

    /// The exchange of a request that libmicrohttpd has called about before. Nil at the first call, which shows the headers only: an
    /// answer is due in the next.
    static func known(
        by state: UnsafeMutablePointer<UnsafeMutableRawPointer?>, or connection: OpaquePointer, _ driver: HTTPDriver
    ) -> HTTPExchange? {
        if let known = state.pointee { return Unmanaged<HTTPExchange>.fromOpaque(known).takeUnretainedValue() }
        state.pointee = Unmanaged.passRetained(HTTPExchange(connection, driver)).toOpaque()
        return nil
    }

    /// libmicrohttpd's last call.
    static func end(_ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>) {
        guard let exchange = state.pointee else { return }
        state.pointee = nil
        Unmanaged<HTTPExchange>.fromOpaque(exchange).takeRetainedValue().state = .over
    }

    func proceed(
        _ responder: any HTTPResponder, _ method: String, _ path: String, _ upload: UnsafePointer<CChar>?,
        _ uploadSize: UnsafeMutablePointer<Int>?
    ) -> MHD_Result {
        if let uploadSize, uploadSize.pointee > 0 {
            self.take(upload, uploadSize.pointee)
            uploadSize.pointee = 0
            return .YES
        }
        switch self.state {
        case .waiting, .answered, .over: return .YES
        case .ready(let send): return send(self)
        case .reading: return responder.respond(to: self, method, path)
        }
    }

    private func take(_ upload: UnsafePointer<CChar>?, _ count: Int) {
        guard let upload, let body = self.body, body.count + count <= Self.bodyLimit else {
            self.body = nil
            return
        }
        self.body = body + UnsafeRawBufferPointer(start: upload, count: count)
    }

    package func header(_ name: String) -> String? {
        MHD_lookup_connection_value(self.connection, .HEADER_KIND, name).map { String(cString: $0) }
    }

    /// Sends a response of libmicrohttpd's, which is given away; ends the connection where there is none.
    package func send(_ status: UInt32, _ response: OpaquePointer?) -> MHD_Result {
        guard let response else { return .NO }
        let result = MHD_queue_response(self.connection, status, response)
        MHD_destroy_response(response)
        self.state = .answered
        return result
    }

    /// Suspends the connection until `answer` has come, whose outcome then sends. For servers of `mhd_start_web()` only.
    ///
    /// What is awaited must end by itself, within the time that a request has.
    package func wait(
        for answer: @escaping @EventLoop () async -> (@EventLoop (HTTPExchange) -> MHD_Result)
    ) -> MHD_Result {
        guard let driver = self.driver else { return .NO }
        self.state = .waiting
        driver.suspend(self)
        EventLoop.spawn {
            let send = await answer()
            guard case .waiting = self.state else { return }
            self.state = .ready(send)
            self.driver?.resume(self)
        }
        return .YES
    }
}
