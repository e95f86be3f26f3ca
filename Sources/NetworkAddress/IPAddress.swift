// SPDX-License-Identifier: Apache-2.0
import Glibc

/// An IPv4 or IPv6 address as a value: no name, no zone, no port.
///
/// Its text is parsed strictly (`inet_pton`) and printed canonically (RFC 5952, `inet_ntop`), so that two texts for one
/// address are one value and print alike, in the very form that `ip` prints.
public struct IPAddress: Hashable, Sendable, Comparable, LosslessStringConvertible {
    /// Whether the address is an IPv6 one, an IPv4-mapped one (`::ffff:10.0.0.1`) included.
    public let isIPv6: Bool
    /// The address as a number: 32 significant bits for IPv4, 128 for IPv6.
    let bits: UInt128

    init(isIPv6: Bool, bits: UInt128) {
        self.isIPv6 = isIPv6
        self.bits = bits
    }

    /// Parses dotted-quad IPv4 or IPv6 text; nil for anything else: leading zeros, zones, brackets and blanks too.
    public init?(_ text: String) {
        // inet_pton stops at a NUL; the longest text of an address has 45 bytes.
        guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
        let isIPv6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: 16)
        guard inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, &bytes) == 1 else { return nil }
        self.init(bytes: bytes.prefix(isIPv6 ? 16 : 4))
    }

    /// Takes 4 bytes (IPv4) or 16 (IPv6) in network order; nil for any other number of bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.init(isIPv6: bytes.count == 16, bits: bytes.reduce(0) { $0 << 8 | UInt128($1) })
    }

    /// The bytes in network order: 4 of them, or 16.
    public var bytes: [UInt8] {
        let width = self.bitWidth
        return stride(from: width - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: self.bits >> UInt128($0)) }
    }

    /// 32 or 128: also the longest prefix.
    public var bitWidth: Int { self.isIPv6 ? 128 : 32 }

    /// The canonical text, such as `10.0.0.1` or `2001:db8::1`.
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(self.isIPv6 ? AF_INET6 : AF_INET, self.bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// All of IPv4 comes before IPv6; within one family the order is that of the numbers.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        left.isIPv6 == right.isIPv6 ? left.bits < right.bits : !left.isIPv6
    }
}

extension IPAddress {
    /// What an address may be used for, after the special-purpose registries (RFC 6890) as far as they matter here.
    public enum Category: String, Sendable, CaseIterable {
        /// An ordinary address of a host, private ranges included.
        case unicast
        /// `0.0.0.0/8` and `::`.
        case unspecified
        /// `127.0.0.0/8` and `::1`.
        case loopback
        /// `169.254.0.0/16` and `fe80::/10`.
        case linkLocal
        /// `224.0.0.0/4` and `ff00::/8`.
        case multicast
        /// `255.255.255.255`.
        case broadcast
        /// `240.0.0.0/4` without the broadcast address: no host may use them.
        case reserved
        /// `::ffff:0:0/96`: an IPv4 address in IPv6 clothes.
        case ipv4Mapped
    }

    public var category: Category { self.isIPv6 ? self.category6 : self.category4 }

    private var category4: Category {
        switch (self.bits >> 24, self.bits >> 16 & 0xff) {
        case (0, _): .unspecified
        case (127, _): .loopback
        case (169, 254): .linkLocal
        case (224...239, _): .multicast
        case (240...255, _): self.bits == 0xffff_ffff ? .broadcast : .reserved
        default: .unicast  // numbers, not cases of ours
        }
    }

    private var category6: Category {
        if self.bits == 0 { return .unspecified }
        if self.bits == 1 { return .loopback }
        if self.bits >> 32 == 0xffff { return .ipv4Mapped }
        if self.bits >> 118 == 0xfe80 >> 6 { return .linkLocal }
        return self.bits >> 120 == 0xff ? .multicast : .unicast
    }
}
