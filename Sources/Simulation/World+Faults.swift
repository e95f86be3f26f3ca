// SPDX-License-Identifier: Apache-2.0
import Decision

/// The faults that come at random moments; those that come with a single action strike where it is carried out.
extension World {
    /// The faults that are injected, each as often as it stands here.
    private static let injected: [FaultKind] = [
        .daemonCrash, .daemonCrash, .daemonFreeze, .daemonFreeze, .daemonFreeze, .daemonStop, .reload, .powerOff,
        .cut, .cut, .cut, .cut, .quorumLoss, .etcdLeaderChange, .etcdReplaced, .switchover, .switchover, .switchover,
        .patroniStop, .pause, .ttlChange, .postgresDown, .watchSilent, .watchSilent, .interfaceDown, .interfaceMissing,
        .addressDeleted, .addressAdded, .removalFails, .ownAddressRenewed, .ownAddressRenewed, .lifetimeChanged,
        .daemonRestart, .suspend, .etcdFull, .refused, .stall,
    ]

    /// The same where etcd has several endpoints.
    private static let amongEndpoints =
        World.injected + [
            .endpointRebuilt, .endpointRebuilt, .endpointRebuilt, .endpointDown, .endpointCut, .endpointCut,
        ]

    func injectFault() {
        guard self.isFaulty else { return }
        self.schedule(.fault, after: self.random.between(self.pace / 20, 2 * self.pace))
        let node = self.nodes[Int(self.random.between(0, Int64(self.nodes.count - 1)))]
        // The one that holds something is the more interesting victim.
        let holder = self.nodes.first { node in self.specs.indices.contains { node.kernel.holds($0) } }
        let victim = self.random.chance(0.6) ? holder ?? node : node
        let kinds = self.members == nil ? Self.injected : Self.amongEndpoints
        let kind = kinds[Int(self.random.between(0, Int64(kinds.count - 1)))]
        if self.inject(kind, on: victim) {
            self.faults.add(kind)
            self.log("fault: \(kind.rawValue), \(victim.member)")
        }
    }

    /// Answers whether it could be done.
    private func inject(_ kind: FaultKind, on node: SimulatedNode) -> Bool {
        let brief = self.random.between(100_000, 5_000_000)
        let long = self.random.chance(0.3) ? brief : self.span(1_000_000, 90_000_000)
        switch kind {
        case .daemonCrash:
            guard node.isPowered else { return false }
            self.crashDaemon(node, restartAfter: long)
        case .daemonFreeze:
            guard node.daemon == .running else { return false }
            node.daemon = .frozen
            self.schedule(.thaw(node.index), after: long)
        case .daemonStop:
            guard node.daemon == .running else { return false }
            node.isStopping = true
            self.deliver(.stop, to: node)
        case .reload: return self.reload()
        case .powerOff:
            guard node.isPowered else { return false }
            self.powerOff(node)
            self.schedule(.powerOn(node.index), after: long)
        case .cut: self.cut(node, for: long)
        case .quorumLoss:
            guard self.etcd.hasQuorum else { return false }
            self.etcd.hasQuorum = false
            self.schedule(.quorum, after: long)
        case .etcdLeaderChange: self.changeEtcdLeader(node)
        case .etcdReplaced: return self.replaceEtcd()
        case .switchover: return self.switchOver()
        case .patroniStop:
            guard node.isPowered, node.patroni == .running else { return false }
            node.patroni = self.random.chance(0.5) ? .frozen : .dead
            self.schedule(.startPatroni(node.index), after: long)
        case .pause: return self.pause(for: self.random.between(1_000_000, 120_000_000))
        case .ttlChange: return self.changeTTL()
        case .postgresDown:
            guard node.isPowered, node.postgres != .down else { return false }
            self.changePostgres(to: node.postgres, on: node, after: brief)
            self.endPostgres(on: node)
        case .watchSilent: node.isWatchSilent = true
        case .interfaceDown, .interfaceMissing:
            let interface = Int(self.random.between(0, 1))
            self.setInterface(interface, kind == .interfaceDown ? .down : .missing, on: node)
            self.schedule(.interfaceUp(node.index, interface), after: brief)
        case .addressDeleted: self.deleteByHand(node)
        case .addressAdded:
            guard node.isPowered else { return false }
            self.addByHand(node)
        case .removalFails: node.kernel.removalsFailUntil = self.now + long
        case .ownAddressRenewed: return self.renewOwnAddress(node)
        case .lifetimeChanged: return self.changeLifetime(node)
        case .daemonRestart: return self.restartDaemon(node)
        case .suspend: return self.suspend(node)
        case .etcdFull: return self.fillEtcd(for: long)
        case .refused: self.refuse(node, for: long)
        case .stall: return self.deafen(node, for: min(long, 60_000_000))
        case .endpointRebuilt: return self.strikeEndpoint(.rebuilt, node, for: long)
        case .endpointDown: return self.strikeEndpoint(.down, node, for: long)
        case .endpointCut: return self.strikeEndpoint(.cut, node, for: long)
        case .watchEventLost, .watchEventDoubled, .watchEventLate, .requestLost, .requestLate, .answerLost,
            .answerNever, .leaseShort,
            .commandSlow, .commandUnknown, .kernelDelayed, .kernelOverloaded:
            return false
        }
        return true
    }

    func cut(_ node: SimulatedNode, for span: Time) {
        let way = self.random.between(0, 3)
        (node.cutsRequests, node.cutsAnswers) = (way != 1, way != 2)
        node.cutsPeers = self.random.chance(0.5)
        node.isRefusedAtOnce = self.random.chance(0.4)
        node.networkChangedAt = self.now
        self.schedule(.restoreNetwork(node.index), after: span)
    }

    func powerOff(_ node: SimulatedNode) {
        node.isPowered = false
        node.core = nil
        node.daemon = .dead
        node.life += 1
        node.inbox = []
        node.announcer = SimulatedAnnouncer()
        node.isWatching = false
        node.reboot()
        node.postgresGeneration += 1
        node.postgres = .down
        node.patroni = .dead
        node.failsafeSince = nil
        node.suspendedUntil = nil
        node.isDeaf = false
        for interface in SimulatedKernel.interfaces.indices { self.emptySubnet(interface, on: node) }
        for slot in node.kernel.entries.indices { self.vanish(slot, on: node) }
    }

    /// The configuration changes on every node, a little later on some; and changes back.
    private func reload() -> Bool {
        var specs = self.specs
        let index = Int(self.random.between(0, Int64(specs.count - 1)))
        let spec = specs[index]
        switch self.random.between(0, 2) {
        case 0: specs.remove(at: index)
        case 1:
            specs[index] = AddressSpec(
                id: spec.id, prefixLength: spec.prefixLength, interface: "eth1", acquire: spec.acquire,
                port: spec.port)
        default:  // Another policy.
            specs[index] = AddressSpec(
                id: spec.id, prefixLength: spec.prefixLength, interface: spec.interface,
                acquire: spec.acquire == .writable ? .leaderKey : .writable, port: spec.port)
        }
        for node in self.nodes {
            self.schedule(.configure(node.index, specs), after: self.random.between(0, 3_000_000))
            self.schedule(.configure(node.index, self.specs), after: self.random.between(3_000_000, 60_000_000))
        }
        return true
    }

    func configure(_ node: SimulatedNode, _ specs: [AddressSpec]) {
        guard node.configured != specs else { return }
        node.configured = specs
        node.configuredAt = self.now
        self.deliver(.reconfigured(self.settings(of: node)), to: node)
    }

    func pause(for span: Time?) -> Bool {
        guard !self.config.isPaused, self.etcd.hasQuorum, !self.isEtcdFull else { return false }
        self.config.isPaused = true
        self.writeConfig()
        if let span { self.schedule(.unpause, after: span) }
        guard self.random.chance(0.5) || span == nil else { return true }
        for node in self.nodes where node.patroni == .running {
            node.patroni = .dead
            if span != nil {
                self.schedule(.startPatroni(node.index), after: self.random.between(1_000_000, 90_000_000))
            }
        }
        return true
    }

    func writeConfig() {
        // In an empty etcd the next leader writes it.
        guard self.etcd.patroni != nil else { return }
        self.etcd.configure(self.config)
        self.publish()
    }

    private func changeTTL() -> Bool {
        guard self.etcd.hasQuorum, !self.isEtcdFull, self.etcd.patroni != nil else { return false }
        let (old, before) = (self.ttl, self.config)
        self.config = ClusterConfiguration.someTTL(self.config, &self.random)
        // A leader in failsafe mode cannot know of a shorter one, by which the others wait (docs/protocol.md, not covered).
        if self.config.ttl < before.ttl, self.config.isFailsafeEnabled {
            self.config = before
            return false
        }
        if self.ttl < old {
            self.formerTTL = max(old, self.longestTTL)
            self.ttlLoweredAt = self.now
        }
        self.writeConfig()
        self.log("ttl is \(self.config.ttl)")
        return true
    }

    private func switchOver() -> Bool {
        guard let old = self.nodes.first(where: { $0.member == self.etcd.leader }), old.patroni == .running,
            old.reachesEtcd, self.etcd.hasQuorum, let lease = old.patroniLease, lease == self.etcd.leaderLease
        else { return false }
        old.postgres = .down
        self.changePostgres(to: .standby, on: old, after: 2_500_000)
        // The leader key goes when PostgreSQL has stopped.
        self.schedule(.handOver(old.index, lease), after: self.random.between(0, 2_000_000))
        return true
    }
}
