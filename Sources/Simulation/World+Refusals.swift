// SPDX-License-Identifier: Apache-2.0
import Decision

/// What etcd answers, but refuses.
enum Refusal: CaseIterable {
    /// The daemon's role may read Pharos's keys, and not write them.
    case permission
    /// Its token or password counts no more: nothing is answered but that.
    case authentication
}

extension World {
    /// An answer that refuses comes at once, unlike silence.
    func request(_ action: Action, from node: SimulatedNode, _ life: Int, _ instant: Instant) {
        guard node.reachesEtcd, self.etcd.hasQuorum, let reason = self.refusal(of: action, from: node) else {
            return self.send(action, from: node, life: life, sentAt: instant)
        }
        if self.losesAnswer(node) { return }
        self.schedule(
            .deliver(node.index, life: life, Self.refused(action, reason, instant)), after: self.latency() * 2)
    }

    /// Why etcd refuses what this node's daemon asks for; nil: it does not.
    private func refusal(of action: Action, from node: SimulatedNode) -> String? {
        if self.isEtcdFull, self.needsSpace(action) { return "etcdserver: mvcc: database space exceeded" }
        switch node.refusal {
        case .authentication: return "etcdserver: invalid auth token"
        case .permission: return Self.writes(action) ? "etcdserver: permission denied" : nil
        case nil: return nil
        }
    }

    private func needsSpace(_ action: Action) -> Bool {
        switch action {
        case .grantLease, .acquire, .takeOver, .markCluster: true
        case .keepAlive: self.mutation == .fullStopsRenewal
        default: false  // Reads and revocations need none; the rest does not go to etcd.
        }
    }

    /// Whether it changes keys; leases without any are everybody's.
    private static func writes(_ action: Action) -> Bool {
        switch action {
        case .acquire, .takeOver, .markCluster, .revoke: true
        default: false  // The rest changes no key.
        }
    }

    /// What the shell makes of it.
    private static func refused(_ action: Action, _ reason: String, _ sentAt: Instant) -> Event {
        switch action {
        case .grantLease(let id, _): .leaseRefused(id, reason: reason)
        case .keepAlive(let id, let lease), .revoke(let id, let lease):
            .leaseUnanswered(id, lease: lease, reason: reason)
        case .acquire(let id, let lease, _, _), .takeOver(let id, let lease, _, _, _):
            .acquireUnanswered(id, lease: lease, reason: reason)
        case .markCluster: .markAnswered(reason: reason, sentAt: sentAt)
        default: .readFailed(reason: reason)  // A read; nothing else is sent to etcd.
        }
    }

    func fillEtcd(for span: Time) -> Bool {
        guard !self.isEtcdFull else { return false }
        self.isEtcdFull = true
        self.schedule(.makeSpace, after: span)
        return true
    }

    func refuse(_ node: SimulatedNode, for span: Time) {
        node.refusal = self.random.chance(0.5) ? .permission : .authentication
        self.schedule(.permit(node.index), after: span)
    }
}
