// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The one view of the groups, at which Citus and the failure detector look.
struct GroupsViewTests {
    private static let start = Instant(sinceBoot: .seconds(100))

    private static func member(_ name: String) -> GroupMember {
        GroupMember(endpoint: NodeEndpoint(name, 5432), isRunning: true, isPrimary: false, api: "http://\(name)")
    }

    private static func snapshot(_ leader: String, at revision: Int64, cluster: UInt64 = 7) -> GroupsSnapshot {
        GroupsSnapshot(
            clusterID: cluster, revision: revision,
            facts: [GroupChange(0, .leader(leader, since: revision))]
                + ["c1", "c2"].map { GroupChange(0, .member($0, Self.member($0))) })
    }

    /// A coordinator's daemon, with both who look, or one of them.
    private struct Daemon {
        var core: Core
        var now = GroupsViewTests.start
        var reads = 0
        var reports: [Report] = []

        init(citus: Bool = true, detector: Bool = true) {
            self.core = Core(
                CoreSettings(
                    member: "c1", node: "boot", addresses: [],
                    citus: citus ? CitusSettings(group: 0, databases: ["app"], mode: .own) : nil,
                    detector: detector ? DetectorSettings(seed: 1) : nil), at: self.now)
            self.on(.tick, after: .zero)
        }

        mutating func on(_ event: Event, after delay: Duration = .milliseconds(1)) {
            self.now = self.now + delay
            var actions: [Action] = []
            self.core.handle(event, at: self.now, into: &actions)
            self.reads += actions.count { $0 == .readGroups }
            for case .report(let report) in actions { self.reports.append(report) }
        }

        /// Turn by turn.
        mutating func pass(_ span: Duration) {
            let end = self.now + span
            while self.core.wakeAt <= end { self.on(.tick, after: max(self.core.wakeAt - self.now, .zero)) }
            self.now = end
        }

        mutating func read(_ snapshot: GroupsSnapshot, sentAt: Instant? = nil) {
            self.on(.groups(.read(snapshot, sentAt: sentAt ?? self.now)))
        }

        /// Who leads for Citus, and for the failure detector.
        var leaders: [String?] {
            [
                self.core.citusStatus?.groups.first?.leader,
                self.core.detectorStatus?.targets.first { $0.isLeader }?.id.name,
            ]
        }

        mutating func makeContact() {
            let snapshot = Snapshot(
                clusterID: 7, revision: 1, patroni: DynamicConfig(), mark: ClusterMark(clusterID: 7, revision: 1))
            self.on(.readAnswered(snapshot, sentAt: self.now))
        }
    }

    @Test func `who looks sees the same, and one question serves both`() {
        var daemon = Daemon()
        daemon.makeContact()
        #expect(daemon.reads == 1)
        daemon.read(Self.snapshot("c1", at: 10))
        #expect(daemon.leaders == ["c1", "c1"])
        let change = GroupChange(0, .leader("c2", since: 12))
        daemon.on(.groups(.changed(clusterID: 7, revision: 12, [change])))
        #expect(daemon.leaders == ["c2", "c2"] && daemon.core.groupsView?.revision == 12)
        #expect(daemon.core.citusStatus?.readAt == daemon.core.detectorStatus?.viewReadAt)
        // One that the watch has overtaken.
        daemon.read(Self.snapshot("c1", at: 11))
        #expect(daemon.leaders == ["c2", "c2"])
        daemon.pass(.seconds(9))
        #expect(daemon.reads == 1)
        daemon.pass(.seconds(2))
        #expect(daemon.reads == 2, "at Citus's pace, once")
    }

    @Test(arguments: [(7, 3), (9, 3), (9, 900)] as [(UInt64, Int64)])
    func `an etcd that was rebuilt is believed by both, and what was known is forgotten`(
        _ cluster: UInt64, _ revision: Int64
    ) {
        var daemon = Daemon()
        daemon.makeContact()
        daemon.read(Self.snapshot("c1", at: 10))
        daemon.on(.groups(.changed(clusterID: 7, revision: 20, [GroupChange(1, .leader("w1", since: 20))])))
        #expect(daemon.core.citusStatus?.groups.count == 2)
        daemon.pass(.seconds(1))
        daemon.read(Self.snapshot("c2", at: revision, cluster: cluster))
        #expect(daemon.leaders == ["c2", "c2"] && daemon.core.citusStatus?.groups.count == 1)
        #expect(daemon.core.groupsView?.revision == revision && daemon.core.groupsView?.clusterID == cluster)
    }

    @Test func `a change in another cluster is not believed, and makes a read due that was sent after it`() {
        var daemon = Daemon()
        daemon.read(Self.snapshot("c1", at: 10))
        daemon.pass(.seconds(3))
        let before = daemon.now
        let change = GroupChange(0, .leader("c2", since: 5))
        daemon.on(.groups(.changed(clusterID: 8, revision: 5, [change])))
        #expect(daemon.reads == 2 && daemon.core.citusStatus?.groups.first?.leader == "c1")
        // An answer that was asked for before may not know of it.
        daemon.read(Self.snapshot("c1", at: 10), sentAt: before)
        daemon.on(.groups(.unread(reason: "gone")))
        daemon.pass(.milliseconds(1500))
        #expect(daemon.reads == 3, "a second later once more")
        daemon.read(Self.snapshot("c2", at: 5, cluster: 8))
        daemon.pass(.seconds(9))
        #expect(daemon.reads == 3 && daemon.core.citusStatus?.groups.first?.leader == "c2")
    }

    @Test func `it is read as often as the quickest needs, and exists only where somebody looks`() {
        var alone = Daemon(citus: false)
        alone.read(Self.snapshot("c1", at: 10))
        alone.pass(.seconds(29))
        #expect(alone.reads == 0, "the shell's follower has read, and the detector's interval is 30 s")
        alone.pass(.seconds(2))
        #expect(alone.reads == 1)
        #expect(!alone.reports.contains { if case .citus = $0 { true } else { false } })
        var writing = Daemon(detector: false)
        writing.read(Self.snapshot("c1", at: 10))
        writing.pass(.seconds(11))
        #expect(writing.reads == 2)
        var nobody = Daemon(citus: false, detector: false)
        nobody.read(Self.snapshot("c1", at: 10))
        nobody.pass(.seconds(100))
        #expect(nobody.reads == 0 && nobody.core.groupsView == nil)
    }

    @Test func `a read that is never answered is told once for both, and asked for again`() {
        var daemon = Daemon()
        daemon.pass(.seconds(60))
        #expect(daemon.reads == 6, "given up after ten seconds, and asked again a second later")
        let told = daemon.reports.filter { if case .unanswered(.groups, _) = $0 { true } else { false } }
        #expect(told == [.unanswered(.groups, after: .seconds(10))])
        #expect(daemon.core.unanswered.filter { $0.asked == .groups }.map(\.since) == [Self.start])
        daemon.read(Self.snapshot("c1", at: 10))
        #expect(!daemon.core.unanswered.contains { $0.asked == .groups })
    }

    @Test func `a daemon that stood still does not blame etcd`() {
        var daemon = Daemon()
        daemon.on(.tick, after: .seconds(300))
        #expect(!daemon.reports.contains { if case .unanswered(.groups, _) = $0 { true } else { false } })
    }

    @Test func `a switchover that is pending when the groups are read first is known, whatever its key's place`() {
        var view = GroupsView(GroupsSchedule(DetectorSettings(seed: 1)), at: Self.start)
        var snapshot = Self.snapshot("c1", at: 10)
        snapshot.facts.insert(GroupChange(0, .requested(.from("c1"))), at: 0)
        _ = view.learn(.read(snapshot, sentAt: Self.start), at: Self.start)
        #expect(view.groups[0]?.isSwitchingOver == true)
    }

    @Test func `more groups than there may be are not looked at`() {
        var view = GroupsView(GroupsSchedule(DetectorSettings(seed: 1)), at: Self.start)
        let facts = (0..<2000).map { GroupChange($0, .leader("a", since: 1)) }
        _ = view.learn(
            .read(GroupsSnapshot(clusterID: 7, revision: 1, facts: facts), sentAt: Self.start), at: Self.start)
        #expect(view.groups.count == GroupsView.groupLimit)
    }
}
