// SPDX-License-Identifier: Apache-2.0
import CMicroHTTPD
import EventLoop
import Glibc
import StatusServer

/// What a web server reads of a request, and how its answer is sent.
extension HTTPExchange {
    /// libmicrohttpd's memory for a connection bounds how many there are.
    var query: [WebRequest.Argument] {
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

    func send(_ answer: WebAnswer) -> MHD_Result {
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
        // Of what is sent no more with it, 304 says nothing (RFC 9110, 15.4.5).
        if answer.status != 304 { MHD_add_response_header(response, "Content-Type", answer.contentType) }
        if let tag = answer.tag { MHD_add_response_header(response, "ETag", tag) }
        MHD_add_response_header(response, "Cache-Control", answer.cacheControl)
        // Nobody shall guess another type.
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff")
        for header in answer.headers { MHD_add_response_header(response, header.name, header.value) }
        return self.send(answer.status, response)
    }
}
