// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The record of a failover, as the new leader's daemon (n1's) writes it.
struct LedgerTests {
    private struct Writer {
        var script: DetectorScript
        var ledger = Ledger(member: MemberID(0, "n1"))
        private var told = 0

        init(_ script: DetectorScript) {
            self.script = script
            self.ledger.take(
                .report(.contactMade(clusterID: 7, revision: 10, leader: "n2")), script.core, at: script.now)
        }

        /// Reports of the core, at the present moment; answers the record if it is written.
        mutating func take(_ reports: Report...) -> FailoverRecord? {
            for report in reports { self.ledger.take(.report(report), self.script.core, at: self.script.now) }
            return self.ledger.takeChange(at: self.script.now)
        }

        /// Lets time pass, and hands what the detector reports on.
        mutating func pass(_ span: Duration) -> FailoverRecord? {
            self.script.pass(span)
            for report in self.script.reports.dropFirst(self.told) {
                self.ledger.take(.report(.detector(report)), self.script.core, at: self.script.now)
            }
            self.told = self.script.reports.count
            return self.ledger.takeChange(at: self.script.now)
        }
    }

    private static func lost(_ writer: inout Writer) {
        _ = writer.take(.leaderChanged(from: "n2", to: nil, revision: 20))
    }

    private static func won(_ writer: inout Writer) -> FailoverRecord? {
        writer.take(.leaderChanged(from: nil, to: "n1", revision: 21))
    }

    @Test func `a failover from the last healthy sign to the standbys, written with each phase`() throws {
        var writer = Writer(DetectorScript(.fast))
        _ = writer.pass(.seconds(60))
        writer.script.findings["n2"] = DetectorScript.dead
        writer.script.second(.failed, .failed)
        _ = writer.pass(.seconds(25))
        #expect(writer.script.verdict("n2") == .gray)
        Self.lost(&writer)
        let lostAt = writer.script.now
        _ = writer.pass(.seconds(2))
        let first = try #require(Self.won(&writer))
        #expect(first.revision == 21 && first.from == "n2" && first.to == "n1" && first.group == 0)
        #expect(first.cause == .failure(.gray))
        #expect(first.phases[.keyLost] == lostAt && first.phases[.keyGained] == writer.script.now)
        let (healthy, failure, verdict) = (
            try #require(first.phases[.lastHealthy]), try #require(first.phases[.firstFailure]),
            try #require(first.phases[.verdict])
        )
        #expect(healthy < failure && failure < verdict && verdict < lostAt)
        #expect(first.notes.contains { $0.text.hasPrefix("gray failure: ") && $0.text.contains("own probes") })
        #expect(FailoverSpan.allCases[0].length(in: first.phases) == verdict - failure)

        _ = writer.pass(.milliseconds(200))
        #expect(writer.take(.postgresChanged(.primary))?.phases[.writable] == writer.script.now)
        let assigned = Report.assigned("10.0.0.3", interface: "eth0", lifetime: .seconds(27))
        #expect(writer.take(assigned)?.phases[.addressMoved] == writer.script.now)
        _ = writer.pass(.seconds(1))
        #expect(writer.take(assigned)?.phases[.addressMoved] == writer.script.now, "the last address counts")
        writer.ledger.take(
            .startAnnouncing(AddressSpec(id: "10.0.0.3", prefixLength: 24, interface: "eth0", acquire: .writable)),
            writer.script.core, at: writer.script.now)
        let announced = writer.take()
        #expect(announced?.phases[.announced] != nil)

        // Both others must stand by again: the one that goes on, and the leader before.
        writer.ledger.probed("n3", isPrimary: false, at: writer.script.now)
        let half = writer.take()
        #expect(half == nil)
        _ = writer.pass(.seconds(60))
        writer.ledger.probed("n2", isPrimary: false, at: writer.script.now)
        let change = writer.take()
        let last = try #require(change)
        #expect(last.phases[.standbyBack] == writer.script.now)
        #expect(writer.take(assigned) == nil, "a renewal much later is no part of it")
    }

    @Test func `a planned switchover is told from a failure, and from what Pharos has asked for`() throws {
        var writer = Writer(DetectorScript())
        _ = writer.pass(.seconds(90))
        Self.lost(&writer)
        let record = try #require(Self.won(&writer))
        #expect(record.cause == .unknown && record.phases[.firstFailure] == nil && record.notes.isEmpty)
        writer.ledger.learnCause(wasPlanned: true, claimant: nil)
        #expect(writer.take()?.cause == .switchover)
        writer.ledger.learnCause(wasPlanned: true, claimant: "n3")
        #expect(writer.take()?.cause == .grayFailure(by: "n3"))
        writer.ledger.learnCause(wasPlanned: true, claimant: nil)
        #expect(writer.take() == nil, "the claim has ended; who made it is known")
    }

    @Test func `who else leads is for that one's daemon to tell, and the same leader again is no change`() {
        var writer = Writer(DetectorScript())
        _ = writer.pass(.seconds(60))
        Self.lost(&writer)
        #expect(writer.take(.leaderChanged(from: nil, to: "n3", revision: 30)) == nil && writer.ledger.open == nil)
        #expect(writer.take(.leaderChanged(from: "n3", to: "n1", revision: 31))?.from == "n3")
        _ = writer.take(.leaderChanged(from: "n1", to: nil, revision: 40))
        #expect(writer.take(.leaderChanged(from: nil, to: "n1", revision: 41)) == nil)
    }

    @Test func `an hour later nothing is waited for any more`() {
        var writer = Writer(DetectorScript())
        _ = writer.pass(.seconds(60))
        Self.lost(&writer)
        _ = Self.won(&writer)
        _ = writer.pass(.seconds(3700))
        writer.ledger.probed("n3", isPrimary: false, at: writer.script.now)
        writer.ledger.probed("n2", isPrimary: false, at: writer.script.now)
        #expect(writer.take() == nil)
    }
}
