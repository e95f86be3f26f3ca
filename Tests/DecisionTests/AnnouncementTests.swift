// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// An announcement is an act: it takes the address away from whoever else has it.
struct AnnouncementTests {
    let address = Script.address
    let spec = Script.spec
    let place = Script.place

    /// Each way in which an address leaves.
    enum Departure: CaseIterable {
        case switchover, noLeader, standby, stop, reload, keyGone
    }

    @Test(arguments: Departure.allCases)
    func `it ends where the removal is decided, before the command`(departure: Departure) {
        var n1 = Script.holding()
        let actions = self.leave(&n1, departure)
        let end = actions.firstIndex(of: .stopAnnouncing(self.spec))
        let removal = actions.firstIndex(of: .remove(self.address, self.place))
        #expect(end != nil && removal != nil && end.flatMap { end in removal.map { end < $0 } } == true, "\(actions)")
        #expect(!n1.on(.removed(self.address, self.place, wasPresent: true)).contains(.stopAnnouncing(self.spec)))
    }

    @Test(arguments: Departure.allCases)
    func `it ends at once also where a command is under way, and is not begun when that has ended`(
        departure: Departure
    ) {
        var n1 = Script.holding()
        self.renew(&n1)
        let actions = self.leave(&n1, departure)
        // Without its key it has no right; but the announcer itself knows until when it had one.
        if departure != .keyGone { #expect(actions.contains(.stopAnnouncing(self.spec))) }
        #expect(!actions.contains(.remove(self.address, self.place)))
        let after = n1.on(.assigned(self.address))
        #expect(after.contains(.remove(self.address, self.place)))
        #expect(!after.contains(.startAnnouncing(self.spec)))
    }

    @Test(arguments: Departure.allCases)
    func `it is not begun for an address that must leave by the time it is assigned`(departure: Departure) {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        _ = n1.acquired(11, 5)
        _ = self.leave(&n1, departure)
        #expect(!n1.on(.assigned(self.address)).contains(.startAnnouncing(self.spec)))
    }

    @Test func `a process that was frozen for longer than its right announces nothing in its first turn`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        _ = n1.acquired(11, 5)
        // `ip` had done its work; the process reads that a minute later.
        let actions = n1.on(.assigned(self.address), after: .seconds(60))
        #expect(!actions.contains(.startAnnouncing(self.spec)))
        #expect(actions.contains(.remove(self.address, self.place)))
    }

    @Test func `an address that stays after a removal that failed is announced again once it is assigned`() {
        var n1 = Script.holding()
        #expect(n1.watched(8, .leader("n2")).contains(.stopAnnouncing(self.spec)))
        _ = n1.on(.removeFailed(self.address, self.place, reason: "timed out"))
        var actions = n1.watched(9, .leader("n1"))
        #expect(!actions.contains(.startAnnouncing(self.spec)))
        for _ in 0..<10 where !actions.contains(where: { if case .assign = $0 { true } else { false } }) {
            if actions.contains(.askPostgres) {
                actions = n1.on(.postgres(.primary, askedAt: n1.now), after: .zero)
            } else {
                actions = n1.wake()
            }
        }
        #expect(n1.on(.assigned(self.address)).contains(.startAnnouncing(self.spec)))
    }

    private func leave(_ n1: inout Script, _ departure: Departure) -> [Action] {
        switch departure {
        case .switchover: n1.watched(8, .leader("n2"))
        case .noLeader: n1.watched(8, .leader(nil))
        case .standby: n1.postgres(.standby)
        case .stop: n1.on(.stop)
        case .reload:
            n1.on(
                .reconfigured(CoreSettings(member: "n1", node: "boot-a", addresses: [], clockDrift: 10_000)),
                after: .milliseconds(1))
        case .keyGone: n1.watched(8, .holder(self.address, nil))
        }
    }

    /// Until the kernel's lifetime is being set anew.
    private func renew(_ n1: inout Script) {
        let sent = n1.now + .seconds(10)
        _ = n1.on(
            .leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: sent, by: Script.answerer()),
            after: .seconds(10))
        let actions = n1.on(
            .readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: sent), after: .zero)
        #expect(actions.contains { if case .assign = $0 { true } else { false } })
    }
}
