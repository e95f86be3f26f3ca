// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal
import Testing

@testable import Shell

/// What the core reports of Citus, and the record that an operator finds.
struct CitusRecordTests {
    private struct Row: Sendable {
        let report: CitusReport
        let kind: LogKind
        let fields: [String: String]
        let words: String
        init(_ report: CitusReport, _ kind: LogKind, _ fields: [String: String], _ words: String) {
            (self.report, self.kind, self.fields, self.words) = (report, kind, fields, words)
        }
    }

    private static let a1 = NodeEndpoint("a1", 5432)
    private static let a2 = NodeEndpoint("fd00::2", 5432)
    private static let session = BlockingSession(
        pid: 42, user: "app", application: "psql", state: "active", age: .seconds(3))

    private static let finding = Finding(
        .shardMissing, .critical, group: 1, node: a1, "it is not there",
        .init("Restore it.", sql: ["select 1"], on: .server(a2)))

    private static let rows: [Row] = [
        Row(.writerChanged(isWriter: true), .citusWriterChanged, ["WRITER": "1"], "keeps pg_dist_node"),
        Row(.writerChanged(isWriter: false), .citusWriterChanged, ["WRITER": "0"], "does not keep"),
        Row(.groupsUnreadable(reason: "why"), .citusUnreachable, ["DATABASE": "", "REASON": "why"], "why"),
        Row(
            .groupAppeared(group: 1, leader: "n2"), .citusGroupAppeared, ["GROUP": "1", "LEADER": "n2"], "led by n2"),
        Row(.groupVanished(group: 1), .citusGroupVanished, ["GROUP": "1"], "its rows stay"),
        Row(
            .databaseUnreachable("app", reason: "why"), .citusUnreachable, ["DATABASE": "app", "REASON": "why"], "why"),
        Row(.databaseReached("app"), .citusReached, ["DATABASE": "app"], "again"),
        Row(
            .drift("app", group: 1, row: a1, leader: a2, .after(.seconds(30))), .citusDrift,
            [
                "DATABASE": "app", "GROUP": "1", "ROW": "a1:5432", "ENDPOINT": "[fd00::2]:5432",
                "REMEDY": "Nobody has put it right within 30.0 s: Pharos does, as soon as the leader accepts writes",
            ], "group 1 is at a1:5432, its leader at [fd00::2]:5432"),
        Row(
            .updated(
                "app", group: 1, changes: [.move(id: 2, from: a2, a1), .pool(id: 2, "host=a1")], leader: "n2",
                after: .milliseconds(7)), .citusUpdated,
            [
                "DATABASE": "app", "GROUP": "1", "LEADER": "n2", "AFTER": "7 ms",
                "CHANGES": "node 2 is at a1:5432; the pool of node 2 is host=a1",
            ], "follows its leader n2, after 7 ms"),
        Row(
            .updateFailed("app", group: 1, .olderRevision(applied: 9), retryAfter: .seconds(1)), .citusUpdateFailed,
            [
                "DATABASE": "app", "GROUP": "1", "RETRY_AFTER": "1.0 s",
                "REASON":
                    "older revision: a leader change of revision 9 was applied already, later than the one known here",
            ], "Tried again in 1.0 s"),
        Row(
            .updateFailed("app", group: 1, .supersededCluster(by: 255), retryAfter: .seconds(1)), .citusUpdateFailed,
            [
                "DATABASE": "app", "GROUP": "1", "RETRY_AFTER": "1.0 s",
                "REASON":
                    "superseded: etcd cluster ff has replaced the one that is read here. If the one that is read here is in force again, as after a failback to this site: pharos repair fence-superseded, on the coordinator's leader",
            ], "pharos repair fence-superseded, on the coordinator's leader. Tried again in 1.0 s"),
        Row(
            .blocked("app", groups: [1], [session]), .citusBlocked,
            [
                "DATABASE": "app", "GROUP": "1",
                "SESSIONS": "pid 42, user app, application psql, active, transaction open for 3.0 s",
            ], "waits for pid 42"),
        Row(
            .blocked("app", groups: [1, 2, 4], [session]), .citusBlocked,
            [
                "DATABASE": "app", "GROUP": "1 2 4",
                "SESSIONS": "pid 42, user app, application psql, active, transaction open for 3.0 s",
            ], "the update of groups 1, 2 and 4 waits for pid 42"),
        Row(
            .unforced("app", groups: [1, 2]), .citusUnforced, ["DATABASE": "app", "GROUP": "1 2"],
            "no background worker free to terminate the sessions in the way of groups 1 and 2; the update waits"),
        Row(
            .synchronizationInterrupted("app", problem: nil), .citusSyncInterrupted,
            ["DATABASE": "app", "REASON": ""], "was interrupted; Citus begins it again"),
        Row(
            .synchronizationInterrupted("app", problem: "permission denied"), .citusSyncInterrupted,
            ["DATABASE": "app", "REASON": "permission denied"], "could not be interrupted: permission denied"),
        Row(
            .refused("app", group: 1, .severalPrimaries(ids: [2, 5])), .citusRefused,
            ["DATABASE": "app", "GROUP": "1", "REASON": "rows 2, 5 are all primaries"], "needs an operator"),
        Row(
            .synchronized("app", group: 1, after: .seconds(1), unverified: [CopyFinding(a1, .unreadable(reason: "x"))]),
            .citusSynchronized,
            ["DATABASE": "app", "GROUP": "1", "AFTER": "1.0 s", "UNVERIFIED": "a1:5432 cannot be asked: x"],
            "as far as could be asked"),
        Row(
            .unsynchronized("app", group: 1, nodes: [a1, a2]), .citusUnsynchronized,
            ["DATABASE": "app", "GROUP": "1", "NODES": "a1:5432 [fd00::2]:5432"], "has not brought"),
        Row(
            .copiesDiffer("app", nodes: [a1]), .citusUnsynchronized,
            ["DATABASE": "app", "GROUP": "", "NODES": "a1:5432"], "differ from the coordinator's"),
        Row(
            .probeRefused(group: 1, a1, reason: "why"), .citusProbeRefused,
            ["GROUP": "1", "ENDPOINT": "a1:5432", "REASON": "why"], "Pharos goes by what Patroni says"),
        Row(
            .holding("app", group: 1, leader: "n1"), .citusHolding,
            ["DATABASE": "app", "GROUP": "1", "LEADER": "n1"], "while its leader n1 is switched over"),
        Row(
            .holdEnded("app", group: 1, reason: "why"), .citusHoldEnded,
            ["DATABASE": "app", "GROUP": "1", "REASON": "why"], "no longer wait: why"),
        Row(
            .rivalCoordinator(member: nil, a1), .citusRivalCoordinator, ["MEMBER": "", "ENDPOINT": "a1:5432"],
            "Stop PostgreSQL there at once"),
        Row(
            .settings(
                "app",
                [
                    SettingProblem(rule: .workers, text: "one", commands: ["a", "b"]),
                    SettingProblem(rule: nil, text: "two"),
                ]),
            .citusSettings, ["DATABASE": "app", "PROBLEMS": "one; two", "REMEDY": "a; b"], "in app: one (a; b). two"),
        Row(
            .settings("app", []), .citusSettings, ["DATABASE": "app", "PROBLEMS": "", "REMEDY": ""],
            "as they should be again"),
        Row(
            .versions("app", CitusVersions(citus: "12.0-1", postgres: "15.18"), [.holdsNothing]), .citusVersions,
            [
                "DATABASE": "app", "VERSION": "Citus 12.0-1 on PostgreSQL 15.18",
                "REASON": VersionLimit.holdsNothing.text,
            ], "app runs Citus 12.0-1 on PostgreSQL 15.18: before Citus 12.1 writes cannot be held"),
        Row(
            .versions("app", CitusVersions(citus: nil, postgres: "15.18"), []), .citusVersions,
            ["DATABASE": "app", "VERSION": "Citus on PostgreSQL 15.18", "REASON": ""], "can do all that it does"),
        Row(
            .found("app", finding), .citusFinding,
            [
                "DATABASE": "app", "CODE": "shard-missing", "GROUP": "1", "ENDPOINT": "a1:5432",
                "REASON": "it is not there",
                "REMEDY": "Restore it. select 1; (on [fd00::2]:5432)",
            ], "app: shard-missing (group 1, at a1:5432): it is not there. Restore it."),
        Row(
            .foundMore(7), .citusFinding,
            [
                "DATABASE": "", "CODE": "", "GROUP": "", "ENDPOINT": "", "REASON": "7 more findings",
                "REMEDY": "pharos verify",
            ],
            "7 more findings: pharos verify"),
        Row(
            .findingGone(FindingPlace("app", finding)), .citusFindingGone,
            ["DATABASE": "app", "CODE": "shard-missing", "GROUP": "1", "ENDPOINT": "a1:5432"],
            "finds it no more: shard-missing of group 1 at a1:5432 in app"),
        Row(.unverified(reason: "why"), .citusUnverified, ["REASON": "why"], "could not be verified: why"),
        Row(.rivalGone(a1), .citusRivalGone, ["ENDPOINT": "a1:5432"], "no longer"),
        Row(
            .unanswered(.update("app", groups: [1]), after: .seconds(180)), .unanswered,
            ["REQUEST": "changing group 1 in pg_dist_node of app", "AFTER": "180.0 s", "ADDRESS": ""],
            "the rows are read before anything else is changed"),
    ]

    @Test func `every report is a record, with its fields and its cause`() {
        var numbers: Set<Int> = []
        for row in Self.rows {
            let record = LogRecord(Report.citus(row.report))
            #expect(record.kind == row.kind, "\(row.report)")
            #expect(record.message.contains(row.words), "\(record.message)")
            #expect(!record.message.contains("Decision."), "what no operator reads: \(record.message)")
            let fields = Dictionary(record.fields.map { ($0.name, $0.value) }) { $1 }
            #expect(fields == row.fields && record.fields.count == row.fields.count, "\(row.report)")
            numbers.insert(Self.number(row.report))
        }
        #expect(numbers == Set(0...27), "a case of CitusReport is not in the table")
    }

    @Test func `a finding matters as much as verify says`() {
        var finding = Self.finding
        #expect(LogRecord(CitusReport.found("app", finding)).priority == .critical)
        finding.severity = .warning
        #expect(LogRecord(CitusReport.found("app", finding)).priority == .warning)
    }

    @Test func `a version that is not followed is a warning, one that lacks something is not`() {
        let versions = CitusVersions(citus: "10.2-4", postgres: "13.9")
        #expect(LogRecord(CitusReport.versions("app", versions, [.tooOld])).priority == .warning)
        #expect(LogRecord(CitusReport.versions("app", versions, [.holdsNothing])).priority == .notice)
    }

    @Test func `a drift that is being put right is no warning`() {
        let drift = { LogRecord(CitusReport.drift("app", group: 1, row: nil, leader: Self.a1, $0)) }
        #expect(drift(.now).priority == .notice)
        #expect(drift(.none).priority == .warning)
    }

    @Test func `every way in which rows cannot be put right is said`() {
        for refusal in [
            NodeRowPlan.Refusal.noPrimary, .severalPrimaries(ids: [1]), .endpointTaken(id: 1, group: 2),
            .notRegistered(leader: Self.a1),
        ] { #expect(Wording.text(refusal, group: 1).count > 10) }
        #expect(
            Wording.text(.notRegistered(leader: Self.a1), group: 3).hasSuffix("select citus_add_node('a1', 5432, 3)"))
        for change in [
            RowChange.move(id: 1, from: Self.a2, Self.a1), .addSecondary(Self.a2, of: Self.a1),
            .removeSecondary(Self.a2),
        ] { #expect(Wording.text(change).contains(":5432")) }
    }

    /// Which case it is. A new case does not compile here until it has a number, and then wants a row.
    private static func number(_ report: CitusReport) -> Int {
        switch report {
        case .writerChanged: 0
        case .groupsUnreadable: 1
        case .groupAppeared: 2
        case .groupVanished: 3
        case .databaseUnreachable: 4
        case .databaseReached: 5
        case .drift: 6
        case .updated: 7
        case .updateFailed: 8
        case .blocked: 9
        case .refused: 10
        case .synchronized: 11
        case .unsynchronized: 12
        case .copiesDiffer: 13
        case .probeRefused: 14
        case .holding: 15
        case .holdEnded: 16
        case .rivalCoordinator: 17
        case .rivalGone: 18
        case .unanswered: 19
        case .synchronizationInterrupted: 20
        case .unforced: 21
        case .settings: 22
        case .found: 23
        case .foundMore: 24
        case .findingGone: 25
        case .unverified: 26
        case .versions: 27
        }
    }
}
