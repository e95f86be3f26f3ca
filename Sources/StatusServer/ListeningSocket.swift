// SPDX-License-Identifier: Apache-2.0
import CLinux
import CMicroHTTPD
import Glibc

/// Why the status API cannot be served.
public struct StatusServerError: Error, CustomStringConvertible, Sendable {
    /// Where, which call, and what the system said.
    package let reason: String
    public var description: String { "cannot serve the status at \(self.reason)" }

    init(_ place: String, _ call: String) {
        self.reason = "\(place): \(call): \(String(cString: strerror(errno)))"
    }
}

/// Where the status API listens.
public enum StatusEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// A unix socket, readable by every local user: what it tells is no secret.
    case unix(path: String)
    /// A numeric address, IPv4 or IPv6 without brackets, and a port.
    case tcp(address: String, port: UInt16)

    public var description: String {
        switch self {
        case .unix(let path): path
        case .tcp(let address, let port): address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
        }
    }

    /// A socket that listens there.
    package func open() throws(StatusServerError) -> Int32 {
        switch self {
        case .unix(let path): try self.openUnix(path)
        case .tcp(let address, let port): try self.openTCP(address, port)
        }
    }

    private func openUnix(_ path: String) throws(StatusServerError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            errno = ENAMETOOLONG
            throw StatusServerError(path, "bind")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        // What a killed process left behind.
        unlink(path)
        let descriptor = try self.socket(AF_UNIX)
        let bound = withUnsafeBytes(of: &address) { raw in
            raw.withMemoryRebound(to: sockaddr.self) { bind(descriptor, $0.baseAddress, socklen_t(raw.count)) }
        }
        guard bound == 0, chmod(path, 0o666) == 0 else { throw self.failure(descriptor, "bind") }
        return try self.listen(on: descriptor)
    }

    private func openTCP(_ text: String, _ port: UInt16) throws(StatusServerError) -> Int32 {
        var v4 = sockaddr_in()
        v4.sin_family = sa_family_t(AF_INET)
        v4.sin_port = port.bigEndian
        if inet_pton(AF_INET, text, &v4.sin_addr) == 1 { return try self.openTCP(AF_INET, &v4) }
        var v6 = sockaddr_in6()
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = port.bigEndian
        guard inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 else {
            errno = EINVAL
            throw StatusServerError(self.description, "inet_pton")
        }
        return try self.openTCP(AF_INET6, &v6)
    }

    private func openTCP<Address>(_ family: Int32, _ address: inout Address) throws(StatusServerError) -> Int32 {
        let descriptor = try self.socket(family)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let bound = withUnsafeBytes(of: &address) { raw in
            raw.withMemoryRebound(to: sockaddr.self) { bind(descriptor, $0.baseAddress, socklen_t(raw.count)) }
        }
        guard bound == 0 else { throw self.failure(descriptor, "bind") }
        return try self.listen(on: descriptor)
    }

    private func socket(_ family: Int32) throws(StatusServerError) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(family, kind, 0)
        guard descriptor >= 0 else { throw StatusServerError(self.description, "socket") }
        return descriptor
    }

    private func listen(on descriptor: Int32) throws(StatusServerError) -> Int32 {
        // More than may be connected: who comes in a crowd waits for a turn or two of the loop.
        guard Glibc.listen(descriptor, 128) == 0 else { throw self.failure(descriptor, "listen") }
        return descriptor
    }

    private func failure(_ descriptor: Int32, _ call: String) -> StatusServerError {
        let failure = StatusServerError(self.description, call)
        close(descriptor)
        return failure
    }
}
