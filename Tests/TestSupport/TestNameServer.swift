// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc
import NetworkBed

/// A name server on 127.0.0.1, by UDP and TCP on one port: for answers that no real one gives.
@EventLoop
public final class TestNameServer {
    public let port: UInt16
    /// The names that were asked for, in order; those by TCP with `tcp:` in front.
    public private(set) var questions: [String] = []
    private let stream: Int32
    private let datagram: Int32
    private var sources: [EventSource] = []
    private let answer: @EventLoop (_ question: [UInt8], _ name: String, _ isStream: Bool) -> [[UInt8]]

    /// `answer`: the messages to send to a question; none: silence.
    public init(
        answer: @escaping @EventLoop (_ question: [UInt8], _ name: String, _ isStream: Bool) -> [[UInt8]]
    ) throws {
        let port: Int
        (self.stream, port) = try listenOnLoopback()
        self.port = UInt16(port)
        self.answer = answer
        self.datagram = socket(AF_INET, CInt(SOCK_DGRAM.rawValue) | O_NONBLOCK | O_CLOEXEC, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = self.port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(self.datagram, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw TestSupportError("UDP port \(port): \(errno)") }
        self.sources = [
            .descriptor(self.datagram, .read) { [weak self] _ in self?.answerDatagram() },
            .descriptor(self.stream, .read) { [weak self] _ in self?.accept() },
        ]
    }

    isolated deinit {
        self.sources = []
        close(self.stream)
        close(self.datagram)
    }

    /// Answers with SRV records, by name; other names do not exist. A record: priority, port, target.
    public convenience init(_ records: [String: [(priority: UInt16, port: UInt16, target: String)]]) throws {
        try self.init { question, name, _ in
            guard let list = records[name] else { return [Self.message(question, flags: 0x8183)] }
            return [Self.message(question, flags: 0x8180, list.map { Self.service($0.priority, $0.port, $0.target) })]
        }
    }

    public nonisolated static func name(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    /// A record of the name that is asked for, to which a pointer leads.
    public nonisolated static func service(_ priority: UInt16, _ port: UInt16, _ target: String) -> [UInt8] {
        let data = [priority, 0, port].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } + self.name(target)
        return [0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 60, UInt8(data.count >> 8), UInt8(data.count & 0xFF)] + data
    }

    /// An answer to `question` with its number.
    public nonisolated static func message(_ question: [UInt8], flags: UInt16, _ records: [[UInt8]] = []) -> [UInt8] {
        let counts: [UInt8] = [0, 1, UInt8(records.count >> 8), UInt8(records.count & 0xFF), 0, 0, 0, 0]
        let head = question.prefix(2) + [UInt8(flags >> 8), UInt8(flags & 0xFF)] + counts
        return head + question.dropFirst(12) + records.flatMap(\.self)
    }

    private func respond(to question: [UInt8], isStream: Bool) -> [[UInt8]] {
        var (labels, place): ([String], Int) = ([], 12)
        while place < question.count, question[place] > 0, place + 1 + Int(question[place]) <= question.count {
            let end = place + 1 + Int(question[place])
            labels.append(String(decoding: question[(place + 1)..<end], as: UTF8.self))
            place = end
        }
        let name = labels.joined(separator: ".")
        self.questions.append((isStream ? "tcp:" : "") + name)
        return self.answer(question, name, isStream)
    }

    private func answerDatagram() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        var (peer, size) = (sockaddr_in(), socklen_t(MemoryLayout<sockaddr_in>.size))
        let count = withUnsafeMutablePointer(to: &peer) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(self.datagram, &buffer, buffer.count, 0, $0, &size)
            }
        }
        guard count > 0 else { return }
        for message in self.respond(to: Array(buffer.prefix(count)), isStream: false) {
            _ = withUnsafePointer(to: &peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(self.datagram, message, message.count, 0, $0, size)
                }
            }
        }
    }

    private func accept() {
        let connection = Glibc.accept(self.stream, nil, nil)
        guard connection >= 0 else { return }
        EventLoop.spawn {
            defer { close(connection) }
            var buffer = [UInt8](repeating: 0, count: 4096)
            do { _ = try await EventLoop.readiness(of: connection, .read, timeout: .seconds(10)) } catch { return }
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 2 else { return }
            for message in self.respond(to: Array(buffer[2..<count]), isStream: true) {
                let bytes = [UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message
                _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            }
        }
    }
}
