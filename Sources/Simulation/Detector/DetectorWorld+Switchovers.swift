// SPDX-License-Identifier: Apache-2.0
import Decision

/// What follows from an order, and what may not.
extension DetectorWorld {
    mutating func switchOver(_ order: SwitchoverOrder, by index: Int) {
        self.orders += 1
        self.checkView(of: index)
        let leader = self.index(order.leader)
        // Who has found the leader unusable lately: the actor and the leader itself included, others if they are honest.
        let window = 150 * Self.second
        let witnesses = self.nodes.indices.filter { witness in
            (witness == index || !self.nodes[witness].isLiar)
                && (self.nodes[witness].foundBadAt[leader] ?? -window) > self.now - window
        }
        let isLiedTo = self.nodes.indices.contains { $0 != index && self.nodes[$0].isLiar }
        if !witnesses.contains(index) || witnesses.count + (isLiedTo ? 1 : 0) < 2 {
            self.fail("\(Self.name(index)) acts against \(order.leader) on the word of \(witnesses.count) honest nodes")
        }
        let states =
            self.nodes[index].core.detectorStatus?.targets.first { $0.id == order.leader }?.aspects.map(\.state) ?? []
        if states.contains(.suppressed) { self.fail("\(Self.name(index)) acts against a suppressed leader") }
        let isFree = self.claim == nil && self.leader == leader && self.since == order.since
        // Patroni's configuration is read in the transaction that makes the claim.
        let isPermitted = !self.isPaused || self.mutation == .noPause
        guard self.nodes[index].reachesEtcd, isPermitted, isFree || self.mutation == .noClaim else {
            self.queue.schedule(
                .deliver(index, .detector(.switchoverEnded(order, .forestalled("claimed")))), at: self.now + 5000)
            return
        }
        if self.isPaused { self.fail("\(Self.name(index)) acts in maintenance mode") }
        self.inFlight.insert(index)
        if self.inFlight.count > 1 { self.fail("two switchovers are in flight") }
        if self.mutation != .noClaim { self.publishClaim(index) }
        self.queue.schedule(
            .endSwitchover(by: index, order), at: self.now + self.random.between(1, 60) * Self.second)
    }

    mutating func endSwitchover(by index: Int, _ order: SwitchoverOrder) {
        self.inFlight.remove(index)
        let candidate = self.index(order.candidate)
        // The power went out after Patroni was asked: the claim ends by its lease.
        let hasCrashed = self.random.chance(0.1)
        let works = self.random.chance(0.7) && self.nodes[candidate].isUsable
        if works { self.lead(candidate) }
        guard !hasCrashed else {
            self.queue.schedule(.releaseClaim(by: index), at: self.now + 60 * Self.second)
            return
        }
        if self.claim == index { self.publishClaim(nil) }
        let outcome = works ? SwitchoverOutcome.done("ok") : .refused("no")
        self.queue.schedule(.deliver(index, .detector(.switchoverEnded(order, outcome))), at: self.now + 1000)
    }

    mutating func publishClaim(_ index: Int?) {
        self.claim = index
        self.tell(.detector(.switchoverClaimed(group: 0, by: index.map(Self.name))), besides: -1)
    }

    mutating func lead(_ index: Int) {
        self.leader = index
        self.revision += 1
        self.since = self.revision
        self.tell(
            .groups(
                .changed(
                    clusterID: 7, revision: self.revision,
                    [GroupChange(0, .leader(Self.name(index), since: self.since))])),
            besides: -1)
    }
}
