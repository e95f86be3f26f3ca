// SPDX-License-Identifier: Apache-2.0

/// An address together with the length of its network's prefix, such as `10.0.0.1/24`: what `ip addr add` takes.
///
/// The host bits are kept: it is an address in a network, not the network. The length never exceeds the family's width.
public struct AddressPrefix: Hashable, Sendable, Comparable, LosslessStringConvertible {
    public let address: IPAddress
    /// Bits of the network part: 0...32 for IPv4, 0...128 for IPv6.
    public let prefixLength: Int

    /// Nil when the length does not fit the address's family.
    public init?(address: IPAddress, prefixLength: Int) {
        guard (0...address.bitWidth).contains(prefixLength) else { return nil }
        self.address = address
        self.prefixLength = prefixLength
    }

    /// Parses `ADDRESS/LENGTH` strictly: both parts must be there, the length in decimal digits without leading zeros.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])) else { return nil }
        guard let length = Int(parts[1]), String(length) == parts[1] else { return nil }
        self.init(address: address, prefixLength: length)
    }

    /// The canonical text of the address, a slash, and the length.
    public var description: String { "\(self.address)/\(self.prefixLength)" }

    /// The address with all host bits zero.
    public var network: IPAddress {
        IPAddress(isIPv6: self.address.isIPv6, bits: self.address.bits & ~self.hostMask)
    }

    /// The address with all host bits one; nil for IPv6 and for prefixes of 31 and 32 bits, which have no broadcast.
    public var broadcast: IPAddress? {
        guard !self.address.isIPv6, self.prefixLength <= 30 else { return nil }
        return IPAddress(isIPv6: false, bits: self.address.bits | self.hostMask)
    }

    /// Whether the address is the network's own (IPv4, RFC 1122) or its subnet-router anycast one (IPv6, RFC 4291), and so
    /// no host's. Prefixes of the last two lengths have none (RFC 3021, RFC 6164).
    public var isNetworkAddress: Bool {
        self.prefixLength < self.address.bitWidth - 1 && self.address == self.network
    }

    /// Whether the network holds `other`; false for another family.
    public func contains(_ other: IPAddress) -> Bool {
        other.isIPv6 == self.address.isIPv6 && other.bits & ~self.hostMask == self.network.bits
    }

    public static func < (left: AddressPrefix, right: AddressPrefix) -> Bool {
        (left.address, left.prefixLength) < (right.address, right.prefixLength)
    }

    /// Ones in the host part.
    private var hostMask: UInt128 {
        // A shift by the whole width is zero for Swift's smart shifts, and then the mask is all ones.
        (UInt128(1) << UInt128(self.address.bitWidth - self.prefixLength)) &- 1
    }
}
