// SPDX-License-Identifier: Apache-2.0
import Decision

/// The subnet of each interface: the node's own address, what happens to it, and what goes with it.
///
/// eth0 bears the node's own address, by which all else reaches it. Invariant: Pharos never takes it away.
extension World {
    /// Whether an address in this slot is of the subnet of its interface.
    static func isOfSubnet(_ slot: Int) -> Bool {
        SimulatedKernel.place(of: slot).prefixLength == SimulatedKernel.ownPlace.prefixLength
    }

    func joinSubnet(_ slot: Int, on node: SimulatedNode) {
        guard Self.isOfSubnet(slot) else { return }
        node.kernel.subnets[SimulatedKernel.interface(of: slot)].add(.virtual(slot))
    }

    /// What was removed from the kernel takes along whatever is secondary to it.
    func leaveSubnet(_ slot: Int, on node: SimulatedNode) {
        guard Self.isOfSubnet(slot) else { return }
        self.remove(.virtual(slot), SimulatedKernel.interface(of: slot), on: node)
    }

    private func remove(_ member: SimulatedSubnet.Member, _ interface: Int, on node: SimulatedNode) {
        let promotes = node.kernel.promotes[interface]
        for other in node.kernel.subnets[interface].remove(member, promotesSecondaries: promotes) {
            switch other {
            case .virtual(let slot): self.vanish(slot, on: node)
            case .own:
                if !self.isHandAtWork { self.checkOwnAddress(on: node) }
                self.ownAddressChanged(on: node)
                self.schedule(.ownAddress(node.index), after: 1_000_000)
            }
        }
    }

    /// The node's own address went with a virtual one. Only where the daemon was told of it and could do nothing, or has not
    /// looked since it came, may that be.
    private func checkOwnAddress(on node: SimulatedNode) {
        guard node.hasSeenOwnAddress, !node.isToldOfRisk else { return }
        self.fail("\(node.member) loses its own address with a virtual one")
    }

    /// The kernel tells of it.
    private func ownAddressChanged(on node: SimulatedNode) {
        node.hasSeenOwnAddress = false
        self.schedule(.ownAddressSeen(node.index, life: node.life), after: 300)
    }

    /// A network manager applies its configuration anew: the node's own address goes, with all that is secondary to it, and
    /// comes back. Answers whether it could be done.
    func renewOwnAddress(_ node: SimulatedNode) -> Bool {
        guard node.isPowered, node.kernel.subnets[0].hasOwn else { return false }
        let span = self.random.between(1000, 3_000_000)
        self.cut(node, for: span)
        self.remove(.own, 0, on: node)
        self.ownAddressChanged(on: node)
        self.schedule(.ownAddress(node.index), after: span)
        return true
    }

    /// At boot, and when the interface is back.
    func putOwnAddress(on node: SimulatedNode) {
        guard node.isPowered, node.kernel.state(of: SimulatedKernel.ownPlace) != .missing else { return }
        guard !node.kernel.subnets[0].hasOwn else { return }
        node.kernel.subnets[0].add(.own)
        self.ownAddressChanged(on: node)
    }

    /// The interface has come back; its address does, too: at once, or when a network manager sees to it.
    func interfaceReturned(on node: SimulatedNode) {
        self.schedule(.ownAddress(node.index), after: self.random.between(0, 2_000_000))
    }

    /// The interface has gone, and what was set for it.
    func emptySubnet(_ interface: Int, on node: SimulatedNode) {
        node.kernel.subnets[interface] = SimulatedSubnet()
        node.kernel.promotes[interface] = self.configuration.promotesSecondaries
    }

    // MARK: - Lifetimes

    /// Somebody gives an address that ours holds another lifetime: an endless one, or a much longer one.
    func changeLifetime(_ node: SimulatedNode) -> Bool {
        let slots = node.kernel.entries.indices.filter {
            node.kernel.entries[$0].isPresent && !node.kernel.entries[$0].isForeign
        }
        // One that has read nothing yet cannot tell what an earlier process may have given.
        guard !slots.isEmpty, node.daemon == .running, node.core?.believedSnapshot != nil else { return false }
        let slot = slots[Int(self.random.between(0, Int64(slots.count - 1)))]
        let endsAt = self.random.chance(0.5) ? nil : self.now + self.random.between(60_000_000, 7_200_000_000)
        // From here on it is no doing of ours, until our daemon has set it right.
        self.appear(slot, on: node, endsAt: endsAt, isForeign: true)
        let generation = node.kernel.entries[slot].generation
        self.schedule(
            .checkForeign(node.index, slot, generation, since: self.now),
            after: self.longest(self.longestHeld) + 8_000_000)
        return true
    }

    /// The longest TTL of a lease that stands or may be granted.
    private var longestHeld: Time {
        self.etcd.leases.values.reduce(self.longestTTL) { max($0, $1.ttl) }
    }
}
