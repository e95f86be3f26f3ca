// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The order of changes where a leader key gets another name without being created anew: Patroni 3.0.2 overwrites it.
struct CitusFenceTests {
    private static let app = CitusScript.database
    private static let (a1, a2) = (NodeEndpoint("a1", 5432), NodeEndpoint("a2", 5432))

    private static func updates(_ actions: [CitusAction]) -> [RowUpdate] {
        actions.flatMap { if case .update(_, let updates) = $0 { updates } else { [RowUpdate]() } }
    }

    @Test func `two names at one creation pass the fence in the order in which they were written`() {
        var script = CitusScript.settled()
        // Created at 4 by a1; a2 has written its name over it at 11, and a1 takes it back at 12.
        _ = script.changed(1, .leader("a2", since: 4, written: 11))
        let over = Self.updates(script.answered("a2", .primary))
        #expect(over.map(\.authority.revision) == [11])
        #expect(script.ended(1, .applied) == [.readRows(Self.app)])
        var rows = CitusScript.rows
        rows[1].endpoint = Self.a2
        _ = script.rowsRead(rows)
        _ = script.changed(1, .leader("a1", since: 4, written: 12))
        let back = Self.updates(script.answered("a1", .primary))
        #expect(back.map(\.authority.revision) == [12])
        #expect(back.first?.changes == [.move(id: 2, from: Self.a2, Self.a1)])
    }

    @Test func `a leader that writes its own name again leads on, and older news of it does not count`() {
        var script = CitusScript.settled()
        let again = script.changed(1, .leader("a1", since: 4, written: 11))
        #expect(again.isEmpty)
        _ = script.changed(1, .leader("a1", since: 4, written: 10))
        _ = script.changed(1, .member("a1", CitusScript.standby("a9")))
        let moved = Self.updates(script.answered("a9", .primary))
        #expect(moved.map(\.authority.revision) == [11])
    }

    @Test func `that etcd was rebuilt is proven by a key that was written before what was applied`() {
        for (written, isProven) in [(20, true), (95, false)] as [(Int64, Bool)] {
            var script = CitusScript.settled()
            script.answersReads = false
            _ = script.leads(1, "a2")
            _ = script.answered("a2", .primary)
            _ = script.ended(1, .olderRevision(applied: 90))
            _ = script.rowsRead()
            var read = script.snapshot(at: 5000)
            read.facts.append(GroupChange(1, .leader("a2", since: 11, written: written)))
            let actions = script.groups(.read(read, sentAt: script.now)) + script.pass(.seconds(1))
            #expect(Self.updates(actions).map(\.authority.rebuiltFrom) == [isProven ? 90 : nil])
        }
    }

    @Test func `the keys of another etcd cluster prove nothing, and what they seemed to prove is not carried to it`() {
        var script = CitusScript.settled()
        script.answersReads = false
        _ = script.leads(1, "a2")
        _ = script.answered("a2", .primary)
        _ = script.ended(1, .olderRevision(applied: 90))
        _ = script.rowsRead()
        // Another cluster answers this read, and the own one the next.
        var other = script.snapshot(at: 5000)
        other.clusterID = 9
        other.facts.append(GroupChange(1, .leader("a2", since: 11, written: 20)))
        _ = script.groups(.read(other, sentAt: script.now))
        var own = script.snapshot(at: 5001)
        own.facts.append(GroupChange(1, .leader("a2", since: 11, written: 95)))
        let actions =
            script.groups(.read(own, sentAt: script.now)) + script.answered("a2", .primary) + script.pass(.seconds(1))
        #expect(Self.updates(actions).map(\.authority.rebuiltFrom) == [nil])
        #expect(Self.updates(actions).map(\.authority.clusterID) == [CitusScript.cluster])
    }

    @Test func `of another leader the key's own number counts, also where it is lower`() {
        var script = CitusScript.settled()
        script.answersReads = false
        _ = script.changed(1, .leader("a2", since: 900, written: 900))
        _ = script.answered("a2", .primary)
        _ = script.ended(1, .applied)
        var rows = CitusScript.rows
        rows[1].endpoint = Self.a2
        _ = script.rowsRead(rows)
        // Rebuilt, and beyond the revisions of the one before.
        var read = script.snapshot(at: 5000)
        read.facts.append(GroupChange(1, .leader("a1", since: 300, written: 300)))
        let actions = script.groups(.read(read, sentAt: script.now)) + script.answered("a1", .primary)
        #expect(Self.updates(actions).map(\.authority.revision) == [300])
    }

    // MARK: - What is held

    @Test func `a key that is written over ends what was held for the leader before`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.on(.held(Self.app, group: 1, blocksOthers: false))
        _ = script.changed(1, .leader("a2", since: 4, written: 13))
        let actions = script.answered("a2", .primary)
        #expect(
            actions.contains {
                if case .commitHold(_, let update) = $0 { update.authority.revision == 13 } else { false }
            })
    }

    @Test func `what is still on its way to being held is let go for another group's failover`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.changed(2, .member("b2", CitusScript.standby("b2")), .leader("b2", since: 12))
        let release = script.answered("b2", .primary)
        #expect(release.contains(.releaseHold(Self.app, group: 1)) && Self.updates(release).isEmpty)
        let moved = script.on(.holdEnded(Self.app, group: 1, reason: "released")) + script.rowsRead()
        #expect(Self.updates(moved).map(\.group) == [2])
    }
}

/// What of the sessions in an update's way is told.
struct BlockingNewsTests {
    private static let somebody = BlockingSession(pid: 1, user: "app", application: "psql", state: "active", age: nil)
    private static let synchronization = BlockingSession(
        pid: 2, user: "postgres", application: "Citus Metadata Sync Daemon", state: "active", age: nil,
        isSynchronization: true)

    @Test func `somebody is told once, and the synchronization also after somebody else`() {
        var news = BlockingNews()
        #expect(!news.learn([]) && news.learn([Self.somebody]) && !news.learn([Self.somebody]) && !news.isOver)
        #expect(news.learn([Self.somebody, Self.synchronization]) && news.isOver)
        #expect(!news.learn([Self.synchronization]) && news.isOver)
        var first = BlockingNews()
        #expect(first.learn([Self.synchronization]) && first.isOver)
    }
}
