// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A folder with a datagram socket that somebody else writes to. Gone with its last reference.
public final class Receiver {
    public let directory: TemporaryDirectory
    public let path: String
    public let descriptor: CInt
    /// Linux's number of SOCK_DGRAM: in which C module Swift finds that name depends on the order in which they are built.
    private static let datagram: CInt = 2

    /// `name`: an abstract one if it begins with `@`, a socket's path in the folder if nil.
    public init(abstract name: String? = nil) throws {
        self.directory = try TemporaryDirectory("journal")
        self.path = name ?? self.directory.file("socket")
        self.descriptor = socket(AF_UNIX, Self.datagram | O_CLOEXEC, 0)
        guard self.descriptor >= 0 else { throw TestSupportError("socket: \(errno)") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = name.map { [0] + Array($0.utf8.dropFirst()) } ?? Array(self.path.utf8) + [0]
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(self.descriptor, $0, length) }
        }
        guard bound == 0 else { throw TestSupportError("bind: \(errno)") }
    }

    deinit { close(self.descriptor) }

    /// The datagram that has come; nil if none has. A datagram is there as soon as its sender's call has returned.
    public func receive() -> String? {
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        let count = recv(self.descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Sends datagrams of somebody else's until the queue is full; answers how many went in.
    public func fill(_ text: String) throws -> Int {
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let sender = socket(AF_UNIX, Self.datagram | O_CLOEXEC, 0)
        defer { close(sender) }
        let connected = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(self.descriptor, $0, &length) == 0 && connect(sender, $0, length) == 0
            }
        }
        guard connected else { throw TestSupportError("connect: \(errno)") }
        var count = 0
        while send(sender, text, text.utf8.count, Int32(MSG_DONTWAIT)) >= 0 { count += 1 }
        guard errno == EAGAIN, count > 0 else { throw TestSupportError("send: \(errno)") }
        return count
    }
}
