// SPDX-License-Identifier: Apache-2.0
import Decision
import LeaseKeys

/// The mark and its quarantine, in two steps as in the real shell: a lease first, then the transaction that puts the
/// quarantine under it. Anything may happen between them.
extension World {
    func serveMarking(_ request: Request, _ node: SimulatedNode) {
        guard case .markCluster(let clusterID, let seen, let quarantine, let trails) = request.action else { return }
        guard let lease = request.lease else {
            // A quarantine is never granted for less than was asked for: etcd only raises.
            let ttl = max(quarantine, self.configuration.shortestGrant)
            let lease = self.etcd.grant(ttl: ttl.microseconds, at: self.now, late: self.lateness())
            self.watchLease(lease)
            return self.sendSecondHalf(of: request, under: lease, from: node)
        }
        let ttl = Duration.microseconds(self.etcd.leases[lease]?.ttl ?? quarantine.microseconds)
        let entry = Trail.Entry(lease: lease, ttl: ttl, isQuarantine: true)
        switch self.etcd.commit(self.keys.marking(clusterID, seen: seen, quarantine: entry, trails)) {
        case .committed:
            self.quarantinedAt = self.now
            self.publish()
            self.reply(.markAnswered(reason: nil, sentAt: request.sentAt), to: request, node)
        case .refused:
            // Another member was first: the lease is of no use.
            self.endLease(lease)
            self.reply(.markAnswered(reason: nil, sentAt: request.sentAt), to: request, node)
        case .leaseNotFound:
            self.reply(.markAnswered(reason: "no such lease", sentAt: request.sentAt), to: request, node)
        }
    }

    /// The answer reaches the daemon, which sends the transaction: later, if it is frozen; not at all, if it has ended.
    private func sendSecondHalf(of request: Request, under lease: LeaseID, from node: SimulatedNode) {
        guard !request.isAbandoned, !node.cutsAnswers, !self.strikes(.answerLost, 0.003) else {
            return self.refuse(request, node)
        }
        var second = request
        second.lease = lease
        self.schedule(.markFurther(second), after: self.latency())
    }

    func markFurther(_ request: Request) {
        let node = self.nodes[request.node]
        guard node.life == request.life else { return }
        guard node.daemon == .running else { return self.schedule(.markFurther(request), after: 50_000) }
        var request = request
        request.deadline = self.now + Self.requestTimeout
        self.schedule(.request(request), after: self.latency())
    }
}
