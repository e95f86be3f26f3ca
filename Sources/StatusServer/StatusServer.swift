// SPDX-License-Identifier: Apache-2.0
package import CMicroHTTPD
public import EventLoop
import Glibc

/// A small HTTP API on the event loop, by libmicrohttpd: see ``HTTPDriver``.
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

    /// A POST over the Unix socket, whole.
    public struct Post: Sendable {
        public let path: String
        /// At most ``bodyLimit`` bytes.
        public let body: [UInt8]
        /// The user at the other end, by number; nil: the kernel does not say.
        public let user: UInt32?
        /// The header `Pharos-For`: for whom the user asks.
        public let onBehalf: String?
        /// The header `Pharos-Role`: what whoever is asked for may do.
        public let role: String?

        public init(
            _ path: String, body: [UInt8] = [], user: UInt32?, onBehalf: String? = nil, role: String? = nil
        ) {
            (self.path, self.body, self.user) = (path, body, user)
            (self.onBehalf, self.role) = (onBehalf, role)
        }
    }

    /// Bytes of the body of a POST.
    public nonisolated static var bodyLimit: Int { HTTPExchange.bodyLimit }

    private let answer: @EventLoop (_ path: String) -> Answer
    /// Nil where nothing may be changed.
    private let act: (@EventLoop (Post) -> Answer)?
    private let driver: HTTPDriver

    /// - Parameters:
    ///   - answer: is called with the path of each GET.
    ///   - act: is called with each POST, on a Unix socket only. Everybody may connect: who may do what is for it to say.
    public init(
        _ endpoint: StatusEndpoint, answer: @escaping @EventLoop (_ path: String) -> Answer,
        act: (@EventLoop (Post) -> Answer)? = nil
    ) throws(StatusServerError) {
        self.answer = answer
        let isLocal = if case .unix = endpoint { true } else { false }
        self.act = isLocal ? act : nil
        guard let driver = HTTPDriver(try endpoint.open(), isLocal: isLocal, start: mhd_start) else {
            throw StatusServerError(endpoint.description, "MHD_start_daemon")
        }
        self.driver = driver
        driver.responder = self
    }
}

extension StatusServer: HTTPResponder {
    package func respond(to exchange: HTTPExchange, _ method: String, _ path: String) -> MHD_Result {
        if method == "POST", let act = self.act {
            guard let body = exchange.body else {
                let text = #"{"error": "too_long", "message": "a body has 4,096 bytes at most", "hint": null}"#
                return self.send(Answer(status: 413, body: text + "\n"), on: exchange)
            }
            let post = Post(
                path, body: body, user: UInt32(exactly: mhd_user(mhd_descriptor(exchange.connection))),
                onBehalf: exchange.header("Pharos-For"), role: exchange.header("Pharos-Role"))
            return self.send(act(post), on: exchange)
        }
        guard method == "GET" else {
            return self.send(Answer(status: 405, body: #"{"error": "only GET is answered"}"# + "\n"), on: exchange)
        }
        return self.send(self.answer(path), on: exchange)
    }

    private func send(_ answer: Answer, on exchange: HTTPExchange) -> MHD_Result {
        var body = Array(answer.body.utf8)
        let response = MHD_create_response_from_buffer(body.count, &body, .RESPMEM_MUST_COPY)
        if let response { MHD_add_response_header(response, "Content-Type", answer.contentType) }
        return exchange.send(answer.status, response)
    }
}
