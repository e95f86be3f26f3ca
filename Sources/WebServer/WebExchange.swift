// SPDX-License-Identifier: Apache-2.0
import CMicroHTTPD
import EventLoop
import Glibc

/// One request and its answer, from the first call about it to the last. libmicrohttpd holds it in between.
@EventLoop
final class WebExchange {
    private enum State {
        /// Headers have come, a body may follow.
        case reading
        /// The connection is suspended.
        case waiting
        case ready(WebAnswer)
        case answered
    }

    let connection: OpaquePointer
    private var state = State.reading
    /// The connection may be gone.
    var isOver = false

    private init(_ connection: OpaquePointer) { self.connection = connection }

    static func handle(
        _ server: WebServer, _ connection: OpaquePointer, _ path: String, _ method: String,
        _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ uploadSize: UnsafeMutablePointer<Int>?
    ) -> MHD_Result {
        guard let known = state.pointee else {
            // The first call shows the headers only; an answer is due in the next.
            state.pointee = Unmanaged.passRetained(WebExchange(connection)).toOpaque()
            return .YES
        }
        let exchange = Unmanaged<WebExchange>.fromOpaque(known).takeUnretainedValue()
        if let uploadSize, uploadSize.pointee > 0 {
            uploadSize.pointee = 0
            return .YES
        }
        return exchange.proceed(server, path, method)
    }

    private func proceed(_ server: WebServer, _ path: String, _ method: String) -> MHD_Result {
        switch self.state {
        case .waiting, .answered: return .YES
        case .ready(let answer): return self.send(answer)
        case .reading: break
        }
        let request = WebRequest(
            method, path, query: self.query, peer: server.peer(of: self.connection),
            authorization: self.header("Authorization"), accept: self.header("Accept"))
        switch server.handler(request) {
        case .now(let answer): return self.send(answer)
        case .later(let answer):
            self.state = .waiting
            server.suspend(self)
            EventLoop.spawn { [weak server] in
                let answer = await answer()
                guard !self.isOver else { return }
                self.state = .ready(answer)
                server?.resume(self)
            }
            return .YES
        }
    }

    /// libmicrohttpd will ask again for the answer.
    func resume() { MHD_resume_connection(self.connection) }

    private func header(_ name: String) -> String? {
        MHD_lookup_connection_value(self.connection, .HEADER_KIND, name).map { String(cString: $0) }
    }

    /// libmicrohttpd's memory for a connection bounds how many there are.
    private var query: [WebRequest.Argument] {
        var arguments: [WebRequest.Argument] = []
        withUnsafeMutablePointer(to: &arguments) { pointer in
            _ = MHD_get_connection_values(
                self.connection, .GET_ARGUMENT_KIND,
                { context, _, name, value in
                    guard let context, let name else { return .YES }
                    context.assumingMemoryBound(to: [WebRequest.Argument].self).pointee.append(
                        WebRequest.Argument(String(cString: name), value.map { String(cString: $0) }))
                    return .YES
                }, pointer)
        }
        return arguments
    }

    private func send(_ answer: WebAnswer) -> MHD_Result {
        let body = answer.body
        let held = Unmanaged.passRetained(body).toOpaque()
        guard
            let response = MHD_create_response_from_buffer_with_free_callback_cls(
                body.count, body.bytes.baseAddress,
                { held in
                    guard let held else { return }
                    EventLoop.assumeIsolated { Unmanaged<WebBody>.fromOpaque(held).release() }
                }, held)
        else {
            Unmanaged<WebBody>.fromOpaque(held).release()
            return .NO
        }
        MHD_add_response_header(response, "Content-Type", answer.contentType)
        // What is true now need not be so when it is shown again; and nobody shall guess another type.
        MHD_add_response_header(response, "Cache-Control", "no-store")
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff")
        for header in answer.headers { MHD_add_response_header(response, header.name, header.value) }
        let result = MHD_queue_response(self.connection, answer.status, response)
        MHD_destroy_response(response)
        self.state = .answered
        return result
    }
}
