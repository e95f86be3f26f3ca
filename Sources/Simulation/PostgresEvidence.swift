// SPDX-License-Identifier: Apache-2.0
import Decision

/// What one life of a daemon knows of PostgreSQL, reckoned beside the core.
struct PostgresEvidence {
    private var state: PostgresState?
    private var askedAt: Instant?
    /// Since when it knows that its member leads.
    private var leadsSince: Instant?
    /// Which policy it was told for each address.
    private var configured: [AddressSpec]

    init(_ configured: [AddressSpec]) { self.configured = configured }

    func policy(of id: AddressID) -> AcquirePolicy? { self.configured.first { $0.id == id }?.acquire }

    /// `isLeader`: what it holds of that after the event.
    mutating func learn(_ event: Event, isLeader: @autoclosure () -> Bool, at now: Instant) {
        switch event {
        case .readAnswered, .followed, .watched, .acquireRefused:
            if !isLeader() { self.leadsSince = nil } else if self.leadsSince == nil { self.leadsSince = now }
        case .reconfigured(let settings): self.configured = settings.addresses
        case .postgres(let state, let askedAt):
            self.state = state
            self.askedAt = askedAt
        default: break  // The rest says nothing of who leads.
        }
    }

    /// Whether PostgreSQL was out of recovery when it was asked, not before the leadership and at most a second ago.
    func showsPrimary(at now: Instant) -> Bool {
        guard self.state == .primary, let askedAt = self.askedAt, let leadsSince = self.leadsSince else { return false }
        return askedAt >= leadsSince && now - askedAt <= .seconds(1)
    }
}

extension World {
    /// An address is asked for only where its policy's condition holds.
    func checkPolicy(of id: AddressID, by node: SimulatedNode, at instant: Instant) {
        guard node.evidence.policy(of: id) == .writable, !node.evidence.showsPrimary(at: instant) else { return }
        self.fail("\(node.member) acquires \(id), though PostgreSQL was not just seen to accept writes")
    }

    /// systemd restarts the daemon: this process leaves everything to the next. Answers whether it could be done.
    func restartDaemon(_ node: SimulatedNode) -> Bool {
        guard node.daemon == .running, !node.isStopping else { return false }
        node.isHandingOver = true
        self.deliver(.handOver, to: node)
        return true
    }
}
