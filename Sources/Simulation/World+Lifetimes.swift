// SPDX-License-Identifier: Apache-2.0
import Decision

/// How late a kernel notices that a lifetime has ended.
///
/// As in Linux: each change of an address makes it look at all of them, and after each look it does not look again for a
/// second. So an address alone is late by a tenth of a second, and one near whose end another was changed, or has ended, by
/// nearly a second.
extension World {
    func expire(_ slot: Int, _ generation: Int, on node: SimulatedNode) {
        guard node.kernel.entries[slot].generation == generation else { return }
        let late = self.lateness(of: slot, on: node)
        node.kernel.lookedAt = self.now + late
        self.schedule(.removal(node.index, slot: slot, generation: generation), after: late)
    }

    func removeExpired(_ slot: Int, _ generation: Int, on node: SimulatedNode) {
        guard node.kernel.entries[slot].generation == generation else { return }
        self.log("\(node.member): the kernel removes \(self.specs[SimulatedKernel.address(of: slot)].id)")
        self.vanish(slot, on: node)
    }

    private func lateness(of slot: Int, on node: SimulatedNode) -> Time {
        if self.mutation == .slowKernel { return self.random.between(0, 4_000_000) }
        var late = self.random.between(60_000, 150_000)
        // Somebody else's address, such as a container's, was changed just before.
        let isStranger = self.strikes(.kernelDelayed, 0.3)
        if isStranger { node.kernel.lookedAt = self.now - self.random.between(0, 60_000) }
        // One look removes all that has ended by then.
        let look = node.kernel.lookedAt
        late = max(late, (look > self.now ? look : look + SimulatedKernel.lookInterval) - self.now)
        return self.delayedByLoad(late, slot, on: node)
    }

    /// What keeps a loaded kernel from looking is covered as far as the margin has something to spare.
    private func delayedByLoad(_ late: Time, _ slot: Int, on node: SimulatedNode) -> Time {
        let spare = self.configuration.spareMargin - node.kernel.entries[slot].delayed
        guard spare > 0, self.strikes(.kernelOverloaded, 0.05) else { return late }
        return min(late + self.random.between(0, spare), SimulatedKernel.lookInterval + spare)
    }
}
