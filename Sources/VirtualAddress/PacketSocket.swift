// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import KernelPlaces

/// What a packet socket carries.
enum EtherType: UInt16 {
    case arp = 0x0806
    case ipv6 = 0x86dd
}

/// A packet socket (packet(7)): the kernel puts the Ethernet header before what is sent and takes it off what is
/// received.
///
/// Needs CAP_NET_RAW. Receives nothing until ``listen(to:on:filter:)``.
@EventLoop
final class PacketSocket {
    /// An errno, and the call that gave it.
    struct Failure: Error, Hashable {
        let number: Int32
        let call: String
    }

    /// A received packet, without its Ethernet header, and the station that sent it.
    struct Packet {
        let bytes: ArraySlice<UInt8>
        let source: LinkAddress?
    }

    let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 2048)

    init() throws(Failure) {
        // SOCK_DGRAM without the header; protocol 0 receives nothing.
        self.descriptor = socket(AF_PACKET, Int32(SOCK_DGRAM.rawValue) | Self.flags, 0)
        if self.descriptor < 0 { throw Failure(number: errno, call: "socket") }
    }

    isolated deinit {
        guard self.descriptor >= 0 else { return }
        // Until it is closed it must not collect what nobody reads.
        do throws(Failure) { try self.filter(PacketFilter.nothing) } catch { return _ = close(self.descriptor) }
        ClosingQueue.add(self.descriptor)
    }

    private static let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)

    func send(_ bytes: [UInt8], _ type: EtherType, to destination: LinkAddress, on index: Int32) throws(Failure) {
        var address = Self.address(type, on: index)
        address.sll_halen = 6
        withUnsafeMutableBytes(of: &address.sll_addr) { $0.copyBytes(from: destination.bytes) }
        let sent = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(self.descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_ll>.size))
            }
        }
        if sent != bytes.count { throw Failure(number: sent < 0 ? errno : EMSGSIZE, call: "sendto") }
    }

    /// Receives from now on what comes in on the interface and passes the filter, which sees no Ethernet header.
    func listen(to type: EtherType, on index: Int32, filter: [sock_filter]) throws(Failure) {
        // Filtered before it is bound: nothing unfiltered is ever queued.
        try self.filter(filter)
        var address = Self.address(type, on: index)
        let bound = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_ll>.size))
            }
        }
        guard bound == 0 else { throw Failure(number: errno, call: "bind") }
    }

    private func filter(_ filter: [sock_filter]) throws(Failure) {
        var filter = filter
        let count = UInt16(filter.count)
        let attached = filter.withUnsafeMutableBufferPointer { instructions in
            var program = sock_fprog(len: count, filter: instructions.baseAddress)
            let size = socklen_t(MemoryLayout<sock_fprog>.size)
            return setsockopt(self.descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, size)
        }
        guard attached == 0 else { throw Failure(number: errno, call: "setsockopt") }
    }

    /// The next packet that waits, cut to 2048 bytes; nil when none does, or the interface is down.
    func receive() -> Packet? {
        var source = sockaddr_ll()
        var size = socklen_t(MemoryLayout<sockaddr_ll>.size)
        let count = withUnsafeMutablePointer(to: &source) { source in
            source.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(self.descriptor, &self.buffer, self.buffer.count, 0, $0, &size)
            }
        }
        guard count >= 0 else { return nil }
        let bytes = withUnsafeBytes(of: source.sll_addr) { Array($0.prefix(6)) }
        return Packet(
            bytes: self.buffer[..<count],
            source: source.sll_halen == 6 ? LinkAddress(bytes: bytes) : nil
        )
    }

    private static func address(_ type: EtherType, on index: Int32) -> sockaddr_ll {
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        address.sll_protocol = type.rawValue.bigEndian
        address.sll_ifindex = index
        return address
    }
}
