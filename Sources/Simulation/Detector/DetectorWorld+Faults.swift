// SPDX-License-Identifier: Apache-2.0
import Decision

/// What happens to the nodes, and how it ends.
extension DetectorWorld {
    mutating func disturb() {
        self.faults += 1
        let (index, other, kind) = (self.anyNode(), self.anyNode(), self.random.between(0, 14))
        self.tell("fault \(kind) on \(Self.name(index)), \(Self.name(other))")
        switch kind {
        case 0: self.cuts.insert(index * 100 + other)
        case 1: self.cuts.formUnion([index * 100 + other, other * 100 + index])
        case 2: self.cuts = []
        // Everybody but etcd is cut off from it.
        case 3: for node in self.nodes.indices where node != index { self.cuts.insert(index * 100 + node) }
        case 4, 5: self.nodes[self.leader].isUsable.toggle()
        case 6: self.nodes[index].isUsable.toggle()
        case 7: self.nodes[index].isPatroniUp.toggle()
        case 8: self.setFrozen(index, !self.nodes[index].isFrozen)
        case 9: self.setContact(index, !self.nodes[index].reachesEtcd)
        case 10:
            // One at a time: against a majority that lies nothing helps.
            let isLiar = !self.nodes[index].isLiar
            for node in self.nodes.indices { self.nodes[node].isLiar = false }
            self.nodes[index].isLiar = isLiar
        case 11: self.setPaused(!self.isPaused)
        case 12: self.refusals = self.refusals.isEmpty ? [index * 100 + self.leader] : []
        case 13: self.setBlind(index, !self.nodes[index].isBlind)
        default: self.lead(index)  // Somebody switches over, or Patroni fails over.
        }
    }

    private mutating func anyNode() -> Int { Int(self.random.between(0, Int64(self.nodes.count - 1))) }

    private mutating func setFrozen(_ index: Int, _ isFrozen: Bool) {
        self.nodes[index].isFrozen = isFrozen
        guard !isFrozen else { return self.queue.schedule(.expire(index), at: self.now + 30 * Self.second) }
        // What is due comes first; a new lease, and what is published under it, takes a question and an answer.
        self.turn(index, .tick)
        let held = self.nodes[index].held
        self.nodes[index].held = []
        for event in held { self.turn(index, event) }
        self.publishAnew(index)
    }

    private mutating func setContact(_ index: Int, _ reaches: Bool) {
        self.nodes[index].reachesEtcd = reaches
        guard reaches else { return self.queue.schedule(.expire(index), at: self.now + 30 * Self.second) }
        // Its followers read anew.
        self.lookAnew(index)
        self.publishAnew(index)
    }

    private mutating func setPaused(_ isPaused: Bool) {
        guard isPaused != self.isPaused else { return }
        self.pausedAt = isPaused ? self.now : nil
        self.revision += 1
        self.tell(.watched(clusterID: 7, revision: self.revision, changes: [.patroni(self.config)]), besides: -1)
    }

    /// What it would have published meanwhile. One that is frozen keeps no lease, under which it could.
    private mutating func publishAnew(_ index: Int) {
        guard self.nodes[index].reachesEtcd, !self.nodes[index].isFrozen, let truth = self.truths[index] else { return }
        self.observations[index] = truth
        self.tell(.detector(.observed(Self.id(index), truth)), besides: index)
    }

    mutating func heal() {
        self.isHealing = true
        (self.cuts, self.refusals) = ([], [])
        self.setPaused(false)
        for index in self.nodes.indices {
            (self.nodes[index].isUsable, self.nodes[index].isPatroniUp) = (true, true)
            self.nodes[index].isLiar = false
            self.setFrozen(index, false)
            self.nodes[index].isBlind = false
            self.setContact(index, true)
            // A liar that lies no more publishes the truth.
            self.publishAnew(index)
        }
    }
}
