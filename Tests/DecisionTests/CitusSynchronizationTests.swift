// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What follows a change of `pg_dist_node`, and what else is watched.
struct CitusSynchronizationTests {
    private static let app = CitusScript.database
    private static let a2 = NodeEndpoint("a2", 5432)

    /// Rows after the move of group 1; `behind`: nodes that Citus has not brought up to date.
    private static func rows(behind: Int...) -> [NodeRow] {
        var rows = CitusScript.rows
        rows[1].endpoint = self.a2
        for id in behind { rows[id - 1].isSynchronized = false }
        return rows
    }

    private static func moved() -> CitusScript {
        var script = CitusScript.settled()
        _ = script.leads(1, "a2")
        _ = script.answered("a2", .primary)
        #expect(script.ended(1, .applied) == [.readRows(Self.app)])
        return script
    }

    @Test func `a change is complete when every worker's copy shows it`() {
        var script = Self.moved()
        #expect(script.rowsRead(Self.rows(behind: 2, 3)) == [])
        #expect(script.on(nil, after: .milliseconds(60)) == [.readRows(Self.app)])
        #expect(script.rowsRead(Self.rows(behind: 3)) == [])
        // Citus says that it has done something: no need to wait.
        #expect(script.on(.synchronized(Self.app)) == [.readRows(Self.app)])
        let workers = [Self.a2, NodeEndpoint("b1", 5432)]
        #expect(script.rowsRead(Self.rows()) == [.compareCopies(Self.app, workers)])
        let findings = [CopyFinding(workers[0], .same), CopyFinding(workers[1], .unreadable(reason: "why"))]
        _ = script.on(.copiesCompared(Self.app, findings, askedAt: script.now))
        guard case .synchronized(_, 1, _, let unverified)? = script.reports.first else {
            Issue.record("\(script.reports)")
            return
        }
        #expect(unverified == [findings[1]])
    }

    @Test func `two changes that arrive together are both complete`() {
        var script = Self.moved()
        let b2 = NodeEndpoint("b2", 5432)
        _ = script.rowsRead(Self.rows(behind: 2, 3))
        _ = script.changed(
            2, .member("b2", GroupMember(endpoint: b2, isRunning: true, isPrimary: false)), .leader("b2", since: 12))
        _ = script.answered("b2", .primary)
        _ = script.ended(2, .applied)
        var rows = Self.rows()
        rows[2].endpoint = b2
        #expect(script.rowsRead(rows) == [.compareCopies(Self.app, [Self.a2, b2])])
        _ = script.on(
            .copiesCompared(Self.app, [CopyFinding(Self.a2, .same), CopyFinding(b2, .same)], askedAt: script.now))
        let groups = script.reports.compactMap { if case .synchronized(_, let group, _, _) = $0 { group } else { nil } }
        #expect(groups == [1, 2])
    }

    @Test func `a worker that stays behind is told once, and looked at every ten seconds`() {
        var script = Self.moved()
        var (told, reads) = (0, 0)
        let begin = script.now
        while script.now - begin < .seconds(60) {
            let actions = script.on(nil, after: .milliseconds(50))
            guard actions.contains(.readRows(Self.app)) || reads == 0 else { continue }
            reads += 1
            _ = script.rowsRead(Self.rows(behind: 3))
            told += script.reports.filter { if case .unsynchronized = $0 { true } else { false } }.count
        }
        #expect(told == 1 && reads < 25, "\(reads)")
    }

    @Test func `copies that differ are compared again, and told if they go on differing`() {
        var script = Self.moved()
        var (told, compared) = (0, 0)
        _ = script.rowsRead(Self.rows())
        for _ in 0..<60 {
            _ = script.on(.copiesCompared(Self.app, [CopyFinding(Self.a2, .different)], askedAt: script.now))
            told += script.reports.filter { if case .copiesDiffer = $0 { true } else { false } }.count
            guard script.pass(.seconds(1)).contains(.readRows(Self.app)) else { continue }
            if script.rowsRead(Self.rows()).contains(where: { if case .compareCopies = $0 { true } else { false } }) {
                compared += 1
            }
        }
        #expect(told == 1 && compared > 5)
    }

    @Test func `steady state asks no more often than every ten seconds`() {
        var script = CitusScript.settled()
        var reads = 0
        for _ in 0..<600 where script.on(nil, after: .milliseconds(100)).contains(.readRows(Self.app)) {
            reads += 1
            _ = script.rowsRead()
        }
        #expect((4...6).contains(reads), "\(reads)")
    }

    // MARK: - Rows that need an operator

    @Test func `what cannot be put right is told once, and again when it is another thing`() {
        var script = CitusScript.settled()
        var rows = CitusScript.rows
        rows[1].role = .unavailable
        _ = script.rowsRead(rows)
        #expect(script.reports == [.refused(Self.app, group: 1, .noPrimary)])
        _ = script.rowsRead(rows)
        #expect(script.reports == [])
        _ = script.rowsRead()
        _ = script.rowsRead(rows)
        #expect(script.reports == [.refused(Self.app, group: 1, .noPrimary)])
    }

    @Test(arguments: [GroupAdmission.never, .ask])
    func `a new group is left alone or told`(admission: GroupAdmission) {
        var script = CitusScript.settled { $0.admission = admission }
        let d1 = NodeEndpoint("d1", 5432)
        let member = GroupMember(endpoint: d1, isRunning: true, isPrimary: true)
        var actions = script.changed(3, .leader("d1", since: 11), .member("d1", member))
        // It may have got its row by now.
        #expect(actions.contains(.readRows(Self.app)))
        actions.removeAll { $0 == .readRows(Self.app) }
        switch admission {
        case .never: #expect(actions == [] && script.reports == [.groupAppeared(group: 3, leader: "d1")])
        case .ask:
            #expect(actions == [] && script.reports.contains(.refused(Self.app, group: 3, .notRegistered(leader: d1))))
        }
    }

    @Test(arguments: [CitusMode.reconcile, .observe])
    func `a new group that the other writer may still add is not told before that has had its time`(mode: CitusMode) {
        let d1 = NodeEndpoint("d1", 5432)
        let member = GroupMember(endpoint: d1, isRunning: true, isPrimary: true)
        let told = CitusReport.refused(Self.app, group: 3, .notRegistered(leader: d1))
        let row = NodeRow(id: 4, group: 3, endpoint: d1, role: .primary)
        for isAdded in [true, false] {
            var script = CitusScript.settled(mode) { $0.admission = .ask }
            script.answeredRows = CitusScript.rows
            _ = script.changed(3, .leader("d1", since: 11), .member("d1", member))
            #expect(script.reports == [.groupAppeared(group: 3, leader: "d1")])
            _ = script.pass(.seconds(29) + .milliseconds(500))
            #expect(script.reports == [])
            if isAdded { script.answeredRows?.append(row) }
            #expect(script.pass(.seconds(60)) == [])
            #expect(script.reports == (isAdded ? [] : [told]))
        }
    }

    @Test func `the copies are compared a minute after the daemon has become the writer, and then every hour`() {
        var script = CitusScript.settled()
        script.answersComparisons = false
        script.answeredRows = CitusScript.rows
        let begin = script.now
        var compared: [Duration] = []
        let workers = [NodeEndpoint("a1", 5432), NodeEndpoint("b1", 5432)]
        while script.now - begin < .seconds(2 * 3600) {
            guard script.on(nil, after: .seconds(1)).contains(.compareCopies(Self.app, workers)) else { continue }
            compared.append(script.now - begin)
            let same = workers.map { CopyFinding($0, .same) }
            #expect(script.on(.copiesCompared(Self.app, same, askedAt: script.now)) == [])
            #expect(script.reports == [])
        }
        #expect(compared.count == 2)
        #expect(compared.allSatisfy { $0 >= .seconds(60) } && compared.first.map { $0 < .seconds(80) } == true)
    }

    @Test func `copies that differ though nothing was changed are told`() {
        var script = CitusScript.settled()
        script.answersComparisons = false
        script.answeredRows = CitusScript.rows
        var reports: [CitusReport] = []
        let different = [CopyFinding(NodeEndpoint("a1", 5432), .different)]
        for _ in 0..<900 {
            let isAsked = script.on(nil, after: .milliseconds(100)).contains { action in
                if case .compareCopies = action { true } else { false }
            }
            reports += script.reports
            guard isAsked else { continue }
            _ = script.on(.copiesCompared(Self.app, different, askedAt: script.now))
            reports += script.reports
        }
        #expect(reports == [.copiesDiffer(Self.app, nodes: [NodeEndpoint("a1", 5432)])])
    }

    @Test func `a group that vanishes is told, and keeps its rows`() {
        var script = CitusScript.settled()
        #expect(script.changed(2, .noLeader, .member("b1", nil)) == [])
        #expect(script.reports == [.groupVanished(group: 2)])
        #expect(!script.pass(.seconds(60)).contains { if case .update = $0 { true } else { false } })
    }

    @Test func `the pool follows the leader, where there is one`() {
        var rows = CitusScript.rows
        rows[1].pool = "host=a1 port=6432"
        var script = CitusScript.settled(rows: rows) { $0.poolInfo = [1: "host={host} port=6432"] }
        _ = script.leads(1, "a2")
        let changes: [RowChange] = [
            .move(id: 2, from: NodeEndpoint("a1", 5432), Self.a2), .pool(id: 2, "host=a2 port=6432"),
        ]
        #expect(
            script.answered("a2", .primary) == [
                CitusScript.update(1, changes, revision: 11, .terminate(after: .seconds(1)))
            ])
    }

    // MARK: - Two coordinators

    @Test func `a coordinator that has lost the leadership with its member key is asked all the same`() {
        var script = CitusScript.settled()
        let c2 = NodeEndpoint("c2", 5432)
        _ = script.leads(0, "c2")
        _ = script.changed(0, .member("c2", GroupMember(endpoint: c2, isRunning: true, isPrimary: true)))
        _ = script.changed(0, .noLeader)
        _ = script.changed(0, .member("c2", nil))
        #expect(script.leads(0, "c1").contains(.askWritable(c2)))
        _ = script.answered("c2", .primary)
        #expect(script.reports.contains(.rivalCoordinator(member: "c2", c2)))
    }

    @Test func `an old coordinator that accepts writes is told at once, and once`() {
        var script = CitusScript.settled()
        let c2 = NodeEndpoint("c2", 5432)
        let asked = script.changed(0, .member("c2", GroupMember(endpoint: c2, isRunning: true, isPrimary: false)))
        #expect(asked == [.askWritable(c2)])
        _ = script.answered("c2", .standby)
        #expect(script.reports == [])
        // Patroni knows it no more: it is asked all the same.
        _ = script.changed(0, .member("c2", nil))
        #expect(script.pass(.seconds(11)).contains(.askWritable(c2)))
        _ = script.answered("c2", .primary)
        #expect(script.reports == [.rivalCoordinator(member: "c2", c2)])
        #expect(script.pass(.seconds(11)).contains(.askWritable(c2)))
        _ = script.answered("c2", .primary)
        #expect(script.reports == [])
        _ = script.pass(.seconds(11))
        _ = script.answered("c2", .unreachable(reason: "down"))
        #expect(script.reports == [.rivalGone(c2)])
    }
}
