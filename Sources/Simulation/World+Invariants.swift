// SPDX-License-Identifier: Apache-2.0
import Decision

/// What must never happen, and what must have happened some time after everything was healed.
extension World {
    /// A replaced etcd knows nothing of the leases of the old one, which run on: its quarantine covers them.
    var isReplacedLately: Bool { self.replacedAt.map { self.now - $0 < self.aftermath } ?? false }

    /// At most one kernel holds an address, at any instant; and who has it came by it rightfully.
    func checkHolders(of address: Int, appearedOn node: SimulatedNode) {
        for other in self.nodes where other !== node && other.kernel.holds(address) {
            if self.isDivided(node, other, address) {
                self.losses.divided += 1
                continue
            }
            self.fail("two holders of \(self.specs[address].id): \(other.member) and \(node.member)")
        }
        guard !self.isReplacedLately, !self.isCoveredByFailsafe(node) else { return }
        guard let holder = self.holder(of: address, asSeenBy: node) else { return }
        if holder?.member != node.member || holder?.node != node.identity {
            self.fail("\(node.member) took \(self.specs[address].id), but its key names \(holder?.member ?? "nobody")")
        }
    }

    /// An acquisition was the leader's.
    func checkAcquisition(_ id: AddressID, by node: SimulatedNode) {
        if self.etcd.leader != node.member {
            self.fail("\(node.member) acquired \(id) while \(self.etcd.leader ?? "nobody") led")
        }
    }

    /// Who has seen that the key stands under the lease that it was to be put under waits for no answer.
    func checkAcquisitions(of node: SimulatedNode) {
        guard !node.seen.acquisitions.isEmpty, let shown = node.seen.acquisitions.shown, !self.isReplacedLately,
            !self.hasReusedClusterID
        else { return }
        self.fail("\(node.member) sees the key of \(shown.address) under its lease, and does not take it as acquired")
    }

    /// A key may end only after the kernel's hold, except where Patroni's failsafe mode covers the holder.
    func checkKeyEnds(_ lease: LeaseID) {
        guard case .address(let address)? = self.etcd.leases[lease]?.key, let holder = self.etcd.holders[address] else {
            return
        }
        for node in self.nodes
        where node.identity == holder.node && node.kernel.holds(address) && !self.isCoveredByFailsafe(node)
            && !self.isReplacedLately
            && node.endpoints?.heldUnder[address] ?? self.etcd.clusterID == self.etcd.clusterID
        {
            self.fail("the key of \(self.specs[address].id) ended while \(node.member) still held the address")
        }
    }

    /// A core must not spin.
    func checkPace(_ node: SimulatedNode, _ actions: Int) {
        let limit = ActionMeter.limit(addresses: self.specs.count)
        if node.meter.count(actions, at: self.now) > limit {
            self.fail("\(node.member) spins: more than \(limit) actions in a second")
        }
    }

    /// Nor must one that goes on want to be woken in the past.
    func checkWake(of node: SimulatedNode, at instant: Instant) {
        if let wakeAt = node.core?.wakeAt, wakeAt <= instant {
            self.fail("\(node.member) wants to be woken in the past")
        }
    }

    /// An address is given to the kernel only by whom the newest known leader key names, or covers otherwise.
    func checkAssignment(of spec: AddressSpec, by node: SimulatedNode) {
        guard let leader = node.seen.leader, leader != node.member, !self.isReplacedLately, !self.hasReusedClusterID
        else { return }
        self.fail("\(node.member) assigns \(spec.id), though it has seen that \(leader) leads")
    }

    /// In maintenance nothing is taken away for want of a leader while PostgreSQL here is no standby, as far as the daemon
    /// was told.
    func checkPause(_ action: Action, by node: SimulatedNode) {
        guard self.members == nil || node.seen.cluster == self.etcd.clusterID else { return }
        guard node.seen.isPaused, node.seen.leader == nil, !node.isStopping, !self.isReplacedLately,
            !self.hasReusedClusterID,
            node.seen.postgres != .standby, node.postgres == .primary
        else { return }
        var removed: Int?
        switch action {
        case .remove(let id, let place):
            guard node.spec(of: id)?.place == place else { return }
            removed = self.specs.firstIndex { $0.id == id }
            // Its lifetime is nearly over: what could not be renewed goes.
            if let address = removed {
                let entries = SimulatedKernel.slots(of: address).map { node.kernel.entries[$0] }
                let last = entries.filter { $0.isPresent && !$0.isForeign }.compactMap(\.endsAt).max()
                guard let last, last - self.now > 1_500_000 else { return }
            }
        case .revoke(_, let lease): removed = self.etcd.holders.firstIndex { $0?.lease == lease }
        default: return  // No other action takes anything away.
        }
        guard let address = removed, node.kernel.holds(address),
            node.configured.contains(self.specs[address]),
            self.now - max(node.networkChangedAt, node.runningSince) > self.longest(self.ttl),
            self.etcd.holders[address]?.node == node.identity, node.core?.hasContact == true,
            node.core?.addressStatuses.first(where: { $0.id == self.specs[address].id })?.stance
                != .leave(.reconfigured)
        else { return }
        self.fail("\(node.member) gives up \(self.specs[address].id) in maintenance: \(action)")
    }

    /// A daemon that says that all is released has nothing left of what it was told to hold. (A configuration that came while it was
    /// frozen it has not read.)
    func checkStopped(_ unreleased: [AddressID], on node: SimulatedNode) {
        for (address, spec) in self.specs.enumerated()
        where !unreleased.contains(spec.id) && node.kernel.holds(address)
            && node.core?.addressStatuses.contains(where: { $0.id == spec.id }) == true
        {
            self.fail("\(node.member) stopped and left \(spec.id) behind")
        }
    }

    /// What somebody put where it does not belong is gone soon, if the daemon could see to it.
    func checkForeign(_ slot: Int, _ generation: Int, since: Time, on node: SimulatedNode) {
        let entry = node.kernel.entries[slot]
        let spec = self.specs[SimulatedKernel.address(of: slot)]
        guard entry.isPresent, entry.isForeign, entry.generation == generation, node.daemon == .running,
            !node.isDeaf, self.now - node.silencedAt > 45_000_000, node.grippedUntil + 5_000_000 < self.now,
            node.runningSince <= since,
            node.kernel.removalsFailUntil < since, node.core?.believedSnapshot != nil,
            node.spec(of: spec.id) != nil, node.configuredAt <= since, !node.isStopping,
            // One that is configured while etcd does not answer is judged when it does.
            node.core?.addressStatuses.first(where: { $0.id == spec.id })?.stance != .wait(.noContactYet)
        else { return }
        self.fail("\(node.member) leaves \(spec.id) where somebody put it")
    }

    /// What must hold some time after everything was healed: the address is where writes are accepted, and nowhere else.
    func checkLiveness() {
        guard let leader = self.nodes.first(where: { $0.member == self.etcd.leader }), leader.postgres == .primary
        else {
            return self.fail("the simulated Patroni found no leader: \(self.etcd.leader ?? "none")")
        }
        for (address, spec) in self.specs.enumerated() {
            let holders = self.nodes.filter { $0.kernel.answers(address) }.map(\.member)
            guard holders != [leader.member] else {
                if leader.announcer.runs[address] == nil {
                    self.fail("\(leader.member) holds \(spec.id) and does not announce it")
                }
                continue
            }
            let status = leader.core?.addressStatuses.first { $0.id == spec.id }
            let why = status.map { "\($0.stance)" } ?? "its daemon does not run"
            let key = self.etcd.holders[address]?.member ?? "nobody"
            self.fail(
                "\(spec.id) has not returned to \(leader.member) (holders: \(holders), stance: \(why), key: \(key))")
        }
    }
}
