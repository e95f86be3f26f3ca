// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

struct DetectorCoreTests {
    @Test func `every member is probed once an interval, spread over it`() {
        var script = DetectorScript(members: (1...50).map { "n\($0)" })
        var most = 0
        for _ in 0..<29 {
            let before = script.probes.values.reduce(0, +)
            script.pass(.seconds(1))
            most = max(most, script.probes.values.reduce(0, +) - before)
        }
        #expect(Set(script.probes.keys) == Set((1...50).map { "n\($0)" }))
        #expect(script.probes.values.allSatisfy { $0 == 1 })
        #expect(most <= 8, "\(most) probes within one second")
        script.pass(.seconds(290))
        #expect(script.probes.values.allSatisfy { $0 == 11 })
    }

    @Test func `a failure that another daemon seconds is a verdict within the window`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        #expect(script.verdict("n2") == .well)
        script.findings["n2"] = DetectorScript.dead
        script.change(.member("n2", nil), .noLeader)
        let failedAt = script.now
        script.pass(.seconds(100))
        script.second(.failed, .failed)
        while script.verdict("n2") != .nodeFailed, script.now - failedAt < .seconds(300) { script.pass(.seconds(1)) }
        #expect(script.now - failedAt <= .seconds(151))
        let told = script.reports.compactMap { report -> [Evidence]? in
            guard case .verdict(MemberID(0, "n2"), .nodeFailed, _, _, let evidence) = report else { return nil }
            return evidence
        }
        #expect(told.count == 1)
        #expect(told[0].contains(Evidence(aspect: .patroni, source: .own, state: .failed, reason: "no route")))
        #expect(
            told[0].contains(Evidence(aspect: .patroni, source: .peer(MemberID(0, "n3")), state: .failed, reason: nil)))
        #expect(told[0].contains(Evidence(aspect: .patroni, source: .etcd, state: .failed, reason: nil)))
    }

    @Test func `what only this daemon sees is no verdict`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.findings["n2"] = DetectorScript.dead
        script.second(.healthy, .healthy)
        script.pass(.seconds(3600))
        #expect(script.verdict("n2") == .suspected)
        #expect(script.published?.doubts[MemberID(0, "n2")] == .init(patroni: .failed, postgres: .failed))
    }

    @Test func `a leader whose PostgreSQL nobody can use while it holds its key is a gray failure`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.findings["n2"] = ProbeFindings(patroni: .answered, postgres: .failed("no answer within 5 s"))
        script.second(.healthy, .failed)
        script.pass(.seconds(150))
        #expect(script.verdict("n2") == .gray)
        script.findings["n2"] = nil
        script.second(.healthy, .healthy)
        script.pass(.seconds(60))
        #expect(script.verdict("n2") == .well)
    }

    /// Its conn_url cannot be read, its certificate is not trusted, its name is not known: that says nothing of it.
    @Test func `a leader that cannot be asked is no gray failure, however long, and what was seen before ages`() {
        let unasked = ProbeFindings(patroni: .unasked("certificate"), postgres: .unasked("no conn_url"))
        var script = DetectorScript(onGrayFailure: .switchover)
        script.pass(.seconds(60))
        script.findings["n2"] = unasked
        // Others hold it well, or cannot ask it either.
        script.pass(.seconds(3600))
        #expect(
            [.well, .unknown, .suspected].contains(script.verdict("n2")), "\(String(describing: script.verdict("n2")))")
        #expect(script.orders.isEmpty)
        #expect(script.published?.doubts[MemberID(0, "n2")] == .init(patroni: .unknown, postgres: .unknown))
        #expect(!script.core.isIsolated)
    }

    @Test func `a failure that was seen before does not stand for ever where nobody can look any more`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.findings["n3"] = DetectorScript.dead
        script.pass(.seconds(300))
        #expect(script.published?.doubts[MemberID(0, "n3")] == .init(patroni: .failed, postgres: .failed))
        script.findings["n3"] = ProbeFindings(patroni: .unasked("name"), postgres: .unasked("name"))
        script.pass(.seconds(600))
        #expect(script.published?.doubts[MemberID(0, "n3")] == .init(patroni: .unknown, postgres: .unknown))
    }

    @Test func `where all fail at once it is this node that is cut off, and nobody is accused`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.findings = ["n2": DetectorScript.dead, "n3": DetectorScript.dead]
        script.hasContact = false
        script.pass(.seconds(3600))
        #expect(script.core.isIsolated)
        #expect(script.reports.filter { if case .isolated = $0 { true } else { false } } == [.isolated(true)])
        #expect(script.published?.isIsolated == true)
        for report in script.reports {
            if case .verdict(_, let verdict, _, _, _) = report {
                #expect([.unknown, .well, .suspected].contains(verdict), "\(verdict)")
            }
        }
        #expect(script.core.health.multiplier > 0)
        script.findings = [:]
        script.hasContact = true
        script.pass(.seconds(120))
        #expect(!script.core.isIsolated && script.verdict("n2") == .well)
    }

    @Test func `that nobody answers is told when it lasts, and ends with the first who answers`() {
        var script = DetectorScript(.fast)
        script.pass(.seconds(60))
        func told() -> [DetectorReport] { script.reports.filter { if case .isolated = $0 { true } else { false } } }
        // Half of everything is lost for a while: now and then nobody answers.
        for step in 0..<40 {
            script.findings = step % 2 == 0 ? ["n2": DetectorScript.dead, "n3": DetectorScript.dead] : [:]
            script.pass(.seconds(2))
        }
        #expect(told() == [])
        script.findings = ["n2": DetectorScript.dead, "n3": DetectorScript.dead]
        script.pass(.seconds(5))
        #expect(script.core.isIsolated && script.published?.isIsolated == true && told() == [])
        script.pass(.seconds(15))
        #expect(told() == [.isolated(true)])
        script.findings = [:]
        script.pass(.seconds(3))
        #expect(!script.core.isIsolated && told() == [.isolated(true), .isolated(false)])
    }

    @Test func `who fails again soon is suppressed: the verdict is told all the same, until it is acknowledged`() {
        var script = DetectorScript(.fast)
        func fail() {
            script.findings["n2"] = ProbeFindings(patroni: .answered, postgres: .failed("timeout"))
            script.second(.healthy, .failed)
            script.pass(.seconds(20))
        }
        func recover() {
            script.findings["n2"] = nil
            script.second(.healthy, .healthy)
            script.pass(.seconds(20))
        }
        script.pass(.seconds(30))
        fail()
        recover()
        #expect(script.verdict("n2") == .well)
        script.reports = []
        fail()
        #expect(script.verdict("n2") == .gray)
        let n2 = MemberID(0, "n2")
        #expect(script.reports.contains(.suppressed(n2, .postgres, true)))
        #expect(script.core.targets[n2]?.postgresConsensus.state == .suppressed)
        script.on(.acknowledged(n2, at: 1))
        #expect(script.reports.contains(.suppressed(n2, .postgres, false)))
        #expect(script.core.targets[n2]?.postgresConsensus.state == .failed)
        recover()
        fail()
        #expect(script.core.targets[n2]?.postgresConsensus.state == .failed, "it begins anew")
        script.reports = []
        recover()
        fail()
        #expect(script.reports.contains(.suppressed(n2, .postgres, true)))
        // It stays well: after 33 to 42 minutes that is forgotten.
        recover()
        script.pass(.seconds(45 * 60))
        #expect(script.reports.contains(.suppressed(n2, .postgres, false)))
    }

    @Test func `what is acknowledged to one daemon counts for all, once`() {
        var script = DetectorScript(.fast)
        script.pass(.seconds(30))
        let (n2, n3) = (MemberID(0, "n2"), MemberID(0, "n3"))
        for _ in 0..<2 {
            script.findings["n2"] = ProbeFindings(patroni: .answered, postgres: .failed("timeout"))
            script.second(.healthy, .failed)
            script.pass(.seconds(20))
            script.findings["n2"] = nil
            script.second(.healthy, .healthy)
            script.pass(.seconds(20))
        }
        func isSuppressed() -> Bool { script.core.targets[n2]?.postgresConsensus.state == .suppressed }
        #expect(isSuppressed())
        script.on(.observed(n3, Observation(group: 0, acknowledged: [n2: 5])))
        #expect(!isSuppressed())
        script.on(.acknowledged(n2, at: 9))
        #expect(script.published?.acknowledged == [n2: 9])
    }

    @Test func `an observer that is cut off itself is no witness`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.findings["n2"] = DetectorScript.dead
        let doubt = Observation.Doubt(patroni: .failed, postgres: .failed)
        script.on(
            .observed(MemberID(0, "n3"), Observation(group: 0, doubts: [MemberID(0, "n2"): doubt], isIsolated: true)))
        script.pass(.seconds(600))
        #expect(script.verdict("n2") == .suspected)
    }

    @Test func `two primaries are told when both have said so since, and a switchover is not taken for that`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        // n3 leads; n2 was asked before and is asked again at once: it stands by.
        script.change(.leader("n3", since: 20))
        script.pass(.seconds(60))
        #expect(!script.reports.contains { if case .splitBrain = $0 { true } else { false } })
        script.findings["n2"] = ProbeFindings(patroni: .answered, postgres: .answered, isPrimary: true)
        script.pass(.seconds(60))
        let both = [MemberID(0, "n2"), MemberID(0, "n3")]
        #expect(
            script.reports.filter { if case .splitBrain = $0 { true } else { false } } == [.splitBrain(group: 0, both)])
        script.findings["n2"] = nil
        script.pass(.seconds(60))
        #expect(script.reports.last == .splitBrain(group: 0, []))
    }

    @Test func `what is published is news only`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        #expect(script.published == Observation(group: 0))
        script.published = nil
        script.pass(.seconds(600))
        #expect(script.published == nil)
    }

    @Test func `a member that etcd does not name for an hour is forgotten`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.change(.member("n3", nil))
        script.pass(.seconds(3500))
        #expect(script.verdict("n3") != nil)
        script.pass(.seconds(300))
        #expect(script.verdict("n3") == nil)
    }

    @Test func `all members dead is not the same as being cut off, where etcd has lost sight of them too`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.findings = ["n2": DetectorScript.dead, "n3": DetectorScript.dead]
        script.change(.member("n2", nil), .member("n3", nil), .noLeader)
        script.pass(.seconds(200))
        #expect(!script.core.isIsolated)
        // Patroni is seconded by etcd, PostgreSQL by nobody.
        #expect(script.verdict("n2") == .patroniFailed && script.verdict("n3") == .patroniFailed)
    }

    @Test func `what etcd said last counts no more when it does not answer`() {
        var script = DetectorScript()
        script.pass(.seconds(60))
        script.findings["n2"] = DetectorScript.dead
        script.change(.member("n2", nil), .noLeader)
        script.pass(.seconds(200))
        #expect(script.verdict("n2") == .patroniFailed)
        script.hasContact = false
        script.on(nil)
        #expect(script.evidence(.patroni, of: MemberID(0, "n2")).map(\.source) == [.own])
    }

    @Test func `after a freeze every member keeps its share of the interval`() {
        var script = DetectorScript(members: (1...50).map { "n\($0)" })
        script.pass(.seconds(60))
        // The process does not run for ten minutes.
        script.now = script.now + .seconds(600)
        script.on(nil)
        script.probes = [:]
        script.pass(.seconds(1))
        #expect(script.probes.values.reduce(0, +) <= 8)
        script.pass(.seconds(28))
        #expect(script.probes.count >= 48 && script.probes.values.allSatisfy { $0 == 1 })
    }

    @Test func `a member that cannot use its own PostgreSQL is a witness against itself, never for itself`() {
        var script = DetectorScript(members: ["n1", "n2"])
        script.pass(.seconds(60))
        let frozen = ProbeFindings(patroni: .answered, postgres: .failed("timeout"))
        script.findings["n2"] = frozen
        let n2 = MemberID(0, "n2")
        script.on(.observed(n2, Observation(group: 0)))
        script.pass(.seconds(600))
        #expect(script.verdict("n2") == .suspected)
        #expect(!script.evidence(.postgres, of: n2).contains { $0.state == .healthy })
        let doubt = Observation.Doubt(patroni: .healthy, postgres: .failed)
        script.on(.observed(n2, Observation(group: 0, doubts: [n2: doubt])))
        #expect(script.verdict("n2") == .gray)
        // And so are we: others read it in what we publish.
        script.findings = ["n1": frozen]
        script.pass(.seconds(200))
        let n1 = MemberID(0, "n1")
        #expect(script.published?.doubts[n1] == .init(patroni: .healthy, postgres: .failed))
        #expect(!script.core.isIsolated && script.core.darkCount == 0)
    }

    @Test func `an observer that watches another group says nothing of this one`() {
        var script = DetectorScript()
        script.on(.observed(MemberID(1, "n3"), Observation(group: 1)))
        script.on(.observed(MemberID(0, "n3"), Observation(group: 0)))
        script.on(.observed(MemberID(2, "n3"), Observation(group: nil)))
        let sources = script.evidence(.postgres, of: MemberID(0, "n2")).map(\.source)
        #expect(sources == [.own, .etcd, .peer(MemberID(2, "n3")), .peer(MemberID(0, "n3"))])
    }

    /// Where nobody answers, each probe lasts as long as it may.
    @Test(arguments: [DetectorProfile.hyperscale, .fast])
    func `however many members are silent, only so many are probed at once, and all in turn`(_ profile: DetectorProfile)
    {
        let start = Instant(sinceBoot: .seconds(1000))
        let names = (1...600).map { "n\($0)" }
        let settings = DetectorSettings(profile, seed: 1, onGrayFailure: .alert)
        var core = DetectorCore(settings, member: "n1", at: start)
        var view = GroupsView(GroupsSchedule(settings), at: start)
        var underWay: [(id: MemberID, since: Instant)] = []
        var counts: [MemberID: Int] = [:]
        var (most, now) = (0, start)
        func handle(_ event: DetectorEvent?, _ news: GroupsNews? = nil) {
            var (actions, reports): ([DetectorAction], [DetectorReport]) = ([], [])
            core.handle(
                event, view, news, hasContact: true, awakeSince: start, at: now, into: &actions, &reports)
            for case .probe(let id, _, _, _) in actions {
                underWay.append((id, now))
                counts[id, default: 0] += 1
            }
            most = max(most, underWay.count)
        }
        let facts = names.map { GroupChange(0, .member($0, DetectorScript.member($0))) }
        let read = GroupsEvent.read(GroupsSnapshot(clusterID: 7, revision: 10, facts: facts), sentAt: now)
        handle(nil, view.learn(read, at: now))
        while now - start < .seconds(120) {
            #expect(core.wakeAt > now, "it wants to be woken at once, again and again")
            let ended = underWay.first.map { $0.since + profile.timeout } ?? .distantFuture
            now = max(now, min(core.wakeAt, ended))
            if ended <= now {
                let (id, since) = underWay.removeFirst()
                handle(.probed(id, DetectorScript.dead, askedAt: since))
            } else {
                handle(nil)
            }
        }
        #expect(most <= DetectorCore.probeLimit)
        // 128 at once, a second each, are a round in five seconds; with the longer interval everybody keeps to it.
        let least = profile == .fast ? 20 : 3
        #expect(counts.count == 600 && counts.values.allSatisfy { $0 >= least }, "\(counts.values.min() ?? 0)")
    }

    @Test func `a member that could not be asked has not failed, and is asked again at its next turn`() {
        let start = Instant(sinceBoot: .seconds(1000))
        let settings = DetectorSettings(.hyperscale, seed: 1, onGrayFailure: .alert)
        var core = DetectorCore(settings, member: "n1", at: start)
        var view = GroupsView(GroupsSchedule(settings), at: start)
        var now = start
        var probes: [MemberID: Int] = [:]
        func handle(_ event: DetectorEvent?, _ news: GroupsNews? = nil) {
            var (events, news) = ([event], news)
            while !events.isEmpty {
                var (actions, reports): ([DetectorAction], [DetectorReport]) = ([], [])
                core.handle(
                    events.removeFirst(), view, news.take(), hasContact: true, awakeSince: start, at: now,
                    into: &actions, &reports)
                for case .probe(let id, _, _, _) in actions {
                    probes[id, default: 0] += 1
                    events.append(.notProbed(id))
                }
            }
        }
        let facts = ["n1", "n2", "n3"].map { GroupChange(0, .member($0, DetectorScript.member($0))) }
        let read = GroupsEvent.read(GroupsSnapshot(clusterID: 7, revision: 10, facts: facts), sentAt: now)
        handle(nil, view.learn(read, at: now))
        while now - start < .seconds(600) {
            now = max(now, core.wakeAt)
            handle(nil)
        }
        #expect(probes.values.allSatisfy { $0 >= 19 } && core.probes.count == 0)
        for (id, target) in core.targets {
            #expect(target.patroni.state == .unknown && target.postgres.state == .unknown, "\(id)")
            // What etcd shows of it still counts.
            #expect([.unknown, .well].contains(target.verdict), "\(id) \(target.verdict)")
        }
        #expect(core.health.scale > 1)
    }
}
