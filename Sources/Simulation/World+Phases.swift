// SPDX-License-Identifier: Apache-2.0
import Decision

/// What ends each fault, and the phases of a run.
extension World {
    enum Later {
        case restoreNetwork(Int)
        case thaw(Int)
        case startPatroni(Int)
        case powerOn(Int)
        case interfaceUp(Int, Int)
        case quorum
        case unpause
        case backup
        case handOver(Int, LeaseID)
        case configure(Int, [AddressSpec])
        case assign(Assignment)
        case checkForeign(Int, Int, Int, since: Time)
        /// The newest that a daemon wanted to be kept has reached the disk; what was under way when the daemon ended has not.
        case remembered(Int, life: Int)
        case ownAddress(Int)
        case ownAddressSeen(Int, life: Int)
        case markFurther(Request)
        case resume(Int)
        case makeSpace
        case permit(Int)
        case hear(Int)
        case watchdog(Int, life: Int)
        case judge(Request, Event)
        case attemptFailed(Request, isSlow: Bool)
        case survey(Int, life: Int, number: Int)
        case endpointBack(Int)
        case endpointsReached(Int)

        /// Whether it ends a fault, or changes the cluster as one.
        var endsFault: Bool {
            switch self {
            case .restoreNetwork, .thaw, .startPatroni, .powerOn, .interfaceUp, .quorum, .unpause, .backup, .handOver,
                .configure, .ownAddress, .resume, .makeSpace, .permit, .hear, .endpointBack, .endpointsReached:
                true
            case .assign, .checkForeign, .remembered, .ownAddressSeen, .markFurther, .watchdog, .judge, .attemptFailed,
                .survey:
                false
            }
        }
    }

    func carryOut(_ later: Later) {
        switch later {
        case .restoreNetwork(let index):
            let node = self.nodes[index]
            (node.cutsRequests, node.cutsAnswers, node.cutsPeers) = (false, false, false)
            node.networkChangedAt = self.now
            self.publish()
        case .thaw(let index): self.thaw(self.nodes[index])
        case .startPatroni(let index):
            let node = self.nodes[index]
            guard node.isPowered, node.patroni != .running else { return }
            self.log("\(node.member): Patroni continues")
            if node.patroni == .dead { node.failsafeSince = nil }
            node.patroni = .running
            self.scheduleLoop(node, after: 100_000)
        case .powerOn(let index): self.powerOn(self.nodes[index])
        case .interfaceUp(let index, let interface): self.setInterface(interface, .up, on: self.nodes[index])
        case .quorum:
            guard !self.etcd.hasQuorum, self.members?.haveQuorum != false else { return }
            self.log("etcd: quorum again")
            self.etcd.hasQuorum = true
            self.etcd.changeLeader(at: self.now)
            self.publish()
        case .unpause:
            guard self.config.isPaused else { return }
            guard self.etcd.hasQuorum, !self.isEtcdFull else { return self.schedule(.unpause, after: 5_000_000) }
            self.config.isPaused = false
            self.writeConfig()
        case .backup: if self.etcd.hasQuorum { self.backup = self.etcd }
        case .handOver(let index, let lease):
            let node = self.nodes[index]
            guard node.patroni == .running, node.reachesEtcd, self.etcd.hasQuorum, node.patroniLease == lease else {
                return
            }
            node.patroniLease = nil
            self.endLease(lease)
        case .configure(let index, let specs): self.configure(self.nodes[index], specs)
        case .assign(let change): self.carryOut(change)
        case .remembered(let index, let life):
            let node = self.nodes[index]
            if node.life == life { node.disk = node.unwritten }
        case .checkForeign(let index, let slot, let generation, let since):
            self.checkForeign(slot, generation, since: since, on: self.nodes[index])
        case .ownAddress(let index): self.putOwnAddress(on: self.nodes[index])
        case .ownAddressSeen(let index, let life):
            if self.nodes[index].life == life { self.seeOwnAddress(self.nodes[index]) }
        case .markFurther(let request): self.markFurther(request)
        case .resume(let index): self.resume(self.nodes[index])
        case .makeSpace: self.isEtcdFull = false
        case .permit(let index): self.nodes[index].refusal = nil
        case .hear(let index): self.hear(self.nodes[index])
        case .watchdog(let index, let life):
            if self.nodes[index].life == life { self.checkWatchdog(self.nodes[index]) }
        case .judge(let request, let event): self.judge(request, event)
        case .attemptFailed(let request, let isSlow): self.attemptFailed(request, isSlow: isSlow)
        case .survey(let index, let life, let number):
            if self.nodes[index].life == life { self.survey(self.nodes[index], number) }
        case .endpointBack(let place): self.returnEndpoint(place)
        case .endpointsReached(let index): self.reachEndpoints(self.nodes[index])
        }
    }

    private func powerOn(_ node: SimulatedNode) {
        guard !node.isPowered else { return }
        self.log("\(node.member): power on")
        node.isPowered = true
        node.kernel.interfaceStates = [.up, .up]
        self.putOwnAddress(on: node)
        node.postgres = .standby
        node.patroni = .running
        self.startDaemon(node, after: self.random.between(10_000, 2_000_000))
        self.scheduleLoop(node, after: self.random.between(500_000, 3_000_000))
    }

    // MARK: - Phases

    func beginFaults() {
        self.isFaulty = true
        self.pace = self.span(2_000_000, 15_000_000)
        self.schedule(.fault, after: self.random.between(100_000, self.pace))
        self.schedule(.backup, after: self.random.between(0, 200_000_000))
    }

    /// Ends every fault. What has been lost on the way stays lost.
    func heal() {
        self.isFaulty = false
        self.phase += 1
        self.isCalmMaintenance = false
        self.isCalm = false
        self.log("everything is healed")
        self.mendEndpoints()
        self.carryOut(.quorum)
        self.carryOut(.makeSpace)
        self.carryOut(.unpause)
        for node in self.nodes {
            node.kernel.removalsFailUntil = min(node.kernel.removalsFailUntil, self.now)
            self.carryOut(.powerOn(node.index))
            self.carryOut(.resume(node.index))
            self.carryOut(.permit(node.index))
            self.carryOut(.restoreNetwork(node.index))
            // Its member of etcd hears who leads.
            node.staleMember = nil
            self.carryOut(.thaw(node.index))
            self.carryOut(.hear(node.index))
            self.carryOut(.startPatroni(node.index))
            for interface in SimulatedKernel.interfaces.indices {
                self.carryOut(.interfaceUp(node.index, interface))
            }
            self.carryOut(.ownAddress(node.index))
            self.configure(node, self.specs)
            if node.postgres == .down { self.changePostgres(to: .standby, on: node, after: 500_000) }
            if node.daemon == .dead { self.startDaemon(node, after: 100_000) }
        }
    }

    /// Whether Patroni has done its part: one leader that accepts writes, and its configuration in etcd.
    var isSettled: Bool {
        self.etcd.patroni != nil
            && self.nodes.contains {
                $0.member == self.etcd.leader && $0.postgres == .primary && $0.patroni == .running
            }
    }

    /// Once Patroni has a leader that accepts writes, the address must be there within TTL + 5 s; in a new etcd, that long
    /// after the quarantine began.
    func awaitReturn() {
        let leaderTTL = self.etcd.leaderLease.flatMap { self.etcd.leases[$0]?.ttl } ?? 0
        let patience = self.now + 4 * max(leaderTTL, self.config.ttl.microseconds) + 60_000_000
        while self.violation == nil, !self.isSettled, self.now < patience { self.run(for: 500_000) }
        let settledAt = self.now
        self.run(for: 3_000_000)
        // What stands in the way may be under a lease that was granted with a longer TTL.
        var ttl = self.longestTTL
        for lease in self.etcd.holders.map(\.?.lease) + [self.etcd.quarantine] {
            if let lease { ttl = max(ttl, self.etcd.leases[lease]?.ttl ?? 0) }
        }
        // Who waits for an answer that never comes, does so for its time limit.
        var heardAt = max(settledAt, self.inVainUntil)
        // A command that the kernel keeps in its grip is waited for; on another node it may stand before what somebody added there.
        heardAt = self.nodes.reduce(heardAt) { max($0, $1.grippedUntil) }
        let begin = self.etcd.quarantine == nil ? heardAt : max(heardAt, self.quarantinedAt ?? 0)
        // etcd's clock may be slow, and what failed is tried again within some seconds.
        self.run(for: max(0, begin + self.longest(ttl) + 5_000_000 - self.now))
        self.awaitQuarantine(since: settledAt + 3_000_000)
        self.awaitMemory()
        if self.violation == nil { self.checkLiveness() }
        self.keepQuiet()
    }

    /// A mark that was asked for before all was healed may be asked for again some seconds later: its quarantine began only then.
    private func awaitQuarantine(since time: Time) {
        guard let quarantinedAt = self.quarantinedAt, quarantinedAt > time, let lease = self.etcd.quarantine,
            let ttl = self.etcd.leases[lease]?.ttl
        else { return }
        self.run(for: max(0, quarantinedAt + self.longest(ttl) + 5_000_000 - self.now))
    }

    /// A leader that cannot tell whether etcd's history is the one it knew waits for as long as anybody's lease may run: where
    /// its disk takes nothing, after each start of its daemon, else where another node without a memory settled in a new etcd.
    private func awaitMemory() {
        guard let core = self.nodes.first(where: { $0.member == self.etcd.leader })?.core,
            core.addressStatuses.contains(where: { $0.stance == .wait(.historyUnknown) })
        else { return }
        // A restored etcd may have shown an older configuration.
        self.run(for: self.longest(max(self.longestTTL, self.longestGranted)) + 5_000_000)
    }

    /// Maintenance with every Patroni stopped, so that the leader key ends, while daemons crash and come back: what is held
    /// stays where it is.
    func maintain() {
        // A daemon that has found etcd's history contradicted waits by itself, and says so anew if it is restarted meanwhile.
        if self.nodes.contains(where: { $0.core?.trustsHistory == false }) {
            self.run(for: self.longest(max(self.longestTTL, self.longestGranted)) + 5_000_000)
        }
        // Two crashes in a row must not outlast the lifetime.
        // Who crashes in a quarantine acquires anew after it.
        guard self.violation == nil, self.longestOutage > 6_000_000, self.etcd.quarantine == nil, self.pause(for: nil)
        else { return }
        self.log("calm maintenance")
        self.faults.add(.pause)
        self.run(for: 1_000_000)
        self.isCalmMaintenance = true
        for _ in 0..<4 {
            self.run(for: self.random.between(1_000_000, self.ttl))
            let node = self.nodes[Int(self.random.between(0, Int64(self.nodes.count - 1)))]
            self.faults.add(.daemonCrash)
            self.crashDaemon(node, restartAfter: self.random.between(100_000, 2_000_000))
        }
        self.run(for: self.ttl + 10_000_000)
        self.isCalmMaintenance = false
        self.heal()
    }
}
