// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// A leader that answers, and says that it is in recovery.
struct LeaderRecoveryTests {
    private static let recovering = ProbeFindings(patroni: .answered, postgres: .answered, isPrimary: false)

    /// n2 leads, and is in recovery from now on.
    private static func stuck(onGrayFailure: GrayPolicy = .alert) -> DetectorScript {
        var script = DetectorScript(onGrayFailure: onGrayFailure)
        script.pass(.seconds(60))
        script.findings["n2"] = Self.recovering
        script.reports = []
        return script
    }

    private static func verdicts(_ script: DetectorScript) -> [DetectorVerdict] {
        script.reports.compactMap { report in
            guard case .verdict(MemberID(0, "n2"), let verdict, _, _, _) = report else { return nil }
            return verdict
        }
    }

    @Test func `it is well no more from the first probe on, and stuck after as many as make a failure`() {
        var script = Self.stuck()
        script.pass(.seconds(31))
        #expect(script.verdict("n2") == .suspected)
        let target = script.status.targets.first { $0.id.name == "n2" }
        #expect(target?.reason == "it holds the leader key, and PostgreSQL there is still in recovery")
        script.pass(.seconds(120))
        #expect(script.verdict("n2") == .inRecovery)
        script.pass(.seconds(3600))
        #expect(Self.verdicts(script) == [.suspected, .inRecovery], "told once")
        script.findings["n2"] = nil
        script.pass(.seconds(31))
        #expect(script.verdict("n2") == .well)
    }

    @Test func `a promotion that is seen once leaves nothing behind`() {
        var script = Self.stuck()
        script.pass(.seconds(31))
        script.findings["n2"] = nil
        script.pass(.seconds(31))
        #expect(script.verdict("n2") == .well)
        #expect(Self.verdicts(script) == [.suspected, .well])
    }

    @Test func `no switchover follows, whatever is configured, and nobody else is told that it failed`() {
        var script = Self.stuck(onGrayFailure: .switchover)
        script.second(.healthy, .healthy)
        script.pass(.seconds(3600))
        #expect(script.verdict("n2") == .inRecovery)
        #expect(script.orders == [])
        #expect(script.published?.doubts[MemberID(0, "n2")] == nil)
    }

    @Test func `the leader of a standby cluster belongs in recovery`() {
        var script = Self.stuck()
        var member = DetectorScript.member("n2", leads: true)
        (member.isPrimary, member.isStandbyLeader) = (false, true)
        script.change(.member("n2", member))
        script.pass(.seconds(600))
        #expect(script.verdict("n2") == .well)
        #expect(Self.verdicts(script) == [])
    }

    @Test func `of a leader whose own key is not there it is not known whether it belongs there`() {
        var script = Self.stuck()
        script.change(.member("n2", nil))
        script.pass(.seconds(600))
        #expect(!Self.verdicts(script).contains(.inRecovery))
    }

    @Test func `who leads anew has the time of a new leader, and who leads no more is a standby`() {
        var script = Self.stuck()
        script.pass(.seconds(200))
        #expect(script.verdict("n2") == .inRecovery)
        script.change(.leader("n2", since: 50))
        script.pass(.seconds(31))
        #expect(script.verdict("n2") == .suspected)
        script.pass(.seconds(200))
        #expect(script.verdict("n2") == .inRecovery)
        script.change(.leader("n3", since: 60))
        #expect(script.verdict("n2") == .well)
    }

    @Test func `what cannot be asked meanwhile neither counts nor ends it; a server that is down is a failure`() {
        var script = Self.stuck()
        script.pass(.seconds(200))
        script.findings["n2"] = ProbeFindings(patroni: .answered, postgres: .unasked("certificate"))
        script.pass(.seconds(100))
        #expect(script.verdict("n2") == .inRecovery)
        script.findings["n2"] = DetectorScript.dead
        script.pass(.seconds(31))
        #expect(script.verdict("n2") != .inRecovery)
        let target = script.status.targets.first { $0.id.name == "n2" }
        #expect(target?.reason.contains("recovery") == false, "\(target?.reason ?? "")")
    }
}
