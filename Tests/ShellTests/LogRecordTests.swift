// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal
import Testing

@testable import Shell

/// What the core reports, and the record that an operator finds.
struct LogRecordTests {
    private static let id = "10.0.0.3"

    private struct Row: Sendable {
        let report: Report
        let kind: LogKind
        let fields: [String: String]
        let words: String
        init(_ report: Report, _ kind: LogKind, _ fields: [String: String], _ words: String) {
            (self.report, self.kind, self.fields, self.words) = (report, kind, fields, words)
        }
    }

    /// One of each case, at least.
    private static let rows: [Row] = [
        Row(
            .contactMade(clusterID: 255, revision: 4, leader: "n2"), .contactMade,
            ["CLUSTER_ID": "255", "REVISION": "4", "LEADER": "n2"], "cluster ff"),
        Row(
            .contactMade(clusterID: 255, revision: 4, leader: nil), .contactMade,
            ["CLUSTER_ID": "255", "REVISION": "4", "LEADER": ""], "nobody"),
        Row(
            .contactLost(reason: "why", lastRead: .seconds(2)), .contactLost,
            ["REASON": "why", "LAST_READ": "2.0 s"], "why"),
        Row(
            .contactLost(reason: "why", lastRead: nil), .contactLost, ["REASON": "why", "LAST_READ": ""],
            "has not answered yet"),
        Row(
            .unanswered(.read, after: .seconds(10)), .unanswered,
            ["REQUEST": "reading etcd", "AFTER": "10.0 s", "ADDRESS": ""], "asked again"),
        Row(
            .unanswered(.removal(id), after: .seconds(10)), .unanswered,
            ["REQUEST": "taking \(id) off the interface", "AFTER": "10.0 s", "ADDRESS": id], "may still take effect"),
        Row(.contactRestored(after: .seconds(2)), .contactRestored, ["AFTER": "2.0 s"], "again"),
        Row(
            .clusterReplaced(old: 1, new: 2), .clusterReplaced, ["OLD_CLUSTER_ID": "1", "CLUSTER_ID": "2"], "another"),
        Row(.quarantined(clusterID: 2), .clusterQuarantined, ["CLUSTER_ID": "2"], "new to Pharos"),
        Row(.historyContradicted("10.0.0.3"), .historyContradicted, ["ADDRESS": "10.0.0.3"], "does not know"),
        Row(
            .historyUnknown("10.0.0.3", wait: .seconds(30)), .historyUnknown,
            ["ADDRESS": "10.0.0.3", "AFTER": "30.0 s"], "cannot tell"),
        Row(
            .renewalUncounted("10.0.0.3", lease: 255, term: 2, known: 3), .renewalUncounted,
            ["ADDRESS": "10.0.0.3", "LEASE": "ff"], "does not count"),
        Row(
            .leaderChanged(from: "n1", to: nil, revision: 5), .leaderChanged,
            ["LEADER": "", "OLD_LEADER": "n1", "REVISION": "5"], "nobody, was n1"),
        Row(
            .clockBeyondDrift(partsPerMillion: -83_333), .clockBeyondDrift, ["DRIFT_PPM": "-83333"],
            "slowed down by 8.3 %"),
        Row(
            .clockBeyondDrift(partsPerMillion: 99_951), .clockBeyondDrift, ["DRIFT_PPM": "99951"], "sped up by 10.0 %"),
        Row(
            .heldByAnotherCluster("10.0.0.3", cluster: "/service/other"), .heldByAnotherCluster,
            ["ADDRESS": "10.0.0.3", "CLUSTER": "/service/other"], "one address in two configurations"),
        Row(.clockWithinDrift, .clockWithinDrift, [:], "usual rate"),
        Row(.pauseChanged(isPaused: true), .pauseChanged, ["PAUSED": "1"], "begun"),
        Row(.pauseChanged(isPaused: false), .pauseChanged, ["PAUSED": "0"], "ended"),
        Row(.watchStale(revision: 5), .watchStale, ["REVISION": "5"], "started again"),
        Row(
            .stanceChanged(id, .hold), .stanceChanged, ["ADDRESS": id, "STANCE": "hold", "REASON": ""], "belongs here"),
        Row(
            .stanceChanged(id, .wait(.interfaceDown("eth0"))), .stanceChanged,
            ["ADDRESS": id, "STANCE": "wait", "REASON": "interface_down"], "eth0 is down"),
        Row(.leaseAdopted(id, lease: 255), .leaseAdopted, ["ADDRESS": id, "LEASE": "ff"], "taken over"),
        Row(
            .leaseShortened(id, lease: 255, from: .seconds(60), to: .seconds(30)), .leaseShortened,
            ["ADDRESS": id, "LEASE": "ff", "TTL": "30.0 s", "OLD_TTL": "60.0 s"], "a lease of 30.0 s"),
        Row(
            .leaseLost(id, lease: 255, reason: "why"), .leaseLost, ["ADDRESS": id, "LEASE": "ff", "REASON": "why"],
            "why"),
        Row(.leaseRefused(id, reason: "why"), .leaseRefused, ["ADDRESS": id, "REASON": "why"], "why"),
        Row(
            .acquired(id, lease: 255, revision: 9), .addressAcquired,
            ["ADDRESS": id, "LEASE": "ff", "REVISION": "9"], "is ours"),
        Row(
            .acquireRefused(id, holder: "n2", leader: nil), .acquireRefused,
            ["ADDRESS": id, "HOLDER": "n2", "LEADER": ""], "not acquired"),
        Row(
            .assigned(id, interface: "eth0", lifetime: .seconds(27)), .addressAssigned,
            ["ADDRESS": id, "INTERFACE": "eth0", "LIFETIME": "27.0 s"], "is on eth0"),
        Row(.assignFailed(id, reason: "why"), .assignFailed, ["ADDRESS": id, "REASON": "why"], "why"),
        Row(
            .removed(id, interface: "eth0", reason: .leaderIsAnother("n2")), .addressRemoved,
            ["ADDRESS": id, "INTERFACE": "eth0", "REASON": "leader_is_another"], "names n2"),
        Row(
            .removeFailed(id, interface: "eth0", reason: "why"), .removeFailed,
            ["ADDRESS": id, "INTERFACE": "eth0", "REASON": "why"], "why"),
        Row(.released(id, lease: 255), .addressReleased, ["ADDRESS": id, "LEASE": "ff"], "given back"),
        Row(.lapsed(id, interface: "eth0"), .addressLapsed, ["ADDRESS": id, "INTERFACE": "eth0"], "lifetime"),
        Row(
            .removedByOthers(id, interface: "eth0"), .addressRemovedByOthers, ["ADDRESS": id, "INTERFACE": "eth0"],
            "somebody removed"),
        Row(
            .addedByOthers(id, interface: "eth0", prefixLength: 24), .addressAddedByOthers,
            ["ADDRESS": id, "INTERFACE": "eth0"], "somebody added 10.0.0.3/24"),
        Row(
            .lifetimeChangedByOthers(id, interface: "eth0", lifetime: nil), .addressLifetimeChanged,
            ["ADDRESS": id, "INTERFACE": "eth0", "LIFETIME": "forever"], "for ever"),
        Row(
            .lifetimeChangedByOthers(id, interface: "eth0", lifetime: .seconds(600)), .addressLifetimeChanged,
            ["ADDRESS": id, "INTERFACE": "eth0", "LIFETIME": "600.0 s"], "600.0 s"),
        Row(
            .foughtOver(id, interface: "eth0", times: 4, within: .seconds(3)), .addressFoughtOver,
            ["ADDRESS": id, "INTERFACE": "eth0", "CHANGES": "4", "AFTER": "3.0 s"], "4 times within 3.0 s"),
        Row(
            .linkLost(id, interface: "eth0", .severed), .linkLost,
            ["ADDRESS": id, "INTERFACE": "eth0", "REASON": "interface eth0 has no carrier"],
            "and interface eth0 has no carrier: clients on other hosts do not find it there"),
        Row(
            .linkLost(id, interface: "eth0", .down), .linkLost,
            ["ADDRESS": id, "INTERFACE": "eth0", "REASON": "interface eth0 is down"], "ip link set eth0 up"),
        Row(
            .linkLost(id, interface: "eth0", .missing), .linkLost,
            ["ADDRESS": id, "INTERFACE": "eth0", "REASON": "interface eth0 does not exist"], "ip -br link"),
        Row(
            .linkBack(id, interface: "eth0"), .linkBack, ["ADDRESS": id, "INTERFACE": "eth0"], "can be used again"),
        Row(
            .duplicateSeen(id, linkAddress: "02:00"), .duplicateHolder, ["ADDRESS": id, "LINK_ADDRESS": "02:00"],
            "another node"),
        Row(.inspectionFailed(reason: "why"), .inspectionFailed, ["REASON": "why"], "why"),
        Row(
            .failsafeHolds(id, until: .seconds(4)), .failsafeHolds, ["ADDRESS": id, "LIFETIME": "4.0 s"], "failsafe"),
        Row(
            .portClosed(id, port: 5432, .refused, for: .seconds(6), .primary), .portClosed,
            ["ADDRESS": id, "PORT": "5432", "ANSWER": "refused", "AFTER": "6.0 s"],
            "every client that comes to the address. PostgreSQL here answers, but listens elsewhere"),
        Row(
            .portClosed(id, port: 5432, .refused, for: .seconds(6), .unreachable(reason: "why")), .portClosed,
            ["ADDRESS": id, "PORT": "5432", "ANSWER": "refused", "AFTER": "6.0 s"], "cannot be asked either: why"),
        Row(
            .portClosed("fd00::3", port: 5432, .refused, for: .seconds(6), nil), .portClosed,
            ["ADDRESS": "fd00::3", "PORT": "5432", "ANSWER": "refused", "AFTER": "6.0 s"],
            "net.ipv6.ip_nonlocal_bind=1"),
        Row(
            .portClosed(id, port: 6432, .silent(after: .seconds(5)), for: .seconds(9), .primary), .portClosed,
            ["ADDRESS": id, "PORT": "6432", "ANSWER": "silent", "AFTER": "9.0 s"],
            "neither accepted nor refused within 5.0 s"),
        Row(
            .portOpen("fd00::3", port: 5432, after: .seconds(20)), .portOpen,
            ["ADDRESS": "fd00::3", "PORT": "5432", "AFTER": "20.0 s"],
            "[fd00::3]:5432 accepts connections again, after 20.0 s"),
        Row(
            .portUntried(id, port: 5432, reason: "why"), .portUntried,
            ["ADDRESS": id, "PORT": "5432", "REASON": "why"], "is not known, since this node could not try: why"),
        Row(.postgresChanged(.primary), .postgresChanged, ["POSTGRES": "primary"], "accepts writes"),
        Row(
            .postgresChanged(.unreachable(reason: "why")), .postgresChanged, ["POSTGRES": "unreachable"], "asked: why"),
        Row(.memberClash(id, node: "boot-b"), .memberClash, ["ADDRESS": id, "NODE": "boot-b"], "boot-b"),
        Row(.stopping, .stopping, [:], "stopping"),
        Row(.handedOver(held: [id, "b"]), .handedOver, ["ADDRESS": "10.0.0.3 b"], "10.0.0.3 b stays for the next"),
        Row(.handedOver(held: []), .handedOver, ["ADDRESS": ""], "nothing is held here"),
        Row(.stopped(unreleased: []), .stopped, [:], "no address is left"),
        Row(.stopped(unreleased: [id, "b"]), .stopped, ["ADDRESS": "10.0.0.3 b"], "without confirmed release"),
    ]

    @Test func `every report is a record of its own kind, with its fields and its cause`() {
        var kinds: [Int: LogKind] = [:]
        for row in Self.rows {
            let record = LogRecord(row.report)
            #expect(record.kind == row.kind, "\(row.report)")
            #expect(record.message.contains(row.words), "\(record.message)")
            #expect(!record.message.contains("Decision."), "what no operator reads: \(record.message)")
            let fields = Dictionary(record.fields.map { ($0.name, $0.value) }) { $1 }
            #expect(fields == row.fields && record.fields.count == row.fields.count, "\(row.report)")
            let number = Self.number(row.report)
            #expect(kinds[number] ?? record.kind == record.kind)
            kinds[number] = record.kind
        }
        #expect(kinds.count == Self.caseCount, "a case of Report is not in the table")
        #expect(Set(kinds.values).count == kinds.count, "two reports share a kind")
    }

    @Test func `a stop that left something behind is a warning`() {
        #expect(LogRecord(Report.stopped(unreleased: [])).priority == .notice)
        #expect(LogRecord(Report.stopped(unreleased: ["a"])).priority == .warning)
    }

    @Test func `a reason in the log is never empty, and its code has no space`() {
        let reasons: [Reason] = [
            .stopping, .reconfigured, .noContactYet, .contactLost, .leaderIsAnother("n2"), .noLeader, .maintenance,
            .failsafe, .inRecovery, .postgresUnreachable("x"), .postgresNotAsked, .interfacesUnlisted,
            .interfaceMissing("x"),
            .interfaceDown("x"), .clusterNotMarked, .quarantine, .heldByAnother("n2"), .leaseReturning, .leaseLost,
            .misplaced, .foreign, .duplicateDetected,
        ]
        #expect(Set(reasons.map { Wording.code($0) }).count == reasons.count)
        for reason in reasons {
            #expect(!Wording.text(reason).isEmpty && !Wording.code(reason).contains(" "))
        }
    }

    private static let caseCount = 45

    /// Which case it is. A new case does not compile here until it has a number, and then wants a row.
    private static func number(_ report: Report) -> Int {
        switch report {
        case .contactMade: 0
        case .contactLost: 1
        case .contactRestored: 2
        case .clusterReplaced: 3
        case .quarantined: 4
        case .leaderChanged: 5
        case .pauseChanged: 6
        case .watchStale: 7
        case .stanceChanged: 8
        case .leaseAdopted: 9
        case .leaseShortened: 10
        case .leaseLost: 11
        case .leaseRefused: 12
        case .acquired: 13
        case .acquireRefused: 14
        case .assigned: 15
        case .assignFailed: 16
        case .removed: 17
        case .removeFailed: 18
        case .released: 19
        case .lapsed: 20
        case .removedByOthers: 21
        case .addedByOthers: 22
        case .duplicateSeen: 23
        case .inspectionFailed: 24
        case .failsafeHolds: 25
        case .postgresChanged: 26
        case .memberClash: 27
        case .stopping: 28
        case .stopped: 29
        case .handedOver: 30
        case .historyContradicted: 31
        case .historyUnknown: 32
        case .renewalUncounted: 33
        case .lifetimeChangedByOthers: 34
        case .clockBeyondDrift: 35
        case .clockWithinDrift: 36
        case .heldByAnotherCluster: 37
        case .unanswered: 38
        case .portClosed: 39
        case .portOpen: 40
        case .portUntried: 41
        case .foughtOver: 42
        case .linkLost: 43
        case .linkBack: 44
        case .logLost: 45  // LostLogTests has its cases.
        case .citus: 45  // CitusRecordTests has its cases.
        case .detector: 45  // DetectorRecordTests has its cases.
        }
    }
}
