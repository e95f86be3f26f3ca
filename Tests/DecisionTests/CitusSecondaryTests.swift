// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Standbys as secondaries in `pg_dist_node`: registered and removed, but never in a loop.
struct CitusSecondaryTests {
    private static let app = CitusScript.database
    private static let a2 = NodeEndpoint("a2", 5432)
    private static let a1 = NodeEndpoint("a1", 5432)
    private static let add = CitusScript.update(1, [.addSecondary(a2, of: a1)], revision: 4, .wait)
    private static let remove = CitusScript.update(1, [.removeSecondary(a2)], revision: 4, .wait)
    private static var registered: [NodeRow] {
        CitusScript.rows + [NodeRow(id: 4, group: 1, endpoint: a2, role: .secondary, hasMetadata: false)]
    }

    /// Another secondary of the group: its last one would stay.
    private static let third = NodeRow(
        id: 6, group: 1, endpoint: NodeEndpoint("a3", 5432), role: .secondary, hasMetadata: false)
    private static let withThird = registered + [third]

    private static func member(isRunning: Bool) -> GroupFact {
        .member("a2", GroupMember(endpoint: self.a2, isRunning: isRunning, isPrimary: false))
    }

    /// Lets time pass; rows that are asked for are `rows`, and all copies of them the same. Answers the updates that are begun.
    private func pass(_ script: inout CitusScript, _ span: Duration, rows: [NodeRow]) -> [CitusAction] {
        var updates: [CitusAction] = []
        let end = script.now + span
        while script.now < end {
            updates += self.answer(script.on(nil, after: .milliseconds(500)), &script, rows)
        }
        return updates
    }

    /// The update under way has been applied; `rows` are what stands there now.
    private func applied(_ script: inout CitusScript, rows: [NodeRow]) -> [CitusAction] {
        self.answer(script.ended(1, .applied), &script, rows)
    }

    /// Answers what was asked; and the updates among the actions.
    private func answer(_ actions: [CitusAction], _ script: inout CitusScript, _ rows: [NodeRow]) -> [CitusAction] {
        var (waiting, updates): ([CitusAction], [CitusAction]) = (actions, [])
        while !waiting.isEmpty {
            switch waiting.removeFirst() {
            case .readRows(Self.app): waiting += script.rowsRead(rows)
            case .compareCopies: waiting += script.on(.copiesCompared(Self.app, [], askedAt: script.now))
            case let action: if case .update = action { updates.append(action) }
            }
        }
        return updates
    }

    @Test func `a standby is registered when it has been fit for a minute`() {
        var script = CitusScript.settled { $0.registersSecondaries = true }
        #expect(self.pass(&script, .seconds(55), rows: CitusScript.rows) == [])
        #expect(self.pass(&script, .seconds(10), rows: CitusScript.rows) == [Self.add])
        #expect(self.pass(&script, .seconds(30), rows: CitusScript.rows) == [], "one at a time")
        #expect(self.applied(&script, rows: Self.registered) == [])
        #expect(self.pass(&script, .seconds(300), rows: Self.registered) == [])
    }

    @Test func `an etcd that was rebuilt under the same number passes the fence for a secondary too`() {
        var script = CitusScript.settled { $0.registersSecondaries = true }
        script.answersReads = false
        #expect(
            self.pass(&script, .seconds(65), rows: CitusScript.rows).isEmpty,
            "what was read half a minute ago does not do")
        let begun = self.answer(
            script.groups(.read(script.snapshot(at: 12), sentAt: script.now)), &script, CitusScript.rows)
        #expect(begun == [Self.add])
        _ = self.answer(script.ended([1], .olderRevision(applied: 90), causedBy: 1), &script, CitusScript.rows)
        let again = self.answer(
            script.groups(.read(script.snapshot(at: 13), sentAt: script.now)), &script, CitusScript.rows)
        guard case .update(_, let updates)? = again.first else {
            Issue.record("\(again)")
            return
        }
        #expect(updates.map(\.authority.rebuiltFrom) == [90])
    }

    @Test func `it is removed when it has been unfit for as long as a detector takes`() {
        var script = CitusScript.settled(rows: Self.withThird) { $0.registersSecondaries = true }
        _ = script.changed(1, Self.member(isRunning: false))
        #expect(self.pass(&script, .seconds(145), rows: Self.withThird) == [])
        #expect(self.pass(&script, .seconds(10), rows: Self.withThird) == [Self.remove])
    }

    /// With `citus.use_secondary_nodes` every query that needs the group would fail without one.
    @Test func `the last secondary of a group stays, also if it is unfit, until there is another`() {
        var script = CitusScript.settled(rows: Self.registered) { $0.registersSecondaries = true }
        _ = script.changed(1, Self.member(isRunning: false))
        _ = script.on(.unusable([Self.a2]))
        #expect(self.pass(&script, .seconds(900), rows: Self.registered) == [])
        #expect(self.pass(&script, .seconds(30), rows: Self.withThird) == [Self.remove])
        // One of another node cluster is none that its queries could use.
        var follower = Self.third
        follower.isOfDefaultCluster = false
        var other = CitusScript.settled(rows: Self.registered + [follower]) { $0.registersSecondaries = true }
        _ = other.changed(1, Self.member(isRunning: false))
        #expect(self.pass(&other, .seconds(900), rows: Self.registered + [follower]) == [])
    }

    @Test func `while none of a group's secondaries is fit, none is removed`() {
        var script = CitusScript.settled(rows: Self.withThird) { $0.registersSecondaries = true }
        _ = script.changed(
            1, .member("a3", GroupMember(endpoint: Self.third.endpoint, isRunning: true, isPrimary: false)))
        _ = self.pass(&script, .seconds(10), rows: Self.withThird)
        _ = script.changed(1, Self.member(isRunning: false))
        _ = script.on(.unusable([Self.a2, Self.third.endpoint]))
        #expect(self.pass(&script, .seconds(900), rows: Self.withThird) == [], "which of them answers nobody can say")
        // One is fit again.
        #expect(
            script.on(.unusable([Self.a2])) + self.pass(&script, .seconds(30), rows: Self.withThird) == [Self.remove])
    }

    @Test func `what the failure detector holds failed is removed at once, and comes back when it is well`() {
        var script = CitusScript.settled(rows: Self.withThird) { $0.registersSecondaries = true }
        #expect(self.pass(&script, .seconds(60), rows: Self.withThird) == [], "Patroni says that it runs")
        let removal = script.on(.unusable([Self.a2])) + self.pass(&script, .seconds(15), rows: Self.withThird)
        #expect(removal == [Self.remove])
        #expect(self.applied(&script, rows: CitusScript.rows + [Self.third]) == [])
        #expect(
            self.pass(&script, .seconds(300), rows: CitusScript.rows + [Self.third]) == [],
            "it is not added while it is held failed")
        _ = script.on(.unusable([]))
        // One change within the hour: it must have been fit for twice as long.
        #expect(self.pass(&script, .seconds(100), rows: CitusScript.rows + [Self.third]) == [])
        #expect(self.pass(&script, .seconds(100), rows: CitusScript.rows + [Self.third]) == [Self.add])
    }

    /// Citus's own recipe for read replicas: secondaries that are no members of Patroni's, as a rule of another `nodecluster`.
    @Test func `a secondary that Patroni never spoke of is somebody else's, and so is one of another node cluster`() {
        let stray = NodeRow(id: 5, group: 2, endpoint: NodeEndpoint("b9", 1), role: .secondary, hasMetadata: false)
        var follower = Self.registered[3]
        follower.isOfDefaultCluster = false
        let rows = CitusScript.rows + [follower, stray]
        var script = CitusScript.settled(rows: rows) { $0.registersSecondaries = true }
        _ = script.changed(1, Self.member(isRunning: false))
        #expect(self.pass(&script, .seconds(600), rows: rows) == [])
    }

    @Test func `a secondary whose member Patroni has forgotten goes`() {
        var script = CitusScript.settled(rows: Self.withThird) { $0.registersSecondaries = true }
        _ = script.changed(1, .member("a2", nil))
        #expect(self.pass(&script, .seconds(160), rows: Self.withThird) == [Self.remove])
    }

    @Test func `a flapping standby is changed ever more seldom`() {
        var script = CitusScript.settled(rows: CitusScript.rows + [Self.third]) { $0.registersSecondaries = true }
        var rows = CitusScript.rows + [Self.third]
        var changes: [Duration] = []
        let begin = script.now
        // Three minutes up, three minutes down, for four hours.
        var isUp = true
        while script.now - begin < .seconds(4 * 3600) {
            let end = script.now + .seconds(180)
            while script.now < end {
                guard let update = self.pass(&script, .seconds(2), rows: rows).first else { continue }
                rows = update == Self.add ? Self.withThird : CitusScript.rows + [Self.third]
                changes.append(script.now - begin)
                #expect(self.applied(&script, rows: rows) == [])
            }
            isUp.toggle()
            _ = script.changed(1, Self.member(isRunning: isUp))
        }
        #expect((1...12).contains(changes.count), "of 40 states: \(changes.count)")
    }

    @Test(arguments: [2, 3]) func `nothing is registered while a worker is behind`(id: Int) {
        var rows = CitusScript.rows
        rows[id - 1].isSynchronized = false
        var script = CitusScript.settled(rows: rows) { $0.registersSecondaries = true }
        #expect(self.pass(&script, .seconds(120), rows: rows) == [])
        #expect(self.pass(&script, .seconds(20), rows: CitusScript.rows) == [Self.add])
    }

    @Test func `a refusal is told and tried again later, and a failover goes first`() {
        var script = CitusScript.settled { $0.registersSecondaries = true }
        #expect(self.pass(&script, .seconds(61), rows: CitusScript.rows) == [Self.add])
        _ = script.ended(1, .failed(reason: "a worker is down"))
        #expect(script.reports.count == 1)
        _ = script.leads(2, "b2")
        let b2 = NodeEndpoint("b2", 5432)
        let member = GroupMember(endpoint: b2, isRunning: true, isPrimary: false)
        #expect(script.changed(2, .member("b2", member)) == [.askWritable(b2)])
        _ = script.rowsRead()
        let moved = script.answered("b2", .primary)
        #expect(moved.contains { if case .update(_, let updates) = $0 { updates.map(\.group) == [2] } else { false } })
    }

    @Test func `without the setting, and in mode observe, secondaries are left alone`() {
        var ignoring = CitusScript.settled()
        #expect(self.pass(&ignoring, .seconds(300), rows: CitusScript.rows) == [])
        var observing = CitusScript.settled(.observe) { $0.registersSecondaries = true }
        #expect(self.pass(&observing, .seconds(300), rows: CitusScript.rows) == [])
    }
}
