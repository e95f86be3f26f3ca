// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A connection to the Unix socket `path`, non-blocking.
public func connectRaw(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, streamSocket | O_NONBLOCK | O_CLOEXEC, 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    let status = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    // A full queue of the listener's is what this is for.
    guard status == 0 || errno == EAGAIN else {
        close(descriptor)
        throw TestSupportError("\(path): \(errno)")
    }
    return descriptor
}

/// Sends `text` to the Unix socket `path`, waits for nothing, and closes.
public func sendRaw(_ text: String, to path: String) throws {
    let descriptor = try connectRaw(path)
    _ = send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL))
    close(descriptor)
}

public func closeRaw(_ descriptor: Int32) { close(descriptor) }

/// A port of 127.0.0.1 at which the kernel takes connections, and nobody says anything; until ``closeRaw(_:)``.
public func silentPort() throws -> (descriptor: Int32, port: Int) { try listenOnLoopback() }
