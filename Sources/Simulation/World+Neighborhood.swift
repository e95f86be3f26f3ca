// SPDX-License-Identifier: Apache-2.0
import Decision
import KernelPlaces
import NetworkAddress

/// The daemon's shell between the core and `ip`, with the real ``Neighborhood``: where an address is put beside the node's own,
/// and what must be set before it is taken off. (In the daemon `AddressKeeper` does this.)
extension World {
    /// What each slot of a kernel is called by `ip`, and the node's own address.
    struct PlaceNames {
        let slots: [VirtualAddress]
        let own: VirtualAddress
        let ours: Set<IPAddress>

        init(_ specs: [AddressSpec]) {
            func prefix(_ text: String, _ length: Int) -> AddressPrefix {
                guard let address = IPAddress(text), let prefix = AddressPrefix(address: address, prefixLength: length)
                else { preconditionFailure("no address: \(text)/\(length)") }
                return prefix
            }
            self.slots = (0..<specs.count * SimulatedKernel.places.count).map { slot in
                let place = SimulatedKernel.place(of: slot)
                let id = specs[SimulatedKernel.address(of: slot)].id
                return VirtualAddress(address: prefix(id, place.prefixLength), interface: place.interface)
            }
            let place = SimulatedKernel.ownPlace
            self.own = VirtualAddress(address: prefix("10.0.0.1", place.prefixLength), interface: place.interface)
            self.ours = Set(self.slots.map(\.address.address))
        }

        func slot(_ place: VirtualAddress, of address: Int) -> Int? {
            SimulatedKernel.slots(of: address).first { self.slots[$0] == place }
        }
    }

    /// A process that begins knows nothing of the node's own addresses.
    func beginNeighborhood(of node: SimulatedNode) {
        node.neighborhood = Neighborhood()
        node.neighborhood.follow(self.places.ours)
        node.hasSeenOwnAddress = false
        node.isToldOfRisk = false
    }

    /// `ip address show`, as far as the shell looks at it; and what must be set, so that nothing hangs on an address of ours.
    func listPlaces(of node: SimulatedNode) {
        var addresses: [KernelAddress] = []
        func add(_ place: VirtualAddress, isSecondary: Bool) {
            addresses.append(
                KernelAddress(
                    place: place, lifetime: .forever, isTentative: false, isDuplicate: false, isSecondary: isSecondary))
        }
        for subnet in node.kernel.subnets {
            for (index, member) in subnet.members.enumerated() {
                switch member {
                case .own: add(self.places.own, isSecondary: index > 0)
                case .virtual(let slot): add(self.places.slots[slot], isSecondary: index > 0)
                }
            }
        }
        for slot in node.kernel.entries.indices where node.kernel.entries[slot].isPresent && !Self.isOfSubnet(slot) {
            add(self.places.slots[slot], isSecondary: false)
        }
        node.neighborhood.learn(KernelAddresses(interfaces: [], addresses: addresses, unreadable: 0))
        if node.kernel.subnets[0].hasOwn { node.hasSeenOwnAddress = true }
        for place in node.neighborhood.leading() { _ = self.protect(place, on: node) }
    }

    /// A change of the node's own address, told by the kernel.
    func seeOwnAddress(_ node: SimulatedNode) {
        if node.neighborhood.saw(self.places.own) { self.deliver(.kernelChanged, to: node) }
    }

    /// Sees to it that secondary addresses stay when this one goes; answers whether they do.
    func protect(_ place: VirtualAddress, on node: SimulatedNode) -> Bool {
        guard self.mutation != .sharedSubnet else { return true }
        guard let interface = SimulatedKernel.interfaces.firstIndex(of: place.interface) else { return false }
        if self.configuration.mayPromote { node.kernel.promotes[interface] = true }
        if !node.kernel.promotes[interface] { node.isToldOfRisk = true }
        return node.kernel.promotes[interface]
    }

    /// Where `ip` puts the address, and which place it leaves.
    func assignment(of spec: AddressSpec, _ address: Int, on node: SimulatedNode) -> (slot: Int, former: Int?)? {
        guard let configured = SimulatedKernel.slot(address, spec.place) else { return nil }
        guard self.mutation != .sharedSubnet else { return (configured, nil) }
        let assignment = node.neighborhood.assignment(of: self.places.slots[configured]) { self.protect($0, on: node) }
        guard let slot = self.places.slot(assignment.place, of: address) else { return nil }
        return (slot, assignment.former.flatMap { self.places.slot($0, of: address) })
    }

    func protectBeforeRemoval(of address: Int, from place: KernelPlace, on node: SimulatedNode) {
        guard let slot = SimulatedKernel.slot(address, place) else { return }
        for other in node.neighborhood.leading(at: self.places.slots[slot]) { _ = self.protect(other, on: node) }
    }
}
