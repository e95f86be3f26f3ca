// SPDX-License-Identifier: Apache-2.0
import KernelPlaces
import NetworkAddress

/// Packets of IPv6 Neighbor Discovery (RFC 4861), whole from the IPv6 header on.
enum NeighborPacket {
    /// A packet and where it is sent on the link.
    struct Outgoing: Hashable {
        let bytes: [UInt8]
        let destination: LinkAddress
    }

    /// What an advertisement says.
    struct Advertisement: Hashable {
        let target: IPAddress
        /// Nil where the sender left the option out.
        let targetLink: LinkAddress?
    }

    private static let allNodes: [UInt8] = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01]
    private static let icmp: UInt8 = 58
    private static let solicitation: UInt8 = 135
    private static let advertisement: UInt8 = 136
    private static let targetLinkOption: UInt8 = 2

    /// "This address is mine now": unsolicited, to all nodes, overriding what they know (RFC 4861, section 7.2.6).
    static func announcement(of address: IPAddress, at link: LinkAddress) -> Outgoing {
        // Flags: neither router nor solicited, but override.
        let body =
            [Self.advertisement, 0, 0, 0, 0x20, 0, 0, 0] + address.bytes + [Self.targetLinkOption, 1] + link.bytes
        return Self.packet(from: address.bytes, to: Self.allNodes, body)
    }

    /// "Does anyone have this address?" in the form of duplicate detection (RFC 4862, section 5.4.2), from nobody.
    static func probe(for address: IPAddress) -> Outgoing {
        let group: [UInt8] = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff] + address.bytes.suffix(3)
        let body = [Self.solicitation, 0, 0, 0, 0, 0, 0, 0] + address.bytes
        return Self.packet(from: [UInt8](repeating: 0, count: 16), to: group, body)
    }

    private static func packet(from source: [UInt8], to destination: [UInt8], _ body: [UInt8]) -> Outgoing {
        var body = body
        let sum = Self.checksum(source + destination, body)
        body[2] = UInt8(sum >> 8)
        body[3] = UInt8(sum & 0xff)
        // Version 6, payload length, ICMPv6, hop limit 255: whatever a router passed on has less and is no neighbor's.
        let header = [0x60, 0, 0, 0, 0, UInt8(body.count), Self.icmp, 255] + source + destination
        return Outgoing(bytes: header + body, destination: .multicast(destination))
    }

    /// RFC 4443, section 2.3: over the pseudo-header and the message; 0 for a message that contains its right checksum.
    private static func checksum(_ addresses: [UInt8], _ body: [UInt8]) -> UInt16 {
        let pseudo = addresses + [0, 0, UInt8(body.count >> 8), UInt8(body.count & 0xff), 0, 0, 0, Self.icmp] + body
        var sum: UInt32 = 0
        for place in stride(from: 0, to: pseudo.count, by: 2) {
            sum += UInt32(pseudo[place]) << 8 + (place + 1 < pseudo.count ? UInt32(pseudo[place + 1]) : 0)
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return ~UInt16(sum)
    }

    /// Reads a packet that anyone may have sent, as RFC 4861, section 7.1.2, demands; nil for what is no valid
    /// advertisement. Bytes after the packet's own length are ignored.
    static func readAdvertisement(_ bytes: some RandomAccessCollection<UInt8>) -> Advertisement? {
        let bytes = Array(bytes.prefix(1500))
        guard bytes.count >= 64, bytes[0] >> 4 == 6, bytes[6] == Self.icmp, bytes[7] == 255 else { return nil }
        let length = Int(bytes[4]) << 8 + Int(bytes[5])
        guard length >= 24, bytes.count >= 40 + length else { return nil }
        let body = Array(bytes[40..<40 + length])
        guard body[0] == Self.advertisement, body[1] == 0, Self.checksum(Array(bytes[8..<40]), body) == 0,
            let target = IPAddress(bytes: body[8..<24])
        else { return nil }
        var link: LinkAddress?
        var options = body[24...]
        while !options.isEmpty {
            guard options.count >= 2 else { return nil }
            let size = Int(options[options.startIndex + 1]) * 8
            guard size > 0, size <= options.count else { return nil }
            if options[options.startIndex] == Self.targetLinkOption, size == 8 {
                link = LinkAddress(bytes: options.prefix(8).dropFirst(2))
            }
            options = options.dropFirst(size)
        }
        return Advertisement(target: target, targetLink: link)
    }
}
