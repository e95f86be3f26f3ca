// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// Why a question has no answer.
public struct LookupFailure: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// One name server, asked by UDP, and by TCP where an answer does not fit. Nothing waits but the task that asks.
@EventLoop
struct NameServer {
    let address: String
    let port: UInt16

    /// Of a datagram: what is asked for without EDNS has 512 bytes at most.
    private nonisolated static let datagramSize = 4096
    /// Datagrams that are no answer to the question, and are passed over: another's, or forged.
    private nonisolated static let strayLimit = 64

    func ask(_ question: ServiceQuestion, within limit: Duration) async throws(LookupFailure) -> ServiceQuestion.Answer
    {
        let deadline = BootClock.microseconds + Int64(limit / .microseconds(1))
        let answer = try await self.askByDatagram(question, deadline)
        guard answer == .truncated else { return answer }
        let whole = try await self.askByStream(question, deadline)
        guard whole != .truncated else { throw self.failure("it gives no whole answer") }
        return whole
    }

    private func failure(_ text: String) -> LookupFailure { LookupFailure("name server \(self.address): \(text)") }
    private var lastError: LookupFailure { self.failure(String(cString: strerror(errno))) }

    // MARK: - UDP

    private func askByDatagram(
        _ question: ServiceQuestion, _ deadline: Int64
    ) async throws(LookupFailure) -> ServiceQuestion.Answer {
        let socket = try self.connect(SOCK_DGRAM)
        defer { close(socket) }
        let bytes = question.bytes
        guard send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { throw self.lastError }
        var buffer = [UInt8](repeating: 0, count: Self.datagramSize)
        for _ in 0..<Self.strayLimit {
            try await self.wait(for: socket, .read, deadline)
            let count = recv(socket, &buffer, buffer.count, 0)
            if count < 0 {
                if errno == EAGAIN || errno == EINTR { continue }
                throw self.lastError
            }
            // Whoever knows the question's number and the socket's port may answer: as with the C library.
            do throws(MalformedMessage) { return try question.answer(in: Array(buffer.prefix(count))) } catch {
                continue
            }
        }
        throw self.failure("nothing that it sends answers the question")
    }

    // MARK: - TCP

    private func askByStream(
        _ question: ServiceQuestion, _ deadline: Int64
    ) async throws(LookupFailure) -> ServiceQuestion.Answer {
        let socket = try self.connect(SOCK_STREAM)
        defer { close(socket) }
        try await self.wait(for: socket, .write, deadline)
        var (problem, size) = (CInt(0), socklen_t(MemoryLayout<CInt>.size))
        getsockopt(socket, SOL_SOCKET, SO_ERROR, &problem, &size)
        guard problem == 0 else { throw self.failure(String(cString: strerror(problem))) }
        let bytes = question.bytes
        let message = [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
        // A new connection's buffer takes more than a question.
        guard send(socket, message, message.count, Int32(MSG_NOSIGNAL)) == message.count else {
            throw self.lastError
        }
        let head = try await self.read(2, from: socket, deadline)
        let answer = try await self.read(Int(head[0]) << 8 | Int(head[1]), from: socket, deadline)
        do throws(MalformedMessage) {
            return try question.answer(in: answer)
        } catch {
            throw self.failure(error.message)
        }
    }

    private func read(_ count: Int, from socket: CInt, _ deadline: Int64) async throws(LookupFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: Self.datagramSize)
        while bytes.count < count {
            try await self.wait(for: socket, .read, deadline)
            let read = recv(socket, &buffer, min(buffer.count, count - bytes.count), 0)
            if read < 0, errno == EAGAIN || errno == EINTR { continue }
            guard read > 0 else { throw read == 0 ? self.failure("it ended the connection") : self.lastError }
            bytes += buffer.prefix(read)
        }
        return bytes
    }

    // MARK: - Both

    private func wait(
        for socket: CInt, _ readiness: EventSource.Readiness, _ deadline: Int64
    ) async throws(LookupFailure) {
        let left = deadline - BootClock.microseconds
        guard left > 0 else { throw self.failure("no answer in time") }
        do throws(WaitError) {
            _ = try await EventLoop.readiness(of: socket, readiness, timeout: .microseconds(left))
        } catch {
            throw self.failure("no answer in time")
        }
    }

    /// A socket that is connected, or is being: the kernel passes on what comes from there, and nothing else.
    private func connect(_ kind: __socket_type) throws(LookupFailure) -> CInt {
        let parts = self.address.split(separator: "%", maxSplits: 1).map(String.init)
        var (four, six) = (sockaddr_in(), sockaddr_in6())
        (four.sin_family, four.sin_port) = (sa_family_t(AF_INET), self.port.bigEndian)
        (six.sin6_family, six.sin6_port) = (sa_family_t(AF_INET6), self.port.bigEndian)
        let isFour = inet_pton(AF_INET, self.address, &four.sin_addr) == 1
        guard isFour || inet_pton(AF_INET6, parts.first ?? "", &six.sin6_addr) == 1 else {
            throw self.failure("no address")
        }
        // The zone of a link-local address.
        if parts.count > 1 { six.sin6_scope_id = UInt32(parts[1]) ?? if_nametoindex(parts[1]) }
        let flags = CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let socket = Glibc.socket(isFour ? AF_INET : AF_INET6, CInt(kind.rawValue) | flags, 0)
        guard socket >= 0 else { throw self.lastError }
        let status = isFour ? Self.connect(socket, &four) : Self.connect(socket, &six)
        guard status == 0 || errno == EINPROGRESS else {
            let failure = self.lastError
            close(socket)
            throw failure
        }
        return socket
    }

    private static func connect<Address>(_ socket: CInt, _ address: inout Address) -> CInt {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }
}
