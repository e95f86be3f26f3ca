// SPDX-License-Identifier: Apache-2.0
import Decision

/// What Patroni does, as observed on the real one: elects through the leader key, demotes late, promotes late.
extension World {
    var loopWait: Time { self.etcd.patroni.loopWait.microseconds }
    private static let retryTimeout: Time = 10_000_000

    func scheduleLoop(_ node: SimulatedNode, after delay: Time) {
        node.loopGeneration += 1
        self.schedule(.patroniLoop(node.index, generation: node.loopGeneration), after: delay)
    }

    func setPostgres(_ state: SimulatedNode.Postgres, on node: SimulatedNode) {
        guard node.isPowered else { return }
        if state == .primary, self.etcd.leader != node.member || node.patroni != .running {
            return self.changePostgres(to: .standby, on: node, after: 0)
        }
        self.log("\(node.member): PostgreSQL is \(state)")
        node.postgres = state
    }

    func changePostgres(to state: SimulatedNode.Postgres, on node: SimulatedNode, after delay: Time) {
        node.postgresGeneration += 1
        self.schedule(.postgres(node.index, state, generation: node.postgresGeneration), after: delay)
    }

    func loop(_ node: SimulatedNode) {
        guard node.isPowered, node.patroni == .running else { return }
        let canReach = node.reachesEtcd && self.etcd.hasQuorum
        self.scheduleLoop(node, after: canReach ? self.loopWait : self.loopWait / 2)
        guard canReach else { return self.loopWithoutEtcd(node) }
        node.patroniLastContact = self.now
        node.failsafeSince = nil
        if self.etcd.leader == node.member {
            self.lead(node)
        } else if let leader = self.etcd.leader {
            if node.postgres == .primary, !self.etcd.patroni.isPaused {
                self.log("\(node.member): Patroni demotes, \(leader) leads")
                node.postgres = .down
                self.changePostgres(to: .standby, on: node, after: self.random.between(500_000, 2_000_000))
            } else if node.postgres == .down {
                self.changePostgres(to: .standby, on: node, after: 500_000)
            }
        } else {
            self.race(node)
        }
    }

    private func lead(_ node: SimulatedNode) {
        if let lease = node.patroniLease { _ = self.etcd.keepAlive(lease, at: self.now, late: 0) }
        switch node.postgres {
        case .primary: break
        case .standby where !self.etcd.patroni.isPaused: self.promote(node)
        case .down: self.changePostgres(to: .standby, on: node, after: 500_000)
        case .standby: break
        }
    }

    private func promote(_ node: SimulatedNode) {
        self.changePostgres(to: .primary, on: node, after: self.random.between(150_000, 1_500_000))
    }

    private func race(_ node: SimulatedNode) {
        guard node.postgres != .down else {
            return self.changePostgres(to: .standby, on: node, after: 500_000)
        }
        if self.etcd.patroni.isPaused, node.postgres != .primary { return }
        if let heardAt = node.failsafeHeardAt, self.etcd.patroni.isFailsafeEnabled, self.now - heardAt < node.span(self.ttl) {
            return
        }
        if node.postgres != .primary, self.nodes.contains(where: { $0 !== node && self.isPrimaryVisible($0, to: node) }) {
            return
        }
        self.log("\(node.member): Patroni takes the leader key")
        let lease = self.etcd.grant(ttl: self.ttl, at: self.now, late: 0)
        node.patroniLease = lease
        self.etcd.setLeader(node.member, lease: lease)
        if let endsAt = self.etcd.leases[lease]?.endsAt {
            self.queue.schedule(.leaseCheck(lease, cluster: self.etcd.clusterID), at: endsAt)
        }
        self.publish()
        self.lead(node)
    }

    private func isPrimaryVisible(_ other: SimulatedNode, to node: SimulatedNode) -> Bool {
        other.isPowered && other.postgres == .primary && other.patroni == .running && !other.cutsPeers && !node.cutsPeers
    }

    /// Every member that loses sight of the leader key looks at once.
    func leaderKeyVanished() {
        for node in self.nodes { self.scheduleLoop(node, after: self.random.between(50_000, 300_000)) }
    }

    private func loopWithoutEtcd(_ node: SimulatedNode) {
        guard node.postgres == .primary, !self.etcd.patroni.isPaused else { return }
        if self.etcd.patroni.isFailsafeEnabled {
            let others = self.nodes.filter { $0 !== node }
            // A member that leads, or is being promoted, refuses ("Running as a leader").
            let doAllAccept = others.allSatisfy {
                $0.isPowered && $0.patroni == .running && !$0.cutsPeers && !node.cutsPeers
                    && $0.postgres != .primary && self.etcd.leader != $0.member
            }
            if doAllAccept {
                for other in others { other.failsafeHeardAt = self.now }
                node.failsafeSince = self.now
                return
            }
        }
        guard self.now - node.patroniLastContact > Self.retryTimeout || node.failsafeSince != nil else { return }
        self.log("\(node.member): Patroni demotes, etcd is out of reach")
        node.failsafeSince = nil
        node.postgres = .down
        self.changePostgres(to: .standby, on: node, after: self.random.between(500_000, 2_000_000))
    }

    func isFailsafeActive(_ node: SimulatedNode) -> Bool {
        guard let since = node.failsafeSince else { return false }
        return since + node.span(self.ttl) > self.now
    }

    /// Whether the last failsafe round may still cover what our daemon derived from it.
    func wasFailsafeActive(_ node: SimulatedNode) -> Bool { self.etcd.patroni.isFailsafeEnabled }
}
