// SPDX-License-Identifier: Apache-2.0
import Decision
import Testing

@testable import Supervisor

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
        let names = [9, 10, 99, 1_000_000_007, Int64.max].map { LedgerWriter.name($0) }
        #expect(names == names.sorted() && Set(names.map(\.utf8.count)) == [19])
    }
}
