// SPDX-License-Identifier: Apache-2.0
import Decision

/// What Patroni does, as observed on the real one: elects through the leader key, demotes late, promotes late.
extension World {
    private var loopWait: Time { self.config.loopWait.microseconds }
    private var patroniTTL: Time { self.config.ttl.microseconds }
    /// Patroni sees to it that `loop_wait` + 2 x `retry_timeout` <= `ttl`.
    private var retryTimeout: Time { min(10_000_000, (self.patroniTTL - self.loopWait) / 2) }

    func scheduleLoop(_ node: SimulatedNode, after delay: Time) {
        node.loopGeneration += 1
        self.schedule(.patroniLoop(node.index, generation: node.loopGeneration), after: delay)
    }

    func setPostgres(_ state: SimulatedNode.Postgres, on node: SimulatedNode) {
        guard node.isPowered else { return }
        if state == .primary, self.leader(seenBy: node) != node.member || node.patroni != .running {
            return self.changePostgres(to: .standby, on: node, after: 0)
        }
        self.log("\(node.member): PostgreSQL is \(state)")
        node.postgres = state
    }

    func changePostgres(to state: SimulatedNode.Postgres, on node: SimulatedNode, after delay: Time) {
        node.postgresGeneration += 1
        self.schedule(.postgres(node.index, state, generation: node.postgresGeneration), after: delay)
    }

    /// It hangs up on the daemon.
    func endPostgres(on node: SimulatedNode) {
        node.postgres = .down
        self.report(.postgresDisconnected, by: node)
    }

    func loop(_ node: SimulatedNode) {
        guard node.isPowered, node.patroni == .running else { return }
        guard node.reachesEtcd, self.etcd.hasQuorum else {
            if let place = self.placeBeside(node) { return self.at(place) { self.round(node) } }
            // It tries for a while before it draws its conclusions.
            node.loopGeneration += 1
            let delay = self.random.between(10_000, self.retryTimeout)
            return self.schedule(.patroniFailed(node.index, generation: node.loopGeneration), after: delay)
        }
        self.round(node)
    }

    /// With the etcd that it follows: Patroni believes whichever answers.
    private func round(_ node: SimulatedNode) {
        self.scheduleLoop(node, after: self.loopWait)
        node.failsafeSince = nil
        node.knowsPause = self.config.isPaused
        if self.etcd.leader == node.member {
            self.lead(node)
        } else if let leader = self.etcd.leader {
            self.follow(leader, node)
        } else {
            self.race(node)
        }
    }

    private func follow(_ leader: String, _ node: SimulatedNode) {
        if node.postgres == .primary, !self.config.isPaused {
            self.log("\(node.member): Patroni demotes, \(leader) leads")
            self.endPostgres(on: node)
            self.changePostgres(to: .standby, on: node, after: self.random.between(500_000, 2_000_000))
        } else if node.postgres == .down {
            self.changePostgres(to: .standby, on: node, after: 500_000)
        }
    }

    private func lead(_ node: SimulatedNode) {
        // Each round of a leader resets what it heard in failsafe mode before it led (ha.py, `_run_cycle`). Without that, a `ttl`
        // that is raised later makes it wait for a leader of long ago before it takes its own lost key back.
        node.failsafeHeardAt = nil
        if let lease = node.patroniLease, lease == self.etcd.leaderLease,
            self.etcd.leases[lease]?.ttl == self.patroniTTL
        {
            _ = self.etcd.keepAlive(lease, at: self.now, late: 0)
        } else {
            // Another TTL, or a lease of an earlier life: the key is put again, with the same value.
            self.takeLeaderKey(node)
        }
        if self.etcd.patroni == nil, !self.isEtcdFull {
            self.etcd.configure(self.config)
            self.publish()
        }
        switch node.postgres {
        case .primary: break
        case .standby where !self.config.isPaused: self.promote(node)
        case .down: self.changePostgres(to: .standby, on: node, after: 500_000)
        case .standby: break
        }
    }

    private func promote(_ node: SimulatedNode) {
        self.changePostgres(to: .primary, on: node, after: self.random.between(150_000, 1_500_000))
    }

    private func takeLeaderKey(_ node: SimulatedNode) {
        guard !self.isEtcdFull else { return }
        let lease = self.etcd.grant(ttl: self.patroniTTL, at: self.now, late: 0)
        node.patroniLease = lease
        self.etcd.setLeader(node.member, lease: lease)
        self.watchLease(lease)
        self.publish()
    }

    private func race(_ node: SimulatedNode) {
        guard node.postgres != .down else {
            return self.changePostgres(to: .standby, on: node, after: 500_000)
        }
        if self.config.isPaused, node.postgres != .primary { return }
        if let heardAt = node.failsafeHeardAt, self.config.isFailsafeEnabled,
            self.now - heardAt < node.span(self.patroniTTL)
        {
            return
        }
        if node.postgres != .primary, self.nodes.contains(where: { $0 !== node && self.isPrimaryVisible($0, to: node) })
        {
            return
        }
        guard !self.isEtcdFull else { return }
        self.log("\(node.member): Patroni takes the leader key")
        self.takeLeaderKey(node)
        self.lead(node)
    }

    private func isPrimaryVisible(_ other: SimulatedNode, to node: SimulatedNode) -> Bool {
        other.isPowered && other.postgres == .primary && other.patroni == .running && !other.cutsPeers
            && !node.cutsPeers
    }

    /// Every member that sees the leader key end looks at once; one that is cut off from etcd does not see it, and goes on as it was.
    func leaderKeyVanished() {
        for node in self.nodes where node.reachesEtcd {
            self.scheduleLoop(node, after: self.random.between(50_000, 300_000))
        }
    }

    func loopFailed(_ node: SimulatedNode) {
        guard node.isPowered, node.patroni == .running else { return }
        if node.reachesEtcd && self.etcd.hasQuorum || self.placeBeside(node) != nil { return self.loop(node) }
        self.scheduleLoop(node, after: self.random.between(self.loopWait / 2, self.loopWait))
        guard node.postgres == .primary, !node.knowsPause else { return }
        if self.config.isFailsafeEnabled, self.doAllAcceptFailsafe(of: node) {
            for other in self.nodes where other !== node { other.failsafeHeardAt = self.now }
            node.failsafeSince = self.now
            return
        }
        self.log("\(node.member): Patroni demotes, etcd is out of reach")
        node.failsafeSince = nil
        self.endPostgres(on: node)
        self.changePostgres(to: .standby, on: node, after: self.random.between(500_000, 2_000_000))
    }

    /// A member that leads, or is being promoted, refuses ("Running as a leader").
    private func doAllAcceptFailsafe(of node: SimulatedNode) -> Bool {
        self.nodes.allSatisfy {
            $0 === node
                || $0.isPowered && $0.patroni == .running && !$0.cutsPeers && !node.cutsPeers
                    && $0.postgres != .primary && self.etcd.leader != $0.member
        }
    }

    func isFailsafeActive(_ node: SimulatedNode) -> Bool {
        guard let since = node.failsafeSince else { return false }
        return since + node.span(self.patroniTTL) > self.now
    }

    /// Whether nobody else can be elected yet, because every other member heard in failsafe mode that `node` leads.
    func isCoveredByFailsafe(_ node: SimulatedNode) -> Bool {
        guard self.config.isFailsafeEnabled else { return false }
        return self.nodes.allSatisfy { other in
            guard other !== node else { return true }
            guard let heardAt = other.failsafeHeardAt else { return false }
            return self.now - heardAt < other.span(self.patroniTTL)
        }
    }
}
