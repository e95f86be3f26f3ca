// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What was asked for an address and is never answered.
struct OverdueTests {
    let address = Script.address
    let spec = Script.spec
    let place = Script.place
    let grant = Action.grantLease(Script.address, ttl: .seconds(30))

    /// Lets the clock run, turn by turn, for `span`; answers everything but what `isLost` names.
    private func live(
        _ script: inout Script, for span: Duration, without isLost: (Action) -> Bool
    ) -> (asked: [Action], unanswered: [Asked]) {
        var (asked, unanswered): ([Action], [Asked]) = ([], [])
        let end = script.now + span
        while script.now + script.wakesIn <= end {
            var actions = script.wake()
            unanswered += script.reports.compactMap { if case .unanswered(let asked, _) = $0 { asked } else { nil } }
            while !actions.isEmpty {
                let action = actions.removeFirst()
                asked.append(action)
                if !isLost(action), let event = script.answer(to: action) { actions += script.on(event) }
            }
        }
        return (asked, unanswered)
    }

    @Test
    func `a lease that is never granted is asked for again; one that comes late counts from when it was asked for`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        let first = n1.now
        let (asked, unanswered) = self.live(&n1, for: .seconds(25)) { $0 == self.grant }
        #expect(asked.count { $0 == self.grant } == 2 && unanswered == [.lease(self.address)])
        #expect(n1.core.unanswered.map(\.asked) == [.lease(self.address)])
        // The first, late, for the one that is under way; then that one's own.
        let late = Event.leaseGranted(self.address, lease: 11, ttl: .seconds(30), sentAt: first)
        _ = n1.on(late)
        #expect(n1.core.leases[0].key.lease?.goodUntil == first + .seconds(30) - Script.margin)
        #expect(n1.core.unanswered == [])
        #expect(n1.granted(12) == [.revoke(self.address, lease: 12)])
    }

    @Test func `an acquisition that is never answered leaves the lease in doubt, and is tried again with the same`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        let acquire = Action.acquire(self.address, lease: 11, clusterID: Script.cluster)
        #expect(n1.granted(11).contains(acquire))
        let (asked, unanswered) = self.live(&n1, for: .seconds(33)) { $0 == acquire }
        #expect(asked.contains(acquire) && !asked.contains(self.grant))
        #expect(unanswered == [.acquisition(self.address)])
        #expect(n1.core.leases[0].key.lease?.isInDoubt == true)
        // It was committed, says etcd: the key is ours, also while it is tried for again.
        #expect(n1.core.leases[0].isAcquiring(11))
        #expect(
            n1.watched(9, .holder(self.address, mine(11))).contains { if case .assign = $0 { true } else { false } })
    }

    @Test func `a keep-alive that is never answered is sent again`() {
        var n1 = Script.holding()
        let keepAlive = Action.keepAlive(self.address, lease: 11)
        let (asked, unanswered) = self.live(&n1, for: .seconds(18)) { $0 == keepAlive }
        #expect(asked.count { $0 == keepAlive } == 2)
        #expect(unanswered == [.renewal(self.address)])
    }

    @Test func `a revocation that is never answered is repeated`() {
        var n1 = Script.holding()
        _ = n1.watched(8, .leader("n2"))
        let revoke = Action.revoke(self.address, lease: 11)
        #expect(n1.on(.removed(self.address, self.place, wasPresent: true)).contains(revoke))
        var (again, told) = (0, 0)
        let end = n1.now + .seconds(24)
        while n1.now + n1.wakesIn <= end {
            if n1.wake().contains(revoke) { again += 1 }
            told += n1.reports.count { $0 == .unanswered(.revocation(self.address), after: .seconds(10)) }
        }
        #expect(again == 2 && told == 1)
    }

    @Test func `a command to the kernel that never ends is told, never repeated, and nothing else is done meanwhile`() {
        for isLateSuccess in [true, false] {
            var n1 = Script.started(etcd(leader: "n1"))
            _ = n1.postgres(.primary)
            _ = n1.granted(11)
            #expect(n1.acquired(11, 5).contains { if case .assign = $0 { true } else { false } })
            #expect(!n1.core.isStuck(commandsUnderWay: 0))
            let isCommand = { (action: Action) in
                switch action {
                case .assign, .remove, .removeStray: true
                default: false
                }
            }
            let (asked, unanswered) = self.live(&n1, for: .seconds(25), without: isCommand)
            #expect(!asked.contains(where: isCommand))
            #expect(unanswered == [.assignment(self.address)] && n1.core.isStuck(commandsUnderWay: 0))
            // Nor is the key given back while the address may come to stand here.
            #expect(!n1.watched(8, .leader("n2")).contains(.revoke(self.address, lease: 11)))
            let (then, _) = self.live(&n1, for: .seconds(5), without: isCommand)
            #expect(!then.contains(where: isCommand) && !then.contains(.revoke(self.address, lease: 11)))
            // It ended after all: the address is taken off, and then the key is given back.
            let end: Event =
                isLateSuccess ? .assigned(self.address) : .assignFailed(self.address, reason: "killed")
            _ = n1.on(end)
            #expect(!n1.core.isStuck(commandsUnderWay: 0))
            let (last, _) = self.live(&n1, for: .seconds(2)) { _ in false }
            #expect(last.contains(.remove(self.address, self.place)) || n1.core.leases[0].kernel.command != nil)
        }
    }

    @Test func `what is no longer asked for is not missed any more`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.granted(11)
        _ = self.live(&n1, for: .seconds(20)) { $0 == .askPostgres }
        #expect(n1.core.unansweredForLeases.map(\.asked) == [.postgres])
        _ = n1.watched(8, .leader("n2"))
        #expect(n1.core.unanswered.isEmpty)
    }
}
