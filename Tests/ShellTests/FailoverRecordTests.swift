// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import Testing

@testable import Shell

/// Records of failovers as they stand in etcd.
struct FailoverRecordTests {
    private static func instant(_ milliseconds: Int64) -> Instant { Instant(sinceBoot: .milliseconds(milliseconds)) }

    @Test func `a record is read as it was written, its times by the wall's clock`() throws {
        for cause in [
            FailoverRecord.Cause.switchover, .grayFailure(by: "n3"), .failure(.nodeFailed), .unknown,
        ] {
            var record = FailoverRecord(
                revision: 21, group: 3, from: "n2", to: "n1", cause: cause, detectionBudget: .seconds(16))
            for (index, phase) in FailoverRecord.Phase.allCases.enumerated() {
                record.phases[phase] = Self.instant(5000 + Int64(index))
            }
            record.notes = [FailoverRecord.Note(at: Self.instant(4000), text: "a \"note\"")]
            let json = record.json(at: Self.instant(10_000), 1_700_000_000_000)
            let read = try #require(FailoverRecord(value: Array(json.utf8)), "\(json)")
            #expect(read.revision == 21 && read.group == 3 && read.from == "n2" && read.to == "n1")
            #expect(read.cause == cause && read.detectionBudget == .seconds(16))
            #expect(read.phases.count == record.phases.count)
            for (phase, at) in record.phases {
                #expect(read.phases[phase] == at + .milliseconds(1_700_000_000_000 - 10_000))
            }
            #expect(read.notes.first?.text == "a \"note\"")
            #expect(read.json == json, "what was read is written the same")
        }
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"id":1,"group":0,"to":"n1"}"#, #"{"id":"x","group":0,"to":"n1","phases":{}}"#,
    ]) func `what is no record is left out`(text: String) {
        #expect(FailoverRecord(value: Array(text.utf8)) == nil)
    }

    @Test func `odd times and causes are borne`() throws {
        let text =
            #"{"id":1,"group":0,"from":null,"to":"n1","cause":"aliens","phases":{"verdict":-5,"leader key lost":"x","announced":7},"notes":[3],"detection_budget_ms":-1}"#
        let record = try #require(FailoverRecord(value: Array(text.utf8)))
        #expect(record.phases == [.announced: Self.instant(7)] && record.cause == .unknown && record.notes.isEmpty)
        #expect(record.detectionBudget == .zero)
    }

    @Test func `revisions sort as text`() {
        let names = [9, 10, 99, 1_000_000_007, Int64.max].map { DetectorKeys.name($0) }
        #expect(names == names.sorted() && Set(names.map(\.utf8.count)) == [19])
    }

    @Test func `metadata stands beside the record of its leadership, and nowhere else`() throws {
        let keys = DetectorKeys(root: "/pharos/", namespace: "/service/", scope: "demo", .citusMode)
        let record = FailoverRecord(revision: 21, group: 2, from: "b1", to: "b2", phases: [.keyGained: Self.instant(5)])
        let entries: [LedgerEntry] = [
            .own(record), .metadata(group: 2, revision: 21, phases: [.metadataCommitted: Self.instant(7)], by: "c1"),
            .metadata(group: 2, revision: 20, phases: [.metadataSynced: Self.instant(8)], by: "c1"),
        ]
        let pairs = try entries.map { entry in
            (key: try #require(keys.history(entry)), value: Array(entry.json(at: Self.instant(0), 1000).utf8))
        }
        #expect(pairs[0].key == "/pharos/demo/history/2/0000000000000000021")
        #expect(pairs[1].key == pairs[0].key + ".metadata" && keys.history(.witnessed(record)) == pairs[0].key)
        let read = FailoverHistory.records(pairs + [(key: pairs[0].key + "x", value: Array("{".utf8))])
        #expect(read.count == 1 && read.first?.to == "b2")
        #expect(read.first?.phases == [.keyGained: Self.instant(1005), .metadataCommitted: Self.instant(1007)])
    }

    @Test
    func
        `of two daemons the one that has seen first that writes are accepted has the word, and each other phase is the group's own`()
    {
        func read(own: [FailoverRecord.Phase: Int64], _ metadata: [FailoverRecord.Phase: Int64]) -> FailoverRecord {
            var record = FailoverRecord(
                revision: 21, group: 2, from: "b1", to: "b2", phases: own.mapValues { Self.instant($0) }, by: "b2")
            let entry = LedgerEntry.metadata(
                group: 2, revision: 21, phases: metadata.mapValues { Self.instant($0) }, by: "c1")
            record.add(metadata: Array(entry.json(at: Self.instant(0), 0).utf8))
            return record
        }
        // A group without addresses: its own daemon's next probe came half a minute later.
        let late = read(own: [.keyGained: 1000, .writable: 31_000], [.writable: 1300, .metadataCommitted: 1400])
        #expect(late.phases[.writable] == Self.instant(1300) && late.clocks[.writable] == "c1")
        #expect(late.phases[.metadataCommitted] == Self.instant(1400))
        // With an address it has seen it itself, and clocks are not alike to the millisecond.
        let near = read(own: [.keyGained: 1000, .writable: 2200], [.writable: 1300])
        #expect(near.phases[.writable] == Self.instant(2200) && near.clocks[.writable] == nil)
        // A clock that is wrong says that writes were accepted before anybody led.
        let wrong = read(own: [.keyGained: 1000, .writable: 31_000], [.writable: 900])
        #expect(wrong.phases[.writable] == Self.instant(31_000) && wrong.clocks[.writable] == nil)
        // What is later, and what is another phase, stays the group's own.
        #expect(read(own: [.writable: 1300], [.writable: 9000]).phases[.writable] == Self.instant(1300))
        let other = read(own: [.metadataSynced: 9000], [.metadataSynced: 1000])
        #expect(other.phases[.metadataSynced] == Self.instant(9000))
        // Nobody else has said it.
        #expect(read(own: [:], [.writable: 1300]).clocks[.writable] == "c1")
    }

    @Test func `who follows the group's keys does not read the ledger, however long it gets`() throws {
        let scopes = DetectorKeys(
            root: "/pharos/", namespace: "/service/", scope: "demo", .scopes([0: "demo", 1: "demo-w"]))
        for keys in [DetectorKeys(root: "/pharos/", namespace: "/service/", scope: "demo", .citusMode), scopes] {
            for group in [0, 1] {
                let record = FailoverRecord(revision: 21, group: group, from: "b1", to: "b2")
                let followed = [
                    try #require(keys.observation(of: MemberID(group, "n1"))), try #require(keys.switchover(of: group)),
                ]
                for key in followed { #expect(keys.ranges.contains { $0.contains(Array(key.utf8)) }, "\(key)") }
                for entry in [LedgerEntry.own(record), .metadata(group: group, revision: 21, phases: [:], by: "c1")] {
                    let key = try #require(keys.history(entry))
                    #expect(!keys.ranges.contains { $0.contains(Array(key.utf8)) }, "\(key)")
                }
            }
        }
    }

    @Test func `a hundred records stay, each with what stands beside it`() {
        let keys = (1...102).map { "h/" + DetectorKeys.name($0) }
        #expect(LedgerWriter.oldest(of: Array(keys.prefix(100)) + keys.map { $0 + ".metadata" }) == nil)
        #expect(LedgerWriter.oldest(of: keys + keys.map { $0 + ".metadata" }) == keys[2])
        #expect(keys[1] + ".metadata" < keys[2], "it goes with its record")
    }

    @Test func `what becomes of a switchover is seen in etcd`() {
        let order = SwitchoverOrder(leader: MemberID(0, "n1"), since: 7, candidate: MemberID(0, "n2"))
        func pair(_ value: String, _ revision: Int64) -> [KeyValue] {
            [
                KeyValue(
                    key: Array("k".utf8), value: Array(value.utf8), createRevision: revision, modRevision: revision,
                    version: 1, lease: 0)
            ]
        }
        func outcome(_ leader: [KeyValue], _ request: [KeyValue]) -> SwitchoverOutcome? {
            SwitchoverCall.outcome(
                order,
                TransactionResponse(
                    header: Header(clusterID: 1, memberID: 1, revision: 9, raftTerm: 1), succeeded: true,
                    responses: [.range(leader), .range(request)]))
        }
        let request = pair("{\"leader\":\"n1\",\"member\":\"n2\"}", 8)
        #expect(outcome(pair("n1", 7), request) == nil, "it is still on its way down")
        #expect(outcome([], request) == nil && outcome([], []) == nil, "between two leaders")
        #expect(outcome(pair("n2", 9), request) == .done("n2 leads"))
        #expect(outcome(pair("n3", 9), []) == .done("n3 leads"))
        #expect(outcome(pair("n1", 7), []) == .refused("its request is gone from etcd, and n1 still leads"))
        // Patroni empties its key where a request is done or given up.
        #expect(outcome(pair("n1", 7), pair("{}", 9)) == outcome(pair("n1", 7), []))
        #expect(outcome(pair("n1", 9), []) == .refused("n1 leads again"))
    }
}
