// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What is done about a leader that cannot be used: n2 leads, n1 (us) and n3 stand by.
struct GrayResponseTests {
    private static let n2 = MemberID(0, "n2")
    private static let gray = ProbeFindings(patroni: .answered, postgres: .failed("timeout"))
    private static let order = SwitchoverOrder(leader: n2, since: 3, candidate: MemberID(0, "n1"))

    private static func standby(_ position: Int64) -> ProbeFindings {
        ProbeFindings(patroni: .answered, postgres: .answered, isPrimary: false, position: position)
    }

    /// All is well for a minute; n1 is a little ahead of n3.
    private static func script(
        _ policy: GrayPolicy = .switchover, members: [String] = ["n1", "n2", "n3"], profile: DetectorProfile = .fast
    ) -> DetectorScript {
        var script = DetectorScript(profile, members: members, onGrayFailure: policy)
        script.findings = [
            "n1": Self.standby(1000), "n3": Self.standby(900),
            "n2": ProbeFindings(patroni: .answered, postgres: .answered, isPrimary: true, position: 1000),
        ]
        script.second(.healthy, .healthy)
        script.on(.observed(Self.n2, Observation(group: 0)))
        script.pass(.seconds(60))
        return script
    }

    /// n2 cannot be used, and n3 says so too.
    private static func fail(_ script: inout DetectorScript) {
        script.findings["n2"] = Self.gray
        script.second(.healthy, .failed)
        script.pass(.seconds(20))
    }

    private static func obstacles(_ script: DetectorScript) -> [SwitchoverRule] {
        script.reports.compactMap { if case .notSwitchingOver(_, let obstacle) = $0 { obstacle.rule } else { nil } }
    }

    @Test func `a corroborated gray failure is switched over from, once, to the standby that has come furthest`() {
        var script = Self.script()
        Self.fail(&script)
        #expect(script.orders == [Self.order])
        #expect(script.reports.contains(.switchingOver(Self.order)))
        script.on(.switchoverEnded(Self.order, .refused("no")))
        script.pass(.seconds(300))
        #expect(script.orders.count == 1, "what has failed is not repeated blindly")
        #expect(script.decision == .forbidden(SwitchoverObstacle(.tried, detail: "refused(\"no\")")))
        script.on(.acknowledged(Self.n2, at: 1))
        #expect(script.orders.count == 2, "an operator permits another attempt")
    }

    @Test func `an attempt that did not come as far as Patroni is repeated, after ever longer pauses`() {
        var script = Self.script()
        Self.fail(&script)
        var pauses: [Duration] = []
        for attempt in 1...7 {
            #expect(script.orders.count == attempt)
            script.on(.switchoverEnded(Self.order, .forestalled("etcd: timed out")))
            #expect(script.reports.contains(.switchoverEnded(Self.order, .forestalled("etcd: timed out"))))
            guard case .forbidden(let obstacle) = script.decision, obstacle.rule == .putOff else {
                Issue.record("\(script.decision)")
                return
            }
            let ended = script.now
            while script.orders.count == attempt, script.now - ended < .seconds(600) { script.pass(.seconds(1)) }
            pauses.append(script.now - ended)
        }
        #expect(pauses.map { $0 >= .seconds(10) && $0 < .seconds(302) } == Array(repeating: true, count: 7))
        #expect(pauses == pauses.sorted() && pauses[6] > pauses[0] * 10)
    }

    @Test func `an operator's word for one member permits nothing for another`() {
        var script = Self.script()
        Self.fail(&script)
        script.on(.switchoverEnded(Self.order, .refused("no")))
        script.on(.acknowledged(MemberID(0, "n3"), at: 1))
        script.pass(.seconds(60))
        #expect(script.orders.count == 1)
        script.on(.acknowledged(Self.n2, at: 2))
        #expect(script.orders.count == 2)
    }

    @Test func `another leadership is another matter`() {
        var script = Self.script()
        Self.fail(&script)
        script.on(.switchoverEnded(Self.order, .unanswered("timeout")))
        script.change(.leader("n2", since: 77))
        script.pass(.seconds(5))
        #expect(script.orders.map(\.since) == [3, 77])
    }

    /// Each rule alone, in a situation in which nothing else forbids it.
    @Test(arguments: SwitchoverRule.allCases) func `each rule forbids it`(rule: SwitchoverRule) {
        var script = Self.script(
            rule == .alertOnly ? .alert : .switchover, profile: rule == .notSeenHere ? .hyperscale : .fast)
        switch rule {
        case .noGrayFailure:
            script.findings["n2"] = Self.gray
            script.pass(.seconds(20))
            #expect(script.verdict("n2") == .suspected, "nobody seconds it")
        case .alertOnly: Self.fail(&script)
        case .noContact:
            script.hasContact = false
            Self.fail(&script)
        case .noAnswers:
            script.findings = ["n2": DetectorScript.dead, "n3": DetectorScript.dead]
            script.pass(.seconds(20))
            #expect(script.core.isIsolated)
        case .ourselves:
            script.change(.leader("n1", since: 30))
            script.findings["n1"] = Self.gray
            let doubt = Observation.Doubt(patroni: .healthy, postgres: .failed)
            for observer in ["n2", "n3"] {
                script.on(
                    .observed(
                        MemberID(0, observer), Observation(group: 0, doubts: [MemberID(0, "n1"): doubt])))
            }
            script.pass(.seconds(20))
            #expect(script.verdict("n1") == .gray)
        case .notSeenHere:
            script.second(.healthy, .failed)
            let itself = Observation.Doubt(patroni: .healthy, postgres: .failed)
            script.on(.observed(Self.n2, Observation(group: 0, doubts: [Self.n2: itself])))
            script.pass(.seconds(20))
            #expect(script.verdict("n2") == .gray)
        case .notSeconded:
            script.isPaused = true
            Self.fail(&script)
            // n3's daemon ends.
            script.on(.observed(MemberID(0, "n3"), nil))
            script.isPaused = false
            script.pass(.seconds(2))
        case .paused:
            script.isPaused = true
            Self.fail(&script)
        case .reactionsPaused:
            script.on(.reactionsPaused(group: 0, Self.pause(of: .seconds(3600), script)))
            Self.fail(&script)
        case .suppressed:
            script.isPaused = true
            Self.fail(&script)
            script.findings["n2"] = nil
            script.second(.healthy, .healthy)
            script.pass(.seconds(30))
            Self.fail(&script)
            script.isPaused = false
            script.pass(.seconds(2))
        case .operatorActs:
            script.change(.requested(.from("n2")))
            Self.fail(&script)
        case .underWay:
            script.on(.switchoverClaimed(group: 0, by: "n3"))
            Self.fail(&script)
        case .tried:
            Self.fail(&script)
            script.on(.switchoverEnded(Self.order, .refused("no")))
        case .putOff:
            Self.fail(&script)
            script.on(.switchoverEnded(Self.order, .forestalled("etcd: timed out")))
        case .follows:
            // n3 led before, and could not be used either.
            script.change(.leader("n3", since: 2))
            script.findings["n3"] = Self.gray
            let doubt = Observation.Doubt(patroni: .healthy, postgres: .failed)
            script.on(.observed(Self.n2, Observation(group: 0, doubts: [MemberID(0, "n3"): doubt])))
            script.isPaused = true
            script.pass(.seconds(20))
            #expect(script.verdict("n3") == .gray)
            script.findings["n3"] = nil
            script.on(.observed(Self.n2, Observation(group: 0)))
            script.isPaused = false
            script.change(.leader("n2", since: 3))
            script.pass(.seconds(60))
            Self.fail(&script)
        case .outOfConnections:
            script.findings["n2"] = Self.gray
            script.findings["n2"]?.isOutOfConnections = true
            script.second(.healthy, .failed)
            script.pass(.seconds(20))
        case .noCandidate:
            script.findings["n1"] = Self.standby(1000 - script.core.settings.lagLimit - 1)
            script.change(
                .member(
                    "n3",
                    GroupMember(
                        endpoint: NodeEndpoint("n3", 5432), isRunning: true, isPrimary: false, mayLead: false, api: "x")
                ))
            Self.fail(&script)
        }
        guard case .forbidden(let obstacle) = script.decision else {
            Issue.record("nothing forbids it")
            return
        }
        // Without contact or answers there is no such verdict either, which is the first rule.
        let first: [SwitchoverRule: SwitchoverRule] = [.noContact: .noGrayFailure, .noAnswers: .noGrayFailure]
        #expect(obstacle.rule == first[rule] ?? rule, "\(obstacle)")
        #expect(script.orders.count == ([.tried, .putOff].contains(rule) ? 1 : 0))
        let isTold = ![.noGrayFailure, .noContact, .noAnswers, .underWay, .tried, .putOff].contains(rule)
        #expect(Self.obstacles(script).contains(rule) == isTold)
        #expect(Self.obstacles(script).count { $0 == rule } <= 1, "said once")
    }

    @Test func `a node that has stood still acts on what it sees from then on`() {
        var script = Self.script()
        script.isPaused = true
        Self.fail(&script)
        #expect(script.verdict("n2") == .gray)
        // Frozen for ten minutes; n2 has recovered meanwhile, n3's word that it has is not read yet.
        script.now = script.now + .seconds(600)
        script.isPaused = false
        script.findings["n2"] = nil
        script.on(nil)
        #expect(script.orders.isEmpty && Self.obstacles(script).contains(.notSeenHere))
        #expect(script.published?.doubts[Self.n2] == nil, "it answers: what was found before is not published again")
        script.findings["n2"] = Self.gray
        script.pass(.seconds(1))
        #expect(script.orders.isEmpty)
        script.pass(.seconds(30))
        #expect(script.orders == [Self.order])
    }

    private static func pause(of span: Duration, _ script: DetectorScript, by name: String = "ann") -> ReactionPause {
        ReactionPause(by: name, reason: "work", endsAt: 7, until: script.now + span)
    }

    private static func told(_ script: DetectorScript) -> [String] {
        script.reports.compactMap { report in
            guard case .reactionsPaused(let pause, let before) = report else { return nil }
            return "\(before?.by ?? "-") -> \(pause?.by ?? "-")"
        }
    }

    @Test func `a pause of reactions ends by itself, and then what is the matter is acted on`() {
        var script = Self.script()
        script.on(.reactionsPaused(group: 0, Self.pause(of: .seconds(120), script)))
        Self.fail(&script)
        #expect(script.verdict("n2") == .gray && script.status.pause?.by == "ann", "verdicts go on")
        guard case .forbidden(let obstacle) = script.decision else {
            Issue.record("nothing forbids it")
            return
        }
        #expect(obstacle == SwitchoverObstacle(.reactionsPaused, detail: "by ann: work"))
        script.pass(.seconds(99))
        #expect(script.orders.isEmpty)
        script.pass(.seconds(2))
        #expect(script.orders == [Self.order] && script.status.pause == nil)
        #expect(Self.told(script) == ["- -> ann", "ann -> -"])
    }

    @Test func `a pause of reactions is told once, however often its key is read, and ends with its key`() {
        var script = Self.script()
        script.on(.reactionsPaused(group: 0, Self.pause(of: .seconds(3600), script)))
        script.pass(.seconds(5))
        script.on(.pausesRead([0: Self.pause(of: .seconds(3595), script)]))
        #expect(Self.told(script) == ["- -> ann"])
        // Of two the one that ends last; another group's counts too.
        script.on(.reactionsPaused(group: 3, Self.pause(of: .seconds(7200), script, by: "bob")))
        #expect(script.status.pause?.by == "bob")
        Self.fail(&script)
        script.on(.reactionsPaused(group: 3, nil))
        #expect(script.status.pause?.by == "ann" && script.orders.isEmpty)
        script.on(.pausesRead([:]))
        #expect(script.orders == [Self.order])
        #expect(Self.told(script) == ["- -> ann", "ann -> bob", "bob -> ann", "ann -> -"])
    }

    @Test func `a claim that was made for a person says so`() {
        var script = Self.script()
        script.on(.switchoverClaimed(group: 0, by: "n3", person: "ann"))
        Self.fail(&script)
        guard case .forbidden(let obstacle) = script.decision else {
            Issue.record("nothing forbids it")
            return
        }
        #expect(obstacle == SwitchoverObstacle(.underWay, detail: "asked for by the daemon of n3, for ann"))
    }

    @Test func `a claim that ends lets another daemon try`() {
        var script = Self.script()
        script.on(.claimsRead([0: "n3"]))
        Self.fail(&script)
        #expect(script.orders.isEmpty)
        script.on(.switchoverClaimed(group: 0, by: nil))
        #expect(script.orders == [Self.order])
    }

    @Test func `a candidate is fit when most reach it, it is not far behind, and it may lead`() {
        var script = Self.script()
        // The leader that cannot be used reaches nobody either: that is no reason against us.
        let doubt = Observation.Doubt(patroni: .suspect, postgres: .suspect)
        let (n1, n3) = (MemberID(0, "n1"), MemberID(0, "n3"))
        script.on(.observed(Self.n2, Observation(group: 0, doubts: [n1: doubt, n3: doubt])))
        #expect(script.candidates(after: Self.n2).fit == [n1, n3])
        // That n3's daemon does not reach us is one.
        script.on(.observed(n3, Observation(group: 0, doubts: [n1: doubt])))
        let (fit, unfit) = script.candidates(after: Self.n2)
        #expect(fit == [MemberID(0, "n3")] && unfit[MemberID(0, "n1")] != nil)
        script.findings["n3"] = Self.standby(1000 - script.core.settings.lagLimit - 1)
        script.pass(.seconds(3))
        #expect(script.candidates(after: Self.n2).unfit[MemberID(0, "n3")]?.hasSuffix("bytes behind") == true)
    }

    @Test func `where replication is synchronous only a synchronous standby is asked for`() {
        var script = Self.script()
        script.change(.synchronous(["n3"]))
        let (fit, unfit) = script.candidates(after: Self.n2)
        #expect(fit == [MemberID(0, "n3")] && unfit == [MemberID(0, "n1"): "not synchronous"])
        script.change(.synchronous([]))
        #expect(script.candidates(after: Self.n2).fit.isEmpty)
        script.change(.synchronous(nil))
        #expect(script.candidates(after: Self.n2).fit.count == 2)
    }

    @Test func `of two nodes the other one acts, on the leader's own word against itself`() {
        var script = Self.script(members: ["n1", "n2"])
        script.on(.observed(MemberID(0, "n3"), nil))
        script.findings["n2"] = Self.gray
        script.pass(.seconds(20))
        #expect(script.orders.isEmpty, "alone we do nothing")
        let doubt = Observation.Doubt(patroni: .healthy, postgres: .failed)
        script.on(.observed(Self.n2, Observation(group: 0, doubts: [Self.n2: doubt])))
        #expect(script.orders == [Self.order])
    }
}
