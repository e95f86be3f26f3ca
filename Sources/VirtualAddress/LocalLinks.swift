// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import NetworkAddress

/// The interfaces of this host as sockets need them, and the addresses on them: read anew for each announcement, for any
/// of it may have changed.
struct LocalLinks {
    struct Link: Hashable {
        let index: Int32
        /// Nil where it is no Ethernet interface.
        let address: LinkAddress?
    }

    private(set) var links: [String: Link] = [:]
    /// What stands on each interface.
    private var addresses: [String: Set<IPAddress>] = [:]

    /// Whether the kernel has the address on this very interface.
    func holds(_ address: IPAddress, on interface: String) -> Bool {
        self.addresses[interface]?.contains(address) ?? false
    }

    /// Every Ethernet address of this host: whoever answers with one of them is no other holder.
    var own: Set<LinkAddress> { Set(self.links.values.compactMap(\.address)) }

    /// Reads them from the kernel.
    init() throws(PacketSocket.Failure) {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { throw PacketSocket.Failure(number: errno, call: "getifaddrs") }
        defer { freeifaddrs(list) }
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let name = entry.ifa_name, let address = entry.ifa_addr else { continue }
            let family = Int32(address.pointee.sa_family)
            guard family == AF_PACKET else {
                // An IPv4 address is listed under its label: the interface's name, if need be with a colon and more.
                let label = String(cString: name)
                let interface = label.prefix { $0 != ":" }
                if let found = Self.address(address, family) {
                    self.addresses[String(interface), default: []].insert(found)
                }
                continue
            }
            let link = address.withMemoryRebound(to: sockaddr_ll.self, capacity: 1) { $0.pointee }
            let bytes = withUnsafeBytes(of: link.sll_addr) { Array($0.prefix(6)) }
            let isEthernet = Int32(link.sll_hatype) == ARPHRD_ETHER && link.sll_halen == 6
            self.links[String(cString: name)] = Link(
                index: link.sll_ifindex,
                address: isEthernet ? LinkAddress(bytes: bytes) : nil
            )
        }
    }

    /// Nil for another family than IPv4 and IPv6.
    private static func address(_ address: UnsafeMutablePointer<sockaddr>, _ family: Int32) -> IPAddress? {
        switch family {
        case AF_INET:
            let value = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr }
            return IPAddress(bytes: withUnsafeBytes(of: value) { Array($0) })
        case AF_INET6:
            let value = address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { $0.pointee.sin6_addr }
            return IPAddress(bytes: withUnsafeBytes(of: value) { Array($0) })
        default: return nil  // The kernel's list of families is open.
        }
    }
}
