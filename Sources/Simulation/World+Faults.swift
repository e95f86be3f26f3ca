// SPDX-License-Identifier: Apache-2.0
import Decision

/// The faults, what ends each of them, and the phases of a run.
extension World {
    enum Later {
        case restoreNetwork(Int)
        case thaw(Int)
        case startPatroni(Int)
        case powerOn(Int)
        case interfaceUp(Int)
        case quorum
        case unpause
        case assign(Int, address: Int, seconds: Int64, life: Int)
    }

    func carryOut(_ later: Later) {
        switch later {
        case .restoreNetwork(let index):
            let node = self.nodes[index]
            (node.cutsRequests, node.cutsAnswers, node.cutsPeers) = (false, false, false)
            self.publish()
        case .thaw(let index): self.thaw(self.nodes[index])
        case .startPatroni(let index):
            let node = self.nodes[index]
            guard node.isPowered, node.patroni != .running else { return }
            self.log("\(node.member): Patroni continues")
            node.patroni = .running
            self.scheduleLoop(node, after: 100_000)
        case .powerOn(let index): self.powerOn(self.nodes[index])
        case .interfaceUp(let index):
            self.nodes[index].isInterfaceUp = true
            self.report(.kernelChanged, by: self.nodes[index])
        case .quorum:
            guard !self.etcd.hasQuorum else { return }
            self.log("etcd: quorum again")
            self.etcd.hasQuorum = true
            self.etcd.changeLeader(at: self.now)
        case .unpause:
            guard self.etcd.patroni.isPaused else { return }
            var config = self.etcd.patroni
            config.isPaused = false
            self.etcd.configure(config)
            self.publish()
        case .assign(let index, let address, let seconds, let life):
            let node = self.nodes[index]
            guard node.isPowered, node.life == life else { return }
            self.assign(address, seconds, node)
            self.deliver(.assigned(self.specs[address].id), to: node)
        }
    }

    private func powerOff(_ node: SimulatedNode) {
        self.log("\(node.member): power off")
        node.isPowered = false
        node.core = nil
        node.daemon = .dead
        node.life += 1
        node.inbox = []
        node.isWatching = false
        node.boot += 1
        node.postgresGeneration += 1
        node.postgres = .down
        node.patroni = .dead
        node.failsafeSince = nil
        for index in self.specs.indices { self.vanish(index, on: node) }
    }

    private func powerOn(_ node: SimulatedNode) {
        guard !node.isPowered else { return }
        self.log("\(node.member): power on")
        node.isPowered = true
        node.isInterfaceUp = true
        node.postgres = .standby
        node.patroni = .running
        node.watchedCluster = 0
        self.startDaemon(node, after: self.random.between(10_000, 2_000_000))
        self.scheduleLoop(node, after: self.random.between(500_000, 3_000_000))
    }

    func injectFault() {
        guard self.isFaulty else { return }
        self.schedule(.fault, after: self.random.between(500_000, 40_000_000))
        self.faults += 1
        let node = self.nodes[Int(self.random.between(0, Int64(self.nodes.count - 1)))]
        // The one that holds something is the more interesting victim.
        let victim = self.nodes.first { node in node.kernel.contains { $0.isPresent } }
        self.inject(Int(self.random.between(0, 15)), on: self.random.chance(0.6) ? victim ?? node : node)
    }

    private func inject(_ kind: Int, on node: SimulatedNode) {
        let brief = self.random.between(100_000, 5_000_000)
        let long = self.random.between(1_000_000, 90_000_000)
        switch kind {
        case 0:
            self.crashDaemon(node, restartAfter: brief)
        case 1:
            self.crashDaemon(node, restartAfter: long)
        case 2, 3:
            guard node.daemon == .running else { return }
            self.log("\(node.member): the daemon is frozen")
            node.daemon = .frozen
            self.schedule(.later(.thaw(node.index)), after: kind == 2 ? brief : long)
        case 4:
            self.powerOff(node)
            self.schedule(.later(.powerOn(node.index)), after: long)
        case 5, 6, 7:
            (node.cutsRequests, node.cutsAnswers) = (kind != 6, kind != 7)
            if self.random.chance(0.4) { node.cutsPeers = true }
            self.log("\(node.member): cut (requests \(node.cutsRequests), answers \(node.cutsAnswers))")
            self.schedule(.later(.restoreNetwork(node.index)), after: long)
        case 8:
            self.log("etcd: quorum lost")
            self.etcd.hasQuorum = false
            self.schedule(.later(.quorum), after: self.random.chance(0.5) ? brief : long)
        case 9:
            self.etcd.changeLeader(at: self.now)
        case 10:
            guard self.random.chance(0.3), self.etcd.hasQuorum, !self.etcd.patroni.isFailsafeEnabled else { return }
            self.log("etcd: replaced by an empty cluster")
            self.etcd.replace()
            self.replacedAt = self.now
            for node in self.nodes { node.isWatching = false }
            self.leaderKeyVanished()
        case 11: self.switchOver()
        case 12:
            guard node.patroni == .running else { return }
            node.patroni = self.random.chance(0.5) ? .frozen : .dead
            self.log("\(node.member): Patroni is \(node.patroni)")
            self.schedule(.later(.startPatroni(node.index)), after: long)
        case 13:
            self.log("\(node.member): the watch falls silent")
            node.isWatchSilent = true
        case 14:
            node.isInterfaceUp = false
            self.report(.kernelChanged, by: node)
            self.schedule(.later(.interfaceUp(node.index)), after: brief)
            if self.random.chance(0.5) { self.deleteByHand(node) }
        default: self.pause(node)  // 15
        }
    }

    private func deleteByHand(_ node: SimulatedNode) {
        for index in self.specs.indices where node.kernel[index].isPresent {
            self.vanish(index, on: node)
            self.report(.kernelSaw(self.specs[index].id, self.specs[index].place, isPresent: false), by: node)
        }
    }

    private func pause(_ node: SimulatedNode) {
        guard !self.etcd.patroni.isPaused else { return }
        var config = self.etcd.patroni
        config.isPaused = true
        self.etcd.configure(config)
        self.publish()
        self.schedule(.later(.unpause), after: self.random.between(1_000_000, 120_000_000))
        guard self.random.chance(0.5) else { return }
        for node in self.nodes where node.patroni == .running {
            node.patroni = .dead
            self.schedule(.later(.startPatroni(node.index)), after: self.random.between(1_000_000, 90_000_000))
        }
    }

    private func switchOver() {
        guard let old = self.nodes.first(where: { $0.member == self.etcd.leader }), old.patroni == .running,
            old.reachesEtcd, self.etcd.hasQuorum, let lease = old.patroniLease
        else { return }
        self.log("\(old.member): switchover")
        old.postgres = .down
        old.patroniLease = nil
        _ = self.etcd.end(lease)
        self.publish()
        self.changePostgres(to: .standby, on: old, after: 2_000_000)
        self.leaderKeyVanished()
    }

    // MARK: - Phases

    func beginFaults() {
        self.isFaulty = true
        self.schedule(.fault, after: self.random.between(100_000, 20_000_000))
    }

    /// Ends every fault. What has been lost on the way stays lost.
    func heal() {
        self.isFaulty = false
        self.log("everything is healed")
        self.carryOut(.quorum)
        self.carryOut(.unpause)
        for node in self.nodes {
            self.carryOut(.powerOn(node.index))
            self.carryOut(.restoreNetwork(node.index))
            self.carryOut(.thaw(node.index))
            self.carryOut(.startPatroni(node.index))
            self.carryOut(.interfaceUp(node.index))
            if node.daemon == .dead { self.startDaemon(node, after: 100_000) }
        }
    }

    /// Whether Patroni has done its part: one leader, and it accepts writes.
    var isSettled: Bool {
        self.nodes.contains { $0.member == self.etcd.leader && $0.postgres == .primary && $0.patroni == .running }
    }
}
