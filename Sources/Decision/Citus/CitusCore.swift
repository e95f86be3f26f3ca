// SPDX-License-Identifier: Apache-2.0

/// Keeps `pg_dist_node` true: follows the leader keys of all groups, and, on the coordinator's primary, writes their
/// addresses into every database that has the extension.
///
/// A part of ``Core``, with the same rules: events in, actions out, the time as an argument. It shares nothing
/// with the addresses' leases, so neither can hold the other up.
package struct CitusCore: Sendable {
    private(set) var settings: CitusSettings
    private let member: String
    private(set) var clusterID: UInt64?
    private(set) var revision: Int64 = 0
    private var revisionLearnedAt: Instant
    /// When the newest answered read of the groups' keys was sent.
    private(set) var lastRead: Instant?
    private(set) var groups: [Int: Group] = [:]
    private(set) var databases: [CitusDatabase]
    private(set) var isWriter = false
    private(set) var unreadable: String?
    private(set) var rivals = RivalCoordinators()
    private var damper = SecondaryDamper()
    /// What the failure detector holds failed.
    private var unusable: Set<NodeEndpoint> = []
    private(set) var reading: Question
    var limits: AnswerLimits
    /// Since when this part has had its turns when they were due.
    private var awakeSince: Instant
    private(set) var wakeAt: Instant

    /// Between two reads of the groups' keys: a watch alone can go stale.
    private static let pace: Duration = .seconds(10)
    /// What was read longer ago proves nothing: nothing is written on it.
    static let freshness: Duration = .seconds(30)
    /// Groups that are followed, and members of one. More are not looked at.
    package static let groupLimit = 1024
    /// Leaders that are asked at once whether they accept writes.
    package static let askedLimit = 32

    init(_ settings: CitusSettings, member: String, limits: AnswerLimits = AnswerLimits(), at now: Instant) {
        self.settings = settings
        self.limits = limits
        self.member = member
        self.databases = settings.databases.map { CitusDatabase($0, at: now) }
        self.reading = Question(due: now)
        self.awakeSince = now
        self.wakeAt = now
        self.revisionLearnedAt = now
    }

    mutating func handle(_ event: CitusEvent?, at now: Instant, into actions: inout [Action]) {
        if now - self.wakeAt > .seconds(1) { self.awakeSince = now }
        var (wanted, reports): ([CitusAction], [CitusReport]) = ([], [])
        let isNews = event.map { self.learn($0, at: now, into: &wanted, &reports) } ?? true
        if isNews || self.wakeAt <= now { self.advance(at: now, into: &wanted, &reports) }
        for report in reports { actions.append(.report(.citus(report))) }
        for action in wanted { actions.append(.citus(action)) }
    }

    // MARK: - What was learned

    /// Answers whether anything may follow from it.
    private mutating func learn(
        _ event: CitusEvent, at now: Instant, into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) -> Bool {
        switch event {
        case .groups(.read(let snapshot, let sentAt)):
            // Whoever asked for it, and whenever: it is as true as it is old.
            self.reading.answered()
            self.unreadable = nil
            self.learn(snapshot, sentAt: sentAt, at: now, into: &reports)
        case .groups(.unread(let reason)):
            self.reading.answered()
            self.reading.due = now + .seconds(1)
            if self.unreadable == nil { reports.append(.groupsUnreadable(reason: reason)) }
            self.unreadable = reason
        case .groups(.changed(let clusterID, let revision, let changes)):
            guard clusterID == self.clusterID else { self.reading.hasten(to: now); return true }
            self.advance(to: revision, at: now)
            var isNews = false
            for change in changes where self.learn(change, at: revision, now: now, into: &reports) {
                isNews = true
                for index in self.databases.indices { self.databases[index].lookFor(change, at: now) }
            }
            if isNews { self.tellVanished(into: &reports) }
            return isNews
        case .rowsRead(let name, let rows, let askedAt):
            self.update(name) { $0.learn(rows: rows, askedAt: askedAt, at: now, into: &actions, &reports) }
        case .rowsUnread(let name, let reason): self.update(name) { $0.rowsUnread(reason, at: now, into: &reports) }
        case .updateEnded(let name, let group, let outcome):
            let view = self.groups[group]
            var changed: NodeEndpoint?
            self.update(name) { changed = $0.updateEnded(group, outcome, view, at: now, into: &reports) }
            if let changed { self.damper.changed(changed, at: now) }
            // What the database knows better must show in etcd, or etcd was rebuilt.
            if case .olderRevision = outcome { self.reading.hasten(to: now) }
        case .updateBlocked(let name, let group, let sessions):
            reports.append(.blocked(name, group: group, sessions))
        case .held(let name, let group):
            let leader = self.groups[group]?.leader?.name ?? ""
            self.update(name) { $0.held(group, leader: leader, into: &actions, &reports) }
        case .holdEnded(let name, let group, let reason):
            self.update(name) { $0.holdEnded(group, reason, at: now, into: &reports) }
        case .synchronized(let name): self.update(name) { $0.synchronizationTold(at: now) }
        case .copiesCompared(let name, let findings):
            self.update(name) { $0.copiesCompared(findings, at: now, into: &reports) }
        case .unusable(let endpoints): self.unusable = endpoints
        case .writable(let endpoint, let answer, let askedAt):
            self.rivals.learn(endpoint, answer, into: &reports)
            for group in self.groups.keys where self.groups[group]?.endpoint == endpoint {
                if let reason = self.groups[group]?.learn(answer, askedAt: askedAt) {
                    reports.append(.probeRefused(group: group, endpoint, reason: reason))
                }
            }
        }
        return true
    }

    private mutating func update(_ name: String, _ change: (inout CitusDatabase) -> Void) {
        for index in self.databases.indices where self.databases[index].name == name { change(&self.databases[index]) }
    }

    private mutating func advance(to revision: Int64, at now: Instant) {
        guard revision > self.revision else { return }
        self.revision = revision
        self.revisionLearnedAt = now
    }

    private mutating func learn(
        _ snapshot: GroupsSnapshot, sentAt: Instant, at now: Instant, into reports: inout [CitusReport]
    ) {
        let wentBack = snapshot.revision < self.revision && sentAt > self.revisionLearnedAt
        if snapshot.clusterID != self.clusterID || wentBack {
            // An etcd that was rebuilt counts its revisions from the beginning, under another number or the same. What is
            // known of the one before is the past.
            self.groups = [:]
            self.revision = 0
            self.clusterID = snapshot.clusterID
        }
        // One that the watch has overtaken still tells of the keys of which nothing newer is known.
        self.lastRead = max(self.lastRead ?? sentAt, sentAt)
        self.advance(to: snapshot.revision, at: now)
        var leaders: [Int: Int64] = [:]
        for change in snapshot.facts { if case .leader(_, let since) = change.fact { leaders[change.group] = since } }
        for index in self.databases.indices { self.databases[index].learn(leaders: leaders, sentAt: sentAt) }
        var facts: [Int: [GroupFact]] = [:]
        for change in snapshot.facts {
            _ = self.learn(change, at: snapshot.revision, now: now, into: &reports)
            facts[change.group, default: []].append(change.fact)
        }
        for group in self.groups.keys {
            self.groups[group]?.forgetAllBut(facts[group] ?? [], at: snapshot.revision, now: now)
        }
        self.tellVanished(into: &reports)
    }

    private mutating func learn(
        _ change: GroupChange, at revision: Int64, now: Instant, into reports: inout [CitusReport]
    ) -> Bool {
        if self.groups[change.group] == nil {
            guard self.groups.count < Self.groupLimit else { return false }
            switch change.fact {
            case .leader(let leader, _): reports.append(.groupAppeared(group: change.group, leader: leader))
            case .member(_, .some): break
            case .noLeader, .member(_, nil), .switchover, .synchronous: return false
            }
        }
        return self.groups[change.group, default: Group()].learn(change.fact, at: revision, now: now)
    }

    private mutating func tellVanished(into reports: inout [CitusReport]) {
        for (group, view) in self.groups.sorted(by: { $0.key < $1.key }) where view.isEmpty {
            self.groups[group] = nil
            reports.append(.groupVanished(group: group))
        }
    }

    // MARK: - The decision

    private mutating func advance(
        at now: Instant, into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) {
        let leader = self.groups[self.settings.group]?.leader?.name
        let isWriter = self.settings.group == 0 && leader == self.member
        if isWriter != self.isWriter {
            self.isWriter = isWriter
            for index in self.databases.indices { self.databases[index].forget(at: now, into: &actions) }
            reports.append(.writerChanged(isWriter: isWriter))
        }
        self.giveUpOverdue(at: now, &reports)
        if self.reading.isDue(at: now) {
            self.reading.ask(at: now, next: now + Self.pace)
            actions.append(.readGroups)
        }
        self.wakeAt = self.reading.wakeAt(limit: self.limits.etcd, awakeSince: self.awakeSince)
        for database in self.databases {
            if let deadline = database.deadline(awakeSince: self.awakeSince) {
                self.wakeAt = min(self.wakeAt, deadline)
            }
        }
        if self.settings.group == 0, let coordinators = self.groups[0] { self.rivals.remember(coordinators) }
        if self.settings.registersSecondaries { self.observeSecondaries(at: now) }
        // In contact again, the read that says so is an event.
        guard isWriter, let clusterID = self.clusterID, let lastRead = self.lastRead, now - lastRead <= Self.freshness
        else { return }
        var wanted: Set<Int> = []
        for index in self.databases.indices {
            wanted.formUnion(
                self.databases[index].advance(
                    self.groups, clusterID, self.settings, self.damper, at: now, into: &actions, &reports))
        }
        self.askWritable(wanted, at: now, into: &actions, &reports)
        self.rivals.advance(at: now, awakeSince: self.awakeSince, into: &actions, &reports)
        self.wakeAt = min(self.wakeAt, self.rivals.wakeAt(after: now, awakeSince: self.awakeSince))
        for database in self.databases {
            self.wakeAt = min(self.wakeAt, database.wakeAt(self.groups, self.settings, after: now))
        }
    }

    private mutating func giveUpOverdue(at now: Instant, _ reports: inout [CitusReport]) {
        let silence = self.reading.giveUp(
            after: self.limits.etcd, at: now, awakeSince: self.awakeSince, next: now + .seconds(1))
        if let silence, silence.isFirst { reports.append(.unanswered(.groupsForCitus, after: silence.length)) }
        for index in self.databases.indices {
            self.databases[index].giveUpOverdue(at: now, awakeSince: self.awakeSince, &reports)
        }
    }

    /// What was asked for, is overdue, and has not been answered since.
    var unanswered: [Unanswered] {
        let own = self.reading.silentSince.map { [Unanswered(asked: .groupsForCitus, since: $0)] } ?? []
        return own + self.databases.flatMap(\.unanswered)
    }

    private mutating func observeSecondaries(at now: Instant) {
        self.damper.observe(self.groups, failed: self.unusable, at: now)
        for database in self.databases {
            for row in database.rows ?? [] where row.role == .secondary { self.damper.remember(row.endpoint, at: now) }
        }
    }

    private mutating func askWritable(
        _ wanted: Set<Int>, at now: Instant, into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) {
        for group in wanted.sorted() {
            if let silence = self.groups[group]?.giveUp(at: now, awakeSince: self.awakeSince), silence.isFirst,
                let endpoint = self.groups[group]?.endpoint
            {
                reports.append(.unanswered(.writable(endpoint), after: silence.length))
            }
        }
        // Each takes a connection: whoever was asked least lately comes first, and the rest follow as these are answered.
        var free = Self.askedLimit
        for group in self.groups.values where group.isAsked {
            let deadline = group.question.wakeAt(limit: AnswerLimits.writable, awakeSince: self.awakeSince)
            guard deadline > now else { continue }
            free -= 1
            self.wakeAt = min(self.wakeAt, deadline)
        }
        let candidates = wanted.compactMap { group -> (group: Int, askedAt: Instant)? in
            guard let view = self.groups[group], view.endpoint != nil, !view.isAsked else { return nil }
            return (group, view.question.askedAt ?? Instant(sinceBoot: .zero))
        }
        for (group, _) in candidates.sorted(by: { ($0.askedAt, $0.group) < ($1.askedAt, $1.group) }) {
            guard let view = self.groups[group], let endpoint = view.endpoint else { continue }
            let due = view.askDue(at: now)
            guard due <= now else {
                self.wakeAt = min(self.wakeAt, due)
                continue
            }
            guard free > 0 else { continue }
            free -= 1
            self.groups[group]?.ask(endpoint, at: now)
            actions.append(.askWritable(endpoint))
        }
    }
}
