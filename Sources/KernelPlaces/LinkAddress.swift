// SPDX-License-Identifier: Apache-2.0

/// An Ethernet address: six bytes.
public struct LinkAddress: Hashable, Sendable, CustomStringConvertible {
    /// The six bytes in the order of transmission.
    public let bytes: [UInt8]

    /// Nil for any other number of bytes than six.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        self.bytes = Array(bytes)
    }

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    public static let broadcast = LinkAddress([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])

    /// Where an IPv6 multicast address is sent on Ethernet (RFC 2464, section 7): 33:33 and its last four bytes.
    public static func multicast(_ last: some Collection<UInt8>) -> LinkAddress {
        LinkAddress([0x33, 0x33] + last.suffix(4))
    }

    /// Whether one station can have it: neither a group's address nor all zeros.
    public var isStation: Bool { self.bytes[0] & 1 == 0 && self.bytes.contains { $0 != 0 } }

    /// Lower-case pairs with colons, such as `02:00:00:00:00:0a`.
    public var description: String {
        self.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
