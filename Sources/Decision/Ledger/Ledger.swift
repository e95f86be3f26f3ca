// SPDX-License-Identifier: Apache-2.0

/// Keeps the record of the change of leader by which this member came to lead: the new leader's daemon writes it, and it alone.
///
/// It reads what the rest of the core reports, and changes nothing of it. A record is written at once and again with each phase
/// that is reached, so that what is known outlives this node at any moment.
struct Ledger: Sendable {
    private let member: MemberID
    private(set) var open: FailoverRecord?
    /// Who led last, and since when nobody does.
    private var lastLeader: String?
    private var keyLostAt: Instant?
    /// The members that stood by when the leader changed, and those of them that have been seen to do so since.
    private var standbys: Set<String> = []
    private var seen: Set<String> = []
    private var hasChanged = false
    /// What may yet belong to a record: verdicts on the leader, and what was done about them.
    private var recent: [FailoverRecord.Note] = []
    private var claimant: String?

    /// After that, what has not been reached is not waited for.
    private static let patience: Duration = .seconds(3600)
    private static let recentLimit = 8
    private static let recentSpan: Duration = .seconds(600)

    init(member: MemberID) { self.member = member }

    /// The record, if it is to be written.
    mutating func takeChange(at now: Instant) -> FailoverRecord? {
        defer { self.hasChanged = false }
        let change = self.hasChanged ? self.open : nil
        if let gained = self.open?.phases[.keyGained], now - gained > Self.patience { self.open = nil }
        return change
    }

    /// Takes over what the core does and reports.
    mutating func take(_ action: Action, _ detector: DetectorCore, at now: Instant) {
        switch action {
        case .startAnnouncing: self.reach(.announced, at: now, isRepeatable: true)
        case .report(.contactMade(_, _, let leader)): self.lastLeader = leader
        case .report(.leaderChanged(let before, let leader, let revision)):
            self.leaderChanged(before, leader, revision, detector, at: now)
        case .report(.postgresChanged(.primary)): self.reach(.writable, at: now)
        case .report(.assigned): self.reach(.addressMoved, at: now, isRepeatable: true)
        case .report(.citus(.updated(_, let group, _, _, _))) where group == self.open?.group:
            self.reach(.metadataCommitted, at: now, isRepeatable: true)
        case .report(.citus(.synchronized(_, let group, _, _))) where group == self.open?.group:
            self.reach(.metadataSynced, at: now, isRepeatable: true)
        case .report(.detector(let report)): self.take(report, at: now)
        default: break  // Nothing that a failover is made of.
        }
    }

    private mutating func take(_ report: DetectorReport, at now: Instant) {
        switch report {
        case .verdict(let id, let verdict, _, let reason, let evidence)
        where id == self.lastLeader.map { MemberID(self.member.group, $0) }:
            guard ![.well, .unknown, .suspected].contains(verdict) else { return }
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
        _ before: String?, _ leader: String?, _ revision: Int64, _ detector: DetectorCore, at now: Instant
    ) {
        if let before { self.lastLeader = before }
        guard let leader else {
            self.keyLostAt = now
            return
        }
        defer { (self.lastLeader, self.keyLostAt, self.recent, self.claimant) = (leader, nil, [], nil) }
        self.open = nil
        // One that leads again after a pause is no other leader; and of others, their own daemons tell.
        guard leader == self.member.name, self.lastLeader != leader else { return }
        let group = self.member.group
        var record = FailoverRecord(
            revision: revision, group: group, from: self.lastLeader, to: leader,
            phases: [.keyLost: self.keyLostAt ?? now, .keyGained: now],
            notes: self.recent.filter { now - $0.at < Self.recentSpan })
        record.detectionBudget = detector.profile.window
        self.standbys = Set((detector.groups[group]?.members ?? [:]).keys).union([self.lastLeader].compactMap(\.self))
        self.standbys.remove(leader)
        self.seen = []
        self.open = record
        if let former = self.lastLeader.flatMap({ detector.targets[MemberID(group, $0)] }) {
            self.learn(of: former, upTo: self.keyLostAt ?? now)
        }
        self.hasChanged = true
    }

    /// What the failure detector knew of the leader before.
    private mutating func learn(of former: DetectorCore.Target, upTo lost: Instant) {
        let tracks = [former.patroni, former.postgres]
        let failure = tracks.compactMap(\.firstFailureAt).min()
        self.open?.phases[.lastHealthy] = tracks.compactMap(\.lastHealthyAt).min()
        guard let failure, failure <= lost || former.verdict != .well else { return }
        self.open?.phases[.firstFailure] = failure
        if let at = former.verdictAt, ![.well, .unknown, .suspected].contains(former.verdict) {
            self.open?.phases[.verdict] = at
        }
        self.open?.cause = .failure(former.verdict)
    }

    /// What came to be known of the cause: from Patroni's request, or from another daemon's claim.
    mutating func learnCause(wasPlanned: Bool, claimant: String?) {
        if let claimant { self.claimant = claimant }
        guard self.open != nil, wasPlanned else { return }
        let cause: FailoverRecord.Cause = self.claimant.map { .grayFailure(by: $0) } ?? .switchover
        guard self.open?.cause != cause else { return }
        self.open?.cause = cause
        self.hasChanged = true
    }

    /// A member of the group was asked, and has said what it is.
    mutating func probed(_ name: String, isPrimary: Bool, at now: Instant) {
        guard let open = self.open else { return }
        if name == self.member.name, isPrimary { self.reach(.writable, at: now) }
        guard !isPrimary, open.phases[.standbyBack] == nil, self.standbys.contains(name) else { return }
        self.seen.insert(name)
        if self.seen == self.standbys { self.reach(.standbyBack, at: now) }
    }

    /// `isRepeatable`: the last time counts, as long as the first minute lasts; where there are several addresses or databases.
    private mutating func reach(_ phase: FailoverRecord.Phase, at now: Instant, isRepeatable: Bool = false) {
        guard let open = self.open, let gained = open.phases[.keyGained] else { return }
        if open.phases[phase] != nil, !isRepeatable || now - gained > .seconds(60) { return }
        self.open?.phases[phase] = now
        self.hasChanged = true
    }
}
