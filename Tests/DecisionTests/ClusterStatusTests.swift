// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The whole cluster as one daemon knows it, and what is the matter with it.
struct ClusterStatusTests {
    /// The daemon of n1, of group 0 with n1 and n2; w1 and w2 are group 1, which it does not probe.
    private struct Daemon {
        var core: Core
        var now = Instant(sinceBoot: .seconds(100))
        var published: Observation?

        init() {
            let address = AddressSpec(
                id: "10.0.0.9", prefixLength: 24, interface: "eth0", acquire: .leaderKey, port: nil)
            self.core = Core(
                CoreSettings(
                    member: "n1", node: "boot", addresses: [address], citus: nil,
                    detector: DetectorSettings(seed: 1, version: "1")), at: self.now)
            let snapshot = Snapshot(
                clusterID: 7, revision: 1, leader: "n1", patroni: DynamicConfig(),
                mark: ClusterMark(clusterID: 7, revision: 1),
                holders: [
                    AddressHolder(
                        address: "10.0.0.9", holder: Holder(member: "n1", node: "boot", lease: 5, ttl: .seconds(30)))
                ])
            self.on(.readAnswered(snapshot, sentAt: self.now))
            self.read()
            self.say("n2", Observation(group: 0, addresses: ["10.0.0.9"], version: "1"), of: 0)
            self.say("w1", Observation(group: 1, addresses: ["10.0.0.8"], version: "1"), of: 1)
            self.say("w2", Observation(group: 1, addresses: ["10.0.0.8"], version: "1"), of: 1)
            self.on(.groups(.heldRead([0: ["10.0.0.9": "n1"], 1: ["10.0.0.8": "w1"]])))
            for name in ["n1", "n2"] { self.probe(name) }
        }

        mutating func on(_ event: Event) {
            self.now = self.now + .milliseconds(1)
            var actions: [Action] = []
            self.core.handle(event, at: self.now, into: &actions)
            for case .detector(.publish(let observation, _)) in actions { self.published = observation }
        }

        mutating func read() {
            var facts = [GroupChange(0, .leader("n1", since: 3)), GroupChange(1, .leader("w1", since: 4))]
            for (group, name) in [(0, "n1"), (0, "n2"), (1, "w1"), (1, "w2")] {
                facts.append(GroupChange(group, .member(name, Self.member(name))))
            }
            self.on(.groups(.read(GroupsSnapshot(clusterID: 7, revision: 9, facts: facts), sentAt: self.now)))
        }

        static func member(_ name: String, mayLead: Bool = true) -> GroupMember {
            GroupMember(
                endpoint: NodeEndpoint(name, 5432), isRunning: true, isPrimary: false, mayLead: mayLead,
                api: "http://\(name):8008")
        }

        mutating func say(_ name: String, _ observation: Observation?, of group: Int) {
            self.on(.detector(.observed(MemberID(group, name), observation)))
        }

        mutating func probe(_ name: String) {
            self.on(
                .detector(
                    .probed(
                        MemberID(0, name), ProbeFindings(patroni: .answered, postgres: .answered), askedAt: self.now)))
        }

        mutating func change(_ group: Int, _ fact: GroupFact) {
            self.on(.groups(.changed(clusterID: 7, revision: 20, [GroupChange(group, fact)])))
        }

        var problems: [ClusterProblem] { self.core.clusterStatus?.problems ?? [] }
        func member(_ id: MemberID) -> ClusterStatus.Member? {
            self.core.clusterStatus?.groups.flatMap(\.members).first { $0.id == id }
        }
    }

    private static let (w1, w2, n2) = (MemberID(1, "w1"), MemberID(1, "w2"), MemberID(0, "n2"))

    @Test func `a cluster in which all is well has no problem, and shows who holds what in every group`() {
        let daemon = Daemon()
        #expect(daemon.problems == [])
        let groups = daemon.core.clusterStatus?.groups ?? []
        #expect(groups.map(\.number) == [0, 1] && groups.map(\.leader) == ["n1", "w1"])
        #expect(
            groups.map(\.addresses) == [
                [.init(id: "10.0.0.9", holder: "n1", lookedAfterBy: ["n1", "n2"])],
                [.init(id: "10.0.0.8", holder: "w1", lookedAfterBy: ["w1", "w2"])],
            ])
        #expect(daemon.member(Self.n2)?.isProbed == true && daemon.member(Self.w2)?.isProbed == false)
        #expect(daemon.member(Self.w2)?.verdict == .well, "by what w1 publishes")
        #expect(daemon.published?.addresses == ["10.0.0.9"] && daemon.published?.version == "1")
    }

    @Test func `nobody leads, or an address is held by nobody, or by another than the leader`() {
        var daemon = Daemon()
        daemon.on(.groups(.held(group: 1, "10.0.0.8", by: nil)))
        #expect(daemon.problems == [.unheld(group: 1, "10.0.0.8", leader: "w1")])
        daemon.change(1, .leader("w2", since: 20))
        daemon.on(.groups(.held(group: 1, "10.0.0.8", by: "w1")))
        #expect(daemon.problems == [.heldByAnother(group: 1, "10.0.0.8", holder: "w1", leader: "w2")])
        daemon.change(1, .noLeader)
        #expect(daemon.problems == [.noLeader(group: 1)])
    }

    @Test func `a member that its group's daemons hold failed is so from every node, and nobody could take over`() {
        var daemon = Daemon()
        let doubt = Observation.Doubt(patroni: .failed, postgres: .failed)
        daemon.say("w1", Observation(group: 1, doubts: [Self.w2: doubt], addresses: ["10.0.0.8"], version: "1"), of: 1)
        // Its own daemon is gone with it; one source alone makes a suspect.
        daemon.say("w2", nil, of: 1)
        #expect(daemon.member(Self.w2)?.verdict == .suspected)
        #expect(daemon.problems.contains(.noDaemon(Self.w2)))
        daemon.say("c9", Observation(group: nil, doubts: [Self.w2: doubt]), of: 0)
        #expect(daemon.member(Self.w2)?.verdict == .nodeFailed)
        #expect(daemon.problems.first == .noCandidate(group: 1, leader: "w1"))
        #expect(daemon.member(Self.w2)?.opinions.map(\.of.name) == ["c9", "w1"])
    }

    @Test func `who may not lead, does not run or is not synchronous is no candidate; of whom nothing is known may be`()
    {
        let changes: [GroupFact] = [
            .member("w2", Daemon.member("w2", mayLead: false)), .synchronous(["w9"]),
        ]
        for change in changes {
            var daemon = Daemon()
            daemon.change(1, change)
            #expect(daemon.problems.contains(.noCandidate(group: 1, leader: "w1")), "\(change)")
        }
        var alone = Daemon()
        alone.change(1, .member("w2", nil))
        #expect(alone.problems == [.noStandby(group: 1, leader: "w1")])
        var daemon = Daemon()
        for name in ["w1", "w2"] { daemon.say(name, nil, of: 1) }
        #expect(daemon.problems.contains(.candidateUnknown(group: 1, leader: "w1")))
        #expect(!daemon.problems.contains(.noCandidate(group: 1, leader: "w1")))
    }

    @Test func `daemons that look after other addresses, or are of other versions, are told`() {
        var daemon = Daemon()
        daemon.say("w2", Observation(group: 1, addresses: [], version: "2"), of: 1)
        #expect(
            daemon.problems == [
                .lookedAfterBySome(group: 1, "10.0.0.8", by: ["w1"], not: ["w2"]), .versionsDiffer(["1", "2"]),
            ])
        // One of an earlier version does not say what it looks after, and is not accused of that.
        daemon.say("w2", Observation(group: 1), of: 1)
        #expect(daemon.problems == [.versionsDiffer(["1", "one that does not say its version"])])
    }

    @Test func `what etcd said long ago is the past, and says so`() {
        var daemon = Daemon()
        daemon.on(.readFailed(reason: "no route"))
        daemon.now = daemon.now + .seconds(3600)
        daemon.on(.tick)
        #expect(daemon.core.clusterStatus?.isCurrent == false && daemon.problems.contains(.isPast))
    }

    @Test func `a group holds no more addresses than are looked at, whatever stands in etcd`() {
        var daemon = Daemon()
        let many = Dictionary(uniqueKeysWithValues: (0..<100).map { ("10.1.0.\($0)", "w1") })
        daemon.on(.groups(.heldRead([1: many])))
        for number in 0..<100 { daemon.on(.groups(.held(group: 1, "10.2.0.\(number)", by: "w1"))) }
        #expect(daemon.core.groupsView?.holders[1]?.count == GroupsView.addressLimit)
        for number in 0..<2000 { daemon.on(.groups(.held(group: number + 5, "10.2.0.1", by: "w1"))) }
        #expect(daemon.core.groupsView?.holders.count == GroupsView.groupLimit)
    }
}
