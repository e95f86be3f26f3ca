// SPDX-License-Identifier: Apache-2.0
import Glibc

/// One place in which a kernel has an address. Until the last of them is gone, the kernel has the address.
public struct KernelAddress: Hashable, Sendable {
    public let address: String
    public let prefixLength: UInt8
    /// The interface's number in its namespace.
    public let interface: UInt32
}

/// What a datagram of route netlink says about addresses (rtnetlink(7)).
///
/// Numbers are in the host's byte order; every length is checked, and what does not fit ends the datagram.
public enum AddressMessage: Equatable {
    /// An address exists: as news, or as an answer to a question.
    case present(KernelAddress)
    /// An address was removed.
    case removed(KernelAddress)
    /// The end of the answer to question `sequence`; incomplete if the addresses changed meanwhile or it failed.
    case answered(sequence: UInt32, isComplete: Bool)

    private static let newAddress: UInt16 = 20
    private static let deletedAddress: UInt16 = 21
    private static let failure: UInt16 = 2
    private static let done: UInt16 = 3
    private static let interruptedFlag: UInt16 = 0x10

    /// The messages of one datagram, in order; other kinds are left out.
    public static func parse(_ datagram: ArraySlice<UInt8>) -> [AddressMessage] {
        var messages: [AddressMessage] = []
        var isInterrupted = false
        var rest = datagram
        // struct nlmsghdr: length, type, flags, sequence, port.
        while let length = rest.number(UInt32.self, at: 0), let type = rest.number(UInt16.self, at: 4),
            let flags = rest.number(UInt16.self, at: 6), let sequence = rest.number(UInt32.self, at: 8),
            length >= 16, Int(length) <= rest.count
        {
            let body = rest.dropFirst(16).prefix(Int(length) - 16)
            if flags & self.interruptedFlag != 0 { isInterrupted = true }
            switch type {
            case self.newAddress: if let address = self.address(body) { messages.append(.present(address)) }
            case self.deletedAddress: if let address = self.address(body) { messages.append(.removed(address)) }
            case self.done: messages.append(.answered(sequence: sequence, isComplete: !isInterrupted))
            case self.failure: messages.append(.answered(sequence: sequence, isComplete: false))
            default: break  // The kernel's other types are none of our business.
            }
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return messages
    }

    /// struct ifaddrmsg (family, prefix length, flags, scope, index), then attributes (length, type, value).
    private static func address(_ body: ArraySlice<UInt8>) -> KernelAddress? {
        guard let family = body.first, let prefixLength = body.number(UInt8.self, at: 1),
            let interface = body.number(UInt32.self, at: 4)
        else { return nil }
        var found: String?
        var rest = body.dropFirst(8)
        while let length = rest.number(UInt16.self, at: 0), let type = rest.number(UInt16.self, at: 2),
            length >= 4, Int(length) <= rest.count
        {
            let value = rest.dropFirst(4).prefix(Int(length) - 4)
            // On a point-to-point link IFA_ADDRESS (1) is the peer's and IFA_LOCAL (2) ours.
            if type == 2 || (type == 1 && found == nil) { found = self.text(Int32(family), value) ?? found }
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return found.map { KernelAddress(address: $0, prefixLength: prefixLength, interface: interface) }
    }

    private static func text(_ family: Int32, _ bytes: ArraySlice<UInt8>) -> String? {
        guard (family == AF_INET && bytes.count == 4) || (family == AF_INET6 && bytes.count == 16) else { return nil }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard Array(bytes).withUnsafeBytes({ inet_ntop(family, $0.baseAddress, &text, socklen_t(text.count)) }) != nil
        else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension ArraySlice<UInt8> {
    /// The number at `offset` in the host's byte order; nil beyond the end.
    fileprivate func number<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number? {
        guard self.count >= offset + MemoryLayout<Number>.size else { return nil }
        return self.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }
}
