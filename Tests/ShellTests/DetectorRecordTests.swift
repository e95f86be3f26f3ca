// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import LeaseKeys
import PostgresClient
import TestSupport
import Testing

@testable import Shell

/// What the failure detector says to operators, publishes, and reads in answers.
struct DetectorRecordTests {
    private static let n2 = MemberID(0, "n2")
    private static let evidence = [
        Evidence(aspect: .patroni, source: .own, state: .healthy, reason: "an old one"),
        Evidence(aspect: .postgres, source: .own, state: .failed, reason: "timeout"),
        Evidence(aspect: .postgres, source: .peer(MemberID(0, "n3")), state: .failed, reason: nil),
        Evidence(aspect: .postgres, source: .etcd, state: .unknown, reason: nil),
    ]

    private static func verdict(_ verdict: DetectorVerdict, before: DetectorVerdict) -> LogRecord {
        LogRecord(DetectorReport.verdict(n2, verdict, before: before, reason: "why", evidence: Self.evidence))
    }

    @Test func `a verdict is told with its evidence, and as loud as it matters`() {
        let record = Self.verdict(.gray, before: .suspected)
        #expect(record.kind == .detectorVerdict && record.priority == .critical)
        #expect(
            record.message
                == "n2 (group 0): gray failure: why. Patroni by own probes: healthy; PostgreSQL by own probes: failed (timeout); PostgreSQL by the daemon of n3: failed"
        )
        let fields = Dictionary(record.fields.map { ($0.name, $0.value) }) { $1 }
        #expect(fields["MEMBER"] == "n2" && fields["GROUP"] == "0" && fields["VERDICT"] == "gray failure")
        #expect(fields["FORMER_VERDICT"] == "suspected" && fields["REASON"] == "why")
        let stuck = Self.verdict(.inRecovery, before: .suspected)
        #expect(stuck.priority == .critical && stuck.message.contains("patronictl failover"))
        #expect(Self.verdict(.suspected, before: .well).priority == .info)
        #expect(Self.verdict(.well, before: .suspected).priority == .info)
        #expect(Self.verdict(.well, before: .nodeFailed).priority == .notice)
    }

    @Test func `isolation points at the emergency procedure, two primaries at what to do`() {
        let isolated = LogRecord(DetectorReport.isolated(true))
        #expect(isolated.priority == .critical && isolated.message.contains("docs/operations.md"))
        #expect(LogRecord(DetectorReport.isolated(false)).kind == .nodeReconnected)
        let split = LogRecord(DetectorReport.splitBrain(group: 1, [MemberID(1, "a"), MemberID(1, "b")]))
        #expect(split.kind == .splitBrain && split.message.contains("a b") && split.priority == .critical)
        #expect(LogRecord(DetectorReport.splitBrain(group: 1, [])).kind == .splitBrainOver)
    }

    @Test func `etcd's health is read in every form, and told`() {
        for text in [#"{"health":"true"}"#, #"{"health":true}"#, #"{"health":"true","reason":""}"#] {
            #expect(EtcdHealthProbe.problem(Array(text.utf8)) == nil, "\(text)")
        }
        #expect(
            EtcdHealthProbe.problem(Array(#"{"health":"false","reason":"RAFT NO LEADER"}"#.utf8))
                == "unhealthy: RAFT NO LEADER")
        for text in ["", "{}", "true", #"{"health":"false"}"#] {
            #expect(EtcdHealthProbe.problem(Array(text.utf8)) != nil, "\(text)")
        }
        for (condition, priority) in [
            (EtcdCondition.noQuorum, LogRecord.Priority.critical), (.degraded(["http://a"], of: 3), .warning),
            (.slow(["http://a"]), .warning), (.well, .notice), (.alarm(["NOSPACE"]), .critical),
            (.alarm(["CORRUPT"]), .critical),
        ] {
            let record = LogRecord(DetectorReport.etcd(condition))
            #expect(record.priority == priority && record.message.hasPrefix("etcd: "))
        }
    }

    @Test func `an etcd that is full is not called one without a quorum`() throws {
        let status =
            #"{"header":{"revision":"1238"},"version":"3.4.23","errors":["memberID:171 alarm:NOSPACE ","memberID:12 alarm:NOSPACE "]}"#
        let errors = try #require(EtcdHealthProbe.errors(Array(status.utf8)))
        #expect(EtcdHealthProbe.alarms(in: errors) == ["NOSPACE", "NOSPACE"])
        #expect(EtcdHealthProbe.alarms(in: ["etcdserver: no leader", "alarm:", "memberID:1 alarm:\u{1b}[31m"]) == [])
        for body in ["", "{}", "[]", #"{"errors":{}}"#] { #expect(EtcdHealthProbe.errors(Array(body.utf8)) == nil) }
    }

    @Test(
        arguments: [
            (#""memberID:171 alarm:NOSPACE ""#, ProbeOutcome.answered, ["NOSPACE"]),
            (#""etcdserver: no leader","memberID:171 alarm:NOSPACE ""#, .failed("unhealthy"), ["NOSPACE"]),
            (#""etcdserver: no leader""#, .failed("unhealthy"), []),
        ] as [(String, ProbeOutcome, [String])])
    @EventLoop func `an endpoint says which alarm makes it unhealthy`(
        errors: String, outcome: ProbeOutcome, alarms: [String]
    ) async throws {
        EventLoop.shared.executor.startThread()
        let server = try ScriptedServer { connection in
            while let path = try await connection.readRequest() {
                let isHealth = path.contains("/health")
                try await connection.write(
                    httpAnswer(
                        isHealth ? 503 : 200, isHealth ? #"{"health":"false"}"# : #"{"errors":[\#(errors)]}"#))
            }
        }
        let probe = EtcdHealthProbe(http: HTTPClient(), endpoints: { [(server.url, true)] }, tls: nil)
        let finding = await probe.ask(timeout: .seconds(20)).first
        #expect(finding?.outcome == outcome && finding?.alarms == alarms)
    }

    // MARK: - Observations

    @Test func `an observation is read as it was written`() {
        for observation in [
            Observation(group: nil), Observation(group: 3, isIsolated: true),
            Observation(
                group: 0, doubts: [Self.n2: .init(patroni: .suspect, postgres: .failed)], isIsolated: false,
                acknowledged: [Self.n2: 1_700_000_000_123]),
        ] {
            let value = DetectorKeys.value(of: observation)
            #expect(DetectorKeys.observation(value) == observation, "\(String(decoding: value, as: UTF8.self))")
        }
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"group":0,"isolated":false}"#, #"{"group":"all","isolated":false,"doubts":[]}"#,
        #"{"isolated":false,"doubts":[]}"#,
        #"{"group":0,"isolated":false,"doubts":[{"group":0,"member":"n2","patroni":"dead","postgres":"failed"}]}"#,
        #"{"group":0,"isolated":false,"doubts":[7]}"#,
    ])
    func `what is no observation says nothing`(text: String) {
        #expect(DetectorKeys.observation(Array(text.utf8)) == nil)
    }

    @Test func `the keys of observations in each layout`() {
        let plain = DetectorKeys(
            root: "/pharos/", namespace: "/service/", scope: "demo", .scopes([0: "demo", 1: "demo-w"]))
        #expect(plain.observation(of: Self.n2) == "/pharos/demo/observations/n2")
        #expect(plain.kind(of: "/pharos/demo-w/observations/b") == .observation(MemberID(1, "b")))
        #expect(plain.observation(of: MemberID(7, "x")) == nil)
        let citus = DetectorKeys(root: "/pharos/", namespace: "/service/", scope: "demo", .citusMode)
        #expect(citus.observation(of: MemberID(2, "b")) == "/pharos/demo/2/observations/b")
        #expect(citus.kind(of: "/pharos/demo/2/observations/b") == .observation(MemberID(2, "b")))
        #expect(plain.switchover(of: 1) == "/pharos/demo-w/switchover")
        #expect(plain.kind(of: "/pharos/demo-w/switchover") == .switchover(group: 1))
        #expect(citus.kind(of: "/pharos/demo/2/switchover") == .switchover(group: 2))
        #expect(plain.kind(of: "/pharos/demo/quarantine") == nil)
        for key in [
            "/pharos/demo/2/address/n1", "/pharos/demo/2/trail/10.0.0.1", "/pharos/demo/x/observations/b",
            "/pharos/demo/2/observations/a/b",
            "/pharos/demo/-1/observations/b", "/pharos/other/2/observations/b", "/pharos/demo/2/observations/",
        ] { #expect(citus.kind(of: key) == nil, "\(key)") }
    }

    @Test(arguments: ["/service/", "/other/"]) func `who holds an address is read and watched in each layout`(
        namespace: String
    ) {
        for layout in [GroupKeys.Layout.scopes([0: "demo", 1: "demo-w"]), .citusMode] {
            let keys = DetectorKeys(root: "/pharos/", namespace: namespace, scope: "demo", layout)
            // The addresses' keys do not lie below the namespace.
            for (group, prefix) in layout == .citusMode
                ? [(0, "demo/0/"), (1, "demo/1/")] : [(0, "demo/"), (1, "demo-w/")]
            {
                let key = "/pharos/\(prefix)address/10.0.0.1"
                #expect(keys.kind(of: key) == .holder(group: group, "10.0.0.1"))
                let bytes = Array(key.utf8)
                func isWithin(_ ranges: [KeyRange]) -> Bool {
                    ranges.contains {
                        !bytes.lexicographicallyPrecedes($0.start) && bytes.lexicographicallyPrecedes($0.end ?? [])
                    }
                }
                #expect(isWithin(keys.ranges + keys.holders) && isWithin(keys.watched), "\(key)")
                for key in [keys.observation(of: MemberID(group, "n2")), keys.switchover(of: group)].compactMap(\.self)
                {
                    let bytes = Array(key.utf8)
                    #expect(
                        keys.watched.contains {
                            !bytes.lexicographicallyPrecedes($0.start) && bytes.lexicographicallyPrecedes($0.end ?? [])
                        })
                }
            }
        }
    }

    @Test func `two clusters of one scope in two namespaces share nothing of what they say of their members`() {
        let layouts: [GroupKeys.Layout] = [.citusMode, .scopes([0: "demo", 1: "demo-w"])]
        let namespaces = ["/service/", "/service/a/", "/service/a/observations/", "/service%2Fa/", "/x/"]
        for layout in layouts {
            let all = namespaces.map { DetectorKeys(root: "/pharos/", namespace: $0, scope: "demo", layout) }
            for (index, keys) in all.enumerated() {
                for (other, others) in all.enumerated() {
                    for group in [0, 1] {
                        let member = MemberID(group, "n2")
                        for (key, kind) in [
                            (keys.observation(of: member), DetectorKeys.Kind.observation(member)),
                            (keys.switchover(of: group), .switchover(group: group)),
                        ] {
                            #expect(
                                others.kind(of: key ?? "") == (index == other ? kind : nil), "\(key ?? "") by \(other)")
                            let isFollowed = others.ranges.contains { $0.contains(Array((key ?? "").utf8)) }
                            #expect(isFollowed == (index == other), "\(key ?? "") by \(other)")
                        }
                    }
                }
            }
            #expect(Set(all.map { $0.history(of: 0) }).count == namespaces.count)
        }
        let keys = DetectorKeys(root: "/pharos/", namespace: "/service/a/", scope: "demo", .scopes([0: "demo"]))
        #expect(keys.observation(of: Self.n2) == "/pharos/demo/namespace/service%2Fa/observations/n2")
    }

    @Test func `a claim is read as it was written, and is somebody's whatever stands there`() {
        let order = SwitchoverOrder(leader: Self.n2, since: 7, candidate: MemberID(0, "n3"))
        let claim = DetectorKeys.claim(order, by: "n1", at: 1)
        #expect(String(decoding: claim, as: UTF8.self) == #"{"from":"n2","to":"n3","by":"n1","at":1}"#)
        #expect(DetectorKeys.claimant(claim) == "n1")
        for text in ["", "{}", "[]", #"{"by":7}"#, #"{"by":""}"#] {
            #expect(DetectorKeys.claimant(Array(text.utf8)) == PharosKeys.unreadable)
        }
    }

    @Test func `what is done about a gray failure is told, and why nothing is`() {
        let order = SwitchoverOrder(leader: Self.n2, since: 7, candidate: MemberID(0, "n3"))
        let began = LogRecord(DetectorReport.switchingOver(order))
        #expect(began.kind == .switchoverAsked && began.message.contains("from n2 to n3"))
        for (outcome, priority) in [
            (SwitchoverOutcome.done("Successfully"), LogRecord.Priority.notice), (.refused("why"), .error),
            (.unanswered("why"), .warning), (.forestalled("why"), .info),
        ] {
            let record = LogRecord(DetectorReport.switchoverEnded(order, outcome))
            #expect(record.kind == .switchoverAnswered && record.priority == priority)
        }
        for rule in SwitchoverRule.allCases {
            let record = LogRecord(DetectorReport.notSwitchingOver(Self.n2, SwitchoverObstacle(rule, detail: "n9")))
            #expect(record.kind == .switchoverForbidden && record.message.contains("n9"))
            #expect(record.message.contains(rule.meaning))
        }
    }

    // MARK: - Answers

    @Test func `what a probe's row means`() {
        let primary = MemberProbe.findings(["f", "off", "123456789", "local0/1"])
        #expect(
            primary == ProbeFindings(patroni: .answered, postgres: .answered, isPrimary: true, position: 123_456_789))
        let standby = MemberProbe.findings(["t", "on", "99", nil])
        #expect(standby == ProbeFindings(patroni: .answered, postgres: .answered, isPrimary: false, position: 99))
        #expect(MemberProbe.findings(["f", "true", "1", "x"]).postgres == .failed("transactions are read-only there"))
        for row in [[], ["f"], [nil, nil, nil, nil]] { #expect(MemberProbe.findings(row).postgres != .answered) }
        #expect(MemberProbe.findings(["t", "on", nil, nil]).position == nil)
    }

    @Test func `what the WAL receiver's row means`() {
        func answer(_ row: String?...) -> WALReceiverAnswer { WALReceiverProbe.answer(row) }
        #expect(
            answer("t", "streaming", "10.0.0.2", "5432", "1500", "60000", "t")
                == .streaming(
                    sender: NodeEndpoint("10.0.0.2", 5432), silence: .milliseconds(1500), patience: .seconds(35)))
        #expect(answer("t", nil, nil, nil, nil, "60000", "t") == .notStreaming)
        #expect(answer("t", "waiting", "10.0.0.2", "5432", "1", "60000", "t") == .notStreaming)
        #expect(answer("t", nil, nil, nil, nil, "60000", "f") == .unknown, "without the right nothing is seen")
        #expect(answer("f", nil, nil, nil, nil, "60000", "t") == .unknown, "a primary has none")
        #expect(answer("t", "streaming", "10.0.0.2", "5432", "1", "0", "t") == .unknown, "it never asks")
        #expect(answer("t", "streaming", "10.0.0.2", "5432", "-5", "60000", "t") != .unknown)
        #expect(WALReceiverProbe.answer([]) == .unknown)
    }
}
