// SPDX-License-Identifier: Apache-2.0
import Glibc

/// TCP sockets over IPv4 that never block, in the network namespace of the calling thread.
public enum TCPSocket {
    /// Linux's number of SOCK_STREAM: in which C module Swift finds that name depends on the order in which they are built.
    private static let stream: Int32 = 1

    /// A socket that listens on `address` and `port`; port 0: one that the kernel chooses, see ``port(of:)``.
    public static func listen(_ address: String, _ port: UInt16) throws(BedError) -> Int32 {
        let descriptor = socket(AF_INET, self.stream | O_NONBLOCK | O_CLOEXEC, 0)
        var isOn: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
        let bound = self.with(self.name(address, port)) { bind(descriptor, $0, $1) }
        guard bound == 0, Glibc.listen(descriptor, 256) == 0 else {
            let failure = Files.failure("cannot listen on \(address):\(port)")
            if descriptor >= 0 { close(descriptor) }
            throw failure
        }
        return descriptor
    }

    /// The port that a socket listens on; 0 where that cannot be told.
    public static func port(of descriptor: Int32) -> UInt16 {
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return status == 0 ? UInt16(bigEndian: name.sin_port) : 0
    }

    /// The next connection that a listening socket has, also one of another family; nil: none.
    public static func accept(on descriptor: Int32) -> Int32? {
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { return nil }
        _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        return accepted
    }

    /// A connection that has begun to be made; nil: there is no descriptor left.
    public static func connect(_ address: String, _ port: UInt16) -> Int32? {
        let descriptor = socket(AF_INET, self.stream | O_NONBLOCK | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        _ = self.with(self.name(address, port)) { Glibc.connect(descriptor, $0, $1) }
        return descriptor
    }

    private static func name(_ address: String, _ port: UInt16) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &name.sin_addr)
        return name
    }

    private static func with(_ name: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        withUnsafePointer(to: name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
