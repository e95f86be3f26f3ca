// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import StatusServer

/// Who is at the other end of a connection, as far as the connection says it.
public struct WebPeer: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// A local user, by number, over a unix socket.
        case user(UInt32)
        /// Over TCP, by address.
        case network(String)
    }

    public let kind: Kind
    public let certificate: ClientCertificate

    public init(_ kind: Kind, _ certificate: ClientCertificate = .absent) {
        (self.kind, self.certificate) = (kind, certificate)
    }

    /// For records.
    public var name: String {
        switch self.kind {
        case .user(let number): "uid \(number)"
        case .network(let address): address
        }
    }
}

/// What a client's certificate is worth.
public enum ClientCertificate: Sendable, Hashable {
    /// None was sent, or none is asked for.
    case absent
    /// Signed by one of the authorities, valid, and made for clients. `until`: seconds since 1970.
    case verified(name: String, until: Int64)
    /// One was sent that proves nothing, and why.
    case refused(String)
}

/// A request whose headers and body have come.
public struct WebRequest: Sendable {
    public struct Argument: Sendable, Hashable {
        public let name: String
        /// Nil where there is no `=`.
        public let value: String?

        public init(_ name: String, _ value: String?) { (self.name, self.value) = (name, value) }
    }

    public let method: String
    /// Without the query, its escapes resolved.
    public let path: String
    /// In the order in which they stand there.
    public let query: [Argument]
    public let peer: WebPeer
    /// The header `Authorization`.
    public let authorization: String?
    /// The header `Accept`.
    public let accept: String?
    /// The header `If-None-Match`.
    public let ifNoneMatch: String?
    /// The header `Content-Type`.
    public let contentType: String?
    /// The headers `Origin`, which browsers send along with what a page of another site makes them ask for, and `Host`.
    public let origin: String?
    public let host: String?
    /// Nil: it was longer than ``bodyLimit``, and was thrown away.
    public let body: [UInt8]?

    /// Bytes of a body.
    public nonisolated static var bodyLimit: Int { StatusServer.bodyLimit }

    public init(
        _ method: String, _ path: String, query: [Argument] = [], peer: WebPeer, authorization: String? = nil,
        accept: String? = nil, ifNoneMatch: String? = nil, contentType: String? = nil, origin: String? = nil,
        host: String? = nil, body: [UInt8]? = []
    ) {
        (self.method, self.path, self.query, self.peer) = (method, path, query, peer)
        (self.authorization, self.accept, self.contentType) = (authorization, accept, contentType)
        (self.ifNoneMatch, self.origin, self.host, self.body) = (ifNoneMatch, origin, host, body)
    }
}

/// Bytes of an answer, made once and sent to many without a copy for each.
@EventLoop
public final class WebBody {
    let bytes: UnsafeMutableRawBufferPointer
    let count: Int

    public init(_ bytes: [UInt8]) {
        self.count = bytes.count
        self.bytes = .allocate(byteCount: max(bytes.count, 1), alignment: 1)
        self.bytes.copyBytes(from: bytes)
    }

    public convenience init(_ text: String) { self.init(Array(text.utf8)) }

    /// For tests and for whoever reads what it sends.
    public var text: String { String(decoding: self.bytes.prefix(self.count), as: UTF8.self) }

    isolated deinit { self.bytes.deallocate() }
}

/// An answer, whole.
public struct WebAnswer: Sendable {
    /// An HTTP status. With 304 the body is not sent; its length is, as with HEAD.
    public var status: UInt32
    public var contentType: String
    public var body: WebBody
    /// Its entity tag, in quotes; nil: it has none.
    public var tag: String?
    /// The header `Cache-Control`. As a rule what is true now need not be so when it is shown again.
    public var cacheControl = "no-store"
    /// Besides the content type and those that every answer has.
    public var headers: [(name: String, value: String)]

    public init(_ status: UInt32, _ contentType: String, _ body: WebBody, headers: [(name: String, value: String)] = [])
    {
        (self.status, self.contentType, self.body, self.headers) = (status, contentType, body, headers)
    }
}

/// What a handler says to a request.
public enum WebReply: Sendable {
    case now(WebAnswer)
    /// The connection waits. What is awaited must end by itself, within the time that a request has.
    case later(@EventLoop @Sendable () async -> WebAnswer)
}
