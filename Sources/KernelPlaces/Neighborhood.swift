// SPDX-License-Identifier: Apache-2.0
public import NetworkAddress

/// What the node has of its own beside our addresses, and where ours therefore stand.
///
/// Invariant: where the node has, or had since this process looks, an address of its own whose subnet contains ours, on
/// the same interface, ours stands there alone (IPv4 /32, IPv6 /128). Then it shares no subnet and no route with the
/// node's own, so neither can take the other along. It is remembered because a network manager takes the node's own
/// address away and puts it back: what is decided in between must be right afterwards.
public struct Neighborhood: Sendable {
    private struct Spot: Hashable, Sendable {
        let interface: String
        let address: IPAddress
    }

    /// Addresses of ours; everything else is the node's own.
    public private(set) var ours: Set<IPAddress> = []
    private var shared: Set<Spot> = []
    /// Addresses that were ours: what is left of them, and late news of them, is nothing of the node's own.
    private var former: Set<IPAddress> = []
    private static let formerLimit = 256
    /// 64 addresses on 64 interfaces.
    private static let sharedLimit = 4096
    /// What the last listing showed, and what has gone since.
    public private(set) var kernel: KernelAddresses?

    public init() {}

    public mutating func follow(_ ours: Set<IPAddress>) {
        let isNew = !ours.isSubset(of: self.ours)
        self.forget(self.ours.subtracting(ours))
        self.ours = ours
        self.shared = self.shared.filter { ours.contains($0.address) }
        if isNew, let kernel = self.kernel { self.learn(kernel) }
    }

    /// These were ours, here or in an earlier process.
    public mutating func forget(_ addresses: Set<IPAddress>) {
        if self.former.count + addresses.count > Self.formerLimit { self.former = [] }
        self.former.formUnion(addresses)
    }

    /// The address has gone from there.
    public mutating func lost(_ place: VirtualAddress) { self.drop { $0 == place } }

    /// The address has gone from the interface, whatever its prefix length was.
    public mutating func lost(_ address: IPAddress, from interface: String) {
        self.drop { $0.address.address == address && $0.interface == interface }
    }

    private mutating func drop(_ isGone: (VirtualAddress) -> Bool) {
        guard let kernel = self.kernel else { return }
        self.kernel = KernelAddresses(
            interfaces: kernel.interfaces, addresses: kernel.addresses.filter { !isGone($0.place) },
            unreadable: kernel.unreadable, firstUnreadable: kernel.firstUnreadable)
    }

    public mutating func learn(_ kernel: KernelAddresses) {
        self.kernel = kernel
        for address in kernel.addresses { _ = self.saw(address.place) }
    }

    /// One address of the kernel; answers whether it is the node's own, in a subnet that holds one of ours.
    public mutating func saw(_ place: VirtualAddress) -> Bool {
        let address = place.address.address
        guard !self.ours.contains(address), !self.former.contains(address) else { return false }
        let touched = self.ours.filter { place.address.contains($0) }
        for address in touched where self.shared.count < Self.sharedLimit {
            self.shared.insert(Spot(interface: place.interface, address: address))
        }
        return !touched.isEmpty
    }

    /// The kernel's name of the interface, where `name` may be an alternative one.
    public func interface(_ name: String) -> String { self.kernel?.interface(named: name)?.name ?? name }

    /// Where the address is to stand: as configured, or alone beside the node's own.
    public func place(for virtual: VirtualAddress) -> VirtualAddress {
        let interface = self.interface(virtual.interface)
        let isShared = self.shared.contains(Spot(interface: interface, address: virtual.address.address))
        let address = isShared ? virtual.address.alone : virtual.address
        return VirtualAddress(address: address, interface: interface)
    }

    /// The place's other one on the same interface, if the last listing showed the address there: the configured length
    /// for one that stands alone, and the other way around.
    public func twin(of place: VirtualAddress, configured: AddressPrefix) -> VirtualAddress? {
        let other = place.address == configured ? configured.alone : configured
        guard other != place.address else { return nil }
        let twin = VirtualAddress(address: other, interface: place.interface)
        return self.kernel?.addresses.contains { $0.place == twin } == true ? twin : nil
    }

    /// How an address is put on its interface.
    public struct Assignment: Hashable, Sendable {
        /// Where it is put, or its lifetime renewed.
        public let place: VirtualAddress
        /// Where the address stands besides, and is taken off afterwards.
        public let former: VirtualAddress?
    }

    /// Where the address is put now. It moves only where its old place can be given up without harm.
    /// - Parameter protect: answers whether the node's own addresses would survive the removal of this one.
    public func assignment(of virtual: VirtualAddress, protect: (VirtualAddress) -> Bool) -> Assignment {
        let place = self.place(for: virtual)
        guard let former = self.twin(of: place, configured: virtual.address) else {
            return Assignment(place: place, former: nil)
        }
        // IPv6 has an address only once on an interface: setting its lifetime leaves it where it is.
        let isStuck = former.address.address.isIPv6
        if isStuck || self.leading().contains(former) && !protect(former) {
            // It stays. What stands where it would otherwise be moved to is somebody else's, and would get no lifetime.
            return Assignment(place: former, former: self.twin(of: former, configured: virtual.address))
        }
        return Assignment(place: place, former: former)
    }

    /// Those of ``leading()`` that a removal of this address from this interface touches, whatever its prefix length.
    public func leading(at place: VirtualAddress) -> [VirtualAddress] {
        self.leading().filter {
            $0.interface == place.interface && $0.address.address == place.address.address
        }
    }

    /// The places of ours with which the kernel would remove other addresses, unless `promote_secondaries` is set.
    public func leading() -> [VirtualAddress] {
        guard let kernel = self.kernel else { return [] }
        return kernel.addresses.filter { first in
            guard self.ours.contains(first.place.address.address), !first.place.address.address.isIPv6,
                !first.isSecondary
            else { return false }
            return kernel.addresses.contains { other in
                other.isSecondary && other.place.interface == first.place.interface
                    && other.place.address.prefixLength == first.place.address.prefixLength
                    && first.place.address.contains(other.place.address.address)
            }
        }.map(\.place)
    }
}

extension AddressPrefix {
    /// The address in a network of its own: IPv4 /32, IPv6 /128.
    var alone: AddressPrefix {
        AddressPrefix(address: self.address, prefixLength: self.address.bitWidth) ?? self
    }
}
