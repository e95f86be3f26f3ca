// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// One daemon's detector, with its clock, its neighbours and what they say.
struct DetectorScript {
    var core: DetectorCore
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

    static let dead = ProbeFindings(patroni: "no route", postgres: "no route")

    /// n1 watches n2 and n3; n2 leads.
    init(
        _ profile: DetectorProfile = .hyperscale, members: [String] = ["n1", "n2", "n3"],
        onGrayFailure: GrayPolicy = .alert
    ) {
        self.core = DetectorCore(
            DetectorSettings(profile, seed: 1, onGrayFailure: onGrayFailure), member: "n1", at: self.now)
        for name in members { self.put(.member(name, Self.member(name, leads: name == "n2"))) }
        self.put(.leader("n2", since: 3))
        self.on(.groups(.read(self.snapshot, sentAt: self.now)))
    }

    private mutating func put(_ fact: GroupFact) {
        switch fact {
        case .leader: self.keys["leader"] = fact
        case .noLeader: self.keys["leader"] = nil
        case .member(let name, let member): self.keys["member \(name)"] = member == nil ? nil : fact
        case .switchover(let leader): self.keys["switchover"] = leader == nil ? nil : fact
        case .synchronous(let standbys): self.keys["synchronous"] = standbys == nil ? nil : fact
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
    mutating func on(_ event: DetectorEvent?) {
        var events: [DetectorEvent?] = [event]
        while !events.isEmpty {
            let event = events.removeFirst()
            var actions: [DetectorAction] = []
            self.core.handle(
                event, hasContact: self.hasContact, isPaused: self.isPaused, at: self.now, into: &actions, &self.reports
            )
            for action in actions {
                switch action {
                case .probe(let id, _, _, _):
                    self.probes[id.name, default: 0] += 1
                    if self.silent.contains(id.name) { continue }
                    let leads = self.core.groups[0]?.leader?.name == id.name
                    events.append(
                        .probed(
                            id, self.findings[id.name] ?? ProbeFindings(patroni: nil, postgres: nil, isPrimary: leads),
                            askedAt: self.now))
                case .publish(let observation, _): self.published = observation
                case .askWALReceiver:
                    if let answer = self.walReceiver { events.append(.walReceiver(answer, askedAt: self.now)) }
                case .probeEtcd:
                    self.probesOfEtcd += 1
                    if self.answersProbesOfEtcd { events.append(.etcdProbed(self.etcd)) }
                case .readGroups:
                    self.reads += 1
                    if self.answersReads { events.append(.groups(.read(self.snapshot, sentAt: self.now))) }
                case .switchOver(let order): self.orders.append(order)
                }
            }
        }
    }

    mutating func change(_ facts: GroupFact...) {
        self.revision += 1
        for fact in facts { self.put(fact) }
        self.on(.groups(.changed(clusterID: 7, revision: self.revision, facts.map { GroupChange(0, $0) })))
    }

    /// Lets time pass, turn by turn.
    mutating func pass(_ span: Duration) {
        let end = self.now + span
        while self.core.wakeAt <= end {
            self.now = max(self.now, self.core.wakeAt)
            self.on(nil)
        }
        self.now = end
    }

    func verdict(_ name: String) -> DetectorVerdict? { self.core.targets[MemberID(0, name)]?.verdict }

    /// What n3's daemon publishes of n2.
    mutating func second(_ patroni: DetectorState, _ postgres: DetectorState) {
        let doubt = Observation.Doubt(patroni: patroni, postgres: postgres)
        self.on(.observed(MemberID(0, "n3"), Observation(group: 0, doubts: [MemberID(0, "n2"): doubt])))
    }
}
