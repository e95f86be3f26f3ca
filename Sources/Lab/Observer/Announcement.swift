// SPDX-License-Identifier: Apache-2.0
import Glibc

/// "This address is at this link address", as the stations of a network tell each other. Written anew rather than taken
/// from the daemon's packets, so that both cannot share a fault. Every length is checked; what does not fit is nil.
public struct Announcement: Equatable, Sendable {
    public let address: String
    /// In lower case, with colons.
    public let linkAddress: String

    /// An ARP packet (RFC 826) without its Ethernet header. Questions count too: neighbors learn from the sender of any.
    public init?(arp packet: ArraySlice<UInt8>) {
        let bytes = Array(packet)
        // Ethernet, IPv4, six and four bytes; then the operation, and who sends.
        guard bytes.count >= 28, bytes.starts(with: [0, 1, 8, 0, 6, 4]) else { return nil }
        self.init(AF_INET, bytes[14..<18], bytes[8..<14])
    }

    /// A neighbor advertisement (RFC 4861, 4.4), from the ICMPv6 header on, that names its link address.
    public init?(advertisement packet: ArraySlice<UInt8>) {
        let bytes = Array(packet)
        guard bytes.count >= 24, bytes[0] == 136 else { return nil }
        var option = 24
        // Each option is at least eight bytes long, or the packet is not read further.
        while option + 8 <= bytes.count, bytes[option + 1] > 0 {
            if bytes[option] == 2 {
                self.init(AF_INET6, bytes[8..<24], bytes[option + 2..<option + 8])
                return
            }
            option += Int(bytes[option + 1]) * 8
        }
        return nil
    }

    private init?(_ family: Int32, _ address: ArraySlice<UInt8>, _ link: ArraySlice<UInt8>) {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let isWritten = Array(address).withUnsafeBytes {
            inet_ntop(family, $0.baseAddress, &text, socklen_t(text.count)) != nil
        }
        guard isWritten else { return nil }
        self.address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.linkAddress = link.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
