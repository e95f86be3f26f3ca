// SPDX-License-Identifier: Apache-2.0
public import NetworkAddress

/// One message of route netlink about an interface or an address (rtnetlink(7)), or why it is not understood.
///
/// Leaves out: sockets, names of interfaces by their numbers, and whatever nobody here reads. Numbers are in the host's
/// byte order. Every length is checked; nothing that a datagram contains traps.
public enum RouteMessage: Hashable, Sendable {
    /// An address exists: it is new, its lifetime or flags were changed, or it was asked for.
    case address(RouteAddress)
    case addressRemoved(RoutePlace)
    /// An interface exists: it is new, was changed or renamed, or was asked for.
    case link(RouteLink)
    /// The interface of this number was removed.
    case linkRemoved(index: Int32)
    /// The end of the answer to question `sequence`; incomplete if something changed meanwhile, or the question was refused.
    case answered(sequence: UInt32, isComplete: Bool)
    /// A message, or the rest of the datagram, that does not hold together: what is wrong with it.
    case malformed(String)
}

/// An interface: what is read of it.
public struct RouteLink: Hashable, Sendable {
    /// The kernel's number of it in its namespace.
    public let index: Int32
    /// The kernel's own name of it (`IFLA_IFNAME`), never an alternative one.
    public let name: String
    /// Whether it has a carrier (`IFF_LOWER_UP`).
    public let hasCarrier: Bool
}

/// Where an address stands.
public struct RoutePlace: Hashable, Sendable {
    /// The address, and the length of its network's prefix; with a peer, the length is that of the peer's.
    public let address: AddressPrefix
    /// The interface's number in its namespace.
    public let interface: Int32
}

/// An address that a kernel has.
public struct RouteAddress: Hashable, Sendable {
    public let place: RoutePlace
    /// The seconds that were left of its lifetime; nil: it never ends.
    public let seconds: UInt32?
    /// IPv6: duplicate detection has not ended, or has failed (`IFA_F_TENTATIVE`).
    public let isTentative: Bool
    /// IPv6: duplicate detection found another holder (`IFA_F_DADFAILED`).
    public let isDuplicate: Bool
    /// IPv4: another address of the same subnet came before it (`IFA_F_SECONDARY`).
    public let isSecondary: Bool
}

extension RouteMessage {
    // <linux/netlink.h>, <linux/rtnetlink.h>: types and flags of messages.
    private static let failure: UInt16 = 2
    private static let done: UInt16 = 3
    private static let newLink: UInt16 = 16
    private static let deletedLink: UInt16 = 17
    private static let newAddress: UInt16 = 20
    private static let deletedAddress: UInt16 = 21
    private static let interruptedFlag: UInt16 = 0x10

    /// The messages of one datagram, in order; those of other kinds are left out. At most one for each 16 bytes.
    public static func parse(_ datagram: ArraySlice<UInt8>) -> [RouteMessage] {
        var messages: [RouteMessage] = []
        var isInterrupted = false
        var rest = datagram
        while !rest.isEmpty {
            // struct nlmsghdr: length, type, flags, sequence, port of whoever caused it.
            guard let length = rest.number(UInt32.self, at: 0), let type = rest.number(UInt16.self, at: 4),
                let flags = rest.number(UInt16.self, at: 6), let sequence = rest.number(UInt32.self, at: 8),
                length >= 16, length <= rest.count
            else {
                messages.append(.malformed("\(rest.count) bytes do not begin with a message"))
                break
            }
            if flags & self.interruptedFlag != 0 { isInterrupted = true }
            let body = rest.dropFirst(16).prefix(Int(length) - 16)
            switch type {
            case self.newLink, self.deletedLink:
                if let message = self.link(body, isRemoved: type == self.deletedLink) { messages.append(message) }
            case self.newAddress, self.deletedAddress:
                if let message = self.address(body, isRemoved: type == self.deletedAddress) { messages.append(message) }
            case self.done: messages.append(.answered(sequence: sequence, isComplete: !isInterrupted))
            case self.failure: messages.append(.answered(sequence: sequence, isComplete: false))
            default: break  // The kernel's other types are none of our business.
            }
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return messages
    }

    // Families of <linux/socket.h>.
    private static let ipv4: UInt8 = 2
    private static let ipv6: UInt8 = 10

    /// struct ifinfomsg (family, a byte unused, hardware type, index, flags, change mask), then attributes.
    private static func link(_ body: ArraySlice<UInt8>, isRemoved: Bool) -> RouteMessage? {
        guard let family = body.first, let index = body.number(Int32.self, at: 4),
            let flags = body.number(UInt32.self, at: 8), body.count >= 16, index > 0
        else { return .malformed("a link of \(body.count) bytes, or without a number") }
        // With another family it tells of a part only. A port that leaves its bridge is "removed" from AF_BRIDGE.
        guard family == 0 else { return nil }
        if isRemoved { return .linkRemoved(index: index) }
        guard let attributes = RouteAttributes(body.dropFirst(16)), let name = attributes[3].flatMap(self.name) else {
            return .malformed("link \(index): no name, or attributes that do not fit")
        }
        return .link(RouteLink(index: index, name: name, hasCarrier: flags & 0x10000 != 0))
    }

    /// One to fifteen bytes and a zero.
    private static func name(_ value: ArraySlice<UInt8>) -> String? {
        guard let end = value.firstIndex(of: 0), end > value.startIndex, end - value.startIndex < 16 else { return nil }
        return String(decoding: value[..<end], as: UTF8.self)
    }

    /// struct ifaddrmsg (family, prefix length, flags, scope, index), then attributes.
    private static func address(_ body: ArraySlice<UInt8>, isRemoved: Bool) -> RouteMessage? {
        guard let family = body.first, let length = body.number(UInt8.self, at: 1),
            let oldFlags = body.number(UInt8.self, at: 2), let index = body.number(Int32.self, at: 4), index > 0
        else { return .malformed("an address of \(body.count) bytes, or without an interface") }
        // Other protocols have addresses too.
        guard family == self.ipv4 || family == self.ipv6 else { return nil }
        // On a point-to-point link IFA_ADDRESS (1) is the peer's and IFA_LOCAL (2) ours; IFA_LABEL (3) is no interface's name.
        guard let attributes = RouteAttributes(body.dropFirst(8)), let bytes = attributes[2] ?? attributes[1],
            let address = IPAddress(bytes: bytes), address.isIPv6 == (family == self.ipv6),
            let prefix = AddressPrefix(address: address, prefixLength: Int(length))
        else { return .malformed("interface \(index): no address, or attributes that do not fit") }
        let place = RoutePlace(address: prefix, interface: index)
        if isRemoved { return .addressRemoved(place) }
        // IFA_CACHEINFO (6): preferred, then valid lifetime, and two dates. IFA_FLAGS (8) has more bits than the byte before.
        guard let cache = attributes[6], cache.count >= 16, let seconds = cache.number(UInt32.self, at: 4) else {
            return .malformed("\(prefix): no lifetime")
        }
        let flags = attributes[8]?.number(UInt32.self, at: 0) ?? UInt32(oldFlags)
        return .address(
            RouteAddress(
                place: place, seconds: seconds == .max ? nil : seconds,
                isTentative: address.isIPv6 && flags & 0x40 != 0, isDuplicate: address.isIPv6 && flags & 0x08 != 0,
                isSecondary: !address.isIPv6 && flags & 0x01 != 0))
    }
}
