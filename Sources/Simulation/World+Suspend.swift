// SPDX-License-Identifier: Apache-2.0
import Decision

/// A machine that stands still with all that runs on it, while its clock (`CLOCK_BOOTTIME`) goes on.
///
/// Its kernel reckons lifetimes by another clock, which stands still, too: an address ends later by the time that the machine
/// was away. That is covered for as long as the margin has something to spare, and not beyond; so no suspend here is longer.
extension World {
    /// Answers whether it could be done.
    func suspend(_ node: SimulatedNode) -> Bool {
        guard node.isPowered, node.suspendedUntil == nil, node.daemon == .running else { return false }
        let held = node.kernel.entries.indices.filter { node.kernel.entries[$0].endsAt != nil }
        // What is about to be removed is late already.
        guard held.allSatisfy({ (node.kernel.entries[$0].endsAt ?? 0) > self.now }) else { return false }
        let used = held.reduce(0) { max($0, node.kernel.entries[$1].delayed) }
        let most = min(self.configuration.spareMargin - used, 10_000_000)
        guard most >= 10_000 else { return false }
        let span = self.random.between(10_000, most)
        node.suspendedUntil = self.now + span
        node.daemon = .frozen
        if node.patroni == .running {
            node.patroni = .frozen
            self.schedule(.startPatroni(node.index), after: span)
        }
        (node.cutsRequests, node.cutsAnswers, node.cutsPeers) = (true, true, true)
        node.networkChangedAt = self.now
        for slot in held {
            node.kernel.delay(slot, by: span)
            let (endsAt, generation) = (node.kernel.entries[slot].endsAt, node.kernel.entries[slot].generation)
            if let endsAt {
                self.schedule(.expiry(node.index, slot: slot, generation: generation), after: endsAt - self.now)
            }
        }
        self.schedule(.restoreNetwork(node.index), after: span)
        self.schedule(.resume(node.index), after: span)
        return true
    }

    func resume(_ node: SimulatedNode) {
        guard node.suspendedUntil != nil else { return }
        node.suspendedUntil = nil
        self.thaw(node)
    }
}
