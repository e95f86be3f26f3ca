// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Whether this node may be called the primary, and until when.
struct PrimaryClaimTests {
    private static let second = AddressSpec(id: "10.0.0.4", prefixLength: 24, interface: "eth0", acquire: .writable)

    private func claim(_ script: Script, after delay: Duration = .zero) -> PrimaryClaim {
        script.core.primaryClaim(at: script.now + delay)
    }

    @Test func `whoever holds the address claims it until the right ends, and not a moment longer`() throws {
        let n1 = Script.holding()
        guard case .lasts(let until) = self.claim(n1) else {
            Issue.record("\(self.claim(n1))")
            return
        }
        // The right is what the kernel was given.
        #expect(until == n1.status?.until)
        #expect(until - n1.now > .seconds(20) && until - n1.now < .seconds(30))
        #expect(self.claim(n1, after: until - n1.now - .milliseconds(1)) == .lasts(until: until))
        #expect(self.claim(n1, after: until - n1.now) == .refused(.leaseLost, address: Script.address))
        #expect(self.claim(n1, after: .seconds(3600)) == .refused(.leaseLost, address: Script.address))
    }

    @Test func `before etcd was read, and without an address, nothing is claimed`() {
        #expect(self.claim(Script()) == .refused(.noContactYet, address: nil))
        #expect(self.claim(Script([])) == .noAddress)
        let n1 = Script.started(etcd(leader: "n1"), Script([]))
        #expect(self.claim(n1) == .noAddress, "a leader without an address has no lease that says so")
    }

    @Test func `another leader, or none, ends it at once`() {
        var n1 = Script.holding()
        _ = n1.watched(6, .leader("n2"))
        #expect(self.claim(n1) == .refused(.leaderIsAnother("n2"), address: nil))
        var other = Script.holding()
        _ = other.watched(6, .leader(nil))
        #expect(self.claim(other) == .refused(.noLeader, address: nil))
    }

    /// The address stays while PostgreSQL cannot be asked: that alone is no sign that it accepts writes.
    @Test func `a PostgreSQL that does not say that it accepts writes is no primary`() {
        var n1 = Script.holding()
        _ = n1.on(.postgresDisconnected)
        #expect(self.claim(n1) == .refused(.postgresNotAsked, address: nil))
        _ = n1.postgres(.unreachable(reason: "no answer"))
        #expect(n1.stance == .hold)
        #expect(self.claim(n1) == .refused(.postgresUnreachable("no answer"), address: nil))
        _ = n1.postgres(.primary)
        if case .lasts = self.claim(n1) {} else { Issue.record("\(self.claim(n1))") }
        _ = n1.postgres(.standby)
        #expect(self.claim(n1) == .refused(.inRecovery, address: nil))
    }

    @Test func `a leader that has not got the address yet says what it waits for`() {
        var n1 = Script.started(etcd(leader: "n1"))
        #expect(self.claim(n1) == .refused(.postgresNotAsked, address: nil))
        _ = n1.postgres(.primary)
        #expect(n1.stance == .hold)
        #expect(self.claim(n1) == .refused(.leaseLost, address: Script.address), "it has no lease yet")
        var waiting = Script.started(etcd(leader: "n1", holder: theirs(12)))
        _ = waiting.postgres(.primary)
        #expect(self.claim(waiting) == .refused(.heldByAnother("n2"), address: Script.address))
    }

    @Test func `of several addresses the one that is not held refuses for all`() {
        var n1 = Script([Script.spec, Self.second])
        n1 = Script.holding(n1)
        #expect(n1.core.addressStatuses.map(\.stance) == [.hold, .hold])
        #expect(self.claim(n1) == .refused(.leaseLost, address: "10.0.0.4"))
    }

    @Test func `a stop ends it before anything is given back`() {
        var n1 = Script.holding()
        _ = n1.on(.stop)
        #expect(self.claim(n1) == .refused(.stopping, address: Script.address))
    }
}
