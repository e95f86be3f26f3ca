// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Glibc
import NetworkAddress

/// Connects to an address's own port from this node, and lets go without a word: what a client would find there.
///
/// A socket of its own for a moment, on the loop: no pool, no thread, no name is looked up, and nobody else waits for it.
@EventLoop
enum PortTry {
    nonisolated static let timeout: Duration = .seconds(5)

    /// - Parameters:
    ///   - vrf: the VRF that the interface is in: from outside of it the address is not this node's.
    ///   - enter: surrounds whatever depends on the network namespace.
    static func connect(
        to address: AddressID, _ port: UInt16, on interface: String, in vrf: String? = nil,
        enter: @EventLoop (() -> Void) -> Void = { $0() }
    ) async -> PortAnswer {
        guard let target = IPAddress(address) else { return .unknown(reason: "not an address: \(address)") }
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        var descriptor: Int32 = -1
        enter { descriptor = socket(target.isIPv6 ? AF_INET6 : AF_INET, flags, 0) }
        guard descriptor >= 0 else { return self.answer(to: errno) }
        defer { close(descriptor) }
        if let vrf, setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, vrf, socklen_t(vrf.utf8.count)) != 0 {
            return self.answer(to: errno)
        }
        let begun =
            target.isIPv6
            ? self.begin(descriptor, v6(target, port, interface)) : self.begin(descriptor, v4(target, port))
        guard begun == EINPROGRESS else { return self.answer(to: begun) }
        do throws(WaitError) {
            _ = try await EventLoop.readiness(of: descriptor, .write, timeout: self.timeout)
        } catch {
            switch error {
            case .timedOut: return .silent(after: self.timeout)
            case .cancelled: return .unknown(reason: "cancelled")
            }
        }
        var (failure, size) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 else { return self.answer(to: errno) }
        return self.answer(to: failure)
    }

    /// - Parameter failure: an errno; 0: none.
    nonisolated static func answer(to failure: Int32) -> PortAnswer {
        switch failure {
        case 0: .accepted
        case ECONNREFUSED: .refused
        // The kernel gave up before this node did.
        case ETIMEDOUT: .silent(after: self.timeout)
        default: .unknown(reason: String(cString: strerror(failure)))  // Our limits, a filter, no route.
        }
    }

    private static func begin<Address>(_ descriptor: Int32, _ address: Address) -> Int32 {
        let status = withUnsafeBytes(of: address) { raw in
            raw.withMemoryRebound(to: sockaddr.self) {
                Glibc.connect(descriptor, $0.baseAddress, socklen_t(raw.count))
            }
        }
        return status == 0 ? 0 : errno
    }

    private static func v4(_ address: IPAddress, _ port: UInt16) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin_addr) { $0.copyBytes(from: address.bytes) }
        return name
    }

    private static func v6(_ address: IPAddress, _ port: UInt16, _ interface: String) -> sockaddr_in6 {
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
        // A link-local address means nothing without its link.
        if address.category == .linkLocal { name.sin6_scope_id = if_nametoindex(interface) }
        return name
    }
}
