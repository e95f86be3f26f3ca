// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal
import LenientJSON
import Settings
import TestSupport
import Testing

@testable import Shell

/// What a failover has lost: in the ledger, and as an operator reads it.
struct LostLogTests {
    private static func record(_ lost: LostLog?, keyLost: Int64 = 40_000) -> FailoverRecord {
        FailoverRecord(
            revision: 21, group: 3, from: "n2", to: "n1", phases: [.keyLost: Self.instant(keyLost)], lost: lost)
    }

    private static func instant(_ milliseconds: Int64) -> Instant { Instant(sinceBoot: .milliseconds(milliseconds)) }

    private static let findings: [LostLog.Finding] =
        LostLog.Proof.allCases.map { .nothing($0) } + [.atLeast(bytes: 4100)]
        + LostLog.Reason.allCases.map { .notKnown($0) }

    @Test(arguments: Self.findings) func `it is read as it was written`(finding: LostLog.Finding) throws {
        for lost in [
            LostLog(finding), LostLog(finding, keptUntil: Self.instant(12_700), timeline: 3, end: 900, seen: 5000),
        ] {
            let json = Self.record(lost).json(at: Self.instant(50_000), 1_700_000_000_000)
            let read = try #require(FailoverRecord(value: Array(json.utf8)), "\(json)")
            var expected = lost
            expected.keptUntil = lost.keptUntil.map { $0 + .milliseconds(1_700_000_000_000 - 50_000) }
            #expect(read.lost == expected && read.json == json)
        }
    }

    @Test func `the ledger's keys are these`() throws {
        let lost = LostLog(
            .atLeast(bytes: 4100), keptUntil: Self.instant(12_700), timeline: 3, end: 900, seen: 5000)
        let json = Self.record(lost).json(at: Self.instant(50_000), 1_700_000_050_000)
        #expect(
            json.contains(
                #""lost":{"finding":"at_least","proof":null,"reason":null,"bytes":4100,"kept_until":1700000012700,"span_ms":27300,"timeline":3,"end":900,"seen":5000}"#
            ), "\(json)")
        #expect(Self.record(nil).json(at: Self.instant(0), 0).contains(#""lost":null"#))
    }

    @Test(
        arguments: [
            ("", nil), (#","lost":null"#, nil), (#","lost":"x""#, nil), (#","lost":{}"#, .notKnown(.other)),
            (#","lost":{"finding":"nothing"}"#, .notKnown(.other)),
            (#","lost":{"finding":"nothing","proof":"astrology"}"#, .notKnown(.other)),
            (#","lost":{"finding":"at_least","bytes":-1}"#, .notKnown(.other)),
            (#","lost":{"finding":"not_known","reason":"x","end":"y","kept_until":-1}"#, .notKnown(.other)),
            (#","lost":{"finding":"nothing","proof":"synchronous","more":1}"#, .nothing(.synchronous)),
        ] as [(String, LostLog.Finding?)])
    func `what another version writes is borne, and never read as nothing`(text: String, finding: LostLog.Finding?)
        throws
    {
        let record = try #require(
            FailoverRecord(value: Array(#"{"id":1,"group":0,"to":"n1","phases":{}\#(text)}"#.utf8)))
        #expect(record.lost?.finding == finding && record.lost?.keptUntil == nil && record.lost?.end == nil)
    }

    @Test(
        arguments: [
            (
                .nothing(.synchronous), .notice,
                "lost: nothing of what n2 acknowledged under synchronous_commit = on, remote_write or remote_apply"
            ),
            (.nothing(.shutdown), .notice, "lost: nothing: n2 was shut down in order, and n1 has its log"),
            (
                .atLeast(bytes: 4100), .error,
                "lost: at least 4100 bytes of n2's log: it was seen at 1/2, and its timeline 3 ends on n1 at 0/AB. What n2 acknowledged in the last 27.3 s before its leader key was lost"
            ),
            (
                .notKnown(.notSeenFurther), .warning,
                "lost: how much is not known. n1 has n2's log to 0/AB, all that was seen of it (to 1/2). What n2 acknowledged in the last 27.3 s"
            ),
            (.notKnown(.notSeen), .warning, "nobody here saw"), (.notKnown(.noEnd), .warning, "Patroni has not said"),
            (.notKnown(.standbyCluster), .notice, "neither leader accepts writes"),
            (.notKnown(.other), .warning, "a later version"),
        ] as [(LostLog.Finding, LogRecord.Priority, String)])
    func `an operator reads what is lost, and how to look at it`(
        finding: LostLog.Finding, priority: LogRecord.Priority, words: String
    ) {
        let lost = LostLog(
            finding, keptUntil: Self.instant(12_700), timeline: 3, end: 0xab, seen: 0x1_0000_0002)
        let record = LogRecord(Report.logLost(Self.record(lost)))
        #expect(record.kind == .logLost && record.priority == priority)
        #expect(record.message.hasPrefix("what the failover from n2 to n1 has lost: "), "\(record.message)")
        #expect(record.message.contains(words), "\(record.message)")
        let fields = Dictionary(record.fields.map { ($0.name, $0.value) }) { $1 }
        #expect(
            fields == [
                "GROUP": "3", "OLD_LEADER": "n2", "LEADER": "n1", "REVISION": "21", "LOST": finding.code,
                "BYTES": finding == .atLeast(bytes: 4100) ? "4100" : "", "AFTER": "27.3 s",
            ])
        let command =
            "on n2, before Patroni starts there: pg_waldump --path=DATA_DIRECTORY/pg_wal --timeline=3 --start=0/AB"
        let isOpen: Bool =
            switch finding {
            case .atLeast, .notKnown(.notSeenFurther), .notKnown(.notSeen): true
            case .nothing, .notKnown: false
            }
        #expect(record.message.contains(command) == isOpen, "\(record.message)")
    }

    @Test func `a span that is not known is said to be so, and one after the key's end too`() throws {
        let text = { (lost: LostLog) in Self.record(lost).lostText ?? "" }
        #expect(text(LostLog(.atLeast(bytes: 1))).contains("Since when n2's writes may be missing is not known."))
        let late = LostLog(.atLeast(bytes: 1), keptUntil: Self.instant(41_000))
        #expect(text(late).contains("What n2 acknowledged after its leader key was lost may be missing"))
        #expect(Self.record(nil).lostText == nil)
    }
}

/// From Patroni's keys in etcd to the record there.
@Suite(.serialized)
struct LostLogSceneTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `the daemon of the new leader tells what was lost, and puts it on record`() async throws {
        let scene = try Scene(leader: "n2")
        scene.etcd.put("/service/demo/members/n2", #"{"role":"primary","xlog_location":400,"timeline":3}"#)
        scene.etcd.put("/service/demo/status", #"{"optime":400}"#)
        let shell = scene.start()
        try await scene.expect { scene.etcd.watchCount(of: "/service/demo/status") > 0 && scene.isReady }
        scene.etcd.put("/service/demo/status", #"{"optime":500}"#)
        scene.etcd.put("/service/demo/members/n2", #"{"role":"primary","xlog_location":520,"timeline":3}"#)
        scene.etcd.delete("/service/demo/leader")
        scene.etcd.delete("/service/demo/members/n2")
        try await scene.expect { scene.record(.leaderChanged)?["LEADER"] == "" }
        scene.etcd.put("/service/demo/leader", "n1")
        scene.etcd.put("/service/demo/status", #"{"optime":900}"#)
        scene.etcd.put("/service/demo/history", #"[[2,50,"x","t","n2"],[3,450,"x","t","n1"]]"#)
        try await scene.expect { scene.record(.logLost) != nil }
        let told = try #require(scene.record(.logLost))
        #expect(told["BYTES"] == "70" && told["LOST"] == "at_least" && told.priority == .error, "\(told.message)")
        let record = FailoverRecord(
            revision: try #require(told["REVISION"].flatMap { Int64($0) }), group: 0, from: nil, to: "n1")
        let key = try #require(DetectorKeys(scene.settings).history(.own(record)))
        try await scene.expect { scene.etcd.text(key).map { $0.contains(#""seen":520"#) } ?? false }
        let written = try #require(FailoverRecord(value: Array((scene.etcd.text(key) ?? "").utf8)))
        #expect(written.lost?.finding == .atLeast(bytes: 70) && written.lost?.end == 450)
        _ = shell
        try await scene.stop()
    }
}
