// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// When the daemon verifies by itself, and what it tells of it.
struct VerificationWatchTests {
    private static let app = CitusScript.database
    private static let a1 = NodeEndpoint("a1", 5432)

    private static func finding(
        _ code: Finding.Code, _ severity: Finding.Severity = .critical, group: Int? = 1, _ text: String = "x"
    ) -> Finding { Finding(code, severity, group: group, node: Self.a1, text, .init("y")) }

    private static func script() -> CitusScript {
        var script = CitusScript.settled()
        script.answeredRows = CitusScript.rows
        return script
    }

    private static func isOfVerification(_ report: CitusReport) -> Bool {
        switch report {
        case .found, .foundMore, .findingGone, .unverified: true
        default: false  // The rest has tests of its own.
        }
    }

    /// What is told when a verification, from now on the next one, has found this.
    private static func told(_ script: inout CitusScript, _ outcome: VerificationOutcome) -> [CitusReport] {
        script.verified = outcome
        let before = script.verifications.count
        var reports: [CitusReport] = []
        for _ in 0..<30 where script.verifications.count == before {
            _ = script.pass(.seconds(3600), step: .seconds(30))
            reports += script.reports.filter(Self.isOfVerification)
        }
        return reports
    }

    @Test func `a minute after it has become the writer, and once a day, at a time of its own`() {
        var script = Self.script()
        let begin = script.now
        _ = script.pass(.seconds(59), step: .seconds(1))
        #expect(script.verifications == [])
        _ = script.pass(.seconds(15), step: .seconds(1))
        #expect(script.verifications.count == 1)
        _ = script.pass(.seconds(3 * 86_400), step: .seconds(300))
        let times = script.verifications.map { $0 - begin }
        #expect(times.count == 3 || times.count == 4)
        #expect(times[1] - times[0] >= .seconds(3600))
        for (one, next) in zip(times.dropFirst(), times.dropFirst(2)) {
            #expect(next - one >= .seconds(86_400) && next - one < .seconds(86_400 + 600))
        }
        var phases: Set<Duration> = []
        for member in ["c1", "c2", "c3"] {
            var watch = VerificationWatch(member: member)
            watch.begin(isWriter: true, at: begin)
            let isAsked = watch.ask(isIdle: true, isCalm: true, hasArrived: true, at: begin + .seconds(60))
            #expect(isAsked)
            phases.insert(watch.question.due - begin)
        }
        #expect(phases.count == 3)
    }

    @Test func `never in the moment of a failover`() {
        var script = Self.script()
        _ = script.pass(.seconds(50), step: .seconds(1))
        _ = script.changed(2, .noLeader)
        _ = script.pass(.seconds(600), step: .seconds(1))
        #expect(script.verifications == [], "a group has no leader")
        _ = script.leads(2, "b1")
        _ = script.pass(.seconds(55), step: .seconds(1))
        #expect(script.verifications == [], "it has one since less than a minute")
        _ = script.pass(.seconds(20), step: .seconds(1))
        #expect(script.verifications.count == 1)
        // A group that stays without a leader is no reason to look no more.
        var other = Self.script()
        _ = other.changed(2, .noLeader)
        _ = other.pass(.seconds(3700), step: .seconds(5))
        #expect(other.verifications.count == 1)
    }

    @Test func `a finding is told once, and its end once, and then anew`() {
        var script = Self.script()
        let (one, two) = (Self.finding(.shardMissing), Self.finding(.inactive, .warning, group: 2))
        let note = Self.finding(.failoverMayHang, .note)
        func found(_ findings: Finding...) -> VerificationOutcome { .ended([DatabaseVerification(Self.app, findings)]) }
        #expect(Self.told(&script, found(one, one, two, note)) == [.found(Self.app, one), .found(Self.app, two)])
        #expect(Self.told(&script, found(Self.finding(.shardMissing, group: 1, "in other words"), two)) == [])
        #expect(Self.told(&script, found(two)) == [.findingGone(FindingPlace(Self.app, one))])
        #expect(Self.told(&script, found(two)) == [])
        #expect(Self.told(&script, found(one, two)) == [.found(Self.app, one)])
        // Another database says nothing of this one.
        #expect(Self.told(&script, .ended([DatabaseVerification("other", [])])) == [])
        #expect(script.core.citusStatus?.verification?.databases.map(\.database) == ["other"])
    }

    @Test
    func `what is to be removed and is not, for more than an hour, becomes a warning, and is told gone when it is`() {
        var script = Self.script()
        func found(_ pending: String...) -> VerificationOutcome {
            var finding = Finding(.cleanupPending, .note, group: 0, node: Self.a1, "left", .init("y"))
            finding.pending = pending
            return .ended([DatabaseVerification(Self.app, pending.isEmpty ? [] : [finding])])
        }
        #expect(Self.told(&script, found("d_1 in group 1")) == [], "it may be of a move a second ago")
        let told = Self.told(&script, found("d_1 in group 1", "d_2 in group 1"))
        guard case .found(Self.app, let old)? = told.first else {
            Issue.record("\(told)")
            return
        }
        #expect(told.count == 1 && old.severity == .warning && old.evidence.contains("1 of them for more than an hour"))
        #expect(old.evidence.contains("d_1 in group 1 for"))
        // It counts in the status, where `pharos verify` finds it.
        let last = script.core.citusStatus?.verification?.databases.first?.findings.first
        #expect(last?.severity == .warning)
        // A new one each day is the work of a cluster that lives.
        let gone = Self.told(&script, found("d_9 in group 1"))
        #expect(gone == [.findingGone(FindingPlace(Self.app, old))])
        #expect(Self.told(&script, found("d_10 in group 1")) == [])
        // What could not be looked at has not been removed.
        _ = Self.told(&script, .ended([DatabaseVerification(Self.app, [Self.finding(.notLookedAt)])]))
        let again = Self.told(&script, found("d_10 in group 1"))
        #expect(
            again.contains { if case .found(_, let finding) = $0 { finding.code == .cleanupPending } else { false } })
    }

    @Test func `what could not be looked at is not gone`() {
        let one = Self.finding(.shardMissing)
        for code in [Finding.Code.coordinatorUnreachable, .etcdUnreadable, .notLookedAt, .rowUnreachable] {
            var script = Self.script()
            func found(_ findings: Finding...) -> VerificationOutcome {
                .ended([DatabaseVerification(Self.app, findings)])
            }
            _ = Self.told(&script, found(one))
            let hidden = Self.finding(code, group: code == .etcdUnreadable ? nil : 1)
            #expect(Self.told(&script, found(hidden)) == [.found(Self.app, hidden)])
            #expect(Self.told(&script, found(one)) == [.findingGone(FindingPlace(Self.app, hidden))])
            // Of another group it hides nothing.
            let other = Self.finding(.notLookedAt, group: 2)
            #expect(
                Self.told(&script, found(other)) == [
                    .found(Self.app, other), .findingGone(FindingPlace(Self.app, one)),
                ])
        }
    }

    @Test func `a note hides nothing but what may be at the places that it names`() {
        let one = Self.finding(.shardMissing)
        var note = Self.finding(.notLookedAt, .note)
        func found(_ findings: Finding...) -> VerificationOutcome {
            .ended([DatabaseVerification(Self.app, findings)])
        }
        var script = Self.script()
        _ = Self.told(&script, found(one))
        #expect(Self.told(&script, found(note)) == [.findingGone(FindingPlace(Self.app, one))])
        // A primary that was cut off does not answer for a moment.
        let second = Self.finding(.secondPrimary)
        script = Self.script()
        _ = Self.told(&script, found(second, one))
        note.unseen = [Self.a1]
        #expect(Self.told(&script, found(note)) == [.findingGone(FindingPlace(Self.app, one))])
        note.unseen = [NodeEndpoint("a9", 5432)]
        #expect(Self.told(&script, found(note)) == [.findingGone(FindingPlace(Self.app, second))])
    }

    @Test func `a node that is down for good hides what is on it alone`() {
        var script = Self.script()
        let one = Self.finding(.shardMissing)
        let down = Finding(.rowUnreachable, .warning, group: 1, node: NodeEndpoint("a9", 5432), "x", .init("y"))
        func found(_ findings: Finding...) -> VerificationOutcome {
            .ended([DatabaseVerification(Self.app, findings)])
        }
        _ = Self.told(&script, found(one, down))
        #expect(Self.told(&script, found(down)) == [.findingGone(FindingPlace(Self.app, one))])
        #expect(Self.told(&script, found(one, down)) == [.found(Self.app, one)], "it has come back")
    }

    @Test
    func `what is hastened comes at the latest an hour after the last time, and never in the moment of a failover`() {
        let begin = Instant(sinceBoot: .seconds(1000))
        var watch = VerificationWatch(member: "c1")
        watch.begin(isWriter: true, at: begin)
        func ask(_ seconds: Int, isCalm: Bool = true, hasArrived: Bool = true) -> Bool {
            watch.ask(isIdle: true, isCalm: isCalm, hasArrived: hasArrived, at: begin + .seconds(seconds))
        }
        #expect(ask(60))
        var reports: [CitusReport] = []
        watch.learn(.ended([]), askedAt: begin + .seconds(60), at: begin + .seconds(61), into: &reports)
        watch.hasten(to: begin + .seconds(600))
        #expect(!ask(3600), "not within an hour")
        #expect(!ask(3661, isCalm: false, hasArrived: false))
        #expect(ask(3662, hasArrived: false))
    }

    @Test func `places where members were go along with what is to be verified`() {
        var script = Self.script()
        script.verified = nil
        var asked: [CitusAction] = []
        for _ in 0..<20 where asked.isEmpty {
            asked = script.on(nil, after: .seconds(10)).filter { if case .verify = $0 { true } else { false } }
        }
        guard case .verify(_, let places)? = asked.first else {
            Issue.record("nothing is verified")
            return
        }
        #expect(places.cluster == CitusScript.cluster && places.knows(NodeEndpoint("a2", 5432), of: 1))
    }

    @Test func `copies that differ have the whole looked at, at once, and at most once an hour`() {
        var script = Self.script()
        _ = script.pass(.seconds(3700), step: .seconds(10))
        script.answersComparisons = false
        let before = script.verifications.count
        let worker = NodeEndpoint("a1", 5432)
        var told = 0
        let end = script.now + .seconds(3 * 3600)
        while script.now < end {
            for case .compareCopies(let name, _) in script.on(nil, after: .seconds(5)) {
                _ = script.on(.copiesCompared(name, [CopyFinding(worker, .different)], askedAt: script.now))
                told += script.reports.count { $0.isOfDifferingCopies }
            }
        }
        #expect(told > 3)
        #expect((1...3).contains(script.verifications.count - before), "\(script.verifications.count - before)")
    }

    @Test func `twenty are told, and how many more there are`() {
        var script = Self.script()
        let findings = (0..<50).map { Self.finding(.shardMissing, group: $0) }
        let reports = Self.told(&script, .ended([DatabaseVerification(Self.app, findings)]))
        #expect(reports.count == 21 && reports.last == .foundMore(30))
        #expect(Self.told(&script, .ended([DatabaseVerification(Self.app, findings)])) == [])
        #expect(Self.told(&script, .ended([DatabaseVerification(Self.app, [])])).count == VerificationWatch.toldLimit)
    }

    @Test func `one that comes to no end is told once, and tried again in an hour`() {
        var script = Self.script()
        let failed = VerificationOutcome.failed(reason: "late")
        #expect(Self.told(&script, failed) == [.unverified(reason: "late")])
        let first = script.verifications.count
        #expect(script.core.citusStatus?.verification?.failure == "late")
        #expect(Self.told(&script, failed) == [])
        #expect(script.verifications.count > first)
        #expect(Self.told(&script, .ended([])) == [])
        #expect(script.core.citusStatus?.verification?.failure == nil)
        // One that is never answered is given up.
        script.verified = nil
        var reports: [CitusReport] = []
        for _ in 0..<3000 {
            let isAsked = script.on(nil, after: .seconds(30)).contains { if case .verify = $0 { true } else { false } }
            if isAsked { break }
        }
        // A daemon that stands still does not count the time against anybody.
        _ = script.pass(.seconds(700), step: .seconds(1))
        reports += script.reports.filter(Self.isOfVerification)
        #expect(reports == [.unverified(reason: "no answer")])
    }

    @Test func `a daemon that is no writer any more verifies nothing, and forgets what it has told`() {
        var script = Self.script()
        let one = Self.finding(.shardMissing)
        let outcome = VerificationOutcome.ended([DatabaseVerification(Self.app, [one])])
        #expect(Self.told(&script, outcome) == [.found(Self.app, one)])
        let count = script.verifications.count
        _ = script.leads(0, "c2")
        _ = script.pass(.seconds(2 * 86_400), step: .seconds(600))
        #expect(script.verifications.count == count && script.core.citusStatus?.verification == nil)
        _ = script.leads(0, "c1")
        #expect(Self.told(&script, outcome) == [.found(Self.app, one)])
    }
}
