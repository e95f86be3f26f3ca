// SPDX-License-Identifier: Apache-2.0

/// Whether clients find somebody at the addresses that are here. No lease depends on it.
extension Core {
    mutating func tryPorts(at now: Instant, into actions: inout [Action]) {
        let (limit, awakeSince) = (self.node.limits.port, self.node.awakeSince)
        self.alignPorts(at: now)
        for index in self.ports.indices {
            if let silence = self.ports[index].giveUp(after: limit, at: now, awakeSince: awakeSince), silence.isFirst {
                actions.append(.report(.unanswered(.port(self.ports[index].address), after: silence.length)))
            }
            let isHere = self.leases[index].isHere && !self.node.isStopping
            if self.ports[index].advance(isHere: isHere, port: self.leases[index].spec.port, at: now) {
                actions.append(.tryPort(self.leases[index].spec))
            }
        }
    }

    /// One for each address, in their order.
    private mutating func alignPorts(at now: Instant) {
        let isAligned =
            self.ports.count == self.leases.count
            && self.leases.indices.allSatisfy { self.ports[$0].address == self.leases[$0].id }
        guard !isAligned else { return }
        let before = self.ports
        self.ports = self.leases.indices.map { index in
            let id = self.leases[index].id
            return before.first { $0.address == id } ?? PortWatch(id, at: now)
        }
    }

    mutating func learn(
        portOf address: AddressID, _ answer: PortAnswer, _ port: UInt16, askedAt: Instant, at now: Instant,
        into actions: inout [Action]
    ) {
        for index in self.ports.indices where self.ports[index].address == address {
            let report = self.ports[index].learn(
                answer, port: port, askedAt: askedAt, self.node.postgres, at: now)
            if let report { actions.append(.report(report)) }
        }
    }
}
