// SPDX-License-Identifier: Apache-2.0
import KernelPlaces
import NetworkAddress

/// A packet of the Address Resolution Protocol for IPv4 over Ethernet (RFC 826), without the Ethernet header.
struct ARPPacket: Hashable {
    enum Operation: UInt8 { case request = 1, reply = 2 }

    var operation: Operation
    var senderLink: LinkAddress
    var sender: IPAddress
    /// Six bytes; all zeros where it is not known.
    var targetLink: [UInt8]
    var target: IPAddress

    /// "This address is mine now", as a request (RFC 5227, section 2.3).
    static func announcement(of address: IPAddress, at link: LinkAddress) -> ARPPacket {
        ARPPacket(
            operation: .request,
            senderLink: link,
            sender: address,
            targetLink: Self.unknown,
            target: address
        )
    }

    /// The same as a reply (RFC 5944, section 4.6), for hosts that learn from replies only.
    static func replyAnnouncement(of address: IPAddress, at link: LinkAddress) -> ARPPacket {
        ARPPacket(operation: .reply, senderLink: link, sender: address, targetLink: link.bytes, target: address)
    }

    /// "Who has this address?", which changes nobody's table (RFC 5227, section 2.1.1); nil for an IPv6 address.
    static func probe(for address: IPAddress, from link: LinkAddress) -> ARPPacket? {
        guard !address.isIPv6, let nobody = IPAddress(bytes: [0, 0, 0, 0]) else { return nil }
        return ARPPacket(
            operation: .request,
            senderLink: link,
            sender: nobody,
            targetLink: Self.unknown,
            target: address
        )
    }

    private static let unknown: [UInt8] = [0, 0, 0, 0, 0, 0]
    /// Ethernet, IPv4, six bytes of link address, four of address.
    private static let header: [UInt8] = [0x00, 0x01, 0x08, 0x00, 6, 4]

    /// The 28 bytes on the wire.
    var bytes: [UInt8] {
        Self.header + [0, self.operation.rawValue] + self.senderLink.bytes + self.sender.bytes + self.targetLink
            + self.target.bytes
    }

    init(operation: Operation, senderLink: LinkAddress, sender: IPAddress, targetLink: [UInt8], target: IPAddress) {
        self.operation = operation
        self.senderLink = senderLink
        self.sender = sender
        self.targetLink = targetLink
        self.target = target
    }

    /// Reads a packet that anyone may have sent; nil for what is no ARP for IPv4 over Ethernet. Padding is allowed.
    init?(_ bytes: some RandomAccessCollection<UInt8>) {
        let bytes = Array(bytes.prefix(28))
        guard bytes.count == 28, Array(bytes[..<6]) == Self.header, bytes[6] == 0,
            let operation = Operation(rawValue: bytes[7]), let senderLink = LinkAddress(bytes: bytes[8..<14]),
            let sender = IPAddress(bytes: bytes[14..<18]), let target = IPAddress(bytes: bytes[24..<28])
        else { return nil }
        self.init(
            operation: operation,
            senderLink: senderLink,
            sender: sender,
            targetLink: Array(bytes[18..<24]),
            target: target
        )
    }
}
