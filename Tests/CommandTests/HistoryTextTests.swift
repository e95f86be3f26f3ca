// SPDX-License-Identifier: Apache-2.0
import Decision
import Testing

@testable import pharos

/// A record of the ledger as people read it.
struct HistoryTextTests {
    @Test func `a record says what was lost, and one that does not know says nothing of it`() {
        let at = Instant(sinceBoot: .seconds(1_700_000_000))
        var record = FailoverRecord(
            revision: 21, group: 0, from: "n2", to: "n1", phases: [.keyLost: at + .seconds(30), .keyGained: at])
        #expect(!HistoryText([record]).timeline(record).contains("lost       "))
        record.lost = LostLog(.atLeast(bytes: 70), keptUntil: at, timeline: 3, end: 450, seen: 520)
        let lines = HistoryText([record]).timeline(record).split(separator: "\n")
        #expect(
            lines.last?.hasPrefix("  lost       at least 70 bytes of n2's log: it was seen at 0/208, and") == true,
            "\(lines)")
        #expect(lines.last?.contains("What n2 acknowledged in the last 30.0 s before its leader key was lost") == true)
    }

    @Test func `what the new leader's daemon has not said is not seen, and never within the budget`() {
        let at = Instant(sinceBoot: .seconds(1_700_000_000))
        var record = FailoverRecord(
            revision: 21, group: 0, from: "n2", to: "n1", phases: [.keyLost: at, .writable: at + .seconds(20)],
            expected: [.writable, .addressMoved], by: "n1")
        #expect(
            HistoryText([record]).timeline(record).contains("failover   not finished: \"address moved\" has not come"))
        record.by = "n3"
        let text = HistoryText([record]).timeline(record)
        #expect(text.contains("not seen: whether \"address moved\" has come, n1's daemon has not said"), "\(text)")
    }

    @Test
    func `each phase of another daemon's says by whose clock it is, and lists name groups where there are several`() {
        let at = Instant(sinceBoot: .seconds(1_700_000_000))
        var record = FailoverRecord(
            revision: 21, group: 2, from: "b1", to: "b2",
            phases: [.keyGained: at, .metadataCommitted: at + .seconds(1)],
            by: "b2")
        record.clocks = [.metadataCommitted: "c1"]
        let lines = HistoryText([record]).timeline(record).split(separator: "\n")
        #expect(lines.contains("  times by the clock of b2"))
        #expect(lines.count { $0.hasSuffix("metadata committed  (by the clock of c1)") } == 1, "\(lines)")
        #expect(lines.count { $0.contains("(by the clock of") } == 1)
        let other = FailoverRecord(revision: 20, group: 0, from: "c1", to: "c2", phases: [.keyGained: at])
        #expect(HistoryText([other, record]).list.contains("group 2  b1 -> b2"))
        #expect(!HistoryText([record]).list.contains("group 2"))
    }
}
