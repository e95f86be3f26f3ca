// SPDX-License-Identifier: Apache-2.0

/// Keeps `pg_dist_node` true: looks at the leaders of all groups (``GroupsView``), and, on the coordinator's primary, writes their
/// addresses into every database that has the extension.
///
/// A part of ``Core``, with the same rules: events in, actions out, the time as an argument. It shares nothing
/// with the addresses' leases, so neither can hold the other up.
package struct CitusCore: Sendable {
    private(set) var settings: CitusSettings
    private let member: String
    private(set) var databases: [CitusDatabase]
    private(set) var isWriter = false
    private(set) var rivals = RivalCoordinators()
    private var damper = SecondaryDamper()
    private(set) var places: KnownPlaces
    /// Whether a place is known that was not remembered yet.
    var hasNewPlace = false
    private var identities = ServerIdentities()
    /// By group, of those that have had a leader.
    private(set) var inquiries: [Int: LeaderInquiry] = [:]
    /// The groups whose leaders are asked at present.
    private(set) var asking: Set<Int> = []
    /// What the failure detector holds failed, or lagging.
    private var unusable: Set<NodeEndpoint> = []
    /// Whether the view of the groups is found to lack something.
    var wantsGroupsRead = false
    var verification: VerificationWatch
    private(set) var wakeAt: Instant

    /// What was read longer ago proves nothing: nothing is written on it.
    static let freshness: Duration = .seconds(30)
    /// Leaders that are asked at once whether they accept writes.
    package static let askedLimit = 32

    init(
        _ settings: CitusSettings, member: String, places: KnownPlaces = KnownPlaces(),
        limits: AnswerLimits = AnswerLimits(), at now: Instant
    ) {
        self.places = places
        self.settings = settings
        self.member = member
        self.databases = settings.databases.map {
            CitusDatabase(AdviceNames(settings, $0, of: 0), updateLimit: limits.update, at: now)
        }
        self.wakeAt = now
        self.verification = VerificationWatch(member: member)
    }

    /// - Parameters:
    ///   - view: what is known of the groups.
    ///   - news: what the event changed in it.
    ///   - awakeSince: since when this daemon has had its turns when they were due.
    mutating func handle(
        _ event: CitusEvent?, _ view: GroupsView, _ news: GroupsNews?, awakeSince: Instant, at now: Instant,
        into actions: inout [Action]
    ) {
        var (wanted, reports): ([CitusAction], [CitusReport]) = ([], [])
        var isNews = event != nil || news == nil
        if let news, self.learn(news, view, at: now, into: &reports) { isNews = true }
        if let event { self.learn(event, view, at: now, into: &wanted, &reports) }
        if isNews || self.wakeAt <= now { self.advance(view, awakeSince, at: now, into: &wanted, &reports) }
        for report in reports { actions.append(.report(.citus(report))) }
        for action in wanted { actions.append(.citus(action)) }
    }

    // MARK: - What was learned

    /// Answers whether anything may follow from it.
    private mutating func learn(
        _ news: GroupsNews, _ view: GroupsView, at now: Instant, into reports: inout [CitusReport]
    ) -> Bool {
        switch news {
        case .read(let learned, let sentAt):
            if learned.isOfAnotherHistory { self.inquiries = [:] }
            if self.settings.group == 0, let cluster = view.clusterID, self.places.follow(cluster) {
                self.hasNewPlace = true
            }
            for (group, known) in view.groups {
                self.inquire(group, known)
                for member in known.members.values { self.remember(member.endpoint, of: group, view) }
            }
            var leaders: [Int: Int64] = [:]
            for change in learned.named {
                if case .leader(_, let since, let written) = change.fact { leaders[change.group] = written ?? since }
            }
            for index in self.databases.indices {
                self.databases[index].learn(leaders: leaders, of: view.clusterID, sentAt: sentAt)
            }
            self.tell(learned, into: &reports)
            return true
        case .changed(let learned):
            for (group, _, _) in learned.leaders { if let known = view.groups[group] { self.inquire(group, known) } }
            for change in learned.news {
                if case .member(_, let member) = change.fact { self.remember(member?.endpoint, of: change.group, view) }
                for index in self.databases.indices { self.databases[index].lookFor(change, at: now) }
            }
            self.tell(learned, into: &reports)
            return !learned.news.isEmpty || learned.named.contains { self.concernsRefusal($0, view) }
        case .unread(let reason, let isFirst):
            if isFirst { reports.append(.groupsUnreadable(reason: reason)) }
            return true
        case .ofAnotherCluster: return true
        }
    }

    /// Only where the coordinator's rows may be written one day.
    private mutating func remember(_ place: NodeEndpoint?, of group: Int, _ view: GroupsView) {
        guard let place, self.settings.group == 0 else { return }
        if self.places.learn(place, of: group, isVanished: { view.groups[$0] == nil }) { self.hasNewPlace = true }
    }

    /// Begins to find out anew whether a leader accepts writes, where another one leads.
    private mutating func inquire(_ group: Int, _ known: Group) {
        guard let leader = known.leader, let since = known.leaderAt, self.inquiries[group]?.leader != leader else {
            return
        }
        self.inquiries[group] = LeaderInquiry(leader, since: since)
    }

    /// Where the leader cannot be asked, it counts that Patroni has spoken of it at all.
    private func concernsRefusal(_ change: GroupChange, _ view: GroupsView) -> Bool {
        guard case .member(let name, _) = change.fact, self.inquiries[change.group]?.refusal != nil else {
            return false
        }
        return view.groups[change.group]?.leader?.name == name
    }

    private mutating func tell(_ learned: GroupsNews.Learned, into reports: inout [CitusReport]) {
        for (group, leader) in learned.appeared { reports.append(.groupAppeared(group: group, leader: leader)) }
        for group in learned.vanished {
            self.inquiries[group] = nil
            reports.append(.groupVanished(group: group))
        }
    }

    private mutating func learn(
        _ event: CitusEvent, _ view: GroupsView, at now: Instant, into actions: inout [CitusAction],
        _ reports: inout [CitusReport]
    ) {
        switch event {
        case .rowsRead(let name, let rows, let askedAt):
            self.update(name) { $0.learn(rows: rows, askedAt: askedAt, at: now, into: &actions, &reports) }
        case .rowsUnread(let name, let reason): self.update(name) { $0.rowsUnread(reason, at: now, into: &reports) }
        case .updateEnded(let name, let groups, let outcome, let cause, let askedAt):
            var changed: NodeEndpoint?
            self.update(name) {
                changed = $0.updateEnded(
                    groups, outcome, causedBy: cause, view.groups, askedAt: askedAt, at: now, into: &reports)
            }
            if let changed { self.damper.changed(changed, at: now) }
            // What the database knows better must show in etcd, or etcd was rebuilt.
            if case .olderRevision = outcome { self.wantsGroupsRead = true }
        case .updateBlocked(let name, let groups, let sessions):
            reports.append(.blocked(name, groups: groups, sessions))
            // It would keep the rows for as long as it connects to a node that is gone, and nothing but this ends it.
            if sessions.contains(where: \.isSynchronization) { actions.append(.interruptSynchronization(name)) }
        case .updateUnforced(let name, let groups):
            self.update(name) { $0.updateUnforced(groups, into: &reports) }
        case .synchronizationInterrupted(let name, let count, let problem):
            if count > 0 || problem != nil { reports.append(.synchronizationInterrupted(name, problem: problem)) }
        case .held(let name, let group, let blocksOthers):
            let leader = view.groups[group]?.leader?.name ?? ""
            self.update(name) {
                $0.held(group, leader: leader, blocksOthers: blocksOthers, into: &actions, &reports)
            }
        case .holdEnded(let name, let group, let reason):
            self.update(name) { $0.holdEnded(group, reason, at: now, into: &reports) }
        case .synchronized(let name): self.update(name) { $0.synchronizationTold(at: now) }
        case .copiesCompared(let name, let findings, let askedAt):
            let count = reports.count
            self.update(name) { $0.copiesCompared(findings, askedAt: askedAt, at: now, into: &reports) }
            if reports.dropFirst(count).contains(where: \.isOfDifferingCopies) { self.verification.hasten(to: now) }
        case .settingsSeen(let name, let seen, let askedAt):
            self.update(name) { database in
                if let problems = database.settings.learn(seen, askedAt: askedAt, at: now) {
                    reports.append(.settings(name, problems))
                }
            }
        case .versionsSeen(let name, let versions): self.update(name) { $0.versions.seen = versions }
        case .verified(let outcome, let askedAt):
            self.verification.learn(outcome, askedAt: askedAt, at: now, into: &reports)
        case .unusable(let endpoints): self.unusable = endpoints
        case .identified(let place, let identity, let askedAt):
            self.identities.learn(place, identity, askedAt: askedAt)
        case .writable(let endpoint, let answer, let askedAt):
            self.rivals.learn(endpoint, answer, into: &reports)
            for (group, known) in view.groups where known.endpoint == endpoint {
                if let reason = self.inquiries[group]?.learn(answer, askedAt: askedAt, at: now) {
                    reports.append(.probeRefused(group: group, endpoint, reason: reason))
                }
            }
        }
    }

    private mutating func update(_ name: String, _ change: (inout CitusDatabase) -> Void) {
        for index in self.databases.indices where self.databases[index].name == name { change(&self.databases[index]) }
    }

    // MARK: - The decision

    private mutating func advance(
        _ view: GroupsView, _ awakeSince: Instant, at now: Instant, into actions: inout [CitusAction],
        _ reports: inout [CitusReport]
    ) {
        let leader = view.groups[self.settings.group]?.leader?.name
        // A standby cluster follows another site, whose coordinator writes.
        let isWriter =
            self.settings.group == 0 && leader == self.member && view.groups[0]?.isStandbyCluster != true
        if isWriter != self.isWriter {
            self.isWriter = isWriter
            for index in self.databases.indices { self.databases[index].forget(at: now, into: &actions) }
            self.verification.begin(isWriter: isWriter, at: now)
            reports.append(.writerChanged(isWriter: isWriter))
        }
        self.verification.giveUp(at: now, awakeSince: awakeSince, into: &reports)
        self.wakeAt = .distantFuture
        for index in self.databases.indices {
            self.databases[index].giveUpOverdue(at: now, awakeSince: awakeSince, &reports)
            if let deadline = self.databases[index].deadline(awakeSince: awakeSince) {
                self.wakeAt = min(self.wakeAt, deadline)
            }
        }
        if self.settings.group == 0, let coordinators = view.groups[0] { self.rivals.remember(coordinators) }
        if self.settings.registersSecondaries { self.observeSecondaries(view, at: now) }
        self.asking = []
        // In contact again, the read that says so is an event.
        guard isWriter, let clusterID = view.clusterID, let readAt = view.readAt, now - readAt <= Self.freshness
        else { return }
        var wanted: Set<Int> = []
        var neighborhood = Neighborhood(self.places, self.identities)
        for index in self.databases.indices {
            wanted.formUnion(
                self.databases[index].advance(
                    view.groups, self.inquiries, clusterID, self.settings.of(self.databases[index].name), self.damper,
                    &neighborhood, at: now, into: &actions, &reports))
        }
        self.wakeAt = min(
            self.wakeAt,
            self.identities.advance(neighborhood.wanted, at: now, awakeSince: awakeSince, into: &actions))
        self.asking = wanted
        self.askWritable(wanted, view, awakeSince, at: now, into: &actions, &reports)
        self.rivals.advance(at: now, awakeSince: awakeSince, into: &actions, &reports)
        self.wakeAt = min(self.wakeAt, self.rivals.wakeAt(after: now, awakeSince: awakeSince))
        self.advanceVerification(view, at: now, into: &actions)
        self.wakeAt = min(self.wakeAt, self.verification.wakeAt(after: now, awakeSince: awakeSince))
        for database in self.databases {
            self.wakeAt = min(
                self.wakeAt, database.wakeAt(view.groups, self.settings.of(database.name), after: now))
        }
    }

    /// When the present leader of a group was found to accept writes.
    func writableAt(_ group: Int) -> Instant? { self.inquiries[group]?.outOfRecoveryAt }

    private mutating func observeSecondaries(_ view: GroupsView, at now: Instant) {
        self.damper.observe(view.groups, failed: self.unusable, at: now)
        for database in self.databases {
            for row in database.rows ?? [] where row.role == .secondary { self.damper.remember(row.endpoint, at: now) }
        }
    }

    private mutating func askWritable(
        _ wanted: Set<Int>, _ view: GroupsView, _ awakeSince: Instant, at now: Instant,
        into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) {
        for group in wanted.sorted() {
            if let silence = self.inquiries[group]?.giveUp(at: now, awakeSince: awakeSince), silence.isFirst,
                let endpoint = view.groups[group]?.endpoint
            {
                reports.append(.unanswered(.writable(endpoint), after: silence.length))
            }
        }
        // Each takes a connection: whoever was asked least lately comes first, and the rest follow as these are answered.
        var free = Self.askedLimit
        for (group, inquiry) in self.inquiries where inquiry.isAsked(at: view.groups[group]?.endpoint) {
            let deadline = inquiry.question.wakeAt(limit: AnswerLimits.writable, awakeSince: awakeSince)
            guard deadline > now else { continue }
            free -= 1
            self.wakeAt = min(self.wakeAt, deadline)
        }
        let candidates = wanted.compactMap { group -> (group: Int, endpoint: NodeEndpoint, askedAt: Instant)? in
            guard let endpoint = view.groups[group]?.endpoint, let inquiry = self.inquiries[group],
                !inquiry.isAsked(at: endpoint)
            else { return nil }
            return (group, endpoint, inquiry.question.askedAt ?? Instant(sinceBoot: .zero))
        }
        for (group, endpoint, _) in candidates.sorted(by: { ($0.askedAt, $0.group) < ($1.askedAt, $1.group) }) {
            let due = self.inquiries[group]?.askDue(at: now) ?? now
            guard due <= now else {
                self.wakeAt = min(self.wakeAt, due)
                continue
            }
            guard free > 0 else { continue }
            free -= 1
            self.inquiries[group]?.ask(endpoint, at: now)
            actions.append(.askWritable(endpoint))
        }
    }
}
