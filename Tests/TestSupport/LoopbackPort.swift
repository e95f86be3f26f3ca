// SPDX-License-Identifier: Apache-2.0
import Glibc
import NetworkBed

/// A test's own surroundings could not be made.
public struct TestSupportError: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Linux's number of SOCK_STREAM: in which C module Swift finds that name depends on the order in which they are built.
let streamSocket: Int32 = 1

/// A TCP socket that listens on 127.0.0.1, on a port that the kernel chose.
func listenOnLoopback() throws -> (descriptor: Int32, port: Int) {
    let descriptor = try TCPSocket.listen("127.0.0.1", 0)
    return (descriptor, Int(TCPSocket.port(of: descriptor)))
}

/// A socket that listens on `path`.
func listenOnUnixSocket(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, streamSocket | O_NONBLOCK | O_CLOEXEC, 0)
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
