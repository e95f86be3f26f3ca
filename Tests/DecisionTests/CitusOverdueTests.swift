// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What the coordinator's databases were asked for, and never answer.
struct CitusOverdueTests {
    private static let app = CitusScript.database
    private static let a2 = NodeEndpoint("a2", 5432)
    /// Of an update that changes one row.
    private static let limit = AnswerLimits().update + AnswerLimits.change
    private static let read = CitusAction.readRows(app)

    private static func isChange(_ action: CitusAction) -> Bool {
        switch action {
        case .update, .commitHold: true
        default: false  // Asks only.
        }
    }

    /// a2 leads group 1, and its update has begun.
    private static func updating() -> CitusScript {
        var script = CitusScript.settled()
        _ = script.leads(1, "a2")
        #expect(script.answered("a2", .primary).contains(where: Self.isChange))
        return script
    }

    private static var moved: [NodeRow] {
        var rows = CitusScript.rows
        rows[1].endpoint = self.a2
        return rows
    }

    @Test func `an update that is never answered is given up, and the rows are read before anything is changed`() {
        var script = Self.updating()
        #expect(script.pass(Self.limit - .seconds(1)) == [], "nothing is read or changed meanwhile")
        let actions = script.pass(.seconds(2))
        #expect(actions == [Self.read])
        let told = script.reports.filter { if case .unanswered = $0 { true } else { false } }
        #expect(told == [.unanswered(.update(Self.app, groups: [1]), after: Self.limit)])
        #expect(script.missed == [.update(Self.app, groups: [1])])
        #expect(!script.pass(.seconds(5)).contains(where: Self.isChange))
        #expect(script.missed == [.update(Self.app, groups: [1])])
        // It has changed nothing: once more.
        #expect(script.rowsRead().contains(where: Self.isChange))
        #expect(script.missed == [], "what came of it is known")
    }

    @Test func `an update that was given up, and has changed the rows all the same, is not repeated`() {
        var script = Self.updating()
        _ = script.pass(Self.limit + .seconds(1))
        script.answeredRows = Self.moved
        _ = script.rowsRead(Self.moved)
        #expect(!script.pass(.seconds(60)).contains(where: Self.isChange))
        #expect(script.core.citusStatus?.databases.first?.drifts == [])
    }

    @Test func `rows that were asked for before it was given up do not count`() {
        var script = Self.updating()
        let before = script.now
        _ = script.pass(Self.limit + .seconds(1))
        #expect(script.on(.rowsRead(Self.app, CitusScript.rows, askedAt: before)) == [Self.read])
        #expect(script.missed.contains(.update(Self.app, groups: [1])))
        #expect(script.rowsRead().contains(where: Self.isChange))
    }

    @Test func `the answer to one that was given up is not taken for that of the next`() {
        var script = Self.updating()
        let first = script.now
        _ = script.pass(Self.limit + .seconds(1))
        #expect(script.rowsRead().contains(where: Self.isChange))
        #expect(script.ended(1, .applied, askedAt: first) == [] && script.reports == [])
        // The second is still under way: there is no third.
        #expect(!script.pass(.seconds(60)).contains { $0 == Self.read || Self.isChange($0) })
        #expect(script.ended(1, .applied) == [Self.read] && script.reports.count == 1)
    }

    @Test func `one whose outcome is not known is decided by rows that are read afterwards`() {
        var script = Self.updating()
        let before = script.now
        #expect(script.ended(1, .unknown(reason: "lost")) == [Self.read])
        #expect(script.on(.rowsRead(Self.app, CitusScript.rows, askedAt: before + .milliseconds(-1))) == [Self.read])
        script.answeredRows = Self.moved
        _ = script.rowsRead(Self.moved)
        #expect(!script.pass(.seconds(30)).contains(where: Self.isChange))
    }

    @Test func `where the rows cannot be read either, nothing is changed`() {
        var script = Self.updating()
        _ = script.pass(Self.limit + .seconds(1))
        for _ in 0..<20 {
            #expect(!script.on(.rowsUnread(Self.app, reason: "busy")).contains(where: Self.isChange))
            #expect(!script.pass(.seconds(2)).contains(where: Self.isChange))
        }
    }

    @Test func `writes that are held with an update that is never answered are held no more`() {
        var script = CitusScript.settled()
        _ = script.changed(1, .requested(.from("a1")))
        _ = script.on(.held(Self.app, group: 1, blocksOthers: false))
        _ = script.leads(1, "a2")
        #expect(script.answered("a2", .primary).contains(where: Self.isChange))
        let actions = script.pass(Self.limit + .seconds(1))
        #expect(actions == [Self.read] && script.core.citusStatus?.databases.first?.heldGroup == nil)
        guard case .update? = script.rowsRead().first(where: Self.isChange) else {
            Issue.record("there is no other update")
            return
        }
    }

    @Test func `a secondary's change that is never answered waits for the rows too`() {
        var script = CitusScript.settled { $0.registersSecondaries = true }
        script.answeredRows = CitusScript.rows
        #expect(script.pass(.seconds(70)).contains(where: Self.isChange))
        script.answeredRows = nil
        #expect(script.pass(Self.limit + .seconds(1)) == [Self.read])
        #expect(script.rowsRead().contains(where: Self.isChange))
    }

    @Test func `a daemon that stood still does not give an update up for that`() {
        var script = Self.updating()
        _ = script.on(nil, after: Self.limit + .seconds(60))
        #expect(script.reports == [] && script.missed == [])
        _ = script.ended(1, .applied)
        #expect(script.reports.count == 1)
    }

    @Test func `the comparison of copies that was given up says nothing of a later change`() {
        var script = Self.updating()
        #expect(script.ended(1, .applied) == [Self.read])
        let first = script.now
        #expect(script.rowsRead(Self.moved).contains { if case .compareCopies = $0 { true } else { false } })
        script.answeredRows = Self.moved
        let again = script.pass(AnswerLimits.copies + .seconds(15), step: .seconds(1))
        #expect(again.contains { if case .compareCopies = $0 { true } else { false } })
        let same = [CopyFinding(Self.a2, .same)]
        _ = script.on(.copiesCompared(Self.app, same, askedAt: first))
        #expect(script.reports == [])
        _ = script.on(.copiesCompared(Self.app, same, askedAt: script.now))
        #expect(script.reports.count == 1)
    }

    // MARK: - What is missed

    @Test func `a comparison of copies that is never answered is missed until one is, and told once`() {
        var script = Self.updating()
        _ = script.ended(1, .applied)
        let first = script.now
        _ = script.rowsRead(Self.moved)
        script.answeredRows = Self.moved
        _ = script.pass(AnswerLimits.copies * 3, step: .seconds(1))
        let told = script.reports.count { if case .unanswered(.copies, _) = $0 { true } else { false } }
        #expect(told == 1 && script.missed == [.copies(Self.app)])
        _ = script.on(.copiesCompared(Self.app, [CopyFinding(Self.a2, .same)], askedAt: first))
        #expect(script.missed == [], "late, and heard all the same")
    }

    @Test func `a hold that is never answered is missed until anything is heard of one`() {
        for answer in [
            CitusEvent.holdEnded(Self.app, group: 1, reason: "over"), .held(Self.app, group: 1, blocksOthers: false),
        ] {
            var script = CitusScript.settled()
            let begun = script.changed(1, .requested(.from("a1")))
            #expect(begun.contains { if case .hold = $0 { true } else { false } })
            script.answeredRows = CitusScript.rows
            _ = script.pass(CitusDatabase.holdLimit + AnswerLimits.hold - .seconds(1), step: .milliseconds(500))
            #expect(script.missed == [])
            _ = script.pass(.seconds(2))
            #expect(script.missed == [.hold(Self.app, group: 1)])
            #expect(script.core.citusStatus?.databases.first?.heldGroup == nil)
            _ = script.on(answer)
            #expect(script.missed == [])
        }
    }

    @Test func `a leader or another coordinator that owes an answer is missed while it is asked`() {
        var script = CitusScript.settled()
        script.answeredRows = CitusScript.rows
        _ = script.leads(1, "a2")
        _ = script.pass(AnswerLimits.writable + .seconds(1))
        #expect(script.missed == [.writable(Self.a2)])
        _ = script.answered("a2", .standby)
        #expect(script.missed == [])
        _ = script.pass(AnswerLimits.writable + .seconds(1))
        #expect(script.missed == [.writable(Self.a2)])
        // It leads no more: nobody waits for it.
        _ = script.leads(1, "a1")
        _ = script.pass(.seconds(1))
        #expect(script.missed == [])
        let c2 = NodeEndpoint("c2", 5432)
        _ = script.changed(0, .member("c2", CitusScript.standby("c2")))
        _ = script.pass(AnswerLimits.writable + .seconds(1))
        #expect(script.missed == [.writable(c2)])
        _ = script.answered("c2", .standby)
        #expect(script.missed == [])
    }
}
