// SPDX-License-Identifier: Apache-2.0

public struct DetectorSettings: Hashable, Sendable {
    public var profile: DetectorProfile
    /// This node's group; 0 without Citus.
    public var group: Int
    /// Whether the members of every group are watched: the coordinator's nodes do that.
    public var watchesAllGroups: Bool
    /// Spreads the probes of one daemon over the interval, and those of several daemons against each other.
    public var seed: UInt64

    public init(_ profile: DetectorProfile = .hyperscale, group: Int = 0, watchesAllGroups: Bool = false, seed: UInt64)
    {
        self.profile = profile
        self.group = group
        self.watchesAllGroups = watchesAllGroups
        self.seed = seed
    }
}

/// The failure detector of one daemon: who is watched, what each source holds of whom, and what follows from that.
///
/// A probe's outcome costs the same however many members there are.
struct DetectorCore: Sendable {
    struct Target: Sendable {
        var patroni = DetectorTrack()
        var postgres = DetectorTrack()
        var patroniConsensus = DetectorConsensus()
        var postgresConsensus = DetectorConsensus()
        var verdict = DetectorVerdict.unknown
        var isProbing = false
        /// Since when etcd has not named it.
        var missingSince: Instant?
        /// Where it was when etcd named it last.
        var api: String?
        var endpoint: NodeEndpoint?
        /// When it was asked last and said that it is a primary.
        var primaryAt: Instant?

        /// Whether this daemon's own probes hold nothing well about it.
        var isDark: Bool {
            [self.patroni.state, self.postgres.state].allSatisfy { $0 == .suspect || $0 == .failed }
        }
    }

    let settings: DetectorSettings
    let member: MemberID
    private(set) var groups: [Int: CitusGroup] = [:]
    private(set) var targets: [MemberID: Target] = [:]
    private(set) var observations: [String: Observation] = [:]
    private(set) var health = LocalHealth()
    private(set) var isIsolated = false
    private(set) var wakeAt: Instant
    private var queue = ProbeQueue()
    /// How many targets are dark.
    private var darkCount = 0
    /// What others are told, kept up to date change by change.
    private var observation: Observation
    private var isPublished = false
    /// Since when several members of a group have been seen as primaries, until each has said so again.
    private var doubtedPrimaries: [Int: Instant] = [:]
    private(set) var splitBrains: [Int: [MemberID]] = [:]
    private var healthDue: Instant
    private var wasTroubled = false

    /// A member that etcd has not named for so long is forgotten.
    static let memory: Duration = .seconds(3600)
    static let targetLimit = 4096
    static let observerLimit = 256

    init(_ settings: DetectorSettings, member: String, at now: Instant) {
        self.settings = settings
        self.member = MemberID(settings.group, member)
        self.wakeAt = now
        self.healthDue = now + settings.profile.interval
        self.observation = Observation(group: settings.watchesAllGroups ? nil : settings.group)
    }

    private var profile: DetectorProfile { self.settings.profile }

    /// `hasContact`: whether etcd answers, so that what it said last is true.
    mutating func handle(
        _ event: DetectorEvent?, hasContact: Bool, at now: Instant, into wanted: inout [DetectorAction],
        _ reports: inout [DetectorReport]
    ) {
        switch event {
        case nil: break
        case .groupsRead(let snapshot): self.learn(snapshot, hasContact, at: now, &wanted, &reports)
        case .groupsChanged(let revision, let changes):
            for change in changes { self.learn(change, at: revision, hasContact, now, &reports) }
        case .probed(let id, let findings, let askedAt):
            self.learn(id, findings, askedAt: askedAt, hasContact, at: now, &wanted, &reports)
        case .observed(let name, let observation):
            guard name != self.member.name else { break }
            guard self.observations[name] != nil || self.observations.count < Self.observerLimit else { break }
            let before = self.observations.updateValue(observation ?? Observation(group: -1), forKey: name)
            if observation == nil { self.observations[name] = nil }
            let concerned = Set(before?.doubts.keys.map { $0 } ?? []).union(observation?.doubts.keys.map { $0 } ?? [])
            // One that comes, goes or is cut off says something of everybody.
            let isForAll = before == nil || observation == nil || before?.isIsolated != observation?.isIsolated
            for id in isForAll ? Array(self.targets.keys) : Array(concerned) {
                self.reconsider(id, hasContact, at: now, &reports)
            }
        case .acknowledged(let id):
            _ = self.targets[id]?.patroniConsensus.acknowledge(at: now)
            _ = self.targets[id]?.postgresConsensus.acknowledge(at: now)
            self.reconsider(id, hasContact, at: now, &reports)
        }
        self.probe(at: now, into: &wanted)
        if !self.isPublished {
            self.isPublished = true
            wanted.append(.publish(self.observation))
        }
    }

    // MARK: - Who is watched

    private func isWatched(_ id: MemberID) -> Bool {
        id != self.member && (self.settings.watchesAllGroups || id.group == self.settings.group)
    }

    private mutating func learn(
        _ snapshot: GroupsSnapshot, _ hasContact: Bool, at now: Instant, _ wanted: inout [DetectorAction],
        _ reports: inout [DetectorReport]
    ) {
        var facts: [Int: [GroupFact]] = [:]
        for change in snapshot.facts {
            facts[change.group, default: []].append(change.fact)
            self.learn(change, at: snapshot.revision, hasContact, now, &reports)
        }
        for group in self.groups.keys {
            self.groups[group]?.forgetAllBut(facts[group] ?? [], at: snapshot.revision, now: now)
        }
        for id in self.targets.keys.sorted() { self.meet(id, hasContact, at: now, &reports) }
    }

    private mutating func learn(
        _ change: GroupChange, at revision: Int64, _ hasContact: Bool, _ now: Instant,
        _ reports: inout [DetectorReport]
    ) {
        let before = self.groups[change.group]?.leader?.name
        _ = self.groups[change.group, default: CitusGroup()].learn(change.fact, at: revision, now: now)
        if case .member(let name, _) = change.fact {
            self.meet(MemberID(change.group, name), hasContact, at: now, &reports)
        }
        let after = self.groups[change.group]?.leader?.name
        guard before != after else { return }
        for name in [before, after].compactMap({ $0 }) {
            self.reconsider(MemberID(change.group, name), hasContact, at: now, &reports)
        }
    }

    /// Takes note of whether etcd names a member.
    private mutating func meet(
        _ id: MemberID, _ hasContact: Bool, at now: Instant, _ reports: inout [DetectorReport]
    ) {
        guard self.isWatched(id) else { return }
        let isThere = self.groups[id.group]?.members[id.name] != nil
        if self.targets[id] == nil {
            guard isThere, self.targets.count < Self.targetLimit else { return }
            self.targets[id] = Target()
            self.doubt(id, Observation.Doubt(patroni: .unknown, postgres: .unknown))
            self.queue.insert(id, due: now + self.phase(of: id))
        }
        if isThere {
            self.targets[id]?.missingSince = nil
        } else if self.targets[id]?.missingSince == nil {
            self.targets[id]?.missingSince = now
        }
        self.reconsider(id, hasContact, at: now, &reports)
    }

    /// A member's share of the interval: the same for one daemon and member, different for any other.
    private func phase(of id: MemberID) -> Duration {
        var hash = self.settings.seed ^ 0xcbf2_9ce4_8422_2325
        for byte in "\(id.group)/\(id.name)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return self.profile.spacing * Int(hash % 1000) / 1000
    }

    // MARK: - Probes

    private mutating func probe(at now: Instant, into wanted: inout [DetectorAction]) {
        while let (id, due) = self.queue.pop(at: now) {
            guard let target = self.targets[id] else { continue }
            if let missingSince = target.missingSince, now - missingSince > Self.memory, !target.isProbing {
                if target.isDark { self.darkCount -= 1 }
                self.targets[id] = nil
                self.doubt(id, nil)
                continue
            }
            self.queue.append(id, due: max(due, now - self.profile.spacing) + self.profile.spacing)
            // A turn that comes late is our own fault, and so may be what seems to fail now.
            if now - due > self.profile.interval / 2 { self.wasTroubled = true }
            if !target.isProbing { self.ask(id, into: &wanted) }
        }
        if self.healthDue <= now {
            self.healthDue = now + self.profile.interval
            if self.wasTroubled || self.isIsolated { self.health.suffer() } else { self.health.recover() }
            self.wasTroubled = false
        }
        self.wakeAt = min(self.queue.next ?? .distantFuture, self.healthDue)
    }

    private mutating func ask(_ id: MemberID, into wanted: inout [DetectorAction]) {
        let known = self.groups[id.group]?.members[id.name]
        self.targets[id]?.isProbing = true
        if let known {
            self.targets[id]?.api = known.api
            self.targets[id]?.endpoint = known.endpoint
        }
        guard let target = self.targets[id] else { return }
        wanted.append(.probe(id, api: target.api, endpoint: target.endpoint, timeout: self.profile.timeout))
    }

    private mutating func learn(
        _ id: MemberID, _ findings: ProbeFindings, askedAt: Instant, _ hasContact: Bool, at now: Instant,
        _ wanted: inout [DetectorAction], _ reports: inout [DetectorReport]
    ) {
        guard var target = self.targets[id] else { return }
        let wasDark = target.isDark
        target.isProbing = false
        target.patroni.take(findings.patroni, self.profile, scale: self.health.scale, at: now)
        target.postgres.take(findings.postgres, self.profile, scale: self.health.scale, at: now)
        target.primaryAt = findings.isPrimary == true ? askedAt : nil
        self.targets[id] = target
        let isWell = target.patroni.state == .healthy && target.postgres.state == .healthy
        self.doubt(
            id, isWell ? nil : Observation.Doubt(patroni: target.patroni.state, postgres: target.postgres.state))
        if target.isDark != wasDark { self.darkCount += target.isDark ? 1 : -1 }
        self.checkIsolation(hasContact, at: now, &reports)
        self.reconsider(id, hasContact, at: now, &reports)
        self.checkPrimaries(of: id.group, at: now, &wanted, &reports)
    }

    /// Where everybody seems to have failed at once, it is this node that is cut off. Of a single member that cannot be said
    /// as long as etcd answers.
    private mutating func checkIsolation(_ hasContact: Bool, at now: Instant, _ reports: inout [DetectorReport]) {
        let isIsolated =
            !self.targets.isEmpty && self.darkCount == self.targets.count
            && (self.targets.count > 1 || !hasContact)
        guard isIsolated != self.isIsolated else { return }
        self.isIsolated = isIsolated
        self.observation.isIsolated = isIsolated
        self.isPublished = false
        if isIsolated { self.health.suffer() }
        reports.append(.isolated(isIsolated))
        for id in self.targets.keys.sorted() { self.reconsider(id, hasContact, at: now, &reports) }
    }

    /// Two primaries of one group, each of which has said so after both were known of: a switchover in between looks the
    /// same for a moment.
    private mutating func checkPrimaries(
        of group: Int, at now: Instant, _ wanted: inout [DetectorAction], _ reports: inout [DetectorReport]
    ) {
        let names = self.groups[group].map { Set($0.members.keys).union($0.former.map { [$0.name] } ?? []) } ?? []
        let primaries = names.map { MemberID(group, $0) }.filter { self.targets[$0]?.primaryAt != nil }.sorted()
        guard primaries.count > 1 else {
            self.doubtedPrimaries[group] = nil
            if self.splitBrains.removeValue(forKey: group) != nil { reports.append(.splitBrain(group: group, [])) }
            return
        }
        guard let since = self.doubtedPrimaries[group] else {
            self.doubtedPrimaries[group] = now
            for id in primaries where self.targets[id]?.isProbing == false { self.ask(id, into: &wanted) }
            return
        }
        let confirmed = primaries.filter { self.targets[$0]?.primaryAt.map { $0 >= since } ?? false }
        guard confirmed.count > 1, self.splitBrains[group] != confirmed else { return }
        self.splitBrains[group] = confirmed
        reports.append(.splitBrain(group: group, confirmed))
    }

    // MARK: - Verdicts

    /// What every source holds of an aspect of a member.
    func evidence(_ aspect: DetectorAspect, of id: MemberID, _ hasContact: Bool) -> [Evidence] {
        guard let target = self.targets[id] else { return [] }
        let track = aspect == .patroni ? target.patroni : target.postgres
        let own = self.isIsolated ? .unknown : track.state
        var evidence = [Evidence(aspect: aspect, source: .own, state: own, reason: track.reason)]
        guard hasContact else { return evidence }
        let known = self.groups[id.group]?.members[id.name]
        switch aspect {
        case .patroni:
            evidence.append(
                Evidence(aspect: aspect, source: .etcd, state: known == nil ? .failed : .healthy, reason: nil))
        case .postgres:
            // That Patroni takes it for running is no evidence: just that is in doubt.
            let state: DetectorState = known.map { !$0.isRunning } ?? false ? .failed : .unknown
            evidence.append(Evidence(aspect: aspect, source: .etcd, state: state, reason: nil))
        }
        for (name, observation) in self.observations.sorted(by: { $0.key < $1.key }) where name != id.name {
            guard let states = observation.states(of: id) else { continue }
            let state = aspect == .patroni ? states.patroni : states.postgres
            evidence.append(Evidence(aspect: aspect, source: .peer(name), state: state, reason: nil))
        }
        return evidence
    }

    private mutating func reconsider(
        _ id: MemberID, _ hasContact: Bool, at now: Instant, _ reports: inout [DetectorReport]
    ) {
        guard var target = self.targets[id] else { return }
        let patroni = self.evidence(.patroni, of: id, hasContact)
        let postgres = self.evidence(.postgres, of: id, hasContact)
        _ = target.patroniConsensus.look(at: patroni.map(\.state), self.profile, at: now)
        _ = target.postgresConsensus.look(at: postgres.map(\.state), self.profile, at: now)
        let rule = VerdictRule.first(
            patroni: target.patroniConsensus.state, postgres: target.postgresConsensus.state,
            isLeader: hasContact && self.groups[id.group]?.leader?.name == id.name)
        let before = target.verdict
        target.verdict = rule.verdict
        self.targets[id] = target
        guard before != rule.verdict else { return }
        reports.append(
            .verdict(id, rule.verdict, before: before, reason: rule.reason, evidence: patroni + postgres))
    }

    private mutating func doubt(_ id: MemberID, _ doubt: Observation.Doubt?) {
        guard self.observation.doubts[id] != doubt else { return }
        self.observation.doubts[id] = doubt
        self.isPublished = false
    }
}
