// SPDX-License-Identifier: Apache-2.0
import Decision
import KernelPlaces

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
    var core: Core?
    /// When the core wanted its next tick, by this node's clock, as the world last reckoned it.
    var wakeAt: Instant?
    var daemon = Process.dead
    /// Distinguishes one life of the daemon from the next: answers to an earlier one are lost.
    var life = 0
    /// The configuration that its file holds.
    var configured: [AddressSpec]
    var configuredAt: Time = 0
    var isStopping = false
    /// Another process follows at once.
    var isHandingOver = false
    /// When it continues, if the whole machine stands still.
    var suspendedUntil: Time?
    /// What etcd refuses to this node's daemon.
    var refusal: Refusal?
    var evidence = PostgresEvidence([])
    /// Since when the daemon has been running without a freeze.
    var runningSince: Time = 0
    /// When it was started, or continued after a freeze.
    var thawedAt: Time = 0
    /// Whether nothing that its daemon asked for comes back at present.
    var isDeaf = false
    /// Whether an answer was lost in this life of the daemon, and when one was lost last.
    var isSilenced = false
    var silencedAt: Time = -1_000_000_000
    /// The addresses of which the next command's answer is lost; "": the next listing's.
    var muted: Set<AddressID> = []
    /// Until when the kernel keeps a command in its grip.
    var grippedUntil: Time = -1_000_000_000
    /// Whether the watchdog is about to end it.
    var isDoomed = false
    /// What arrived while the daemon was frozen or deaf.
    var inbox: [Event] = []
    /// The newest revision that the watch delivered, and whether the stream still delivers.
    var watchedRevision: Int64 = 0
    var watchedCluster: UInt64 = 0
    var isWatching = false
    var isWatchSilent = false
    /// What this life of the daemon was told.
    var seen = Seen()
    var meter = ActionMeter()

    var announcer = SimulatedAnnouncer()
    /// What the daemon's shell knows of the node's own addresses.
    var neighborhood = Neighborhood()
    /// Whether it has listed the node's own address since that came.
    var hasSeenOwnAddress = false
    /// Whether it has reported that the node's own address may go with ours.
    var isToldOfRisk = false

    var kernel: SimulatedKernel
    var isPowered = true

    // The network: requests to etcd and answers from it, and the other members
    var cutsRequests = false
    var cutsAnswers = false
    var cutsPeers = false
    /// Whether what cannot be reached is known at once, or after a time limit.
    var isRefusedAtOnce = false
    /// What its daemon knows of etcd's endpoints, where there are several.
    var endpoints: NodeEndpoints?
    /// Whether it reaches no endpoint of the cluster that has most of them.
    var isCutFromEtcd = false
    /// The member of etcd that this node talks to led in this term, and has not heard that it does so no more.
    var staleMember: (term: UInt64, until: Time, incarnation: Int)?
    /// What the node's disk holds of what its daemon remembered.
    var disk = Memory(isPartial: true)
    /// The newest that it wanted to be kept.
    var unwritten = Memory()
    /// Whether its disk takes anything.
    var diskWorks = true
    /// When it was last cut off, or healed.
    var networkChangedAt: Time = 0

    // Patroni and PostgreSQL
    var patroni = Process.running
    var postgres = Postgres.standby
    var postgresGeneration = 0
    var patroniLease: LeaseID?
    /// Whether Patroni here has read that maintenance mode is on.
    var knowsPause = false
    /// When the last failsafe round succeeded.
    var failsafeSince: Time?
    /// When another member last said, in failsafe mode, that it still leads.
    var failsafeHeardAt: Time?
    var loopGeneration = 0

    init(index: Int, rate: Double, offset: Time, configured: [AddressSpec]) {
        self.index = index
        self.member = "n\(index + 1)"
        self.rate = rate
        self.offset = offset
        self.configured = configured
        self.kernel = SimulatedKernel(addresses: configured.count)
        self.identity = "boot-\(index)-1"
    }

    private(set) var identity: String

    /// Another boot.
    func reboot() {
        self.boot += 1
        self.identity = "boot-\(self.index)-\(self.boot)"
    }

    func instant(at time: Time) -> Instant {
        let local = self.offset + Time(Double(time) * self.rate)
        return Instant(sinceBoot: .microseconds(local))
    }

    func microseconds(at time: Time) -> Int64 { self.instant(at: time).sinceBoot.microseconds }

    /// The first true time at which this node's clock shows `instant`.
    func time(of instant: Instant) -> Time {
        Time((Double(instant.sinceBoot.microseconds - self.offset) / self.rate).rounded(.up)) + 1
    }

    /// A span of this node's clock in true microseconds.
    func span(_ local: Time) -> Time { Time(Double(local) / self.rate) }

    var reachesEtcd: Bool { self.isPowered && !self.cutsRequests && !self.cutsAnswers && !self.isCutFromEtcd }

    /// Whether the event is the answer that is lost.
    func loses(_ event: Event) -> Bool {
        switch event {
        case .assigned(let id), .assignFailed(let id, _), .removed(let id, _, _), .removeFailed(let id, _, _):
            self.muted.remove(id) != nil
        case .inspected, .inspectionFailed: self.muted.remove("") != nil
        default: false  // Requests know it themselves.
        }
    }

    func spec(of address: AddressID) -> AddressSpec? { self.configured.first { $0.id == address } }
}

extension Core {
    /// Asks it where it is: of what an object keeps, a question would copy all, and all that this refers to.
    @inline(__always)
    mutating func asked<Answer>(_ question: (borrowing Core) -> Answer) -> Answer { question(self) }
}

/// What one life of a daemon was told by etcd and PostgreSQL: the newest of each, reckoned without the core.
struct Seen {
    var cluster: UInt64 = 0
    var leader: String?
    private var leaderRevision: Int64 = -1
    var isPaused = false
    private var pausedRevision: Int64 = -1
    var postgres: PostgresState?
    /// When the newest of etcd's answers was asked for.
    var readAt: Instant?
    /// How often etcd was asked.
    var reads = 0
    var acquisitions = SeenAcquisitions()

    mutating func learn(_ event: Event) {
        switch event {
        case .readAnswered(_, let sentAt), .followed(_, let sentAt), .acquireRefused(_, _, _, let sentAt),
            .acquired(_, _, _, let sentAt, _):
            self.readAt = max(self.readAt ?? sentAt, sentAt)
        default: break  // The rest is no linearizable answer.
        }
        switch event {
        case .readAnswered(let snapshot, _), .followed(let snapshot, _), .acquireRefused(_, _, let snapshot, _):
            if snapshot.clusterID != self.cluster {
                // Late answers of an older cluster count for nothing.
                guard snapshot.clusterID > self.cluster else { return }
                self.begin(in: snapshot.clusterID)
            }
            self.learn(leader: snapshot.leader, snapshot.revision)
            if let config = snapshot.patroni { self.learn(isPaused: config.isPaused, snapshot.revision) }
        case .watched(self.cluster, let revision, let changes):
            for change in changes {
                switch change {
                case .leader(let leader): self.learn(leader: leader, revision)
                case .patroni(let config): if let config { self.learn(isPaused: config.isPaused, revision) }
                case .mark, .quarantine, .holder, .trail: break
                }
            }
        case .postgres(let state, _): self.postgres = state
        default: break  // The rest tells nothing of the kind.
        }
        guard !self.acquisitions.isEmpty, let sentAt = self.acquisitions.learn(event, cluster: self.cluster) else {
            return
        }
        self.readAt = max(self.readAt ?? sentAt, sentAt)
    }

    /// What another cluster told says nothing of this one.
    mutating func begin(in cluster: UInt64) {
        let (postgres, readAt) = (self.postgres, self.readAt)
        self = Seen()
        (self.postgres, self.readAt) = (postgres, readAt)
        self.cluster = cluster
    }

    private mutating func learn(leader: String?, _ revision: Int64) {
        guard revision >= self.leaderRevision else { return }
        self.leader = leader
        self.leaderRevision = revision
    }

    private mutating func learn(isPaused: Bool, _ revision: Int64) {
        guard revision >= self.pausedRevision else { return }
        self.isPaused = isPaused
        self.pausedRevision = revision
    }
}

/// Counts actions, to notice a core that spins.
struct ActionMeter {
    /// More than this many in one simulated second is a storm. A promotion asks PostgreSQL 66 times.
    static func limit(addresses: Int) -> Int { max(150, 30 * addresses) }
    private var second: Time = -1
    private var count = 0

    /// Answers how many there were in this second.
    mutating func count(_ actions: Int, at now: Time) -> Int {
        let second = now / 1_000_000
        if second != self.second {
            self.second = second
            self.count = 0
        }
        self.count += actions
        return self.count
    }
}

extension Duration {
    var microseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}
