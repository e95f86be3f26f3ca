// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The sources beside the probes: the WAL receiver, positions in the write-ahead log, etcd itself.
struct DetectorSourceTests {
    private static let leader = NodeEndpoint("n2", 5432)

    private static func heard(_ silence: Duration) -> WALReceiverAnswer {
        .streaming(sender: self.leader, silence: silence, patience: .seconds(35))
    }

    @Test func `with two nodes the WAL receiver seconds what the probes see`() {
        var script = DetectorScript(members: ["n1", "n2"])
        script.walReceiver = Self.heard(.seconds(1))
        script.pass(.seconds(60))
        #expect(script.verdict("n2") == .well)
        script.findings["n2"] = ProbeFindings(patroni: .answered, postgres: .failed("timeout"))
        let failedAt = script.now
        while script.verdict("n2") != .gray, script.now - failedAt < .seconds(300) {
            script.walReceiver = Self.heard(script.now - failedAt)
            script.pass(.seconds(1))
        }
        #expect(script.now - failedAt <= .seconds(150))
        let evidence = script.evidence(.postgres, of: MemberID(0, "n2"))
        #expect(evidence.contains { $0.source == .walReceiver && $0.state == .failed })
    }

    @Test func `a stream that goes on contradicts nobody: who is connected stays so where nobody else gets in`() {
        var script = DetectorScript(.fast)
        script.walReceiver = Self.heard(.seconds(1))
        script.pass(.seconds(60))
        script.findings["n2"] = ProbeFindings(patroni: .answered, postgres: .failed("timeout"))
        script.pass(.seconds(20))
        #expect(script.verdict("n2") == .suspected, "alone we say nothing")
        script.second(.healthy, .failed)
        #expect(script.verdict("n2") == .gray)
    }

    @Test func `one that has lost its stream is a witness, one that never had it is none`() {
        var script = DetectorScript(members: ["n1", "n2"])
        script.walReceiver = .notStreaming
        script.pass(.seconds(60))
        script.findings["n2"] = ProbeFindings(patroni: .answered, postgres: .failed("timeout"))
        script.pass(.seconds(600))
        #expect(script.verdict("n2") == .suspected)
        script.findings = [:]
        script.walReceiver = Self.heard(.seconds(1))
        script.pass(.seconds(120))
        #expect(script.verdict("n2") == .well)
        script.walReceiver = .notStreaming
        script.findings["n2"] = ProbeFindings(patroni: .answered, postgres: .failed("timeout"))
        script.pass(.seconds(180))
        #expect(script.verdict("n2") == .gray)
    }

    @Test func `what streams from another standby says nothing of the leader`() {
        var script = DetectorScript(members: ["n1", "n2", "n3"])
        script.walReceiver = .streaming(
            sender: NodeEndpoint("n3", 5432), silence: .seconds(300), patience: .seconds(35))
        script.pass(.seconds(60))
        #expect(!script.evidence(.postgres, of: MemberID(0, "n2")).contains { $0.source == .walReceiver })
    }

    @Test func `a new leader starts with nothing against it`() {
        var script = DetectorScript()
        script.walReceiver = Self.heard(.seconds(1))
        script.pass(.seconds(60))
        script.walReceiver = Self.heard(.seconds(300))
        script.pass(.seconds(60))
        script.change(.leader("n3", since: 30))
        script.pass(.seconds(60))
        #expect(!script.evidence(.postgres, of: MemberID(0, "n3")).contains { $0.source == .walReceiver })
        #expect(!script.evidence(.postgres, of: MemberID(0, "n2")).contains { $0.source == .walReceiver })
    }

    // MARK: - Lag

    private func findings(at position: Int64, leads: Bool = false) -> ProbeFindings {
        ProbeFindings(patroni: .answered, postgres: .answered, isPrimary: leads, position: position)
    }

    @Test func `a standby that stays too far behind is lagging, and well when it has caught up`() {
        var script = DetectorScript()
        let behind = script.core.settings.lagLimit + 1
        script.findings = ["n2": self.findings(at: 1 << 30, leads: true), "n3": self.findings(at: 1 << 30)]
        script.pass(.seconds(90))
        #expect(script.verdict("n3") == .well && script.core.targets[MemberID(0, "n3")]?.lag == 0)
        script.findings["n3"] = self.findings(at: (1 << 30) - behind)
        script.pass(.seconds(90))
        #expect(script.verdict("n3") == .well, "for a moment, that is no verdict")
        script.pass(.seconds(120))
        #expect(script.verdict("n3") == .lagging)
        #expect(script.core.unusable.count == 1, "nobody should read there")
        script.findings["n3"] = self.findings(at: 1 << 30)
        script.pass(.seconds(120))
        #expect(script.verdict("n3") == .well)
    }

    @Test func `what the leader has written after the standby was asked is no lag`() {
        var script = DetectorScript()
        script.findings = ["n2": self.findings(at: 0, leads: true), "n3": self.findings(at: 0)]
        script.pass(.seconds(90))
        // The leader writes a lot, and the standby keeps up; each is asked in its turn.
        for step in 1...200 {
            let position = Int64(step) * script.core.settings.lagLimit
            script.findings = [
                "n2": self.findings(at: position, leads: true), "n3": self.findings(at: position),
            ]
            script.pass(.seconds(5))
            #expect(script.verdict("n3") == .well)
        }
    }

    // MARK: - etcd

    @Test func `groups are read again where no read has come for a while`() {
        var script = DetectorScript()
        script.answersReads = false
        script.pass(.seconds(39))
        #expect(script.reads == 1, "one is not answered: none is sent on top")
        script.groups(.unread(reason: "etcd is gone"))
        script.pass(.seconds(11))
        #expect(script.reads == 2)
    }

    @Test func `a read that is never answered is told once, and the view grows too old to act by`() {
        var script = DetectorScript()
        script.answersReads = false
        script.second(.failed, .failed)
        script.reports = []
        // Two reads are 30 s apart, and one may take 5 s.
        script.pass(.seconds(64))
        #expect(!script.status.isViewOld && script.evidence(.patroni, of: MemberID(0, "n2")).count > 1)
        script.pass(.seconds(2))
        #expect(script.status.isViewOld)
        // Neither etcd's keys nor what others publish there says anything of the present.
        #expect(script.evidence(.patroni, of: MemberID(0, "n2")).map(\.source) == [.own])
        guard case .forbidden(let obstacle) = script.decision else {
            Issue.record("nothing forbids a switchover")
            return
        }
        #expect([.noGrayFailure, .noContact].contains(obstacle.rule))
        #expect(script.silences == [.seconds(10)])
        #expect(script.reads == 2)
        script.answersReads = true
        script.pass(.seconds(30))
        #expect(!script.status.isViewOld && script.view.question.silentSince == nil)
    }

    @Test func `etcd's endpoints that are never heard of are asked again`() {
        var script = DetectorScript()
        script.answersProbesOfEtcd = false
        script.pass(.seconds(120))
        #expect(script.probesOfEtcd > 2)
        #expect(script.reports.count { if case .unanswered(.etcdHealth, _) = $0 { true } else { false } } == 1)
    }

    @Test func `a probe that never comes back is no failure of the member, and it is probed again`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.silent = ["n2"]
        script.reports = []
        let before = script.probes["n2"] ?? 0
        script.pass(.seconds(600))
        #expect((script.probes["n2"] ?? 0) - before >= 15)
        #expect(script.verdict("n2") == .well)
        #expect(script.reports.filter { if case .unanswered = $0 { true } else { false } }.count == 1)
        #expect(script.core.unanswered.map(\.asked) == [.probes([MemberID(0, "n2")])])
        script.silent = []
        script.pass(.seconds(60))
        #expect(script.core.unanswered == [])
    }

    @Test func `what a probe found that was given up does not count`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.silent = ["n2"]
        let asked = script.now
        script.pass(.seconds(60))
        script.on(.probed(MemberID(0, "n2"), DetectorScript.dead, askedAt: asked))
        #expect(script.core.targets[MemberID(0, "n2")]?.postgres.misses == 0)
    }

    @Test func `a switchover that is never heard of is not asked for again under the same leadership`() {
        var script = DetectorScript(.fast, onGrayFailure: .switchover)
        let order = SwitchoverOrder(leader: MemberID(0, "n2"), since: 3, candidate: MemberID(0, "n3"))
        script.core.switchover = .underWay(order, since: script.now)
        script.pass(.seconds(299))
        #expect(script.core.switchover == .underWay(order, since: Instant(sinceBoot: .seconds(1000))))
        script.pass(.seconds(2))
        guard case .ended(order, .unanswered) = script.core.switchover else {
            Issue.record("\(script.core.switchover)")
            return
        }
        // Late, and of no more use.
        script.on(.switchoverEnded(order, .done("ok")))
        guard case .ended(order, .unanswered) = script.core.switchover else {
            Issue.record("\(script.core.switchover)")
            return
        }
    }

    @Test func `a rebuilt etcd is believed though its revisions are lower`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.answersReads = false
        func read(_ cluster: UInt64, _ revision: Int64, leader: String) -> GroupsEvent {
            let facts = ["n1", "n2", "n3"].map {
                GroupChange(0, .member($0, DetectorScript.member($0, leads: $0 == leader)))
            }
            return .read(
                GroupsSnapshot(
                    clusterID: cluster, revision: revision, facts: facts + [GroupChange(0, .leader(leader, since: 2))]),
                sentAt: script.now)
        }
        script.groups(read(8, 5, leader: "n3"))
        #expect(script.view.groups[0]?.leader?.name == "n3")
        script.groups(.changed(clusterID: 7, revision: 99, [GroupChange(0, .leader("n2", since: 99))]))
        #expect(script.view.groups[0]?.leader?.name == "n3", "the cluster of before is the past")
        script.pass(.seconds(1))
        script.groups(read(8, 3, leader: "n2"))
        #expect(script.view.groups[0]?.leader?.name == "n2", "rebuilt under the same number")
    }

    @Test func `an observer whose key is not found any more is no witness`() {
        var script = DetectorScript()
        script.second(.failed, .failed)
        func hasPeer() -> Bool {
            script.evidence(.postgres, of: MemberID(0, "n2")).contains { $0.source == .peer(MemberID(0, "n3")) }
        }
        #expect(hasPeer())
        script.on(.observationsRead([:]))
        #expect(!hasPeer())
    }

    // MARK: - etcd's endpoints

    private static func endpoints(
        lost: Set<String> = [], slow: Set<String> = [], _ names: [String] = ["a", "b", "c"]
    ) -> [EtcdEndpointFinding] {
        names.map {
            EtcdEndpointFinding(
                endpoint: $0, lost.contains($0) ? .failed("refused") : .answered,
                elapsed: slow.contains($0) ? .seconds(1) : .milliseconds(2))
        }
    }

    @Test func `etcd's lost members, its lost quorum and slow answers are told once they last`() {
        var script = DetectorScript(.fast)
        script.etcd = Self.endpoints()
        func told() -> [EtcdCondition] {
            script.reports.compactMap { if case .etcd(let condition) = $0 { condition } else { nil } }
        }
        script.pass(.seconds(60))
        #expect(told() == [], "that all is well is no news")
        script.etcd = Self.endpoints(lost: ["b"])
        script.pass(.seconds(12))
        #expect(told() == [])
        script.pass(.seconds(6))
        #expect(told() == [.degraded(["b"], of: 3)])
        script.etcd = Self.endpoints(lost: ["a", "b", "c"])
        script.pass(.seconds(20))
        #expect(told().last == .noQuorum)
        script.etcd = Self.endpoints()
        script.pass(.seconds(20))
        #expect(told().last == .well)
        script.etcd = Self.endpoints(slow: ["c"])
        script.pass(.seconds(20))
        #expect(told().last == .slow(["c"]))
        // Those that could not be asked are neither lost nor well: what was heard before counts for a window.
        script.etcd = Self.endpoints()
        script.pass(.seconds(20))
        #expect(told().last == .well)
        script.etcd = ["a", "b", "c"].map {
            EtcdEndpointFinding(endpoint: $0, .unasked("no room"), elapsed: .milliseconds(2))
        }
        script.pass(.seconds(8))
        #expect(told().last == .well)
        script.pass(.seconds(20))
        #expect(told().last == .unknown)
        script.etcd = Self.endpoints(lost: ["a", "b", "c"])
        script.pass(.seconds(20))
        #expect(told().last == .noQuorum)
        // Where the only one of the configuration is lost, those that etcd has told show that there is a quorum; they alone are not
        // missed.
        func known(lost: Set<String>) -> [EtcdEndpointFinding] {
            ["a", "b", "c"].map {
                EtcdEndpointFinding(
                    endpoint: $0, lost.contains($0) ? .failed("refused") : .answered, elapsed: .milliseconds(2),
                    isConfigured: $0 == "a")
            }
        }
        script.etcd = known(lost: ["b", "c"])
        script.pass(.seconds(20))
        #expect(told().last == .well)
        script.etcd = known(lost: ["a"])
        script.pass(.seconds(20))
        #expect(told().last == .degraded(["a"], of: 1))
        script.etcd = known(lost: ["a", "b", "c"])
        script.pass(.seconds(20))
        #expect(told().last == .noQuorum)
        // An alarm is told at once, as often as it is raised; where nobody answers, that comes first.
        func alarmed(_ names: [String]) -> [EtcdEndpointFinding] {
            ["a", "b"].map { EtcdEndpointFinding(endpoint: $0, .answered, elapsed: .milliseconds(2), alarms: names) }
        }
        script.etcd = alarmed([])
        script.pass(.seconds(20))
        #expect(told().last == .well)
        script.etcd = alarmed(["NOSPACE"])
        script.pass(.seconds(3))
        #expect(told().last == .alarm(["NOSPACE"]))
        // Whoever cannot be asked for a moment, or not for its alarms, has not said that they are over.
        let before = told().count
        for outcome in [ProbeOutcome.unasked("no room"), .failed("unhealthy")] {
            script.etcd = ["a", "b"].map { EtcdEndpointFinding(endpoint: $0, outcome, elapsed: .milliseconds(2)) }
            script.pass(.seconds(3))
            script.etcd = alarmed(["NOSPACE"])
            script.pass(.seconds(3))
        }
        #expect(told().count == before && told().last == .alarm(["NOSPACE"]))
        script.etcd = alarmed([])
        script.pass(.seconds(3))
        #expect(told().last == .well)
        // One that is configured no more is not missed.
        script.etcd = Self.endpoints()
        script.pass(.seconds(20))
        script.etcd = Self.endpoints(["a", "b"])
        script.pass(.seconds(2))
        #expect(told().last == .well)
    }
}
