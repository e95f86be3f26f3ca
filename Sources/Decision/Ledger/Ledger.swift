// SPDX-License-Identifier: Apache-2.0

/// Keeps the record of the last change of leader of this member's group. The new leader's daemon writes it; another one only
/// where that one has not for a minute.
///
/// It reads what the rest of the core reports, and changes nothing of it. A record is written at once and again with each phase
/// that is reached, so that what is known outlives this node at any moment.
struct Ledger: Sendable {
    private let member: MemberID
    private(set) var open: FailoverRecord?
    /// What is known of the group's write-ahead log.
    var trail = LogTrail()
    /// Who led last, and since when nobody does.
    private var lastLeader: String?
    private var keyLost: (at: Instant, revision: Int64)?
    /// Whether the open record bears the revision at which its leadership began; it cannot have been before `notBefore`.
    private var isNamed = false
    private var notBefore: Int64 = 0
    /// The members that stood by when the leader changed, and those of them that have been seen to do so since.
    private var standbys: Set<String> = []
    private var seen: Set<String> = []
    /// The addresses that have reached a phase of the open record: as many as there are.
    private var reached: [FailoverRecord.Phase: Set<AddressID>] = [:]
    private var hasChanged = false
    /// What may yet belong to a record: verdicts on the leader, and what was done about them.
    private var recent: [FailoverRecord.Note] = []
    private var claimant: String?
    /// The first verdict against the leader, since it was well.
    private var blame: (verdict: DetectorVerdict, at: Instant)?
    /// When the metadata followed, by group, and for which leadership.
    private var metadata: [Int: (revision: Int64, phases: [FailoverRecord.Phase: Instant])] = [:]

    /// After that, what has not been reached is not waited for.
    private static let patience: Duration = .seconds(3600)
    /// For so long the new leader's daemon has the word.
    private static let precedence: Duration = .seconds(60)
    /// For so long the new leader may take to say where the old timeline ends; less than ``precedence``.
    private static let lossPatience: Duration = .seconds(50)
    private static let recentLimit = 8
    private static let recentSpan: Duration = .seconds(600)

    init(member: MemberID) { self.member = member }

    /// The record, if it is to be written.
    mutating func takeChange(_ groups: [Int: Group], at now: Instant) -> LedgerEntry? {
        guard let gained = self.open?.phases[.keyGained] else { return nil }
        if !self.isNamed {
            let leader = groups[self.member.group]?.leader
            if let leader, leader.name == self.open?.to, leader.since >= self.notBefore {
                self.open?.revision = leader.since
            } else if now - gained < .seconds(5) {
                return nil
            }
            self.isNamed = true
        }
        guard let record = self.open else { return nil }
        if now - gained > Self.patience { self.open = nil }
        guard record.to == self.member.name else {
            guard now - gained >= Self.precedence else { return nil }
            self.open = nil
            var second = record
            second.by = self.member.name
            second.notes.append(
                FailoverRecord.Note(
                    at: now, text: "written by the daemon of \(self.member.name): that of \(record.to) had not"))
            return .witnessed(second)
        }
        defer { self.hasChanged = false }
        return self.hasChanged ? .own(record) : nil
    }

    /// Takes over what was done to the rows of a group, whose present leadership they follow.
    /// - Parameter writableAt: when a group's leader was found to accept writes, by who asked it.
    mutating func takeMetadata(
        _ report: CitusReport, _ groups: [Int: Group], writableAt: (Int) -> Instant? = { _ in nil }, at now: Instant
    ) -> LedgerEntry? {
        let group: Int
        let phase: FailoverRecord.Phase
        switch report {
        case .updated(_, let place, let changes, _, _) where changes.contains(where: \.isMove):
            (group, phase) = (place, .metadataCommitted)
        case .synchronized(_, let place, _, _): (group, phase) = (place, .metadataSynced)
        default: return nil  // Nothing that a failover is made of.
        }
        guard let view = groups[group], view.former != nil, let since = view.leader?.since,
            let leaderAt = view.leaderAt, now - leaderAt < Self.patience
        else { return nil }
        if self.metadata[group]?.revision != since {
            guard phase == .metadataCommitted else { return nil }
            self.metadata[group] = (since, [:])
        }
        // Of several databases the last one counts.
        self.metadata[group]?.phases[phase] = now
        // Where the group has no addresses, its own daemons find that with their probes alone. Here it is known only of a group whose row
        // is moved: nobody else is asked for.
        if let writableAt = writableAt(group) { self.metadata[group]?.phases[.writable] = writableAt }
        return self.metadata[group].map {
            .metadata(group: group, revision: since, phases: $0.phases, by: self.member.name)
        }
    }

    /// Takes over what the core does and reports.
    /// - Parameter expected: the phases that a change of leader of this group is to have.
    mutating func record(
        _ action: Action, _ detector: DetectorCore, _ groups: [Int: Group],
        expected: Set<FailoverRecord.Phase> = [], at now: Instant
    ) {
        let isOurs = self.open?.to == self.member.name
        switch action {
        case .startAnnouncing(let spec) where isOurs: self.reach(.announced, of: spec.id, at: now)
        case .report(.contactMade(_, _, let leader)): self.lastLeader = leader
        case .report(.leaderChanged(let before, let leader, let revision)):
            self.leaderChanged(before, leader, revision, detector, groups, expected, at: now)
        case .report(.postgresChanged(.primary)) where isOurs: self.reach(.writable, at: now)
        case .report(.assigned(let id, _, _)) where isOurs: self.reach(.addressMoved, of: id, at: now)
        case .report(.detector(let report)): self.record(report, at: now)
        default: break  // Nothing that a failover is made of.
        }
    }

    private mutating func record(_ report: DetectorReport, at now: Instant) {
        switch report {
        case .verdict(let id, let verdict, _, let reason, let evidence)
        where id == self.lastLeader.map { MemberID(self.member.group, $0) }:
            guard ![.well, .unknown, .suspected].contains(verdict) else { return self.blame = nil }
            self.blame = self.blame ?? (verdict, now)
            let sources = evidence.filter { $0.state == .failed }.map { "\($0.aspect.rawValue) by \($0.source)" }
            self.note("\(verdict.rawValue): \(reason) (\(sources.joined(separator: ", ")))", at: now)
        case .switchingOver(let order):
            self.claimant = self.member.name
            self.note("asked Patroni for \(order.candidate.name)", at: now)
        case .notSwitchingOver(_, let obstacle):
            self.note("no switchover: \(obstacle.rule.meaning)", at: now)
        case .switchoverEnded(_, let outcome): self.note("the switchover has ended: \(outcome)", at: now)
        default: break  // Not of the leader.
        }
    }

    private mutating func note(_ text: String, at now: Instant) {
        self.recent.append(FailoverRecord.Note(at: now, text: String(text.prefix(300))))
        if self.recent.count > Self.recentLimit { self.recent.removeFirst() }
    }

    private mutating func leaderChanged(
        _ before: String?, _ leader: String?, _ revision: Int64, _ detector: DetectorCore, _ groups: [Int: Group],
        _ expected: Set<FailoverRecord.Phase>, at now: Instant
    ) {
        if let before { self.lastLeader = before }
        guard let leader else {
            self.keyLost = (now, revision)
            return
        }
        let lostAt = self.keyLost?.at ?? now
        (self.open, self.isNamed, self.notBefore) = (nil, false, self.keyLost?.revision ?? 0)
        defer {
            (self.lastLeader, self.keyLost) = (leader, nil)
            (self.recent, self.claimant, self.blame) = ([], nil, nil)
        }
        // One that leads again after a pause is no other leader.
        guard let former = self.lastLeader, former != leader else { return }
        let group = self.member.group
        var record = FailoverRecord(
            revision: revision, group: group, from: former, to: leader, phases: [.keyLost: lostAt, .keyGained: now],
            notes: self.recent.filter { now - $0.at < Self.recentSpan })
        record.detectionBudget = detector.profile.window
        record.expected = expected
        record.by = self.member.name
        self.standbys = Set((groups[group]?.members ?? [:]).keys).union([former])
        self.standbys.remove(leader)
        (self.seen, self.reached) = ([], [:])
        self.open = record
        if let target = detector.targets[MemberID(group, former)] { self.learn(of: target, upTo: lostAt) }
        self.hasChanged = true
    }

    /// What the failure detector knew of the leader before.
    private mutating func learn(of former: DetectorCore.Target, upTo lost: Instant) {
        let tracks = [former.patroni, former.postgres]
        // A failure that was over when the leader changed has nothing to do with it, though it may still count.
        let failure = tracks.filter { $0.misses > 0 || self.blame != nil }.compactMap(\.firstFailureAt).min()
        self.open?.phases[.lastHealthy] = tracks.compactMap(\.lastHealthyAt).min()
        guard let failure, failure <= lost || self.blame != nil else { return }
        self.open?.phases[.firstFailure] = failure
        self.open?.phases[.verdict] = self.blame?.at
        self.open?.cause = .failure(self.blame?.verdict ?? former.verdict)
    }

    /// What came to be known of the cause: from Patroni's request, or from another daemon's claim. The group's own follower may
    /// know of this change already, or only of the one before.
    mutating func learnCause(_ groups: [Int: Group], claimant: String?) {
        if let claimant { self.claimant = claimant }
        guard let open = self.open, let view = groups[open.group], view.leader?.name == open.to,
            let former = view.former, former.name == open.from, former.wasPlanned
        else { return }
        let cause: FailoverRecord.Cause = self.claimant.map { .grayFailure(by: $0) } ?? .switchover
        guard self.open?.cause != cause else { return }
        self.open?.cause = cause
        self.hasChanged = true
    }

    /// Judges what the new leader lacks of the log of the one before. Answers the record where that is to be told: by the new leader's
    /// daemon, once, and again where the finding is another one.
    mutating func judgeLoss(_ groups: [Int: Group], at now: Instant) -> FailoverRecord? {
        guard let open = self.open, let from = open.from, let gained = open.phases[.keyGained] else { return nil }
        var loss = self.trail.loss(from: from, to: open.to)
        if loss == nil, open.lost == nil, now - gained >= Self.lossPatience {
            let isStandbyCluster = groups[open.group]?.isStandbyCluster ?? false
            loss = LostLog(.notKnown(isStandbyCluster ? .standbyCluster : .noEnd))
        }
        guard let loss, loss != open.lost else { return nil }
        self.open?.lost = loss
        self.hasChanged = true
        guard open.to == self.member.name, open.lost?.finding.code != loss.finding.code else { return nil }
        return self.open
    }

    /// A member of the group was asked, and has said what it is.
    mutating func probed(_ name: String, isPrimary: Bool, at now: Instant) {
        guard let open = self.open else { return }
        if name == open.to, isPrimary { self.reach(.writable, at: now) }
        guard !isPrimary, open.phases[.standbyBack] == nil, self.standbys.contains(name) else { return }
        self.seen.insert(name)
        if self.seen == self.standbys { self.reach(.standbyBack, at: now) }
    }

    /// `address`: of several addresses the last one counts, as long as the first minute lasts; of each one the first time, since what
    /// puts it there again is another matter.
    private mutating func reach(_ phase: FailoverRecord.Phase, of address: AddressID? = nil, at now: Instant) {
        guard let open = self.open, let gained = open.phases[.keyGained] else { return }
        if open.phases[phase] != nil {
            guard let address, now - gained <= .seconds(60), self.reached[phase]?.contains(address) != true else {
                return
            }
        }
        if let address { self.reached[phase, default: []].insert(address) }
        self.open?.phases[phase] = now
        self.hasChanged = true
    }
}
