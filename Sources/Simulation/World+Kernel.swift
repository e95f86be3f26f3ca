// SPDX-License-Identifier: Apache-2.0
import Decision

/// The kernels: what `ip` does to them, what they do by themselves, and what people do to them.
extension World {
    func appear(_ slot: Int, on node: SimulatedNode, endsAt: Time?, isForeign: Bool) {
        let entry = node.kernel.entries[slot]
        let wasOurs = entry.isPresent && !entry.isForeign
        node.kernel.put(slot, endsAt: endsAt, isForeign: isForeign)
        self.joinSubnet(slot, on: node)
        if let endsAt {
            node.kernel.lookedAt = self.now
            let generation = node.kernel.entries[slot].generation
            self.schedule(.expiry(node.index, slot: slot, generation: generation), after: max(endsAt - self.now, 0))
        }
        let address = SimulatedKernel.address(of: slot)
        if !isForeign, !wasOurs {
            self.checkHolders(of: address, appearedOn: node)
            self.countAppearance(of: address, on: node)
        }
        // The kernel tells of a new lifetime too.
        if !entry.isPresent || endsAt != entry.endsAt { self.report(.kernelSaw(self.found(slot, on: node)), by: node) }
    }

    func vanish(_ slot: Int, on node: SimulatedNode) {
        guard node.kernel.entries[slot].isPresent else { return }
        let isForeign = node.kernel.entries[slot].isForeign
        node.kernel.drop(slot)
        self.report(self.loss(slot), by: node)
        if !isForeign { self.countLoss(of: SimulatedKernel.address(of: slot), on: node) }
        self.leaveSubnet(slot, on: node)
    }

    private func loss(_ slot: Int) -> Event {
        .kernelLost(self.specs[SimulatedKernel.address(of: slot)].id, SimulatedKernel.place(of: slot))
    }

    private func found(_ slot: Int, on node: SimulatedNode) -> KernelState.Found {
        KernelState.Found(
            address: self.specs[SimulatedKernel.address(of: slot)].id, place: SimulatedKernel.place(of: slot),
            lifetime: node.kernel.entries[slot].endsAt.map {
                // In whole seconds, of which the one that has begun counts.
                .seconds(max(0, Int64((Double($0 - self.now) * node.rate / 1e6).rounded(.up))))
            })
    }

    // MARK: - Commands

    func execute(_ action: Action, on node: SimulatedNode, life: Int, since: Instant) {
        // A child dies with its daemon (PR_SET_PDEATHSIG).
        guard node.isPowered, node.life == life else { return }
        if let resumesAt = node.suspendedUntil, resumesAt > self.now {
            return self.schedule(
                .command(node.index, life: life, action, since: since), after: resumesAt - self.now + 1)
        }
        switch action {
        case .inspect:
            self.listPlaces(of: node)
            self.deliver(.inspected(self.listing(of: node), since: since), to: node)
        case .assign(let spec, let until, _): self.executeAssign(spec, until, on: node, life: life)
        case .remove(let id, let place): self.executeRemove(id, place, isExact: false, on: node)
        case .removeStray(let id, let place): self.executeRemove(id, place, isExact: true, on: node)
        default: break  // Only the kernel's actions come here.
        }
    }

    private func listing(of node: SimulatedNode) -> KernelState {
        var state = KernelState(found: [], usableInterfaces: [])
        for (index, name) in SimulatedKernel.interfaces.enumerated() {
            switch node.kernel.interfaceStates[index] {
            case .up: state.usableInterfaces.insert(name)
            case .down: state.downInterfaces.insert(name)
            case .missing: break
            }
        }
        for slot in node.kernel.entries.indices where node.kernel.entries[slot].isPresent {
            state.found.append(self.found(slot, on: node))
        }
        return state
    }

    private func executeAssign(_ spec: AddressSpec, _ until: Instant, on node: SimulatedNode, life: Int) {
        guard let address = self.specs.firstIndex(where: { $0.id == spec.id }),
            let (slot, former) = self.assignment(of: spec, address, on: node)
        else { return }
        guard node.kernel.state(of: spec.place) != .missing else {
            return self.deliver(.assignFailed(spec.id, reason: "no device"), to: node)
        }
        // A frozen daemon computes the lifetime when it continues; the guard lets the command act within 0.5 s of that.
        var seconds = (until - node.instant(at: self.now)).microseconds / 1_000_000
        if self.mutation == .briefLifetimes { seconds = min(seconds, max(1, seconds / 8)) }
        guard seconds >= 1 else { return self.deliver(.assignFailed(spec.id, reason: "too late"), to: node) }
        var delay: Time = 0
        if self.strikes(.commandSlow, 0.05) {
            delay = self.random.between(0, 600_000)
            guard delay <= 500_000 else {
                return self.deliver(.assignFailed(spec.id, reason: "guard"), to: node)
            }
        }
        let isKnown = !self.strikes(.commandUnknown, 0.01)
        let change = Assignment(
            node: node.index, slot: slot, former: former, seconds: seconds, until: until, life: life, isKnown: isKnown)
        if delay > 0 { self.schedule(.assign(change), after: delay) } else { self.carryOut(change) }
    }

    struct Assignment {
        let node: Int
        let slot: Int
        /// The place that the address leaves afterwards.
        let former: Int?
        let seconds: Int64
        /// The right that it was reckoned for.
        let until: Instant
        let life: Int
        let isKnown: Bool
    }

    func carryOut(_ change: Assignment) {
        let node = self.nodes[change.node]
        guard node.isPowered, node.life == change.life else { return }
        if node.suspendedUntil != nil {
            let id = self.specs[SimulatedKernel.address(of: change.slot)].id
            return self.deliver(.assignFailed(id, reason: "guard"), to: node)
        }
        let place = SimulatedKernel.place(of: change.slot)
        let id = self.specs[SimulatedKernel.address(of: change.slot)].id
        guard node.kernel.state(of: place) != .missing else {
            return self.deliver(.assignFailed(id, reason: "no device"), to: node)
        }
        self.appear(
            change.slot, on: node, endsAt: self.now + node.span(change.seconds * 1_000_000), isForeign: false)
        if let former = change.former, change.isKnown {
            guard node.kernel.removalsFailUntil <= self.now, !self.strikes(.removalFails, 0.01) else {
                return self.deliver(.assignFailed(id, reason: "the former place could not be cleared"), to: node)
            }
            self.vanish(former, on: node)
        }
        if change.isKnown {
            node.announcer.allow(SimulatedKernel.address(of: change.slot), until: change.until)
        }
        self.deliver(change.isKnown ? .assigned(id) : .assignFailed(id, reason: "timed out"), to: node)
    }

    /// One command takes the address off the interface, whatever its prefix length there; or exactly out of its place.
    private func executeRemove(_ id: AddressID, _ place: KernelPlace, isExact: Bool, on node: SimulatedNode) {
        guard let address = self.specs.firstIndex(where: { $0.id == id }) else { return }
        if node.kernel.removalsFailUntil > self.now || self.strikes(.removalFails, 0.01) {
            return self.deliver(.removeFailed(id, place, reason: "injected"), to: node)
        }
        self.protectBeforeRemoval(of: address, from: place, on: node)
        var wasPresent = false
        for slot in SimulatedKernel.slots(of: address)
        where SimulatedKernel.place(of: slot).interface == place.interface
            && (!isExact || SimulatedKernel.place(of: slot) == place)
        {
            if node.kernel.entries[slot].isPresent { wasPresent = true }
            self.vanish(slot, on: node)
        }
        if self.strikes(.commandUnknown, 0.01) {
            return self.deliver(.removeFailed(id, place, reason: "timed out"), to: node)
        }
        self.deliver(.removed(id, place, wasPresent: wasPresent), to: node)
    }

    // MARK: - By hand, and by the hardware

    func setInterface(_ index: Int, _ state: SimulatedKernel.Interface, on node: SimulatedNode) {
        guard node.kernel.interfaceStates[index] != state else { return }
        node.kernel.interfaceStates[index] = state
        if state == .missing {
            self.emptySubnet(index, on: node)
            for slot in node.kernel.entries.indices
            where SimulatedKernel.place(of: slot).interface == SimulatedKernel.interfaces[index] {
                self.vanish(slot, on: node)
            }
        }
        if state != .missing, index == 0, !node.kernel.subnets[0].hasOwn { self.interfaceReturned(on: node) }
        self.report(.kernelChanged, by: node)
    }

    func deleteByHand(_ node: SimulatedNode) {
        self.isHandAtWork = true
        defer { self.isHandAtWork = false }
        for slot in node.kernel.entries.indices { self.vanish(slot, on: node) }
    }

    func addByHand(_ node: SimulatedNode) {
        let slot = Int(self.random.between(0, Int64(node.kernel.entries.count - 1)))
        guard !node.kernel.entries[slot].isPresent,
            node.kernel.state(of: SimulatedKernel.place(of: slot)) != .missing,
            // Where the node's own address is away, it would become its primary by hand.
            SimulatedKernel.interface(of: slot) != 0 || node.kernel.subnets[0].hasOwn
        else { return }
        self.log(
            "\(node.member): somebody adds \(self.specs[SimulatedKernel.address(of: slot)].id) to \(SimulatedKernel.place(of: slot))"
        )
        self.appear(slot, on: node, endsAt: nil, isForeign: true)
        let generation = node.kernel.entries[slot].generation
        self.schedule(.checkForeign(node.index, slot, generation, since: self.now), after: 8_000_000)
    }
}
