// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// Asks the daemon on its unix socket: one question for each connection, in HTTP/1.0, which ends with the connection. No library:
/// what there is to be read comes from a process of our own on this host.
@EventLoop
struct DaemonSocket {
    let path: String

    /// For a question in all. The daemon answers in one turn of its loop: one that takes longer hangs.
    nonisolated static let patience: Duration = .seconds(1)

    func ask(_ question: DaemonQuestion) async throws(DaemonSilence) -> DaemonAnswer {
        try await self.exchange(
            question.rawValue, Array("GET \(question.rawValue) HTTP/1.0\r\nHost: localhost\r\n\r\n".utf8))
    }

    /// Posts a body. `name`, `role`: for whom; what would end a line is not in them.
    func post(
        _ path: String, _ body: [UInt8], for name: String, _ role: String
    ) async throws(DaemonSilence) -> DaemonAnswer {
        let person = String(name.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 }.map(Character.init))
        let head = [
            "POST \(path) HTTP/1.0", "Host: localhost", "Content-Length: \(body.count)",
            "Content-Type: application/json", "Pharos-For: \(person)", "Pharos-Role: \(role)", "", "",
        ]
        return try await self.exchange(path, Array(head.joined(separator: "\r\n").utf8) + body)
    }

    /// Sends a request, and reads to the end of the connection.
    private func exchange(_ what: String, _ text: [UInt8]) async throws(DaemonSilence) -> DaemonAnswer {
        let descriptor = try self.connect()
        defer { close(descriptor) }
        let deadline = BootClock.microseconds + Int64(Self.patience / .microseconds(1))
        // It fits into the socket's buffer, which is empty.
        guard send(descriptor, text, text.count, Int32(MSG_NOSIGNAL)) == text.count else {
            throw DaemonSilence(reason: "\(self.path): send: \(String(cString: strerror(errno)))")
        }
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count > 0 {
                received += chunk[..<count]
                guard received.count <= DaemonAnswer.limit else {
                    throw DaemonSilence(
                        reason:
                            "\(self.path): the answer to \(what) is longer than \(DaemonAnswer.limit >> 20) MiB"
                    )
                }
            } else if count == 0 {
                break
            } else if errno == EAGAIN {
                try await self.wait(for: descriptor, what, until: deadline)
            } else if errno != EINTR {
                throw DaemonSilence(reason: "\(self.path): recv: \(String(cString: strerror(errno)))")
            }
        }
        guard let answer = DaemonAnswer(received) else {
            throw DaemonSilence(reason: "\(self.path): what came of \(what) is no whole answer")
        }
        return answer
    }

    private func wait(
        for descriptor: Int32, _ what: String, until deadline: Int64
    ) async throws(DaemonSilence) {
        let left = Duration.microseconds(deadline - BootClock.microseconds)
        do throws(WaitError) {
            guard left > .zero else { throw WaitError.timedOut }
            _ = try await EventLoop.readiness(of: descriptor, .read, timeout: left)
        } catch {
            throw DaemonSilence(reason: "\(self.path): no answer to \(what) within 1 s")
        }
    }

    private func connect() throws(DaemonSilence) -> Int32 {
        func silence(_ call: String) -> DaemonSilence {
            DaemonSilence(reason: "\(self.path): \(call): \(String(cString: strerror(errno)))")
        }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { throw silence("socket") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: self.path.utf8.prefix($0.count - 1)) }
        let status = withUnsafeBytes(of: &address) { raw in
            raw.withMemoryRebound(to: sockaddr.self) { Glibc.connect(descriptor, $0.baseAddress, socklen_t(raw.count)) }
        }
        guard status == 0 else {
            let failure = silence("connect")
            close(descriptor)
            throw failure
        }
        return descriptor
    }
}
