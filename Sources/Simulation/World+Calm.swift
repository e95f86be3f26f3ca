// SPDX-License-Identifier: Apache-2.0
import Decision

/// How often addresses came, and came back to where they had just gone from.
struct LossCounts {
    private struct Loss {
        let node: Int
        let leader: String?
        let time: Time
    }
    private var last: [Loss?]
    private(set) var arrivals = 0
    private(set) var flaps = 0
    /// How often two nodes held an address, each by another etcd.
    var divided = 0

    init(addresses: Int) { self.last = Array(repeating: nil, count: addresses) }

    mutating func lost(_ address: Int, node: Int, leader: String?, at now: Time) {
        self.last[address] = Loss(node: node, leader: leader, time: now)
    }

    mutating func arrived(_ address: Int, node: Int, leader: String?, at now: Time) {
        self.arrivals += 1
        if let loss = self.last[address], loss.node == node, loss.leader == leader, now - loss.time < 60_000_000 {
            self.flaps += 1
        }
    }
}

/// Times in which etcd is well and nothing happens that may cost anybody an address.
extension World {
    func countAppearance(of address: Int, on node: SimulatedNode) {
        self.losses.arrived(address, node: node.index, leader: self.etcd.leader, at: self.now)
    }

    /// In a calm time, no address that ours holds goes away.
    func countLoss(of address: Int, on node: SimulatedNode) {
        self.losses.lost(address, node: node.index, leader: self.etcd.leader, at: self.now)
        let id = self.specs[address].id
        if self.isCalmMaintenance { self.fail("\(node.member) lost \(id) in calm maintenance") }
        if self.isCalm { self.fail("\(node.member) lost \(id) though etcd was well") }
        if self.isQuiet { self.fail("\(node.member) lost \(id) without a cause") }
    }

    /// All is healed, and every address is where it belongs: no fault is under way, and none has an end to come. Whatever goes
    /// now, also to come back at once, goes without a cause.
    func keepQuiet() {
        guard self.violation == nil else { return }
        self.log("quiet")
        self.isQuiet = true
        // Some renewals: what does not outlast them is lost in each.
        self.run(for: min(self.ttl / 2, 60_000_000) + 1_000_000)
        self.isQuiet = false
    }

    /// For how long a daemon may be away at the worst moment, just before a renewal, without that a lifetime ends. The kernel
    /// counts whole seconds, and the next process has to find its way.
    var longestOutage: Time {
        var ttl = self.ttl
        for lease in self.etcd.leases.values { if case .address? = lease.key { ttl = min(ttl, lease.ttl) } }
        // A renewal is a sixth old when the next is due, and one that gains less than a sixth is not passed on.
        let drift = Double(self.configuration.clockDrift) / 1e6
        // A node that measures that it is slow takes as much off again; one that is fast counts more seconds.
        let slowness = max(0, 1 - self.configuration.rates.lowerBound)
        let left =
            Double(ttl) * (2.0 / 3 - drift - slowness) - Double(self.configuration.margin.microseconds) - 1_500_000
        return Time(left / self.configuration.rates.upperBound)
    }

    /// Whether a fault that comes by chance may come in a calm time.
    func isHarmless(_ kind: FaultKind) -> Bool {
        kind.isHarmless && (kind != .commandSlow || self.mayCommandsBeSlow)
    }

    private enum CalmFault: CaseIterable {
        case crash, restart, freeze, silentWatch, etcdLeaderChange, reload, fullEtcd, lifetime, refusal, otherNode
        /// Only where etcd has several endpoints.
        case endpoint
    }

    /// Daemons crash, freeze and restart, for less than a lifetime; others' nodes fail; etcd changes its leader, or is full: what
    /// is held stays where it is.
    func keepCalm() {
        guard self.violation == nil, let leader = self.nodes.first(where: { $0.member == self.etcd.leader }) else {
            return
        }
        self.log("calm")
        self.isCalm = true
        // A command that is slow twice takes more than a second: lifetimes of two do not outlast it.
        self.mayCommandsBeSlow = self.longestOutage > 0
        for _ in 0..<6 where self.violation == nil {
            let last = CalmFault.allCases.count - (self.members == nil ? 2 : 1)
            let kind = CalmFault.allCases[Int(self.random.between(0, Int64(last)))]
            let node =
                self.random.chance(0.6) ? leader : self.nodes[Int(self.random.between(0, Int64(self.nodes.count - 1)))]
            self.log("calm: \(kind), \(node.member)")
            self.disturb(kind, node, leader)
            self.run(for: self.random.between(2_000_000, max(3_000_000, self.ttl / 2)))
        }
        self.run(for: self.ttl + 5_000_000)
        self.heal()
    }

    /// One endpoint is rebuilt alone, stops, or is out of a node's reach: a quorum answers on, and everybody reaches it.
    private func loseEndpoint(_ node: SimulatedNode) {
        guard self.members?.areWhole == true, self.nodes.allSatisfy({ $0.endpoints?.cut.isEmpty != false }) else {
            return
        }
        let kinds = EndpointFault.allCases
        let kind = kinds[Int(self.random.between(0, Int64(kinds.count - 1)))]
        _ = self.strikeEndpoint(kind, node, for: self.span(1_000_000, 60_000_000))
    }

    private func disturb(_ kind: CalmFault, _ node: SimulatedNode, _ leader: SimulatedNode) {
        let outage = self.longestOutage > 100_000 ? self.random.between(50_000, min(self.longestOutage, 30_000_000)) : 0
        switch kind {
        // The next process needs a lease of its own, for which a full etcd has no space.
        case .crash where outage > 0 && !self.isEtcdFull:
            self.crashDaemon(node, restartAfter: outage)
            self.run(for: outage + 1_000_000)
        case .restart where outage > 300_000 && !self.isEtcdFull: _ = self.restartDaemon(node)
        case .freeze where outage > 0 && node.daemon == .running:
            node.daemon = .frozen
            self.run(for: outage)
            self.thaw(node)
        case .silentWatch: node.isWatchSilent = true
        case .endpoint: self.loseEndpoint(node)
        case .etcdLeaderChange: self.etcd.changeLeader(at: self.now)
        case .reload: self.deliver(.reconfigured(self.settings(of: node)), to: node)
        case .fullEtcd: _ = self.fillEtcd(for: self.span(1_000_000, 60_000_000))
        case .lifetime: _ = self.changeLifetime(node)
        case .refusal where outage > 3_000_000:
            // It is tried again each second.
            self.refuse(node, for: outage - 2_000_000)
            self.run(for: outage)
        case .otherNode where node !== leader && node.isPowered:
            if self.random.chance(0.5) {
                self.cut(node, for: self.span(1_000_000, 60_000_000))
            } else {
                self.powerOff(node)
                self.schedule(.powerOn(node.index), after: self.span(1_000_000, 60_000_000))
            }
        case .crash, .restart, .freeze, .refusal, .otherNode: break  // Not here, or not with so short a TTL.
        }
    }
}
