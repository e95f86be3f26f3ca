// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The Citus part of one core on the coordinator's node, and its clock.
struct CitusScript {
    static let cluster: UInt64 = 7
    static let database = "app"
    static let coordinator = NodeEndpoint("c1", 5432)
    static let rows = [
        NodeRow(id: 1, group: 0, endpoint: coordinator, role: .primary),
        NodeRow(id: 2, group: 1, endpoint: NodeEndpoint("a1", 5432), role: .primary),
        NodeRow(id: 3, group: 2, endpoint: NodeEndpoint("b1", 5432), role: .primary),
    ]

    private(set) var core: Core
    private(set) var now = Instant(sinceBoot: .seconds(100))
    private(set) var reports: [CitusReport] = []
    /// Of other parts of the core, since the beginning.
    private(set) var otherReports: [Report] = []
    private(set) var revision: Int64 = 10
    /// The members' places that the core wanted to be remembered last.
    private(set) var remembered: KnownPlaces?
    /// How often the groups' keys were to be read.
    private(set) var reads = 0
    /// Whether a read of the groups' keys is answered at once, with what stands there.
    var answersReads = false
    /// Whether comparisons of copies that follow no change are answered at once.
    var answersComparisons = true
    private var awaitsChange: Bool { self.core.citusStatus?.databases.first?.unsynchronizedGroups.isEmpty == false }
    /// With what a look at the settings is answered at once; nil: it is not.
    var settings: ServerSettings? = ServerSettings()
    /// With what a verification is answered at once; nil: it is not.
    var verified: VerificationOutcome? = .ended([])
    /// When it was.
    private(set) var verifications: [Instant] = []
    /// With what a read of the rows is answered at once; nil: it is not.
    var answeredRows: [NodeRow]?
    /// What stands in etcd, by group and key.
    private var keys: [Int: [String: GroupFact]] = [:]

    init(
        _ mode: CitusMode = .own, places: KnownPlaces = KnownPlaces(),
        change: (inout CitusSettings) -> Void = { _ in }
    ) {
        var citus = CitusSettings(group: 0, databases: [Self.database], mode: mode)
        change(&citus)
        self.core = Core(
            CoreSettings(member: "c1", node: "boot-a", addresses: [], citus: citus), memory: Memory(places: places),
            at: self.now)
    }

    /// A core that knows the groups, and has asked for the rows: it writes.
    static func begun(
        _ mode: CitusMode = .own, places: KnownPlaces = KnownPlaces(),
        change: (inout CitusSettings) -> Void = { _ in }
    ) -> CitusScript {
        var script = CitusScript(mode, places: places, change: change)
        #expect(script.on(nil) == [] && script.reads == 1)
        #expect(script.groups(.read(script.snapshot(), sentAt: script.now)).contains(.readRows(Self.database)))
        #expect(script.reports.contains(.writerChanged(isWriter: true)))
        for change in script.snapshot().facts { script.put(change) }
        return script
    }

    /// The same, and it knows the rows, and has nothing to do.
    static func settled(
        _ mode: CitusMode = .own, rows: [NodeRow] = Self.rows, places: KnownPlaces = KnownPlaces(),
        change: (inout CitusSettings) -> Void = { _ in }
    ) -> CitusScript {
        var script = CitusScript.begun(mode, places: places, change: change)
        #expect(script.rowsRead(rows) == [])
        script.answersReads = true
        return script
    }

    /// What Patroni's keys say: c1, a1 and b1 lead, a2 and c2 stand by.
    func snapshot(at revision: Int64 = 10) -> GroupsSnapshot {
        let standby = { GroupMember(endpoint: NodeEndpoint($0, 5432), isRunning: true, isPrimary: false) }
        let primary = { GroupMember(endpoint: NodeEndpoint($0, 5432), isRunning: true, isPrimary: true) }
        return GroupsSnapshot(
            clusterID: Self.cluster, revision: revision,
            facts: [
                GroupChange(0, .leader("c1", since: 3)), GroupChange(0, .member("c1", primary("c1"))),
                GroupChange(1, .leader("a1", since: 4)), GroupChange(1, .member("a1", primary("a1"))),
                GroupChange(1, .member("a2", standby("a2"))),
                GroupChange(2, .leader("b1", since: 5)), GroupChange(2, .member("b1", primary("b1"))),
            ])
    }

    static func standby(_ host: String) -> GroupMember {
        GroupMember(endpoint: NodeEndpoint(host, 5432), isRunning: true, isPrimary: false)
    }

    private mutating func put(_ change: GroupChange) {
        switch change.fact {
        case .leader: self.keys[change.group, default: [:]]["leader"] = change.fact
        case .noLeader: self.keys[change.group]?["leader"] = nil
        case .member(let name, let member):
            self.keys[change.group, default: [:]]["members/" + name] = member == nil ? nil : change.fact
        case .requested(let request):
            self.keys[change.group, default: [:]]["failover"] = request == nil ? nil : change.fact
        case .synchronous(let standbys):
            self.keys[change.group, default: [:]]["sync"] = standbys == nil ? nil : change.fact
        case .log: break  // Nobody here looks at it.
        }
    }

    /// Delivers an event some time after the one before; answers what is to be done.
    @discardableResult
    mutating func on(_ event: CitusEvent?, after delay: Duration = .milliseconds(1)) -> [CitusAction] {
        self.on(event.map { .citus($0) } ?? .tick, after: delay)
    }

    @discardableResult
    mutating func groups(_ event: GroupsEvent, after delay: Duration = .milliseconds(1)) -> [CitusAction] {
        self.on(.groups(event), after: delay)
    }

    private mutating func on(_ event: Event, after delay: Duration) -> [CitusAction] {
        self.now = self.now + delay
        self.reports = []
        let readsBefore = self.reads
        var actions = self.deliver(event)
        if let rows = self.answeredRows, actions.contains(.readRows(Self.database)) {
            actions.removeAll { $0 == .readRows(Self.database) }
            actions += self.deliver(.citus(.rowsRead(Self.database, rows, askedAt: self.now)))
        }
        guard self.answersReads, self.reads > readsBefore else { return actions }
        let facts = self.keys.sorted { $0.key < $1.key }.flatMap { group, facts in
            facts.sorted { $0.key < $1.key }.map { GroupChange(group, $0.value) }
        }
        let snapshot = GroupsSnapshot(clusterID: Self.cluster, revision: self.revision, facts: facts)
        return actions + self.deliver(.groups(.read(snapshot, sentAt: self.now)))
    }

    private mutating func deliver(_ event: Event) -> [CitusAction] {
        var actions: [Action] = []
        self.core.handle(event, at: self.now, into: &actions)
        var others: [CitusAction] = []
        for action in actions {
            switch action {
            case .report(.citus(let report)): self.reports.append(report)
            case .report(let report): self.otherReports.append(report)
            // Nothing was changed: the comparison that comes a minute after the start, and every hour, has tests of its own.
            case .citus(.compareCopies(let name, let workers)) where self.answersComparisons && !self.awaitsChange:
                let same = workers.map { CopyFinding($0, .same) }
                _ = self.deliver(.citus(.copiesCompared(name, same, askedAt: self.now)))
            case .citus(.verify) where self.verified != nil:
                self.verifications.append(self.now)
                let outcome = self.verified ?? .ended([])
                _ = self.deliver(.citus(.verified(outcome, askedAt: self.now)))
            case .citus(.lookAtSettings(let name)) where self.settings != nil:
                let seen = self.settings ?? ServerSettings()
                _ = self.deliver(.citus(.settingsSeen(name, seen, askedAt: self.now)))
            case .citus(let action): others.append(action)
            case .readGroups: self.reads += 1
            case .remember(let memory): self.remembered = memory.places
            default: break  // The addresses' part has its own tests.
            }
        }
        return others
    }

    /// The next revision of etcd, in which this changed.
    mutating func changed(_ group: Int, _ facts: GroupFact..., after delay: Duration = .milliseconds(1))
        -> [CitusAction]
    {
        self.revision += 1
        for fact in facts { self.put(GroupChange(group, fact)) }
        return self.groups(
            .changed(clusterID: Self.cluster, revision: self.revision, facts.map { GroupChange(group, $0) }),
            after: delay)
    }

    mutating func leads(_ group: Int, _ name: String) -> [CitusAction] {
        self.changed(group, .leader(name, since: self.revision + 1))
    }

    /// What the databases owe an answer for.
    var missed: [Asked] { self.core.citus?.unanswered.map(\.asked) ?? [] }

    mutating func rowsRead(_ rows: [NodeRow] = Self.rows) -> [CitusAction] {
        self.on(.rowsRead(Self.database, rows, askedAt: self.now))
    }

    mutating func answered(_ host: String, _ answer: WritableAnswer) -> [CitusAction] {
        self.on(.writable(NodeEndpoint(host, 5432), answer, askedAt: self.now))
    }

    mutating func ended(_ group: Int, _ outcome: UpdateOutcome, askedAt: Instant? = nil) -> [CitusAction] {
        self.ended([group], outcome, askedAt: askedAt)
    }

    mutating func ended(
        _ groups: [Int], _ outcome: UpdateOutcome, causedBy cause: Int? = nil, askedAt: Instant? = nil
    ) -> [CitusAction] {
        self.on(
            .updateEnded(Self.database, groups: groups, outcome, causedBy: cause, askedAt: askedAt ?? self.now))
    }

    /// Lets time pass in steps, and answers everything that was to be done.
    mutating func pass(_ span: Duration, step: Duration = .milliseconds(100)) -> [CitusAction] {
        var (actions, reports): ([CitusAction], [CitusReport]) = ([], [])
        let end = self.now + span
        while self.now < end {
            actions += self.on(nil, after: step)
            reports += self.reports
        }
        self.reports = reports
        return actions
    }

    static func update(
        _ group: Int, _ changes: [RowChange], revision: Int64, _ blockers: RowUpdate.Blockers
    ) -> CitusAction {
        .update(Self.database, [Self.part(group, changes, revision: revision, blockers)])
    }

    static func part(
        _ group: Int, _ changes: [RowChange], revision: Int64, _ blockers: RowUpdate.Blockers
    ) -> RowUpdate {
        RowUpdate(
            group: group, changes: changes, authority: GroupAuthority(clusterID: Self.cluster, revision: revision),
            blockers: blockers)
    }
}
