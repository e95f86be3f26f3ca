// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What is done about `pg_dist_node`, and when.
struct CitusTests {
    private static let a1 = NodeEndpoint("a1", 5432)
    private static let a2 = NodeEndpoint("a2", 5432)
    private static let app = CitusScript.database
    private static let move: [RowChange] = [.move(id: 2, from: a1, a2)]

    @Test func `a failed worker's successor is asked, and its row moved once it accepts writes`() {
        var script = CitusScript.settled()
        #expect(script.changed(1, .noLeader, .member("a1", nil)) == [])
        #expect(script.leads(1, "a2") == [.askWritable(Self.a2)])
        #expect(script.reports.count == 1)
        #expect(script.answered("a2", .standby) == [])
        #expect(script.on(nil, after: .milliseconds(20)) == [.askWritable(Self.a2)])
        // The old node is known to be gone: sessions that wait for it are ended at once.
        let expected = CitusScript.update(1, Self.move, revision: 12, .terminate(after: .zero))
        #expect(script.answered("a2", .primary) == [expected])
        #expect(script.ended(1, .applied) == [.readRows(Self.app)])
        #expect(script.reports.count == 1)
    }

    @Test func `an answer from before the leadership proves nothing`() {
        var script = CitusScript.settled()
        let before = script.now
        #expect(script.leads(1, "a2") == [.askWritable(Self.a2)])
        #expect(script.on(.writable(Self.a2, .primary, askedAt: before)) == [])
    }

    @Test func `the old node's sessions are waited for after a planned switchover, and ended in the end`() {
        var script = CitusScript.settled()
        let hold = script.changed(1, .requested(.from("a1")))
        #expect(hold.count == 1)
        _ = script.on(.holdEnded(Self.app, group: 1, reason: "blocked"))
        _ = script.rowsRead()
        _ = script.leads(1, "a2")
        #expect(script.answered("a2", .primary) == [CitusScript.update(1, Self.move, revision: 12, .wait)])
        for _ in 0..<2 {
            #expect(script.ended(1, .blocked(reason: "lock")) == [.readRows(Self.app)])
            _ = script.rowsRead()
            #expect(!script.pass(.milliseconds(300)).contains { if case .update = $0 { true } else { false } })
            let next = script.pass(.seconds(2)).filter { if case .update = $0 { true } else { false } }
            #expect(next.count == 1)
        }
        #expect(script.ended(1, .blocked(reason: "lock")) == [.readRows(Self.app)])
        _ = script.rowsRead()
        let last = script.pass(.seconds(5)).filter { if case .update = $0 { true } else { false } }
        #expect(last == [CitusScript.update(1, Self.move, revision: 12, .terminate(after: .seconds(1)))])
    }

    @Test func `a read that the watch has overtaken still tells what the watch has lost`() {
        var script = CitusScript.settled()
        // The event that says so is lost; one of another group, newer, is not.
        let sentAt = script.now
        _ = script.changed(2, .requested(nil))
        _ = script.leads(2, "b1")
        var read = script.snapshot(at: 11)
        read.facts.removeAll { $0 == GroupChange(1, .leader("a1", since: 4)) }
        read.facts.append(GroupChange(1, .leader("a2", since: 11)))
        #expect(script.groups(.read(read, sentAt: sentAt)) == [.askWritable(Self.a2)])
    }

    @Test func `nothing is written on what was read half a minute ago`() {
        var script = CitusScript.settled()
        script.answersReads = false
        _ = script.pass(.seconds(11))
        #expect(script.reads == 2)
        _ = script.groups(.unread(reason: "etcd is gone"))
        _ = script.pass(.seconds(25))
        // Somebody changes the row while etcd is gone: nobody knows who leads by now.
        var rows = CitusScript.rows
        rows[1].endpoint = Self.a2
        #expect(script.rowsRead(rows) == [])
        #expect(!script.pass(.seconds(60)).contains { if case .update = $0 { true } else { false } })
        let actions = script.groups(.read(script.snapshot(), sentAt: script.now))
        #expect(actions.contains(.askWritable(NodeEndpoint("a1", 5432))))
    }

    @Test func `sessions are ended only where the row names a leader that has failed`() {
        // A failover long ago, and a row that somebody changed today.
        let elsewhere = NodeEndpoint("elsewhere", 5432)
        var places = KnownPlaces()
        places.learn(elsewhere, of: 1)
        var script = CitusScript.settled(places: places)
        _ = script.changed(1, .noLeader, .member("a1", nil))
        _ = script.leads(1, "a2")
        _ = script.answered("a2", .primary)
        _ = script.ended(1, .applied)
        var rows = CitusScript.rows
        rows[1].endpoint = elsewhere
        let move = [RowChange.move(id: 2, from: elsewhere, Self.a2)]
        #expect(script.rowsRead(rows).contains(CitusScript.update(1, move, revision: 12, .wait)))
    }

    @Test func `what a member writes again is no news`() {
        var script = CitusScript.settled()
        let wakeAt = script.core.wakeAt
        let again = GroupMember(endpoint: Self.a2, isRunning: true, isPrimary: false)
        #expect(script.changed(1, .member("a2", again)) == [] && script.reports == [])
        #expect(script.core.wakeAt == wakeAt)
    }

    @Test func `an answer that a former leader owes is not waited for`() {
        var script = CitusScript.settled()
        #expect(script.leads(1, "a2") == [.askWritable(Self.a2)])
        // It is never answered under that address again: another leads by then, or the same elsewhere.
        let a3 = NodeEndpoint("a3", 5432)
        let member = GroupMember(endpoint: a3, isRunning: true, isPrimary: false)
        #expect(script.changed(1, .member("a3", member), .leader("a3", since: 12)) == [.askWritable(a3)])
        _ = script.answered("a2", .unreachable(reason: "down"))
        #expect(script.answered("a3", .primary).count == 1)
        var moved = CitusScript.settled()
        _ = moved.leads(1, "a2")
        let elsewhere = NodeEndpoint("a2b", 5432)
        let actions = moved.changed(
            1, .member("a2", GroupMember(endpoint: elsewhere, isRunning: true, isPrimary: false)))
        #expect(actions + moved.pass(.milliseconds(100)).prefix(1) == [.askWritable(elsewhere)])
    }

    @Test func `while an update is under way there is no other, and a failure is tried again ever later`() {
        var script = CitusScript.settled()
        _ = script.leads(1, "a2")
        _ = script.answered("a2", .primary)
        #expect(script.leads(2, "b2") == [])
        #expect(script.pass(.seconds(20)) == [], "nothing piles up")
        var delays: [Duration] = []
        for _ in 0..<8 {
            _ = script.ended(1, .failed(reason: "why"))
            if case .updateFailed(_, _, _, let delay)? = script.reports.first { delays.append(delay) }
            _ = script.rowsRead()
            let begin = script.now
            while !script.on(nil, after: .milliseconds(10)).contains(where: {
                if case .update = $0 { true } else { false }
            }),
                script.now - begin < .seconds(60)
            {}
        }
        #expect(
            delays == [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].map { Duration.milliseconds($0) })
    }

    @Test func `where the leader refuses to be asked, what Patroni says since it leads must do`() {
        var script = CitusScript.settled()
        _ = script.leads(1, "a2")
        #expect(script.answered("a2", .refused(reason: "no password")) == [])
        #expect(script.reports == [.probeRefused(group: 1, Self.a2, reason: "no password")])
        let member = GroupMember(endpoint: Self.a2, isRunning: true, isPrimary: true)
        let update = CitusScript.update(1, Self.move, revision: 11, .terminate(after: .seconds(1)))
        #expect(script.changed(1, .member("a2", member)) == [update])
    }

    @Test func `a leader that is not heard of for ten seconds is believed to lead, if Patroni says so`() {
        var script = CitusScript.settled()
        _ = script.leads(1, "a2")
        let member = GroupMember(endpoint: Self.a2, isRunning: true, isPrimary: true)
        #expect(script.changed(1, .member("a2", member)).filter { if case .update = $0 { true } else { false } } == [])
        #expect(script.answered("a2", .unreachable(reason: "no route")) == [])
        #expect(script.reports == [], "it may be on its way")
        _ = script.pass(.seconds(10))
        let update = CitusScript.update(1, Self.move, revision: 11, .terminate(after: .seconds(1)))
        #expect(script.answered("a2", .unreachable(reason: "no route")) == [update])
        #expect(script.reports.contains(.probeRefused(group: 1, Self.a2, reason: "no route")))
    }

    @Test func `what the leader says of itself counts more than what Patroni says`() {
        var script = CitusScript.settled()
        _ = script.leads(1, "a2")
        _ = script.answered("a2", .refused(reason: "no connection left"))
        _ = script.pass(.seconds(5))
        _ = script.answered("a2", .standby)
        let member = GroupMember(endpoint: Self.a2, isRunning: true, isPrimary: true)
        #expect(script.changed(1, .member("a2", member)).filter { if case .update = $0 { true } else { false } } == [])
    }

    @Test func `a group without a row is looked for again when its leadership changes`() {
        var script = CitusScript.settled(rows: Array(CitusScript.rows.prefix(1)))
        #expect(script.changed(1, .requested(.from("a1"))).contains(.readRows(Self.app)))
        #expect(script.rowsRead().contains { if case .hold = $0 { true } else { false } }, "its writers are to wait")
    }

    @Test func `mode reconcile waits for the other writer, and then repairs`() {
        var script = CitusScript.settled(.reconcile)
        script.answeredRows = CitusScript.rows
        #expect(script.leads(1, "a2") == [], "there is no hurry to ask")
        #expect(script.pass(.seconds(29)).filter { $0 == .askWritable(Self.a2) } == [])
        #expect(script.reports == [], "the other writer may be doing its part")
        #expect(script.pass(.seconds(2)).contains(.askWritable(Self.a2)))
        let row = NodeEndpoint("a1", 5432)
        #expect(script.reports == [.drift(Self.app, group: 1, row: row, leader: Self.a2, .after(.seconds(30)))])
        let update = CitusScript.update(1, Self.move, revision: 11, .terminate(after: .seconds(1)))
        #expect(script.answered("a2", .primary) == [update])
    }

    @Test(arguments: [CitusMode.reconcile, .observe])
    func `what the other writer has put right is left alone, and not told`(mode: CitusMode) {
        var script = CitusScript.settled(mode)
        script.answeredRows = CitusScript.rows
        _ = script.leads(1, "a2")
        // Since the rows were read last, too.
        _ = script.pass(.seconds(29) + .milliseconds(500))
        script.answeredRows?[1].endpoint = Self.a2
        #expect(script.pass(.seconds(60)) == [])
        #expect(script.reports == [])
    }

    @Test(arguments: [CitusMode.reconcile, .observe])
    func `rows asked for before it was time prove nothing, and are asked for once more`(mode: CitusMode) {
        var script = CitusScript.settled(mode)
        script.answeredRows = CitusScript.rows
        _ = script.leads(1, "a2")
        _ = script.pass(.seconds(28))
        script.answeredRows = nil
        let read = CitusAction.readRows(Self.app)
        #expect(script.pass(.seconds(4)) == [read])
        // This answer is as old as its question.
        let before = script.now + .seconds(-3)
        #expect(script.on(.rowsRead(Self.app, CitusScript.rows, askedAt: before)) == [read])
        #expect(script.reports == [])
        // One that fails is repeated in time, and nobody is blamed meanwhile.
        #expect(script.on(.rowsUnread(Self.app, reason: "down")) == [])
        #expect(script.pass(.milliseconds(800)) == [])
        #expect(script.pass(.milliseconds(300)) == [read])
        #expect(script.reports == [])
        _ = script.rowsRead()
        #expect(script.reports.contains { if case .drift = $0 { true } else { false } })
    }

    @Test func `mode observe tells and does nothing`() {
        var script = CitusScript.settled(.observe)
        script.answeredRows = CitusScript.rows
        _ = script.leads(1, "a2")
        _ = script.pass(.seconds(29))
        #expect(script.reports == [])
        _ = script.pass(.seconds(2))
        let row = NodeEndpoint("a1", 5432)
        #expect(script.reports == [.drift(Self.app, group: 1, row: row, leader: Self.a2, .none)])
        #expect(script.pass(.seconds(120)) == [])
    }

    @Test func `only the coordinator's leader writes, and what it knew before counts no more`() {
        var script = CitusScript.settled()
        #expect(script.changed(0, .noLeader) == [])
        #expect(script.reports == [.writerChanged(isWriter: false)])
        #expect(script.leads(1, "a2") == [])
        #expect(script.pass(.seconds(30)) == [])
        #expect(script.leads(0, "c1") == [.readRows(Self.app)])
        #expect(script.reports.contains(.writerChanged(isWriter: true)))
        #expect(script.rowsRead() == [.askWritable(Self.a2)])
    }

    @Test func `this node's own row is moved as soon as its PostgreSQL lets the transaction in`() {
        var script = CitusScript.settled()
        let here = NodeEndpoint("c1b", 5432)
        let update = CitusScript.update(0, [.move(id: 1, from: CitusScript.coordinator, here)], revision: 3, .wait)
        let moved = script.changed(
            0, .member("c1", GroupMember(endpoint: here, isRunning: true, isPrimary: true)))
        #expect(moved == [update])
        #expect(script.ended(0, .inRecovery) == [.readRows(Self.app)])
        #expect(script.reports == [], "a promotion is no failure")
        _ = script.rowsRead()
        #expect(script.on(nil, after: .milliseconds(60)) == [update])
    }

    @Test func `another etcd counts from the beginning, and older news changes nothing`() {
        var script = CitusScript.settled()
        script.answersReads = false
        let before = script.now
        _ = script.leads(1, "a2")
        // A read that was overtaken by the watch.
        #expect(script.groups(.read(script.snapshot(at: 10), sentAt: before)) == [])
        #expect(script.answered("a2", .primary).count == 1)
        _ = script.ended(1, .applied)
        var rebuilt = script.snapshot(at: 2)
        rebuilt.clusterID = 9
        var rows = CitusScript.rows
        rows[1].endpoint = Self.a2
        #expect(script.groups(.read(rebuilt, sentAt: script.now)).isEmpty, "the rows are being read")
        #expect(script.rowsRead(rows).contains(.askWritable(NodeEndpoint("a1", 5432))))
        let actions = script.answered("a1", .primary)
        guard case .update(_, let updates)? = actions.first else {
            Issue.record("\(actions)")
            return
        }
        #expect(updates.map(\.authority) == [GroupAuthority(clusterID: 9, revision: 4)])
    }

    /// Also where the new etcd has counted beyond the old one's revisions since.
    @Test(arguments: [12, 5000] as [Int64])
    func `an etcd that was rebuilt under the same number passes the fence, once that is proven`(revision: Int64) {
        var script = CitusScript.settled()
        script.answersReads = false
        let before = script.now
        _ = script.leads(1, "a2")
        _ = script.answered("a2", .primary)
        let reads = script.reads
        #expect(script.ended(1, .olderRevision(applied: 90)) == [.readRows(Self.app)] && script.reads == reads + 1)
        _ = script.rowsRead()
        // A read from before the refusal proves nothing.
        #expect(script.groups(.read(script.snapshot(at: 10), sentAt: before)).isEmpty)
        var rebuilt = script.snapshot(at: revision)
        rebuilt.facts.append(GroupChange(1, .leader("a2", since: 11)))
        let actions = script.groups(.read(rebuilt, sentAt: script.now))
        let authority = GroupAuthority(clusterID: CitusScript.cluster, revision: 11, rebuiltFrom: 90)
        guard case .update(_, let updates)? = actions.first(where: { if case .update = $0 { true } else { false } })
        else {
            Issue.record("\(actions)")
            return
        }
        #expect(updates.map(\.authority) == [authority])
    }

    // MARK: - Several groups at once

    /// Both workers' leaders are gone; the second accepts writes while the first's row waits to be tried again.
    private func bothDue() -> CitusScript {
        var script = CitusScript.settled()
        _ = script.changed(2, .member("b2", CitusScript.standby("b2")))
        _ = script.leads(1, "a2")
        _ = script.leads(2, "b2")
        // By then neither waits for the other any more.
        _ = script.pass(.milliseconds(30), step: .milliseconds(5))
        #expect(script.answered("a2", .primary) == [Self.first])
        #expect(script.ended([1], .blocked(reason: "x"), causedBy: 1) == [.readRows(Self.app)])
        #expect(script.rowsRead() == [])
        #expect(Self.updated(script.answered("b2", .standby)) == [])
        return script
    }

    private static let b2 = NodeEndpoint("b2", 5432)
    private static func part(_ group: Int, _ blockers: RowUpdate.Blockers) -> RowUpdate {
        group == 1
            ? CitusScript.part(1, Self.move, revision: 12, blockers)
            : CitusScript.part(2, [.move(id: 3, from: NodeEndpoint("b1", 5432), Self.b2)], revision: 13, blockers)
    }
    private static let first = CitusAction.update(Self.app, [Self.part(1, .terminate(after: .seconds(1)))])

    @Test func `the rows of all groups that are due are changed in one transaction`() {
        var script = self.bothDue()
        script.answersReads = true
        // The second is ready while the first may not be tried yet; then both are due.
        let alone = script.answered("b2", .primary)
        #expect(alone == [.update(Self.app, [Self.part(2, .terminate(after: .seconds(1)))])])
        #expect(script.ended([2], .failed(reason: "x"), causedBy: nil) == [.readRows(Self.app)])
        _ = script.rowsRead()
        let both = script.pass(.seconds(1)).filter { if case .update = $0 { true } else { false } }
        #expect(both.first == .update(Self.app, [1, 2].map { Self.part($0, .terminate(after: .seconds(1))) }))
        _ = script.ended([1, 2], .applied)
        let groups = script.reports.compactMap { report -> Int? in
            if case .updated(_, let group, _, _, _) = report { group } else { nil }
        }
        #expect(groups == [1, 2])
    }

    private static func updated(_ actions: [CitusAction]) -> [[Int]] {
        actions.compactMap { if case .update(_, let updates) = $0 { updates.map(\.group) } else { nil } }
    }

    @Test func `groups whose leaders are new together get their rows together`() {
        var script = CitusScript.settled()
        _ = script.changed(2, .member("b2", CitusScript.standby("b2")))
        _ = script.leads(1, "a2")
        _ = script.leads(2, "b2")
        #expect(Self.updated(script.answered("a2", .primary)) == [])
        #expect(Self.updated(script.answered("b2", .primary)) == [[1, 2]])
    }

    @Test func `a leader that does not answer keeps another group waiting for a moment only, and only while it is new`()
    {
        var script = CitusScript.settled()
        _ = script.changed(2, .member("b2", CitusScript.standby("b2")))
        _ = script.leads(2, "b2")
        _ = script.pass(.milliseconds(10), step: .milliseconds(1))
        _ = script.leads(1, "a2")
        #expect(Self.updated(script.answered("a2", .primary)) == [])
        // 25 ms after the leader key of the second.
        #expect(Self.updated(script.pass(.milliseconds(15), step: .milliseconds(1))) == [[1]])
        _ = script.ended([1], .applied)
        var rows = CitusScript.rows
        rows[1].endpoint = Self.a2
        _ = script.rowsRead(rows)
        _ = script.leads(1, "a1")
        #expect(Self.updated(script.answered("a1", .primary)) == [[1]], "the second is not new any more")
    }

    @Test func `one group that cannot be changed does not hold up the others`() {
        var script = self.bothDue()
        _ = script.answered("b2", .primary)
        _ = script.ended([2], .failed(reason: "the connection was lost"))
        _ = script.rowsRead()
        _ = script.pass(.milliseconds(600))
        let updates = [1, 2].map { Self.part($0, .terminate(after: .seconds(1))) }
        #expect(script.core.citus?.databases.first?.update?.groups == [1, 2])
        #expect(
            script.ended([1, 2], .blocked(reason: "lock timeout"), causedBy: 1) == [.update(Self.app, [updates[1]])])
        #expect(script.reports.count == 1)
        guard case .updateFailed(_, group: 1, _, _)? = script.reports.first else {
            Issue.record("\(script.reports)")
            return
        }
    }

    @Test func `a group that has failed keeps none waiting that has not`() {
        var script = self.bothDue()
        _ = script.pass(.milliseconds(600))
        // The first is tried again at the same moment, and goes after the second.
        #expect(script.core.citus?.databases.first?.update?.groups == [1])
        _ = script.ended([1], .blocked(reason: "x"), causedBy: 1)
        _ = script.rowsRead()
        _ = script.pass(.seconds(2))
        _ = script.ended([1], .blocked(reason: "x"), causedBy: 1)
        #expect(script.answered("b2", .primary) == [.update(Self.app, [Self.part(2, .terminate(after: .seconds(1)))])])
    }

    @Test func `a row that was changed since it was read is read again before anything is written over it`() {
        var script = CitusScript.settled()
        _ = script.leads(1, "a2")
        _ = script.answered("a2", .primary)
        #expect(script.ended([1], .rowChanged, causedBy: 1) == [.readRows(Self.app)])
        #expect(script.reports == [])
        #expect(script.pass(.seconds(5)) == [])
        // Somebody has moved it already.
        var rows = CitusScript.rows
        rows[1].endpoint = Self.a2
        #expect(!script.rowsRead(rows).contains { if case .update = $0 { true } else { false } })
    }

    @Test func `a transaction that holds up other groups' changes is let go before one of them is due`() {
        var script = CitusScript.settled()
        _ = script.changed(2, .member("b2", CitusScript.standby("b2")))
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.on(.held(Self.app, group: 1, blocksOthers: true))
        _ = script.leads(2, "b2")
        #expect(script.answered("b2", .primary) == [.releaseHold(Self.app, group: 1)])
        #expect(script.pass(.seconds(1)).allSatisfy { if case .update = $0 { false } else { true } })
        let actions = script.on(.holdEnded(Self.app, group: 1, reason: "released"))
        #expect(
            actions.contains { if case .update(_, let updates) = $0 { updates.map(\.group) == [2] } else { false } })
    }

    @Test func `a transaction that holds up nobody else stays`() {
        var script = CitusScript.settled()
        _ = script.changed(2, .member("b2", CitusScript.standby("b2")))
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.on(.held(Self.app, group: 1, blocksOthers: false))
        _ = script.leads(2, "b2")
        let actions = script.answered("b2", .primary)
        #expect(
            actions.contains { if case .update(_, let updates) = $0 { updates.map(\.group) == [2] } else { false } })
        #expect(!actions.contains(.releaseHold(Self.app, group: 1)))
    }

    @Test func `Citus's own worker in the way is interrupted, and nobody else`() {
        var script = CitusScript.settled()
        _ = script.leads(1, "a2")
        _ = script.answered("a2", .primary)
        let session = BlockingSession(pid: 1, user: "app", application: "psql", state: "active", age: nil)
        #expect(script.on(.updateBlocked(Self.app, groups: [1], [session])) == [])
        let worker = BlockingSession(
            pid: 2, user: "postgres", application: "Citus Metadata Sync Daemon", state: "active", age: nil,
            isSynchronization: true)
        #expect(
            script.on(.updateBlocked(Self.app, groups: [1], [session, worker]))
                == [.interruptSynchronization(Self.app)])
        #expect(script.on(.synchronizationInterrupted(Self.app, count: 1, problem: nil)) == [])
        #expect(script.reports == [.synchronizationInterrupted(Self.app, problem: nil)])
        // It went on by itself.
        #expect(script.on(.synchronizationInterrupted(Self.app, count: 0, problem: nil)) == [])
        #expect(script.reports == [])
    }

    @Test func `where Citus can terminate nobody, the next attempts wait, at once, and then it is tried again`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .noLeader, .member("a1", nil))
        _ = script.leads(1, "a2")
        let forced = CitusScript.update(1, Self.move, revision: 12, .terminate(after: .zero))
        let waiting = CitusScript.update(1, Self.move, revision: 12, .wait)
        func isUpdate(_ action: CitusAction) -> Bool { if case .update = action { true } else { false } }
        #expect(script.answered("a2", .primary) == [forced])
        #expect(script.on(.updateUnforced(Self.app, groups: [1])) == [])
        #expect(script.reports == [.unforced(Self.app, groups: [1])])
        // Once per attempt.
        _ = script.on(.updateUnforced(Self.app, groups: [1]))
        #expect(script.reports == [])
        _ = script.ended(1, .blocked(reason: "lock"))
        _ = script.rowsRead()
        #expect(script.pass(.milliseconds(100)).filter(isUpdate) == [waiting])
        for expected in [waiting, forced] {
            _ = script.ended(1, .blocked(reason: "lock"))
            _ = script.rowsRead()
            #expect(script.pass(.seconds(5)).filter(isUpdate) == [expected])
        }
        // That of an update which is not under way says nothing.
        _ = script.ended(1, .applied)
        _ = script.on(.updateUnforced(Self.app, groups: [1]))
        #expect(script.reports == [])
    }

    // MARK: - A planned switchover

    @Test func `writes are held from the request on, and the row is moved within the same transaction`() {
        var script = CitusScript.settled()
        let hold = CitusAction.hold(
            Self.app, group: 1, nodeID: 2, GroupAuthority(clusterID: CitusScript.cluster, revision: 4),
            limit: .seconds(30))
        #expect(script.changed(1, .requested(.from("a1"))) == [hold])
        #expect(script.on(.held(Self.app, group: 1, blocksOthers: false)) == [])
        #expect(script.reports == [.holding(Self.app, group: 1, leader: "a1")])
        #expect(script.changed(1, .noLeader) == [])
        #expect(script.leads(1, "a2") == [.askWritable(Self.a2)])
        let update = RowUpdate(
            group: 1, changes: Self.move, authority: GroupAuthority(clusterID: CitusScript.cluster, revision: 13),
            blockers: .wait)
        #expect(script.answered("a2", .primary) == [.commitHold(Self.app, update)])
        #expect(script.ended(1, .applied) == [.readRows(Self.app)])
    }

    @Test func `a switchover that is called off lets the writes go on`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.on(.held(Self.app, group: 1, blocksOthers: false))
        #expect(script.changed(1, .requested(nil)) == [.releaseHold(Self.app, group: 1)])
        #expect(script.on(.holdEnded(Self.app, group: 1, reason: "released")) == [.readRows(Self.app)])
    }

    @Test func `writes are held for no longer than the limit, and once per leadership`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.on(.held(Self.app, group: 1, blocksOthers: false))
        let actions = script.pass(.seconds(31))
        #expect(actions.filter { $0 == .releaseHold(Self.app, group: 1) }.count == 1)
        _ = script.on(.holdEnded(Self.app, group: 1, reason: "released"))
        _ = script.rowsRead()
        #expect(!script.pass(.seconds(60)).contains { if case .hold = $0 { true } else { false } })
    }

    @Test func `a transaction that was given up before it had its locks is released when it has them`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .requested(.from("a1")))
        #expect(script.changed(0, .noLeader) == [.releaseHold(Self.app, group: 1)])
        _ = script.on(.holdEnded(Self.app, group: 1, reason: "released"))
        #expect(script.on(.held(Self.app, group: 1, blocksOthers: false)) == [.releaseHold(Self.app, group: 1)])
        #expect(script.reports == [])
    }

    @Test func `a daemon that writes no more lets the held writes go`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.on(.held(Self.app, group: 1, blocksOthers: false))
        #expect(script.changed(0, .noLeader) == [.releaseHold(Self.app, group: 1)])
    }

    @Test func `another group's failover is not held up`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.on(.held(Self.app, group: 1, blocksOthers: false))
        let b2 = GroupMember(endpoint: NodeEndpoint("b2", 5432), isRunning: true, isPrimary: false)
        _ = script.changed(2, .member("b2", b2), .leader("b2", since: 12))
        #expect(script.answered("b2", .primary).contains { if case .update = $0 { true } else { false } })
    }

    @Test func `a failover to a member, asked for while the leader is well, is a switchover`() {
        var script = CitusScript.settled()
        let hold = CitusAction.hold(
            Self.app, group: 1, nodeID: 2, GroupAuthority(clusterID: CitusScript.cluster, revision: 4),
            limit: .seconds(30))
        #expect(script.changed(1, .requested(.to("a2", since: 11))) == [hold])
        _ = script.on(.holdEnded(Self.app, group: 1, reason: "blocked"))
        _ = script.rowsRead()
        _ = script.leads(1, "a2")
        #expect(script.answered("a2", .primary) == [CitusScript.update(1, Self.move, revision: 12, .wait)])
    }

    @Test(
        arguments: [
            .to("a1", since: 11), .to("a9", since: 11), .to("a2", since: 4), .to("a2", since: 3), .from("a2"),
        ] as [LeaderRequest])
    func `a request that Patroni drops, or of before this leadership, holds nothing`(request: LeaderRequest) {
        var script = CitusScript.settled()
        #expect(script.changed(1, .requested(request)) == [])
        #expect(!script.pass(.seconds(5)).contains { if case .hold = $0 { true } else { false } })
        _ = script.leads(1, "a2")
        let update = CitusScript.update(1, Self.move, revision: 12, .terminate(after: .seconds(1)))
        #expect(script.answered("a2", .primary) == [update])
    }

    @Test func `a leader that Patroni says does not run is not switched over in order`() {
        var script = CitusScript.settled()
        var a1 = CitusScript.standby("a1")
        (a1.isRunning, a1.isPrimary) = (false, true)
        _ = script.changed(1, .member("a1", a1))
        #expect(script.changed(1, .requested(.to("a2", since: 12))) == [])
    }

    @Test func `a leader whose member key ends was not stopped in order, whatever was asked for`() {
        for request in [LeaderRequest.from("a1"), .to("a2", since: 11)] {
            var script = CitusScript.settled()
            _ = script.changed(1, .requested(request))
            _ = script.on(.holdEnded(Self.app, group: 1, reason: "blocked"))
            _ = script.rowsRead()
            _ = script.changed(1, .noLeader, .member("a1", nil))
            _ = script.leads(1, "a2")
            let update = CitusScript.update(1, Self.move, revision: 13, .terminate(after: .zero))
            #expect(script.answered("a2", .primary) == [update])
        }
    }

    @Test func `a failover long after a request that was called off is none that was asked for`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.on(.holdEnded(Self.app, group: 1, reason: "blocked"))
        _ = script.rowsRead()
        _ = script.changed(1, .requested(nil))
        _ = script.leads(1, "a2")
        let update = CitusScript.update(1, Self.move, revision: 13, .terminate(after: .seconds(1)))
        #expect(script.answered("a2", .primary) == [update])
    }

    @Test func `the coordinator's own switchover holds nothing`() {
        var script = CitusScript.settled()
        #expect(script.changed(0, .requested(.from("c1"))) == [])
    }
}
