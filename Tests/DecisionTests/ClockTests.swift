// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// A clock that a time service makes run slower or faster than its hardware.
struct ClockTests {
    @Test func `a slow clock shortens the right by as much of the lease, at once, and no longer than it lasts`() throws
    {
        var n1 = Script.holding()
        let whole = try #require(n1.status?.until)
        let slow = n1.on(.clockMeasured(partsPerMillion: -83_333))
        guard case .assign(_, let until, isPresent: true)? = slow.first else {
            Issue.record("\(slow)")
            return
        }
        #expect(until == whole - Duration.seconds(30).share(83_333))
        #expect(n1.reports == [.clockBeyondDrift(partsPerMillion: -83_333)])
        _ = n1.on(.assigned(Script.address))
        _ = n1.on(.clockMeasured(partsPerMillion: -83_000))
        #expect(n1.reports == [])
        let usual = n1.on(.clockMeasured(partsPerMillion: 300))
        #expect(n1.reports == [.clockWithinDrift])
        #expect(usual == [], "what that gains is less than a sixth of what is left")
        let read = n1.read(etcd(leader: "n1", holder: mine(11)), after: .seconds(1))
        #expect(read == [])
        #expect(n1.status.map { $0.until == until } == true)
    }

    @Test func `a fast clock is told, and gives no more than the lease`() {
        var n1 = Script.holding()
        let until = n1.status?.until
        #expect(
            !n1.on(.clockMeasured(partsPerMillion: 83_333)).contains { if case .assign = $0 { true } else { false } })
        #expect(n1.reports == [.clockBeyondDrift(partsPerMillion: 83_333)])
        #expect(n1.status?.until == until)
    }

    @Test func `the usual discipline of a clock is no news`() {
        var n1 = Script.holding()
        for rate in [500, -500, 1000, -1000] { #expect(n1.on(.clockMeasured(partsPerMillion: rate)) == []) }
        #expect(n1.reports == [])
    }

    @Test func `a clock that errs by as much as is allowed for is within it`() {
        var n1 = Script.holding()
        let allowed = n1.core.node.settings.clockDrift
        for rate in [allowed, -allowed] {
            _ = n1.on(.clockMeasured(partsPerMillion: rate))
            #expect(n1.reports == [])
        }
        _ = n1.on(.clockMeasured(partsPerMillion: allowed + 1))
        #expect(n1.reports == [.clockBeyondDrift(partsPerMillion: allowed + 1)])
    }

    @Test func `the margin grows with the drift that is allowed for`() {
        for (drift, margin) in [(10_000, 2.3), (90_000, 4.7), (200_000, 8)] as [(Int, Double)] {
            let settings = CoreSettings(member: "n1", node: "b", addresses: [], clockDrift: drift)
            #expect(LeaseSettings(settings).margin(for: .seconds(30)) == .milliseconds(Int(margin * 1000)))
        }
        #expect(CoreSettings(member: "n1", node: "b", addresses: []).clockDrift == 90_000)
    }
}
