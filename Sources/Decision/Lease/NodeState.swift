// SPDX-License-Identifier: Apache-2.0

/// The facts that all addresses of a node have in common.
struct NodeState: Sendable {
    var settings: LeaseSettings { didSet { self.reckonTimes() } }
    var limits: AnswerLimits
    let startedAt: Instant
    /// Since when the core has had its turns when they were due. Who stands still does not hear answers that have long come: no
    /// question is overdue by that time.
    private(set) var awakeSince: Instant
    var view: ClusterView? { didSet { self.summarize() } }
    /// What Patroni's configuration said last, in whichever etcd cluster; an assumption until it was read once.
    var config = DynamicConfig() { didSet { if self.config != oldValue { self.reckonTimes() } } }
    var wasConfigRead = false
    /// A longer time to live than today's, and until when leases that were granted with it may run.
    private(set) var formerTTL: (ttl: Duration, until: Instant)?
    /// Since when etcd has not answered reads.
    var contactLostAt: Instant?
    /// When the newest answered linearizable read was sent.
    var lastRead: Instant?
    /// The newest that says in which term it was answered: keep-alives count by it.
    var vouching: KeySide.Vouching?
    /// When this node became the leader, as far as it knows.
    var leaderSince: Instant?
    var postgres: PostgresState?
    var postgresAskedAt: Instant?
    /// Until when Patroni's failsafe mode covers an address that is already here.
    var failsafeUntil: Instant?
    private var patroniAnsweredAt: Instant?
    private var patroniSilence: (length: Duration, until: Instant)?
    /// Names of the interfaces that exist; nil: they have not been listed yet.
    var interfaces: (usable: Set<String>, down: Set<String>, severed: Set<String>)?
    var isStopping = false
    /// etcd went back in time under an unchanged cluster number: its mark proves nothing until it is written again.
    var isMarkDoubtful = false { didSet { self.summarize() } }

    private static let freshness: Duration = .seconds(1)

    init(settings: CoreSettings, startedAt: Instant) {
        self.settings = LeaseSettings(settings)
        self.limits = settings.limits
        self.startedAt = startedAt
        self.awakeSince = startedAt
        (self.leaseTTL, self.period, self.margin) = (.zero, .zero, .zero)
        self.reckonTimes()
    }

    /// A turn of the core was due at `due`, and comes now.
    @inline(__always)
    mutating func noteTurn(at now: Instant, due: Instant) { if now - due > .seconds(1) { self.awakeSince = now } }

    private mutating func reckonTimes() {
        self.leaseTTL = self.settings.leaseTTL ?? self.config.addressTTL(clockDrift: self.settings.clockDrift)
        self.period = self.leaseTTL / 6
        self.margin = self.settings.margin(for: self.leaseTTL)
        self.clockLoss = self.leaseTTL.share(self.clockSlowness)
    }

    /// Time to live of the leases that are granted from now on.
    private(set) var leaseTTL: Duration
    /// Time between two renewals of such a lease.
    private(set) var period: Duration
    /// The whole margin of such a lease.
    private(set) var margin: Duration
    /// The whole margin of a lease that was granted with `ttl`: as a rule, of such a one.
    func margin(for ttl: Duration) -> Duration { ttl == self.leaseTTL ? self.margin : self.settings.margin(for: ttl) }
    /// By how much this node's clock is being slowed down, in parts per million, as measured last. The margin covers a clock
    /// that is slowed down while nobody looks, or etcd's running fast; this covers both at once.
    var clockSlowness = 0 { didSet { self.reckonTimes() } }
    /// What that adds up to in a lease that was granted with `ttl`: as a rule, in one of those that are granted now.
    @inline(__always)
    func clockLoss(in ttl: Duration) -> Duration {
        ttl == self.leaseTTL ? self.clockLoss : ttl.share(self.clockSlowness)
    }
    private var clockLoss = Duration.zero
    /// Whether ``leaseTTL`` is more than an assumption.
    var isTTLKnown: Bool { self.settings.leaseTTL != nil || self.view?.isConfigKnown == true }

    // The view in short: few events change it, every one asks for it, and it is large.
    private(set) var hasView = false
    private(set) var leader: String?
    private(set) var isMarked = false
    private(set) var isQuarantined = false
    var isLeader: Bool { self.leader == self.settings.member }

    private mutating func summarize() {
        self.hasView = self.view != nil
        self.leader = self.view?.leader.value
        self.isMarked = self.view?.isMarked == true && !self.isMarkDoubtful
        self.isQuarantined = self.view?.isQuarantined.value == true
    }

    /// ``leaseTTL``, if it rests on something that was read.
    var knownTTL: Duration? { self.settings.leaseTTL != nil || self.wasConfigRead ? self.leaseTTL : nil }

    /// The time to live was `old` until `now`; nil: nobody knew.
    mutating func ttlMayHaveChanged(from old: Duration?, at now: Instant) {
        if self.view?.isConfigKnown == true { self.wasConfigRead = true }
        guard let old, old > self.leaseTTL, old > self.longestTTL(at: now) else { return }
        self.formerTTL = (old, now + old)
    }

    /// The longest that a lease granted before `now` can still run, as far as this process knows.
    func longestTTL(at now: Instant) -> Duration {
        guard let former = self.formerTTL, former.until > now else { return self.leaseTTL }
        return max(former.ttl, self.leaseTTL)
    }

    /// Whether enough is known to take an address off the kernel. What an earlier process put there is covered by its
    /// lease, and after one TTL by nothing.
    // Inlined: for a call, all of this would be copied, at every event.
    @inline(__always)
    func mayJudgeKernel(isKeyKnown: Bool, at now: Instant) -> Bool {
        if self.hasView { return isKeyKnown || self.isStopping }
        return self.isStopping || now - self.startedAt >= self.leaseTTL
    }

    /// A linearizable read that was sent at `sentAt`, or a committed transaction, was answered by `answerer`.
    mutating func wasRead(sentAt: Instant, term: UInt64) {
        self.lastRead = max(self.lastRead ?? sentAt, sentAt)
        guard term > 0, sentAt >= self.vouching?.sentAt ?? sentAt else { return }
        self.vouching = KeySide.Vouching(sentAt: sentAt, term: term)
    }

    /// How long an answer of Patroni that its failsafe mode is active covers an address, at best.
    ///
    /// The members that Patroni reaches wait `ttl` after its last failsafe round before they elect another leader. At the
    /// moment of the answer that round may be `loop_wait` + `retry_timeout` old, and Patroni sees to it that `retry_timeout`
    /// is at most half of `ttl` − `loop_wait`.
    private var failsafeSlack: Duration {
        (self.config.ttl - self.config.loopWait) / 2 - self.settings.margin(for: self.config.ttl)
    }

    /// It is kept short besides, because a leader that finds etcd again may hand over at once, while this daemon is frozen
    /// and its address's key long gone.
    var failsafeCover: Duration { min(.seconds(4), self.failsafeSlack) }

    /// Takes over an answer of Patroni. A Patroni that was frozen says for a while that its failsafe mode is active, though
    /// its last round is older by the time for which it gave no answer.
    mutating func learn(failsafeIsActive isActive: Bool, isPrimary: Bool, askedAt: Instant) {
        let silence = self.patroniAnsweredAt.map { askedAt - $0 } ?? self.config.ttl
        self.patroniAnsweredAt = askedAt
        guard isActive else { self.patroniSilence = nil; return }
        if let former = self.patroniSilence, former.until <= askedAt { self.patroniSilence = nil }
        if silence > .seconds(2) {
            let length = max(silence, self.patroniSilence?.length ?? .zero)
            // By then it has completed another round, or said that it is active no more.
            self.patroniSilence = (length, askedAt + (self.config.ttl + self.config.loopWait) / 2)
        }
        let cover = min(.seconds(4), self.failsafeSlack - (self.patroniSilence?.length ?? .zero))
        guard isPrimary, cover > .zero else { return }
        let until = askedAt + cover
        self.failsafeUntil = max(self.failsafeUntil ?? until, until)
    }

    /// Whether nothing is known of Patroni that was asked for later.
    func isNewest(patroniAskedAt askedAt: Instant) -> Bool { askedAt >= self.patroniAnsweredAt ?? askedAt }

    func isCoveredByFailsafe(at now: Instant) -> Bool {
        guard let until = self.failsafeUntil else { return false }
        return until > now
    }

    /// A primary that was seen before it became the leader, or long ago, may be one no more.
    func isPostgresAnswerFresh(at now: Instant) -> Bool {
        guard let askedAt = self.postgresAskedAt, let leaderSince = self.leaderSince else { return false }
        return askedAt >= leaderSince && now - askedAt <= Self.freshness
    }

    /// Whether a read that was sent at `instant` or later was answered.
    func hasRead(since instant: Instant?) -> Bool {
        guard let instant, let lastRead = self.lastRead else { return false }
        return lastRead >= instant
    }

    func state(of interface: String) -> InterfaceState {
        guard let interfaces = self.interfaces else { return .unlisted }
        if interfaces.severed.contains(interface) { return .severed }
        if interfaces.usable.contains(interface) { return .usable }
        return interfaces.down.contains(interface) ? .down : .missing
    }
}
