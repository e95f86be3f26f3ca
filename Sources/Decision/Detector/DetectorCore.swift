// SPDX-License-Identifier: Apache-2.0

public struct DetectorSettings: Hashable, Sendable {
    public var profile: DetectorProfile
    /// This node's group; 0 without Citus.
    public var group: Int
    /// Whether the members of every group are watched: the coordinator's nodes do that.
    public var watchesAllGroups: Bool
    /// Spreads the probes of one daemon over the interval, and those of several daemons against each other.
    public var seed: UInt64
    /// How many bytes of the write-ahead log a standby may be behind.
    public var lagLimit: Int64
    public var onGrayFailure: GrayPolicy
    /// This daemon's version, for the others to see; nil: it does not say.
    public var version: String?

    public init(
        _ profile: DetectorProfile = .hyperscale, group: Int = 0, watchesAllGroups: Bool = false, seed: UInt64,
        lagLimit: Int64 = 16 << 20, onGrayFailure: GrayPolicy = .alert, version: String? = nil
    ) {
        self.version = version
        self.profile = profile
        self.onGrayFailure = onGrayFailure
        self.lagLimit = lagLimit
        self.group = group
        self.watchesAllGroups = watchesAllGroups
        self.seed = seed
    }
}

/// The failure detector of one daemon: who is watched, what each source holds of whom, and what follows from that.
///
/// What a probe or a watch event costs depends on the size of its group, not on how many members there are in all.
package struct DetectorCore: Sendable {
    struct Target: Sendable {
        var patroni = DetectorTrack()
        var postgres = DetectorTrack()
        var patroniConsensus = DetectorConsensus()
        var postgresConsensus = DetectorConsensus()
        var verdict = DetectorVerdict.unknown
        /// Since when etcd has not named it.
        var missingSince: Instant?
        /// Where it was when etcd named it last.
        var api: String?
        var endpoint: NodeEndpoint?
        /// When it was asked last and said that it is a primary.
        var primaryAt: Instant?
        /// That it said so the last times it was asked, while it held the leader key.
        var recovery: RecoveryOfLeader?
        /// How far its write-ahead log had come, and when it was asked.
        var position: (bytes: Int64, askedAt: Instant)?
        /// Whether it said when it was asked last that it has no connection left.
        var isOutOfConnections = false
        /// How many bytes it was behind the leader when it was asked last; nil: not known.
        var lag: Int64?
        /// Whether it stays further behind than allowed.
        var lagging = DetectorTrack()

        /// Whether nothing of it has answered when it was asked last.
        var isDark: Bool { min(self.patroni.misses, self.postgres.misses) > 0 }

        /// Whether nothing of it has answered for so many probes.
        func isLost(for probes: Int) -> Bool { min(self.patroni.misses, self.postgres.misses) >= probes }
    }

    let settings: DetectorSettings
    /// How long answers of etcd may take.
    var limits: AnswerLimits
    let member: MemberID
    /// What the local standby's WAL receiver holds of the server that it streams from.
    var walReceiver = DetectorTrack()
    var walSender: MemberID?
    var targets: [MemberID: Target] = [:]
    /// What others have published, by the group that they watch; nil: all groups.
    var observations: [Int?: [MemberID: Observation]] = [:]
    var health = LocalHealth()
    var etcd: EtcdHealth
    /// Whether nobody answers at present, so that nothing is said of anybody.
    var isIsolated = false
    /// Whether that has lasted for as long as it takes to call a member failed.
    var isCutOff = false
    var wakeAt: Instant
    var queue = ProbeQueue()
    var probes = ProbesUnderWay()
    /// The members of which no probe has come back since one was given up, and when that one began.
    var silent: [MemberID: Instant] = [:]
    /// How many targets other than this member are dark.
    var darkCount = 0
    /// And how many have been so for as many probes as make a failure.
    var lostCount = 0
    /// What others are told, kept up to date change by change.
    var observation: Observation
    var isPublished = false
    /// The members of a group that said last that they are primaries.
    var primaries: [Int: Set<MemberID>] = [:]
    /// Since when several of a group have been seen, until each has said so again.
    var doubtedPrimaries: [Int: Instant] = [:]
    var splitBrains: [Int: [MemberID]] = [:]
    var healthDue: Instant
    var wasTroubled = false
    /// Who publishes has changed, or which endpoints of etcd answer, and nobody was told.
    private var isStirred = false
    /// Whether etcd answers what the addresses ask for.
    var isEtcdInContact = false
    /// Whether it answers here too, so that what it said last of the groups is true.
    var hasContact = false
    /// Whether Patroni is in maintenance mode.
    var isPaused = false
    var switchover = SwitchoverStage.idle
    /// The last attempts that did not come as far as Patroni.
    var fruitless: FruitlessAttempts?
    /// The leaders of this group that were held to be unusable lately, one entry each.
    var grayLeaderships: [GrayLeadership] = []
    /// The member whose daemon has a switchover under way, by group: their keys in etcd.
    var claims: [Int: String] = [:]
    /// Of these, the persons for whom a daemon acts.
    var persons: [Int: String] = [:]
    /// That reactions are paused, by the group whose key in etcd says so; and what was told of it last.
    var reactionPauses: [Int: ReactionPause] = [:]
    var toldPause: ReactionPause?
    var toldObstacle: SwitchoverRule?

    /// A member that etcd has not named for so long is forgotten.
    static let memory: Duration = .seconds(3600)
    package static let targetLimit = 4096
    /// So many are probed at once: each takes two sockets, and where none answers, for the whole time limit. Who must wait is probed
    /// later, which counts as this daemon's own fault, not as the member's.
    package static let probeLimit = 128

    init(
        _ settings: DetectorSettings, member: String, addresses: [AddressID]? = nil,
        limits: AnswerLimits = AnswerLimits(), at now: Instant
    ) {
        self.settings = settings
        self.limits = limits
        self.member = MemberID(settings.group, member)
        self.wakeAt = now
        self.etcd = EtcdHealth(at: now)
        self.healthDue = now + settings.profile.interval
        self.observation = Observation(
            group: settings.watchesAllGroups ? nil : settings.group, addresses: addresses?.sorted(),
            version: settings.version)
    }

    var profile: DetectorProfile { self.settings.profile }

    /// - Parameters:
    ///   - view: what is known of the groups.
    ///   - news: what the event changed in it.
    ///   - awakeSince: since when this daemon has had its turns when they were due.
    mutating func handle(
        _ event: DetectorEvent?, _ view: GroupsView, _ news: GroupsNews?, hasContact: Bool, isPaused: Bool = false,
        awakeSince: Instant, at now: Instant, into wanted: inout [DetectorAction], _ reports: inout [DetectorReport]
    ) {
        self.isPaused = isPaused
        if now - self.wakeAt > self.observationTTL { self.beginAnew(view, at: now, &reports) }
        if let news { self.learn(news, view, at: now, &reports) }
        switch event {
        case nil: break
        case .probed(let id, let findings, let askedAt):
            self.learn(id, findings, view, askedAt: askedAt, at: now, &wanted, &reports)
        case .notProbed(let id): self.couldNotAsk(id)
        case .etcdProbed(let findings):
            self.etcd.question.answered()
            let before = self.etcd.silent
            defer { if self.etcd.silent != before { self.isStirred = true } }
            if let condition = self.etcd.record(findings, self.profile, scale: self.health.scale, at: now) {
                reports.append(.etcd(condition))
            }
        case .walReceiver(let answer, let askedAt): self.learn(answer, view, askedAt: askedAt, at: now, &reports)
        case .observed(let observer, let observation):
            if observation == nil { self.isStirred = true }
            self.learn(observer, observation, view, at: now, &reports)
        case .observationsRead(let observations): self.learn(observations, view, at: now, &reports)
        case .switchoverClaimed(let group, let member, let person):
            (self.claims[group], self.persons[group]) = (member, person)
        case .claimsRead(let claims, let persons): (self.claims, self.persons) = (claims, persons)
        case .reactionsPaused(let group, let pause): self.reactionPauses[group] = pause
        case .pausesRead(let pauses): self.reactionPauses = pauses
        case .switchoverEnded(let order, let outcome): self.switchoverEnded(order, outcome, at: now, &reports)
        case .acknowledged(let id, let time):
            self.observation.acknowledged[id] = time
            self.isPublished = false
            self.acknowledge(id, view, at: now, &reports)
        }
        self.notePauses(at: now, &reports)
        self.giveUpOverdue(at: now, awakeSince: awakeSince, &reports)
        self.isEtcdInContact = hasContact
        let hasContact = hasContact && self.viewUntil(view).map { now < $0 } ?? false
        if hasContact != self.hasContact {
            self.hasContact = hasContact
            self.reconsiderAll(view, at: now, &reports)
        }
        if self.etcd.question.isDue(at: now) {
            self.etcd.question.ask(at: now, next: now + self.profile.spacing)
            wanted.append(.probeEtcd(timeout: self.profile.timeout))
        }
        self.probe(view, at: now, into: &wanted)
        self.respond(view, at: now, into: &wanted, &reports)
        if !self.isPublished {
            self.isPublished = true
            wanted.append(.publish(self.observation, ttl: self.observationTTL))
        }
        self.reckonWake(view, awakeSince)
    }

    /// Whether others than before may be of use in a failover: told once.
    mutating func takeStir() -> Bool {
        defer { self.isStirred = false }
        return self.isStirred
    }

    /// What is published outlives its daemon by three probes: until then it is no reason to believe in a node.
    var observationTTL: Duration { max(.seconds(10), self.profile.interval * 3) }

    private mutating func reckonWake(_ view: GroupsView, _ awakeSince: Instant) {
        let nextProbe = self.probes.count < Self.probeLimit ? self.queue.next : nil
        var wakeAt = min(nextProbe ?? .distantFuture, self.healthDue)
        wakeAt = min(wakeAt, self.etcd.question.wakeAt(limit: self.probePatience, awakeSince: awakeSince))
        if let deadline = self.probes.deadline(self.probePatience, awakeSince: awakeSince) {
            wakeAt = min(wakeAt, deadline)
        }
        if self.hasContact, let until = self.viewUntil(view) { wakeAt = min(wakeAt, until) }
        if case .putOff(_, _, let until, _) = self.switchover { wakeAt = min(wakeAt, until) }
        for pause in self.reactionPauses.values { wakeAt = min(wakeAt, pause.until) }
        if case .underWay(_, let since) = self.switchover {
            wakeAt = min(wakeAt, max(since, awakeSince) + AnswerLimits.switchover)
        }
        self.wakeAt = wakeAt
    }

    /// An operator vouches for a member: what it has done before counts no more.
    mutating func acknowledge(_ id: MemberID, _ view: GroupsView, at now: Instant, _ reports: inout [DetectorReport]) {
        if self.targets[id]?.patroniConsensus.acknowledge(at: now).contains(.tellReleased) == true {
            reports.append(.suppressed(id, .patroni, false))
        }
        if self.targets[id]?.postgresConsensus.acknowledge(at: now).contains(.tellReleased) == true {
            reports.append(.suppressed(id, .postgres, false))
        }
        // Another member's word is no word for this one.
        switch self.switchover {
        case .ended(let order, _), .putOff(let order, _, _, _): if order.leader == id { self.switchover = .idle }
        case .idle, .underWay: break
        }
        self.grayLeaderships.removeAll { $0.leader == id }
        self.reconsider(id, view, at: now, &reports)
    }

    /// The addresses that this daemon looks after are others now.
    mutating func lookAfter(_ addresses: [AddressID]) {
        let addresses = addresses.sorted()
        guard addresses != self.observation.addresses else { return }
        self.observation.addresses = addresses
        self.isPublished = false
    }

    mutating func forget(_ id: MemberID) {
        self.count(id, before: self.targets[id], after: nil)
        self.targets[id] = nil
        self.primaries[id.group]?.remove(id)
        self.observation.acknowledged[id] = nil
        self.silent[id] = nil
        self.setDoubt(id, nil)
    }

    /// What this daemon tells others of a member; nil: that it is well, or not watched.
    mutating func setDoubt(_ id: MemberID, _ doubt: Observation.Doubt?) {
        guard self.observation.doubts[id] != doubt else { return }
        self.observation.doubts[id] = doubt
        self.isPublished = false
    }
}
