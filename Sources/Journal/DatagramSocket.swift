// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A unix datagram socket to send from, without ever waiting.
///
/// libsystemd's own `sd_journal_sendv` and `sd_notify` wait for as long as the receiver's queue (10 datagrams) is full:
/// a journald that hangs would hang its clients. Both protocols are documented as stable for others to speak.
final class DatagramSocket: Sendable {
    private let descriptor: CInt

    /// Nil when the process has no descriptor left.
    init?() {
        self.descriptor = socket(
            AF_UNIX,
            Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue),
            0
        )
        if self.descriptor < 0 { return nil }
    }

    deinit { close(self.descriptor) }

    /// Sends one datagram to a path, or to an abstract name that begins with `@`. Answers 0 or the error number: `EAGAIN`
    /// when the receiver does not keep up, `ENOENT` or `ECONNREFUSED` when there is none.
    func send(_ bytes: [UInt8], to name: String) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let isAbstract = name.hasPrefix("@")
        let path = isAbstract ? [0] + Array(name.utf8.dropFirst()) : Array(name.utf8)
        // A path needs its NUL; an abstract name ends where the length says.
        guard !path.isEmpty, path.count < MemoryLayout.size(ofValue: address.sun_path) else { return ENAMETOOLONG }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        let length = socklen_t(offset + path.count + (isAbstract ? 0 : 1))
        while true {
            let sent = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    let flags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
                    return sendto(self.descriptor, bytes, bytes.count, flags, address, length)
                }
            }
            if sent >= 0 { return 0 }
            if errno != EINTR { return errno }
        }
    }
}
