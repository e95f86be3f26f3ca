// SPDX-License-Identifier: Apache-2.0
import Decision

/// One machine: its clock, its kernel's addresses, its PostgreSQL and Patroni, and the process of our daemon.
final class SimulatedNode {
    enum Postgres { case primary, standby, down }
    enum Process { case running, frozen, dead }

    let index: Int
    let member: String
    /// Seconds of this node's clock in a true second, and its reading at the beginning.
    let rate: Double
    let offset: Time
    var boot = 1

    // Our daemon
    var core: SupervisorCore?
    var daemon = Process.dead
    /// Distinguishes one life of the daemon from the next: answers to an earlier one are lost.
    var life = 0
    /// What arrived while the daemon was frozen.
    var inbox: [Event] = []
    var wakeGeneration = 0
    /// The newest revision that the watch delivered, and whether the stream still delivers.
    var watchedRevision: Int64 = 0
    var watchedCluster: UInt64 = 0
    var isWatching = false
    var isWatchSilent = false

    // The kernel
    var kernel: [SimulatedAddress]
    var isPowered = true
    var isInterfaceUp = true

    // The network: requests to etcd and answers from it, and the other members
    var cutsRequests = false
    var cutsAnswers = false
    var cutsPeers = false

    // Patroni and PostgreSQL
    var patroni = Process.running
    var postgres = Postgres.standby
    var postgresGeneration = 0
    var patroniLease: LeaseID?
    var patroniLastContact: Time = 0
    var failsafeSince: Time?
    /// When another member last said, in failsafe mode, that it still leads.
    var failsafeHeardAt: Time?
    var loopGeneration = 0

    init(index: Int, rate: Double, offset: Time, addresses: Int) {
        self.index = index
        self.member = "n\(index + 1)"
        self.rate = rate
        self.offset = offset
        self.kernel = Array(repeating: SimulatedAddress(), count: addresses)
    }

    var identity: String { "boot-\(self.index)-\(self.boot)" }

    func instant(at time: Time) -> Instant {
        Instant(sinceBoot: .microseconds(self.offset + Time(Double(time) * self.rate)))
    }

    /// The first true time at which this node's clock shows `instant`.
    func time(of instant: Instant) -> Time {
        let (seconds, attoseconds) = instant.sinceBoot.components
        let local = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        return Time((Double(local - self.offset) / self.rate).rounded(.up)) + 1
    }

    /// A span of this node's clock in true microseconds.
    func span(_ local: Time) -> Time { Time(Double(local) / self.rate) }

    var reachesEtcd: Bool { self.isPowered && !self.cutsRequests && !self.cutsAnswers }
}

extension Duration {
    var microseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}
