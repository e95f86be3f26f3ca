// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc
import NetworkBed

/// A TCP server on loopback whose every connection follows a script: for answers that no real server gives.
@EventLoop
public final class ScriptedServer {
    /// 0 on a Unix socket.
    public let port: Int
    public var url: String { "http://127.0.0.1:\(self.port)" }
    /// First lines of all requests read, in order of arrival.
    public private(set) var requests: [String] = []
    public private(set) var connectionCount = 0
    private let descriptor: Int32
    private var acceptor: EventSource?

    public init(_ script: @escaping @EventLoop (Connection) async throws -> Void) throws {
        (self.descriptor, self.port) = try listenOnLoopback()
        self.acceptor = .descriptor(self.descriptor, .read) { [weak self] _ in self?.accept(script) }
    }

    /// Listens on the Unix socket `path` instead.
    public init(path: String, _ script: @escaping @EventLoop (Connection) async throws -> Void) throws {
        self.descriptor = try listenOnUnixSocket(path)
        self.port = 0
        self.acceptor = .descriptor(self.descriptor, .read) { [weak self] _ in self?.accept(script) }
    }

    /// Answers every request with the bytes that `answer` makes of its first line, and keeps the connection.
    public convenience init(answering answer: @escaping @EventLoop (String) -> [UInt8]) throws {
        try self.init { connection in
            while let request = try await connection.readRequest() { try await connection.write(answer(request)) }
        }
    }

    isolated deinit {
        self.acceptor = nil
        close(self.descriptor)
    }

    private func accept(_ script: @escaping @EventLoop (Connection) async throws -> Void) {
        guard let accepted = TCPSocket.accept(on: self.descriptor) else { return }
        self.connectionCount += 1
        let connection = Connection(accepted) { [weak self] in self?.requests.append($0) }
        EventLoop.spawn {
            do { try await script(connection) } catch {}
            connection.close()
        }
    }

    @EventLoop
    public final class Connection {
        private var descriptor: Int32
        private var buffer: [UInt8] = []
        private let note: (String) -> Void
        /// The body of the last request read.
        public private(set) var body: [UInt8] = []
        /// The header lines of the last request read, first line included.
        public private(set) var head: [String] = []

        init(_ descriptor: Int32, note: @escaping (String) -> Void) {
            self.descriptor = descriptor
            self.note = note
        }

        isolated deinit { self.close() }

        public func close() {
            guard self.descriptor >= 0 else { return }
            Glibc.close(self.descriptor)
            self.descriptor = -1
        }

        /// How many TCP segments with data have arrived so far; nil where that is not known.
        public var segmentsReceived: Int? {
            // The kernel's struct tcp_info; tcpi_data_segs_in, which glibc does not know yet.
            var info = [UInt8](repeating: 0, count: 160)
            var length = socklen_t(info.count)
            guard getsockopt(self.descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0, length >= 156 else {
                return nil
            }
            return info.withUnsafeBytes { Int($0.load(fromByteOffset: 152, as: UInt32.self)) }
        }

        /// Reads a request with its body; answers its first line, or nil at the end of the connection.
        public func readRequest() async throws -> String? {
            while true {
                if let line = self.takeRequest() {
                    self.note(line)
                    return line
                }
                guard let bytes = try await self.read() else { return nil }
                self.buffer += bytes
            }
        }

        private func takeRequest() -> String? {
            let end = Array("\r\n\r\n".utf8)
            guard let range = self.buffer.firstRange(of: end) else { return nil }
            let lines = String(decoding: self.buffer[..<range.lowerBound], as: UTF8.self).split(separator: "\r\n")
            let length = lines.compactMap { line in
                line.lowercased().hasPrefix("content-length:")
                    ? Int(line.split(separator: ":")[1].filter { $0 != " " }) : nil
            }
            let total = range.upperBound + (length.first ?? 0)
            guard self.buffer.count >= total else { return nil }
            self.body = Array(self.buffer[range.upperBound..<total])
            self.head = lines.map(String.init)
            self.buffer.removeSubrange(..<total)
            return self.head.first ?? ""
        }

        /// Whatever has come, as it is; nil at the end of the connection.
        public func read() async throws -> ArraySlice<UInt8>? {
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            while self.descriptor >= 0 {
                let count = recv(self.descriptor, &bytes, bytes.count, 0)
                if count > 0 { return bytes[..<count] }
                guard count < 0, errno == EAGAIN || errno == EINTR else { return nil }
                _ = try await EventLoop.readiness(of: self.descriptor, .read, timeout: .seconds(30))
            }
            return nil
        }

        public func write(_ bytes: [UInt8]) async throws {
            var rest = bytes[...]
            while !rest.isEmpty, self.descriptor >= 0 {
                let count = rest.withUnsafeBytes {
                    send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                if count >= 0 {
                    rest = rest.dropFirst(count)
                } else {
                    guard errno == EAGAIN || errno == EINTR else { throw TestSupportError("send: \(errno)") }
                    _ = try await EventLoop.readiness(of: self.descriptor, .write, timeout: .seconds(30))
                }
            }
        }

        public func write(_ text: String) async throws { try await self.write(Array(text.utf8)) }
    }
}

/// A whole HTTP answer.
public func httpAnswer(_ status: Int = 200, _ body: String) -> [UInt8] {
    Array("HTTP/1.1 \(status) Reason\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
}
