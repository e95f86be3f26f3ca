// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc

/// A route netlink socket that hears of the interfaces and addresses of the network namespace in which it was opened.
///
/// It asks the kernel for nothing: a dump in this process would wait for the kernel's lock on the network configuration,
/// which somebody may hold for long, and the loop with it. Needs no rights.
@EventLoop
final class RouteSocket {
    /// An errno, and the call that gave it.
    struct Failure: Error, CustomStringConvertible {
        let number: Int32
        let call: String
        var description: String { "\(self.call): \(String(cString: strerror(self.number)))" }
    }

    /// What one look into the queue found.
    enum Received {
        case datagram(ArraySlice<UInt8>)
        /// Not the kernel's: from another process with CAP_NET_ADMIN.
        case foreign
        /// A datagram of so many bytes, of which only the first could be read.
        case truncated(Int)
        /// The queue was full, and the kernel has dropped what came then.
        case dropped
        case nothing
        case failed(Failure)
    }

    let descriptor: Int32
    private var buffer: [UInt8]

    /// - Parameters:
    ///   - receiveBuffer: bytes that the queue may take; without CAP_NET_ADMIN at most `net.core.rmem_max`, doubled.
    ///   - datagramLimit: bytes of one datagram; a link with all its properties has 2 KiB.
    init(receiveBuffer: Int32, datagramLimit: Int = AddressMonitor.messageLimit) throws(Failure) {
        self.buffer = [UInt8](repeating: 0, count: datagramLimit)
        let flags = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        self.descriptor = socket(AF_NETLINK, flags, NETLINK_ROUTE)
        if self.descriptor < 0 { throw Failure(number: errno, call: "socket") }
        var size = receiveBuffer
        // Before it is bound, so that nothing is dropped for want of it. With CAP_NET_ADMIN any size is allowed; else what
        // `net.core.rmem_max` allows must do.
        let length = socklen_t(MemoryLayout.size(ofValue: size))
        if setsockopt(self.descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, length) != 0 {
            setsockopt(self.descriptor, SOL_SOCKET, SO_RCVBUF, &size, length)
        }
        var address = sockaddr_nl()
        address.nl_family = UInt16(AF_NETLINK)
        address.nl_groups = UInt32(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)
        let bound = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        if bound != 0 { throw Failure(number: errno, call: "bind") }
    }

    isolated deinit { if self.descriptor >= 0 { close(self.descriptor) } }

    /// The next datagram that waits.
    func receive() -> Received {
        var sender = sockaddr_nl()
        var size = socklen_t(MemoryLayout<sockaddr_nl>.size)
        // With MSG_TRUNC the answer is the datagram's own length.
        let count = withUnsafeMutablePointer(to: &sender) { sender in
            sender.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(
                    self.descriptor, &self.buffer, self.buffer.count, Int32(MSG_TRUNC | MSG_DONTWAIT),
                    $0, &size)
            }
        }
        guard count >= 0 else {
            switch errno {
            case EAGAIN, EINTR: return .nothing
            case ENOBUFS: return .dropped
            default: return .failed(Failure(number: errno, call: "recvfrom"))  // The kernel's list of errors is open.
            }
        }
        // The sender's port, not the one in the message, which names whoever caused the change.
        guard size == socklen_t(MemoryLayout<sockaddr_nl>.size), sender.nl_pid == 0 else { return .foreign }
        return count <= self.buffer.count ? .datagram(self.buffer[..<count]) : .truncated(count)
    }

    /// The kernel's present name of the interface of this number; nil: there is none. Takes no lock that others hold for long.
    func interfaceName(_ index: Int32) -> String? {
        // struct ifreq: 16 bytes for the name, then the number.
        var request = [UInt8](repeating: 0, count: 40)
        withUnsafeBytes(of: index) { request.replaceSubrange(16..<20, with: $0) }
        guard ioctl(self.descriptor, UInt(SIOCGIFNAME), &request) == 0 else { return nil }
        return String(decoding: request.prefix(16).prefix { $0 != 0 }, as: UTF8.self)
    }
}
