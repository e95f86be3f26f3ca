// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// One daemon's detector, with its clock, its neighbours and what they say.
struct DetectorScript {
    var core: DetectorCore
    var view: GroupsView
    private var awakeSince = Instant(sinceBoot: .seconds(1000))
    var now = Instant(sinceBoot: .seconds(1000))
    var reports: [DetectorReport] = []
    var published: Observation?
    var hasContact = true
    /// What probes find, by member's name; not named: all is well.
    var findings: [String: ProbeFindings] = [:]
    var probes: [String: Int] = [:]
    /// What the local WAL receiver says; nil: it is not answered.
    var walReceiver: WALReceiverAnswer?
    var reads = 0
    /// For how long reads were waited for, each time that was news.
    var silences: [Duration] = []
    var isPaused = false
    /// What etcd's endpoints say.
    var etcd: [EtcdEndpointFinding] = []
    /// The switchovers that were asked for.
    var orders: [SwitchoverOrder] = []
    private var revision: Int64 = 10
    /// What stands in etcd, by key.
    private var keys: [String: GroupFact] = [:]
    /// Whether reads of it are answered.
    var answersReads = true
    /// Whether questions to etcd's endpoints are, and how many there were.
    var answersProbesOfEtcd = true
    var probesOfEtcd = 0
    /// Members whose probes never come back.
    var silent: Set<String> = []

    static let dead = ProbeFindings(patroni: .failed("no route"), postgres: .failed("no route"))

    /// n1 watches n2 and n3; n2 leads.
    init(
        _ profile: DetectorProfile = .hyperscale, members: [String] = ["n1", "n2", "n3"],
        onGrayFailure: GrayPolicy = .alert
    ) {
        let settings = DetectorSettings(profile, seed: 1, onGrayFailure: onGrayFailure)
        self.core = DetectorCore(settings, member: "n1", at: self.now)
        self.view = GroupsView(GroupsSchedule(settings), at: self.now)
        for name in members { self.put(.member(name, Self.member(name, leads: name == "n2"))) }
        self.put(.leader("n2", since: 3))
        self.groups(.read(self.snapshot, sentAt: self.now))
    }

    private mutating func put(_ fact: GroupFact) {
        switch fact {
        case .leader: self.keys["leader"] = fact
        case .noLeader: self.keys["leader"] = nil
        case .member(let name, let member): self.keys["member \(name)"] = member == nil ? nil : fact
        case .requested(let request): self.keys["switchover"] = request == nil ? nil : fact
        case .synchronous(let standbys): self.keys["synchronous"] = standbys == nil ? nil : fact
        case .log: break  // Nobody here looks at it.
        }
    }

    private var snapshot: GroupsSnapshot {
        GroupsSnapshot(
            clusterID: 7, revision: self.revision,
            facts: self.keys.sorted { $0.key < $1.key }.map { GroupChange(0, $0.value) })
    }

    static func member(_ name: String, leads: Bool = false) -> GroupMember {
        GroupMember(
            endpoint: NodeEndpoint(name, 5432), isRunning: true, isPrimary: leads, api: "http://\(name):8008/patroni")
    }

    /// Delivers an event, and answers every probe that it causes half a second later.
    mutating func on(_ event: DetectorEvent?) { self.deliver(event.map { .detector($0) } ?? .tick) }

    mutating func groups(_ event: GroupsEvent) { self.deliver(.groups(event)) }

    private mutating func deliver(_ event: Event) {
        var events = [event]
        while !events.isEmpty {
            for action in self.handle(events.removeFirst()) {
                if let event = self.answer(to: action) { events.append(event) }
            }
        }
    }

    /// What the core does around the detector.
    private mutating func handle(_ event: Event) -> [Action] {
        let due = min(self.core.wakeAt, self.viewWakeAt)
        if self.now - due > .seconds(1) { self.awakeSince = self.now }
        var (news, own): (GroupsNews?, DetectorEvent?)
        if case .groups(let event) = event { news = self.view.learn(event, at: self.now) }
        if case .detector(let event) = event { own = event }
        if let silence = self.view.giveUp(after: self.core.limits.etcd, at: self.now, awakeSince: self.awakeSince) {
            self.silences.append(silence)
        }
        let asked: [Action] = self.view.ask(at: self.now) ? [.readGroups] : []
        var actions: [DetectorAction] = []
        self.core.handle(
            own, self.view, news, hasContact: self.hasContact, isPaused: self.isPaused, awakeSince: self.awakeSince,
            at: self.now, into: &actions, &self.reports)
        return asked + actions.map { .detector($0) }
    }

    private mutating func answer(to action: Action) -> Event? {
        switch action {
        case .detector(.probe(let id, _, _, _)):
            self.probes[id.name, default: 0] += 1
            if self.silent.contains(id.name) { return nil }
            let leads = self.view.groups[0]?.leader?.name == id.name
            let findings =
                self.findings[id.name] ?? ProbeFindings(patroni: .answered, postgres: .answered, isPrimary: leads)
            return .detector(.probed(id, findings, askedAt: self.now))
        case .detector(.publish(let observation, _)): self.published = observation
        case .detector(.askWALReceiver):
            if let answer = self.walReceiver { return .detector(.walReceiver(answer, askedAt: self.now)) }
        case .detector(.probeEtcd):
            self.probesOfEtcd += 1
            if self.answersProbesOfEtcd { return .detector(.etcdProbed(self.etcd)) }
        case .detector(.switchOver(let order)): self.orders.append(order)
        case .readGroups:
            self.reads += 1
            if self.answersReads { return .groups(.read(self.snapshot, sentAt: self.now)) }
        default: break  // Not of the detector.
        }
        return nil
    }

    private var viewWakeAt: Instant {
        self.view.question.wakeAt(limit: self.core.limits.etcd, awakeSince: self.awakeSince)
    }

    mutating func change(_ facts: GroupFact...) {
        self.revision += 1
        for fact in facts { self.put(fact) }
        self.groups(.changed(clusterID: 7, revision: self.revision, facts.map { GroupChange(0, $0) }))
    }

    /// Lets time pass, turn by turn.
    mutating func pass(_ span: Duration) {
        let end = self.now + span
        while case let due = min(self.core.wakeAt, self.viewWakeAt), due <= end {
            self.now = max(self.now, due)
            self.on(nil)
        }
        self.now = end
    }

    var status: DetectorStatus { self.core.status(self.view) }

    var decision: SwitchoverDecision { self.core.decideSwitchover(self.view) }

    func evidence(_ aspect: DetectorAspect, of id: MemberID) -> [Evidence] {
        self.core.evidence(aspect, of: id, self.view)
    }

    func candidates(after leader: MemberID) -> (fit: [MemberID], unfit: [MemberID: String]) {
        self.core.candidates(after: leader, self.view)
    }

    func verdict(_ name: String) -> DetectorVerdict? { self.core.targets[MemberID(0, name)]?.verdict }

    /// What n3's daemon publishes of n2.
    mutating func second(_ patroni: DetectorState, _ postgres: DetectorState) {
        let doubt = Observation.Doubt(patroni: patroni, postgres: postgres)
        self.on(.observed(MemberID(0, "n3"), Observation(group: 0, doubts: [MemberID(0, "n2"): doubt])))
    }
}
