// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What is asked for and never answered.
struct QuestionTests {
    private let start = Instant(sinceBoot: .seconds(100))

    // MARK: - The value

    @Test func `a question is given up at its limit, and due again after a pause`() {
        var question = Question(due: self.start)
        #expect(question.isDue(at: self.start) && !question.isDue(at: self.start - .milliseconds(1)))
        question.ask(at: self.start, next: self.start + .seconds(5))
        #expect(question.isUnderWay && !question.isDue(at: self.start + .seconds(60)))
        #expect(question.wakeAt(limit: .seconds(10), awakeSince: self.start) == self.start + .seconds(10))
        let early = self.start + .milliseconds(9999)
        #expect(self.giveUp(&question, at: early) == nil)
        let silence = self.giveUp(&question, at: self.start + .seconds(10))
        #expect(silence?.length == .seconds(10) && silence?.isFirst == true)
        #expect(question.silentSince == self.start && question.due == self.start + .seconds(11))
        #expect(self.giveUp(&question, at: self.start + .seconds(30)) == nil)
    }

    @Test func `of several that are given up in a row the first is news, until one is answered`() {
        var question = Question(due: self.start)
        for (round, isFirst) in [true, false, false].enumerated() {
            let at = self.start + .seconds(20 * round)
            question.ask(at: at, next: at)
            #expect(self.giveUp(&question, at: at + .seconds(10))?.isFirst == isFirst)
            #expect(question.silentSince == self.start)
        }
        // Late, and of one that was given up: what is asked for comes back.
        #expect(!question.answered(self.start) && question.silentSince == nil)
        question.ask(at: self.start + .seconds(80), next: self.start + .seconds(80))
        #expect(self.giveUp(&question, at: self.start + .seconds(90))?.isFirst == true)
    }

    @Test func `the answer to one that was given up does not pass for that of the one under way`() {
        var question = Question(due: self.start)
        question.ask(at: self.start + .seconds(20), next: self.start + .seconds(25))
        #expect(!question.answered(self.start + .seconds(19)) && question.isUnderWay)
        #expect(question.answered(self.start + .seconds(20)) && !question.isUnderWay)
        #expect(question.due == self.start + .seconds(25))
    }

    @Test func `by the time for which the daemon stood still nothing is overdue`() {
        var question = Question(due: self.start)
        question.ask(at: self.start, next: self.start)
        let awake = self.start + .seconds(60)
        #expect(self.giveUp(&question, at: awake, awakeSince: awake) == nil)
        #expect(question.wakeAt(limit: .seconds(10), awakeSince: awake) == awake + .seconds(10))
        #expect(self.giveUp(&question, at: awake + .seconds(10), awakeSince: awake) != nil)
    }

    private func giveUp(_ question: inout Question, at now: Instant, awakeSince: Instant? = nil) -> Silence? {
        question.giveUp(
            after: .seconds(10), at: now, awakeSince: awakeSince ?? self.start, next: now + .seconds(1))
    }

    // MARK: - The core's own

    /// A core whose shell answers all but what `isLost` names.
    private func lives(
        _ script: Script = .holding(), for span: Duration, without isLost: @escaping (Action) -> Bool
    ) -> (script: Script, asked: [Action], reports: [Report]) {
        var (script, asked, reports): (Script, [Action], [Report]) = (script, [], [])
        let end = script.now + span
        while script.now + script.wakesIn <= end {
            var actions = script.wake()
            reports += script.reports
            while !actions.isEmpty {
                let action = actions.removeFirst()
                asked.append(action)
                if !isLost(action), let event = script.answer(to: action) {
                    actions += script.on(event)
                    reports += script.reports
                }
            }
        }
        return (script, asked, reports)
    }

    private static func unanswered(_ reports: [Report]) -> [Asked] {
        reports.compactMap { if case .unanswered(let asked, _) = $0 { asked } else { nil } }
    }

    @Test func `a shell that answers everything is never told to be silent`() {
        let (script, asked, reports) = self.lives(for: .seconds(300)) { _ in false }
        #expect(asked.count { $0 == .read } > 50 && script.core.hasContact && script.status?.isHere == true)
        #expect(Self.unanswered(reports) == [] && script.core.unanswered == [])
    }

    @Test func `a read that is never answered is told once, asked again, and contact is lost by its age`() {
        let (script, asked, reports) = self.lives(for: .seconds(60)) { $0 == .read }
        #expect((3...6).contains(asked.count { $0 == .read }))
        #expect(Self.unanswered(reports) == [.read])
        #expect(!script.core.hasContact && script.core.unanswered.map(\.asked) == [.read])
        // Two periods of 5 s, and 5 s for a request, at most.
        let lost = reports.compactMap { if case .contactLost(_, let age) = $0 { age } else { nil } }
        #expect(lost.count == 1 && lost.allSatisfy { $0 > .seconds(5) && $0 <= .seconds(15) }, "\(lost)")
        let (again, _, restored) = self.lives(script, for: .seconds(15)) { _ in false }
        #expect(again.core.hasContact && again.core.unanswered == [])
        #expect(restored.contains { if case .contactRestored = $0 { true } else { false } })
    }

    @Test func `contact ages also where nothing is overdue yet`() {
        var n1 = Script.holding()
        // Answered after 8 s: the next was asked for then, and is overdue after 10 s.
        while !n1.wake().contains(.read) {}
        let read = n1.now
        for _ in 0..<10 { _ = n1.on(.tick, after: .milliseconds(800)) }
        let answer = Event.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: read)
        #expect(n1.on(answer, after: .zero).contains(.read))
        for _ in 0..<10 { _ = n1.on(.tick, after: .milliseconds(690)) }
        #expect(n1.core.hasContact && n1.now - read == .milliseconds(14_900))
        _ = n1.on(.tick, after: .milliseconds(100))
        #expect(!n1.core.hasContact)
        #expect(n1.reports.contains(.contactLost(reason: "no read is answered", lastRead: .seconds(15))))
    }

    @Test func `PostgreSQL that is never heard of counts as not reachable, and is asked again`() {
        var leader = Script.started(etcd(leader: "n1"))
        _ = leader.granted(11)
        let (script, asked, reports) = self.lives(leader, for: .seconds(60)) { $0 == .askPostgres }
        #expect((5...10).contains(asked.count { $0 == .askPostgres }))
        #expect(Self.unanswered(reports) == [.postgres])
        guard case .wait(.postgresUnreachable) = script.stance else {
            Issue.record("\(String(describing: script.stance))")
            return
        }
        // The answer to the first, late: the newest that is known, and too old to acquire by.
        var late = script
        #expect(late.on(.postgres(.primary, askedAt: Instant(sinceBoot: .seconds(101)))).isEmpty)
        #expect(late.core.postgres == .primary && late.core.unanswered == [])
        // What is older than what is known changes nothing.
        _ = late.on(.postgres(.standby, askedAt: late.now))
        _ = late.on(.postgres(.primary, askedAt: late.now - .seconds(20)))
        #expect(late.core.postgres == .standby)
    }

    @Test func `a listing that is never answered is made again, and an older one than is known proves nothing`() {
        var n1 = Script.holding()
        _ = n1.on(.kernelChanged)
        let begun = n1.now
        let (script, asked, reports) = self.lives(n1, for: .seconds(30)) { $0 == .inspect }
        #expect((2...4).contains(asked.count { $0 == .inspect }))
        #expect(Self.unanswered(reports) == [.listing])
        let stray = KernelPlace(interface: "eth1", prefixLength: 24)
        var late = script
        let found = [Script.place, stray].map { KernelState.Found(address: Script.address, place: $0) }
        let now = KernelState(found: found, usableInterfaces: ["eth0", "eth1"])
        #expect(late.on(.inspected(now, since: late.now)).contains(.removeStray(Script.address, stray)))
        _ = late.on(.removeFailed(Script.address, stray, reason: "busy"))
        // That the stray was not there before does not clear it.
        let then = KernelState(found: [found[0]], usableInterfaces: ["eth0", "eth1"])
        _ = late.on(.inspected(then, since: begun))
        #expect(late.core.leases[0].kernel.strays == [stray])
    }

    @Test func `a mark that is never answered is asked for again, and what comes late does not count for it`() {
        var n1 = Script.started(etcd(leader: "n1", mark: nil))
        let first = n1.now
        #expect(n1.core.mark.isUnderWay)
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        let (script, asked, reports) = self.lives(n1, for: .seconds(40)) {
            if case .markCluster = $0 { true } else { false }
        }
        #expect(asked.count { if case .markCluster = $0 { true } else { false } } == 1)
        #expect(Self.unanswered(reports) == [.mark])
        n1 = script
        #expect(n1.core.mark.isUnderWay)
        _ = n1.on(.markAnswered(reason: nil, sentAt: first))
        #expect(n1.core.mark.isUnderWay)
    }

    @Test func `Patroni that is never heard of is asked again`() {
        var n1 = Script.holding(isFailsafeEnabled: true)
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(1))
        let (_, asked, reports) = self.lives(n1, for: .seconds(20)) { $0 == .askPatroni || $0 == .read }
        #expect((3...6).contains(asked.count { $0 == .askPatroni }))
        #expect(Self.unanswered(reports).contains(.patroni))
    }

    @Test func `a daemon that stood still says of nobody that he is silent`() {
        var n1 = Script.holding()
        while !n1.wake().contains(.read) {}
        _ = n1.on(.tick, after: .seconds(40))
        #expect(Self.unanswered(n1.reports) == [])
        // But what it knows has grown old.
        #expect(n1.core.hasContact && n1.core.isReadOld(at: n1.now))
    }
}

extension Script {
    /// What a shell answers where all is well, and nothing changes.
    func answer(to action: Action) -> Event? {
        switch action {
        case .read:
            let holder = self.core.leases.first?.key.lease.map { mine($0.id) }
            let snapshot = etcd(
                leader: "n1", holder: self.status?.holder == nil ? nil : holder, revision: 6,
                mark: self.core.node.isMarked ? Script.cluster : nil)
            return .readAnswered(snapshot, sentAt: self.now)
        case .keepAlive(let id, let lease):
            return .leaseKept(id, lease: lease, ttl: .seconds(30), sentAt: self.now, by: Self.answerer())
        case .assign(let spec, _, _): return .assigned(spec.id)
        case .remove(let id, let place), .removeStray(let id, let place):
            return .removed(id, place, wasPresent: true)
        case .inspect:
            let found = self.status?.isHere == true ? [Script.place] : []
            return .inspected(
                KernelState(
                    found: found.map { KernelState.Found(address: Script.address, place: $0) },
                    usableInterfaces: ["eth0", "eth1"]), since: self.now)
        case .askPostgres: return .postgres(.primary, askedAt: self.now)
        case .askPatroni: return .patroni(.answered(isRunningPrimary: true, isFailsafeActive: false), askedAt: self.now)
        default: return nil  // Trails and transactions have tests of their own.
        }
    }
}
