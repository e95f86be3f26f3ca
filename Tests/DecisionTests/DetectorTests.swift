// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The failure detector's parts: the table, one source's score, all sources' agreement, the flap penalty, the verdicts.
struct DetectorTests {
    private static func at(_ seconds: Double) -> Instant { Instant(sinceBoot: .seconds(1000) + .seconds(seconds)) }

    private static func track(_ outcomes: String, _ profile: DetectorProfile = .hyperscale, scale: Int = 1)
        -> DetectorTrack
    {
        var track = DetectorTrack()
        for (number, outcome) in outcomes.enumerated() {
            track.record(outcome == "x" ? "lost" : nil, profile, scale: scale, at: Self.at(Double(number) * 30))
        }
        return track
    }

    // MARK: - The table

    @Test func `the table has one row for each state and input`() {
        for state in DetectorState.allCases {
            for input in DetectorInput.allCases {
                let rows = DetectorTransition.table.filter { $0.state == state && $0.inputs.contains(input) }
                #expect(rows.count == 1, "\(state) on \(input): \(rows.count) rows")
            }
        }
    }

    @Test func `every state can be reached and left, and only a failure is told as one`() {
        for state in DetectorState.allCases where state != .unknown {
            #expect(DetectorTransition.table.contains { $0.next == state && $0.state != state })
            #expect(DetectorTransition.table.contains { $0.state == state && $0.next != state })
        }
        for row in DetectorTransition.table {
            #expect(
                row.effects.contains(.tellFailed)
                    == (row.next == .failed && row.inputs.contains(.exhausted)
                        && [.unknown, .healthy, .suspect].contains(row.state)))
        }
    }

    // MARK: - One source

    @Test(arguments: [
        ("", DetectorState.unknown), (".", .healthy), ("x", .suspect), (".xxxx", .suspect), (".xxxxx", .failed),
        // A success takes half a failure off.
        (".xxxx.xx", .failed), (".xxxx.x", .suspect), (".x.", .suspect), (".x..", .healthy),
        (".xxxxx.", .recovering), (".xxxxx..", .healthy), (".xxxxx.x", .failed), (".xxxxx..x", .suspect),
    ]) func `a score of failures, which leaks with successes`(outcomes: String, state: DetectorState) {
        #expect(Self.track(outcomes).state == state)
    }

    @Test func `with a leak as large as the threshold, failures must be consecutive`() {
        var profile = DetectorProfile.hyperscale
        profile.leak = 5
        #expect(Self.track(".xxxx.xxxx", profile).state == .suspect)
        #expect(Self.track(".xxxx.xxxxx", profile).state == .failed)
    }

    @Test func `a daemon in doubt of itself needs more`() {
        #expect(Self.track(".xxxxxxxxx", scale: 2).state == .suspect)
        #expect(Self.track(".xxxxxxxxxx", scale: 2).state == .failed)
    }

    @Test func `the evidence is kept: the last healthy sign, the first failure and why`() {
        let track = Self.track("..xxxxx")
        #expect(track.lastHealthyAt == Self.at(30))
        #expect(track.firstFailureAt == Self.at(60))
        #expect(track.reason == "lost")
        #expect(Self.track("..xxxxx..").firstFailureAt == nil)
    }

    @Test func `silence is no failure, and no recovery`() {
        var track = Self.track(".xx")
        track.fallSilent()
        #expect(track.state == .unknown && track.score == 0)
        track = Self.track("xxxxx")
        track.fallSilent()
        #expect(track.state == .failed)
    }

    // MARK: - All sources

    @Test(
        arguments: [
            // (states, agreement, input)
            ([], DetectorProfile.Agreement.majority, DetectorInput.silent), ([.unknown], .majority, .silent),
            ([.healthy], .majority, .cleared), ([.suspect, .healthy], .majority, .answered),
            // One alone is never enough, whether or not others can be heard.
            ([.failed], .majority, .missed), ([.failed], .all, .missed),
            ([.failed, .unknown, .unknown], .all, .missed),
            ([.failed, .failed], .majority, .exhausted), ([.failed, .failed, .healthy], .majority, .exhausted),
            ([.failed, .failed, .healthy], .all, .missed),
            ([.failed, .failed, .healthy, .healthy], .majority, .missed),
            ([.failed, .failed, .failed], .all, .exhausted), ([.failed, .failed, .suspect], .all, .missed),
            ([.failed, .failed, .unknown], .all, .exhausted),
        ] as [([DetectorState], DetectorProfile.Agreement, DetectorInput)])
    func `sources must agree`(states: [DetectorState], agreement: DetectorProfile.Agreement, input: DetectorInput) {
        var profile = DetectorProfile.hyperscale
        profile.agreement = agreement
        #expect(DetectorConsensus.input(of: states, profile).input == input)
    }

    @Test func `a failure is told once, and its end`() {
        var consensus = DetectorConsensus()
        func look(_ states: [DetectorState], _ time: Double) -> [DetectorEffect] {
            consensus.look(at: states, .hyperscale, at: Self.at(time))
        }
        #expect(look([.healthy, .healthy], 0) == [.forget])
        #expect(look([.failed, .suspect], 150) == [])
        #expect(consensus.state == .suspect)
        #expect(look([.failed, .failed], 160) == [.tellFailed])
        #expect(consensus.since == Self.at(160) && consensus.accusers == 2)
        #expect(look([.failed, .failed], 170) == [])
        #expect(look([.recovering, .recovering], 200) == [])
        #expect(look([.failed, .failed], 210) == [], "a relapse is not another failure")
        #expect(look([.healthy, .healthy], 300) == [.tellRecovered, .forget])
    }

    // MARK: - Flapping

    /// RFC 2439 with a half-life of 30 minutes: the figures of the design.
    @Test func `a second failure within 22 minutes suppresses for 33 to 42 minutes, a later one does not`() throws {
        for minutes in [0.5, 5, 15, 20, 21.9, 22.5, 30] {
            var penalty = FlapPenalty()
            let isFirstEnough = penalty.flap(at: Self.at(0))
            #expect(!isFirstEnough)
            let second = Self.at(minutes * 60)
            let isSecondEnough = penalty.flap(at: second)
            #expect(isSecondEnough == (minutes < 22), "after \(minutes) minutes")
            guard minutes < 22 else { continue }
            let end = try #require(penalty.reusableAt())
            let span = (end - second) / .seconds(60)
            #expect((32.5...42.5).contains(span), "\(span) minutes")
            let isOverBefore = penalty.decay(at: end - .seconds(1))
            let isOver = penalty.decay(at: end)
            #expect(!isOverBefore && isOver)
        }
    }

    @Test func `suppression always ends, and at once when it is acknowledged`() throws {
        var penalty = FlapPenalty()
        for second in 0..<10_000 { _ = penalty.flap(at: Self.at(Double(second))) }
        let end = try #require(penalty.reusableAt())
        #expect(end - Self.at(10_000) <= .seconds(2 * 3600))
        penalty.acknowledge()
        #expect(!penalty.isSuppressed && penalty.reusableAt() == nil)
    }

    @Test func `what flaps is suppressed, and judged anew afterwards`() {
        var consensus = DetectorConsensus()
        func look(_ states: [DetectorState], _ seconds: Double) -> [DetectorEffect] {
            consensus.look(at: states, .hyperscale, at: Self.at(seconds))
        }
        let (well, gone): ([DetectorState], [DetectorState]) = ([.healthy, .healthy], [.failed, .failed])
        _ = look(well, 0)
        _ = look(gone, 150)
        _ = look(well, 300)
        #expect(look(gone, 450) == [.tellFailed, .tellSuppressed])
        #expect(look(gone, 500) == [])
        #expect(consensus.state == .suppressed)
        var acknowledged = consensus
        let released = acknowledged.acknowledge(at: Self.at(500))
        #expect(released == [.tellReleased, .forget])
        let failedAgain = acknowledged.look(at: gone, .hyperscale, at: Self.at(501))
        #expect(failedAgain == [.tellFailed])
        #expect(look(well, 450 + 2600) == [.tellReleased, .forget, .forget])
        #expect(consensus.state == .healthy)
    }

    @Test(arguments: [0, 0.25, 0.5, 1, 1.5, 2, 10.3]) func `halving and its inverse`(x: Double) {
        let power = Halving.power(x)
        #expect(abs(Halving.logarithm(1 / power) - x) < 1e-9)
        #expect(abs(Halving.power(x + 1) / power - 0.5) < 1e-9)
    }

    // MARK: - Local health, verdicts, profiles

    @Test func `local health stays within its limits`() {
        var health = LocalHealth()
        health.recover()
        #expect(health.scale == 1)
        for _ in 0..<20 { health.worsen() }
        #expect(health.scale == 8)
    }

    @Test func `the verdict follows from what holds for Patroni and PostgreSQL`() {
        func verdict(_ patroni: DetectorState, _ postgres: DetectorState, leads: Bool = false) -> DetectorVerdict {
            VerdictRule.first(patroni: patroni, postgres: postgres, isLeader: leads).verdict
        }
        #expect(verdict(.healthy, .healthy) == .well)
        #expect(verdict(.failed, .failed) == .nodeFailed)
        #expect(verdict(.healthy, .failed) == .postgresFailed)
        #expect(verdict(.failed, .healthy) == .patroniFailed)
        #expect(verdict(.healthy, .failed, leads: true) == .gray)
        #expect(verdict(.failed, .failed, leads: true) == .gray, "etcd still hears it: others cannot use it")
        #expect(verdict(.suspect, .healthy, leads: true) == .suspected)
        func recovering(_ recovery: LeaderRecovery, _ postgres: DetectorState = .healthy) -> DetectorVerdict {
            VerdictRule.first(patroni: .healthy, postgres: postgres, isLeader: true, recovery: recovery).verdict
        }
        #expect(recovering(.no) == .well && recovering(.yes) == .suspected && recovering(.lasting) == .inRecovery)
        #expect(recovering(.lasting, .failed) == .gray, "it cannot be used at all")
        #expect(verdict(.unknown, .failed) == .postgresFailed)
        #expect(verdict(.unknown, .unknown) == .unknown)
        for patroni in DetectorState.allCases {
            for postgres in DetectorState.allCases { _ = verdict(patroni, postgres, leads: true) }
        }
    }

    @Test func `a profile keeps its promise with the timeout included`() {
        for profile in [DetectorProfile.hyperscale, .fast] {
            #expect(profile.problems == [])
            #expect(profile.spacing * profile.threshold + profile.timeout == profile.window)
        }
        #expect(DetectorProfile.hyperscale.window == .seconds(150))
        #expect(DetectorProfile.fast.window == .seconds(16))
    }

    @Test func `an inconsistent profile is refused with the reason`() {
        func problems(_ change: (inout DetectorProfile) -> Void) -> [String] {
            var profile = DetectorProfile.hyperscale
            change(&profile)
            return profile.problems
        }
        #expect(
            problems { $0.timeout = .seconds(30) } == [
                "timeout must be above 0 and below interval, or probes would overlap"
            ])
        #expect(
            problems { $0.minimumSources = 1 } == [
                "minimum_sources must be at least 2: nothing is done on the word of one"
            ])
        #expect(problems { $0.threshold = 1 }.count >= 1)
        #expect(problems { $0.leak = 0 }.count == 1 && problems { $0.leak = 6 }.count == 1)
        #expect(problems { $0.rise = 0 }.count == 1)
        #expect(problems { $0.interval = .seconds(1000) }.count == 1)
        #expect(problems { ($0.interval, $0.timeout) = (.milliseconds(100), .milliseconds(50)) }.count == 1)
    }
}
