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
            self.ledger.record(
                .report(.contactMade(clusterID: 7, revision: 10, leader: "n2")), script.core, script.view.groups,
                at: script.now)
        }

        /// Reports of the core, at the present moment; answers the record if it is written.
        mutating func record(_ reports: Report...) -> FailoverRecord? {
            for report in reports {
                self.ledger.record(.report(report), self.script.core, self.script.view.groups, at: self.script.now)
            }
            return self.written()
        }

        /// What the new leader's daemon writes.
        private mutating func written() -> FailoverRecord? {
            guard case .own(let record) = self.ledger.takeChange(self.script.view.groups, at: self.script.now) else {
                return nil
            }
            return record
        }

        /// Lets time pass, and hands what the detector reports on, within a second; answers the last record that is written.
        mutating func pass(_ span: Duration) -> FailoverRecord? {
            var last: FailoverRecord?
            let end = self.script.now + span
            while self.script.now < end {
                self.script.pass(min(end - self.script.now, .seconds(1)))
                for report in self.script.reports.dropFirst(self.told) {
                    self.ledger.record(
                        .report(.detector(report)), self.script.core, self.script.view.groups, at: self.script.now)
                }
                self.told = self.script.reports.count
                last = self.written() ?? last
            }
            return last
        }
    }

    private static func lost(_ writer: inout Writer) {
        _ = writer.record(.leaderChanged(from: "n2", to: nil, revision: 20))
    }

    private static func won(_ writer: inout Writer) -> FailoverRecord? {
        writer.script.change(.leader("n1", since: 21))
        return writer.record(.leaderChanged(from: nil, to: "n1", revision: 21))
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
        #expect(FailoverSpan.allCases[0].length(in: first) == .took(verdict - failure))

        _ = writer.pass(.milliseconds(200))
        #expect(writer.record(.postgresChanged(.primary))?.phases[.writable] == writer.script.now)
        let assigned = Report.assigned("10.0.0.3", interface: "eth0", lifetime: .seconds(27))
        #expect(writer.record(assigned)?.phases[.addressMoved] == writer.script.now)
        _ = writer.pass(.seconds(1))
        #expect(writer.record(assigned) == nil, "whoever took it off meanwhile is another matter")
        let second = Report.assigned("10.0.0.4", interface: "eth0", lifetime: .seconds(27))
        #expect(writer.record(second)?.phases[.addressMoved] == writer.script.now, "the last address counts")
        writer.ledger.record(
            .startAnnouncing(AddressSpec(id: "10.0.0.3", prefixLength: 24, interface: "eth0", acquire: .writable)),
            writer.script.core, writer.script.view.groups, at: writer.script.now)
        let announced = writer.record()
        #expect(announced?.phases[.announced] != nil)

        // Both others must stand by again: the one that goes on, and the leader before.
        writer.ledger.probed("n3", isPrimary: false, at: writer.script.now)
        let half = writer.record()
        #expect(half == nil)
        _ = writer.pass(.seconds(60))
        writer.ledger.probed("n2", isPrimary: false, at: writer.script.now)
        let change = writer.record()
        let last = try #require(change)
        #expect(last.phases[.standbyBack] == writer.script.now)
        #expect(writer.record(assigned) == nil, "a renewal much later is no part of it")
    }

    @Test func `a failure that was over before the leader changed is no part of it`() throws {
        var writer = Writer(DetectorScript(.fast))
        _ = writer.pass(.seconds(60))
        writer.script.findings["n2"] = DetectorScript.dead
        _ = writer.pass(.seconds(3))
        writer.script.findings["n2"] = nil
        _ = writer.pass(.seconds(2))
        let tracks = try #require(writer.script.core.targets[MemberID(0, "n2")])
        #expect(tracks.postgres.firstFailureAt != nil && tracks.postgres.misses == 0, "it still counts")
        Self.lost(&writer)
        let record = try #require(Self.won(&writer))
        #expect(record.cause == .unknown && record.phases[.firstFailure] == nil)
    }

    @Test func `a planned switchover is told from a failure, and from what Pharos has asked for`() throws {
        var writer = Writer(DetectorScript())
        _ = writer.pass(.seconds(90))
        Self.lost(&writer)
        let record = try #require(Self.won(&writer))
        #expect(record.cause == .unknown && record.phases[.firstFailure] == nil && record.notes.isEmpty)
        writer.ledger.learnCause(writer.script.view.groups, claimant: nil)
        #expect(writer.record() == nil, "nobody had asked for it")

        // What the group's follower knows last is this planned switchover …
        writer.script.change(.requested(.from("n1")))
        writer.script.change(.leader("n3", since: 50))
        _ = writer.record(.leaderChanged(from: "n1", to: "n3", revision: 50))
        #expect(writer.ledger.open?.phases[.keyLost] == writer.script.now, "not the time of the change before")
        writer.ledger.learnCause(writer.script.view.groups, claimant: nil)
        #expect(writer.ledger.open?.cause == .switchover)
        // … when its leader fails.
        _ = writer.record(.leaderChanged(from: "n3", to: "n1", revision: 60))
        writer.ledger.learnCause(writer.script.view.groups, claimant: nil)
        #expect(writer.ledger.open?.cause != .switchover)
        writer.script.change(.requested(.from("n3")))
        writer.script.change(.leader("n1", since: 60))
        writer.ledger.learnCause(writer.script.view.groups, claimant: "n2")
        #expect(writer.record()?.cause == .grayFailure(by: "n2"))
        writer.ledger.learnCause(writer.script.view.groups, claimant: nil)
        #expect(writer.record() == nil, "the claim has ended; who made it is known")
    }

    @Test func `the same leader again is no change, and a change is named by the revision of its leadership`() {
        var writer = Writer(DetectorScript())
        _ = writer.pass(.seconds(60))
        Self.lost(&writer)
        // The reads say how far etcd is; the leader key itself is a little older.
        #expect(
            writer.record(.leaderChanged(from: nil, to: "n1", revision: 25)) == nil, "which leadership is not known yet"
        )
        writer.script.change(.leader("n1", since: 22))
        #expect(writer.record()?.revision == 22)
        _ = writer.record(.leaderChanged(from: "n1", to: nil, revision: 40))
        #expect(writer.record(.leaderChanged(from: nil, to: "n1", revision: 41)) == nil)
        _ = writer.pass(.seconds(10))
        #expect(writer.record() == nil)
    }

    @Test func `where nobody says when the key was created, the change is on record all the same`() {
        var writer = Writer(DetectorScript())
        Self.lost(&writer)
        #expect(writer.record(.leaderChanged(from: nil, to: "n1", revision: 25)) == nil)
        #expect(writer.pass(.seconds(6))?.revision == 25)
    }

    @Test func `who else leads writes first, and after a minute anybody does, once, what is known here`() throws {
        var writer = Writer(DetectorScript())
        _ = writer.pass(.seconds(60))
        Self.lost(&writer)
        writer.script.change(.leader("n3", since: 30))
        writer.ledger.record(
            .report(.leaderChanged(from: nil, to: "n3", revision: 30)), writer.script.core, writer.script.view.groups,
            expected: [.writable, .addressMoved], at: writer.script.now)
        // What happens to this node's own address and PostgreSQL is no part of it.
        _ = writer.record(.assigned("10.0.0.3", interface: "eth0", lifetime: .seconds(27)), .postgresChanged(.primary))
        writer.script.now = writer.script.now + .seconds(5)
        writer.ledger.probed("n3", isPrimary: true, at: writer.script.now)
        let writableAt = writer.script.now
        let groups = writer.script.view.groups
        #expect(writer.ledger.takeChange(groups, at: writer.script.now + .seconds(50)) == nil)
        let entry = writer.ledger.takeChange(groups, at: writer.script.now + .seconds(60))
        guard case .witnessed(let record) = entry else {
            Issue.record("\(String(describing: entry))")
            return
        }
        #expect(record.revision == 30 && record.from == "n2" && record.to == "n3")
        #expect(record.phases[.writable] == writableAt && record.phases[.addressMoved] == nil)
        #expect(record.notes.last?.text == "written by the daemon of n1: that of n3 had not")
        #expect(record.expected == [.writable, .addressMoved], "what was to come is not as good as there")
        #expect(writer.ledger.takeChange(groups, at: writer.script.now + .seconds(90)) == nil, "once")
    }

    @Test func `metadata is put on record by who keeps it, for the leadership that it follows`() throws {
        var writer = Writer(DetectorScript())
        let (b1, b2) = (NodeEndpoint("b1", 5432), NodeEndpoint("b2", 5432))
        var group = Group()
        for (name, since) in [("b1", 5), ("b2", 44)] as [(String, Int64)] {
            let member = GroupMember(endpoint: NodeEndpoint(name, 5432), isRunning: true, isPrimary: true)
            _ = group.learn(.member(name, member), at: since, now: writer.script.now)
            _ = group.learn(.leader(name, since: since), at: since, now: writer.script.now)
        }
        let move = RowChange.move(id: 3, from: NodeEndpoint("b1", 5432), b2)
        let updated = { (changes: [RowChange]) in
            CitusReport.updated("app", group: 2, changes: changes, leader: "b2", after: .seconds(1))
        }
        let synced = CitusReport.synchronized("app", group: 2, after: .seconds(2), unverified: [])
        let groups = [2: group]
        let (begin, second) = (writer.script.now, Duration.seconds(1))
        #expect(writer.ledger.takeMetadata(synced, groups, at: begin) == nil, "of a change before")
        #expect(writer.ledger.takeMetadata(updated([.removeSecondary(b1)]), groups, at: begin) == nil)
        #expect(
            writer.ledger.takeMetadata(updated([move]), groups, at: begin + second)
                == .metadata(
                    group: 2, revision: 44, phases: [.metadataCommitted: begin + second], by: "n1"))
        #expect(
            writer.ledger.takeMetadata(synced, groups, at: begin + second * 2)
                == .metadata(
                    group: 2, revision: 44,
                    phases: [.metadataCommitted: begin + second, .metadataSynced: begin + second * 2], by: "n1"))
        #expect(
            writer.ledger.takeMetadata(updated([move]), groups, at: begin + .seconds(4000)) == nil,
            "a row that somebody has changed long after is no part of it")
    }

    /// A group without addresses has nobody of its own who looks for it at once.
    @Test func `who has asked a leader whether it accepts writes puts that on record with the row`() throws {
        var writer = Writer(DetectorScript())
        var group = Group()
        for (name, since) in [("b1", 5), ("b2", 44)] as [(String, Int64)] {
            let member = GroupMember(endpoint: NodeEndpoint(name, 5432), isRunning: true, isPrimary: true)
            _ = group.learn(.member(name, member), at: since, now: writer.script.now)
            _ = group.learn(.leader(name, since: since), at: since, now: writer.script.now)
        }
        let (begin, second) = (writer.script.now, Duration.seconds(1))
        let move = RowChange.move(id: 3, from: NodeEndpoint("b1", 5432), NodeEndpoint("b2", 5432))
        let updated = CitusReport.updated("app", group: 2, changes: [move], leader: "b2", after: .seconds(1))
        let entry = writer.ledger.takeMetadata(
            updated, [2: group], writableAt: { $0 == 2 ? begin + second : nil }, at: begin + second * 2)
        #expect(
            entry
                == .metadata(
                    group: 2, revision: 44,
                    phases: [.writable: begin + second, .metadataCommitted: begin + second * 2],
                    by: "n1"))
        // It is known of the group that it was asked of alone, and stays on record.
        let synced = CitusReport.synchronized("app", group: 2, after: .seconds(2), unverified: [])
        guard
            case .metadata(_, _, let phases, _)? = writer.ledger.takeMetadata(
                synced, [2: group], at: begin + second * 3)
        else {
            Issue.record("nothing is written")
            return
        }
        #expect(phases[.writable] == begin + second && phases[.metadataSynced] == begin + second * 3)
    }

    @Test func `what was lost is told once it is known, and goes with the record`() throws {
        var writer = Writer(DetectorScript())
        let begin = writer.script.now
        func learn(_ facts: GroupFact..., at revision: Int64) {
            writer.ledger.trail.learn(
                .changed(clusterID: 7, revision: revision, facts.map { GroupChange(0, $0) }), of: 0,
                at: writer.script.now)
        }
        func judge() -> FailoverRecord? {
            writer.ledger.judgeLoss(writer.script.view.groups, at: writer.script.now)
        }
        let snapshot = GroupsSnapshot(clusterID: 7, revision: 10, facts: [GroupChange(0, .leader("n2", since: 3))])
        writer.ledger.trail.learn(.read(snapshot, sentAt: begin), of: 0, at: begin)
        writer.ledger.trail.probed("n2", position: 1000, askedAt: begin)
        _ = writer.pass(.seconds(30))
        learn(.noLeader, .member("n2", nil), at: 20)
        Self.lost(&writer)
        #expect(judge() == nil, "nobody leads")
        learn(.leader("n1", since: 21), at: 21)
        #expect(Self.won(&writer)?.lost == nil && judge() == nil)

        _ = writer.pass(.seconds(50))
        let unsaid = judge()
        #expect(unsaid?.lost == LostLog(.notKnown(.noEnd)) && unsaid?.to == "n1")
        #expect(writer.record()?.lost == LostLog(.notKnown(.noEnd)))
        learn(.log(.position(1500, writtenAt: 22)), at: 22)
        learn(.log(.ended(timeline: 3, at: 1200, promoted: "n1", writtenAt: 23)), at: 23)
        #expect(judge() == nil, "it is still not known; the record says more")
        let written = writer.record()
        let record = try #require(written)
        #expect(
            record.lost == LostLog(.notKnown(.notSeenFurther), keptUntil: begin, timeline: 3, end: 1200, seen: 1000))
        #expect(record.lostSpan == .seconds(30))
        #expect(judge() == nil && writer.record() == nil)

        // The old leader goes on writing, without a key.
        writer.ledger.trail.probed("n2", position: 1300, askedAt: writer.script.now)
        #expect(judge()?.lost?.finding == .atLeast(bytes: 100))
        #expect(writer.record()?.lost?.finding == .atLeast(bytes: 100))
        writer.ledger.trail.probed("n2", position: 1400, askedAt: writer.script.now)
        #expect(judge() == nil, "told once")
        #expect(writer.record()?.lost?.finding == .atLeast(bytes: 200))
    }

    @Test func `a standby cluster has nothing to lose, and who writes as a witness says what is known`() throws {
        var writer = Writer(DetectorScript())
        Self.lost(&writer)
        var member = DetectorScript.member("n3")
        member.isStandbyLeader = true
        writer.script.change(.leader("n3", since: 21))
        writer.script.change(.member("n3", member))
        _ = writer.record(.leaderChanged(from: nil, to: "n3", revision: 21))
        let (groups, later) = (writer.script.view.groups, writer.script.now + .seconds(60))
        #expect(writer.ledger.judgeLoss(groups, at: later) == nil, "the new leader's daemon tells it")
        guard case .witnessed(let record) = writer.ledger.takeChange(groups, at: later) else {
            Issue.record("not written")
            return
        }
        #expect(record.lost == LostLog(.notKnown(.standbyCluster)))
    }

    @Test func `an hour later nothing is waited for any more`() {
        var writer = Writer(DetectorScript())
        _ = writer.pass(.seconds(60))
        Self.lost(&writer)
        _ = Self.won(&writer)
        _ = writer.pass(.seconds(3700))
        writer.ledger.probed("n3", isPrimary: false, at: writer.script.now)
        writer.ledger.probed("n2", isPrimary: false, at: writer.script.now)
        #expect(writer.record() == nil)
    }
}
