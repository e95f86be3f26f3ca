// SPDX-License-Identifier: Apache-2.0
public import NetworkAddress

/// An interface as the kernel describes it.
public struct NetworkInterface: Hashable, Sendable {
    public let name: String
    /// Other names that `ip` knows it by (`ip link property add … altname`).
    public let alternativeNames: [String]
    /// The kernel's number of it.
    public let index: Int
    /// Whether it was switched on (`IFF_UP`).
    public let isUp: Bool
    /// Whether it has a carrier (`IFF_LOWER_UP`).
    public let isLowerUp: Bool
    /// The interface that this one is a part of: a bridge, a bond, a VRF.
    public let master: String?
    /// Whether it is a VRF: a routing table of its own for the interfaces that are part of it.
    public let isVRF: Bool

    public init(
        name: String, alternativeNames: [String] = [], index: Int, isUp: Bool, isLowerUp: Bool, master: String? = nil,
        isVRF: Bool = false
    ) {
        self.name = name
        self.alternativeNames = alternativeNames
        self.index = index
        self.isUp = isUp
        self.isLowerUp = isLowerUp
        self.master = master
        self.isVRF = isVRF
    }
}

/// How long the kernel will keep an address.
public enum AddressLifetime: Hashable, Sendable {
    case forever
    /// Whole seconds that were left when the kernel was asked.
    case seconds(Int)
}

/// An address that the kernel has.
public struct KernelAddress: Hashable, Sendable {
    /// Address, prefix length and interface.
    public let place: VirtualAddress
    public let lifetime: AddressLifetime
    /// IPv6: duplicate detection has not ended, the address is not usable yet.
    public let isTentative: Bool
    /// IPv6: the kernel's duplicate detection found another holder; the address is not usable.
    public let isDuplicate: Bool
    /// IPv4: another address of the same subnet came before it, and takes it along when it goes (unless
    /// `promote_secondaries` is set).
    public let isSecondary: Bool

    public init(
        place: VirtualAddress, lifetime: AddressLifetime, isTentative: Bool, isDuplicate: Bool,
        isSecondary: Bool = false
    ) {
        self.place = place
        self.lifetime = lifetime
        self.isTentative = isTentative
        self.isDuplicate = isDuplicate
        self.isSecondary = isSecondary
    }
}

/// What the kernel has: all interfaces and all addresses at one time.
public struct KernelAddresses: Hashable, Sendable {
    public let interfaces: [NetworkInterface]
    public let addresses: [KernelAddress]
    /// Entries that could not be understood. Where there are any, absence from `addresses` proves nothing.
    public let unreadable: Int
    /// The first of them: its interface or number, and what is wrong with it; at most 200 characters.
    public let firstUnreadable: String?

    public init(
        interfaces: [NetworkInterface], addresses: [KernelAddress], unreadable: Int, firstUnreadable: String? = nil
    ) {
        self.interfaces = interfaces
        self.addresses = addresses
        self.unreadable = unreadable
        self.firstUnreadable = firstUnreadable
    }

    /// Why absence from this listing proves nothing; nil: it does.
    public var doubt: String? {
        guard self.unreadable > 0 else { return nil }
        let entries = self.unreadable == 1 ? "1 entry" : "\(self.unreadable) entries"
        let first = self.firstUnreadable.map { " (\($0))" } ?? ""
        return
            "\(entries) of the kernel's addresses cannot be understood\(first): what is not listed may be there all the same"
    }

    /// The interface of this name, or of this alternative name.
    public func interface(named name: String) -> NetworkInterface? {
        self.interfaces.first { $0.name == name } ?? self.interfaces.first { $0.alternativeNames.contains(name) }
    }

    /// The VRF that the interface is in, or is itself; nil: neither.
    public func vrf(of name: String) -> String? {
        guard let interface = self.interface(named: name) else { return nil }
        if interface.isVRF { return interface.name }
        let master = interface.master.flatMap { self.interface(named: $0) }
        return master?.isVRF == true ? master?.name : nil
    }

    /// Every place that has this very address, whatever the prefix length and the interface. More than one is possible:
    /// IPv4 allows one address twice on an interface with two prefix lengths, and each of them answers.
    public func places(of address: IPAddress) -> [KernelAddress] {
        self.addresses.filter { $0.place.address.address == address }
    }
}
