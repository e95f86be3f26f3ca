// SPDX-License-Identifier: Apache-2.0

/// The facts that all addresses of a node have in common.
struct Shared: Sendable {
    var settings: CoreSettings
    var view: ClusterView?
    /// When the newest answered linearizable read was sent.
    var lastRead: Instant?
    /// When this node became the leader, as far as it knows.
    var leaderSince: Instant?
    var postgres: PostgresState?
    var postgresAskedAt: Instant?
    /// Until when Patroni's failsafe mode covers an address that is already here.
    var failsafeUntil: Instant?
    var interfaces = KernelState(found: [], usableInterfaces: [])
    var isStopping = false

    var leaseTTL: Duration { self.settings.leaseTTL ?? self.view?.patroni.value.ttl ?? .seconds(30) }
    /// Time between two renewals.
    var period: Duration { self.leaseTTL / 6 }

    var isLeader: Bool { self.view?.leader.value == self.settings.member }

    func isCoveredByFailsafe(at now: Instant) -> Bool {
        guard let until = self.failsafeUntil else { return false }
        return until > now
    }

    /// A primary that was seen before it became the leader, or long ago, may be one no more.
    func isPostgresAnswerFresh(at now: Instant) -> Bool {
        guard let askedAt = self.postgresAskedAt, let leaderSince = self.leaderSince else { return false }
        return askedAt >= leaderSince && now - askedAt <= .seconds(1)
    }

    func state(of interface: String) -> InterfaceState {
        if self.interfaces.usableInterfaces.contains(interface) { return .usable }
        return self.interfaces.downInterfaces.contains(interface) ? .down : .missing
    }
}
