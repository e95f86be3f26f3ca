// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A test's own surroundings could not be made.
public struct TestSupportError: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A TCP socket that listens on 127.0.0.1, on a port that the kernel chose.
func listenOnLoopback() throws -> (descriptor: Int32, port: Int) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK | O_CLOEXEC, 0)
    guard descriptor >= 0 else { throw TestSupportError("socket: \(errno)") }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            bind(descriptor, address, length) == 0 && listen(descriptor, 64) == 0
                && getsockname(descriptor, address, &length) == 0
        }
    }
    guard status else {
        close(descriptor)
        throw TestSupportError("bind: \(errno)")
    }
    return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
}

/// A socket that listens on `path`.
func listenOnUnixSocket(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK | O_CLOEXEC, 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    let status = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            bind(descriptor, address, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 && listen(descriptor, 64) == 0
        }
    }
    guard status else {
        close(descriptor)
        throw TestSupportError("\(path): \(errno)")
    }
    return descriptor
}

/// Ports of 127.0.0.1 that were free a moment ago.
public func freePorts(_ count: Int) throws -> [Int] {
    var sockets: [(descriptor: Int32, port: Int)] = []
    defer { for socket in sockets { close(socket.descriptor) } }
    for _ in 0..<count { sockets.append(try listenOnLoopback()) }
    return sockets.map(\.port)
}
