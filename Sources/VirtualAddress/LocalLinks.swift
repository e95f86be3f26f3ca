// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The interfaces of this host as sockets need them: read anew for each announcement, for any of it may have changed.
struct LocalLinks {
    struct Link: Hashable {
        let index: Int32
        /// Nil where it is no Ethernet interface.
        let address: LinkAddress?
    }

    private(set) var links: [String: Link] = [:]

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
            guard let name = entry.ifa_name, let address = entry.ifa_addr, Int32(address.pointee.sa_family) == AF_PACKET
            else { continue }
            let link = address.withMemoryRebound(to: sockaddr_ll.self, capacity: 1) { $0.pointee }
            let bytes = withUnsafeBytes(of: link.sll_addr) { Array($0.prefix(6)) }
            let isEthernet = Int32(link.sll_hatype) == ARPHRD_ETHER && link.sll_halen == 6
            self.links[String(cString: name)] = Link(
                index: link.sll_ifindex,
                address: isEthernet ? LinkAddress(bytes: bytes) : nil
            )
        }
    }
}
