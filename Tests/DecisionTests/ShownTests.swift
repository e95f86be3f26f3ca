// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What etcd shows sooner than it answers, or although it never does.
struct ShownTests {
    let address = Script.address
    let spec = Script.spec
    let place = Script.place

    private static func isAssignment(_ action: Action) -> Bool { if case .assign = action { true } else { false } }

    /// The acquisition with lease 11 is under way.
    private func acquiring() -> Script {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        #expect(n1.granted(11).contains(.acquire(self.address, lease: 11, clusterID: Script.cluster)))
        return n1
    }

    /// The key is seen to stand under lease 11, and the answer has not come.
    private func shown() -> Script {
        var n1 = self.acquiring()
        _ = n1.watched(5, .holder(self.address, mine(11)))
        _ = n1.on(.assigned(self.address))
        return n1
    }

    // MARK: - Acquisitions

    @Test func `an acquisition that the watch or a read shows is taken as committed at once`() {
        for isWatch in [true, false] {
            var n1 = self.acquiring()
            let granted = n1.now - .milliseconds(1)
            let trail = TrailInEtcd(Trail([.init(lease: 11, ttl: .seconds(30))]), revision: 5)
            let actions =
                isWatch
                ? n1.watched(5, .holder(self.address, mine(11)), after: .milliseconds(300))
                : n1.read(etcd(leader: "n1", holder: mine(11), revision: 9, trail: trail), after: .milliseconds(300))
            let until = granted + .seconds(30) - Script.margin
            #expect(actions == [.assign(self.spec, until: until, isPresent: false)])
            #expect(n1.reports.contains(.acquired(self.address, lease: 11, revision: isWatch ? 5 : 9)))
            // Nobody waits for the answer.
            #expect(n1.on(.assigned(self.address)) == [.startAnnouncing(self.spec)])
            #expect(n1.core.leases[0].key.askedSince == nil && n1.core.leases[0].overdueAt == .distantFuture)
            // The step that the transaction made is known, with the revision that the next one compares.
            #expect(n1.core.leases[0].trail.value == trail)
            #expect(n1.memory?.trails.map(\.value) == [trail.trail])
        }
    }

    @Test func `an answer that comes when its acquisition has been seen is no news`() {
        let free = etcd(leader: "n1")
        let trail = TrailInEtcd(Trail([.init(lease: 11, ttl: .seconds(30))]), revision: 5)
        var taken = etcd(leader: "n1", holder: mine(11), revision: 6, trail: trail)
        taken.rivals = [Addressed(self.address, "/service/other")]
        let answers: [Event] = [
            .acquired(
                self.address, lease: 11, revision: 5, sentAt: Instant(sinceBoot: .seconds(100)), by: Script.answerer()),
            // It was sent twice: the second found the key that the first had put, or came first, and was refused.
            .acquireRefused(self.address, lease: 11, found: taken, sentAt: Instant(sinceBoot: .seconds(100))),
            .acquireRefused(self.address, lease: 11, found: free, sentAt: Instant(sinceBoot: .seconds(100))),
            .acquireUnanswered(self.address, lease: 11, reason: "timeout"),
        ]
        for answer in answers {
            var n1 = self.shown()
            let until = n1.status?.until
            let actions = n1.on(answer)
            #expect(actions.allSatisfy { $0 == .read || $0 == .keepAlive(self.address, lease: 11) }, "\(answer)")
            #expect(n1.reports == [], "\(answer)")
            #expect(n1.status?.until == until && n1.stance == .hold && n1.core.leases[0].key.isHeld, "\(answer)")
            // It is given back as any other.
            _ = n1.watched(8, .leader("n2"))
            #expect(
                n1.on(.removed(self.address, self.place, wasPresent: true)).contains(.revoke(self.address, lease: 11)))
        }
    }

    @Test func `a second try that finds no lease any more ends what the first has acquired`() {
        var n1 = self.shown()
        let actions = n1.on(.acquireFoundNoLease(self.address, lease: 11))
        #expect(actions.contains(.remove(self.address, self.place)))
        #expect(n1.reports.contains(.leaseLost(self.address, lease: 11, reason: "the lease has ended")))
        // What is still shown of it is old news.
        _ = n1.watched(6, .holder(self.address, mine(11)))
        #expect(!n1.core.leases[0].key.isHeld)
    }

    @Test func `a refusal that finds the key under the very lease refuses nothing`() {
        var n1 = self.acquiring()
        let found = etcd(leader: "n1", holder: mine(11), revision: 6)
        let actions = n1.on(.acquireRefused(self.address, lease: 11, found: found, sentAt: n1.now))
        #expect(actions.contains(where: Self.isAssignment))
        #expect(n1.reports.contains(.acquired(self.address, lease: 11, revision: 6)))
        #expect(!n1.reports.contains { if case .acquireRefused = $0 { true } else { false } })
    }

    @Test func `an acquisition that was unanswered, and is seen then, is told as any other`() {
        var n1 = self.acquiring()
        _ = n1.on(.acquireUnanswered(self.address, lease: 11, reason: "timeout"))
        #expect(n1.watched(5, .holder(self.address, mine(11))).contains(where: Self.isAssignment))
        #expect(n1.reports.contains(.acquired(self.address, lease: 11, revision: 5)))
        #expect(n1.core.leases[0].acquireFailures == 0)
    }

    @Test func `an acquisition that is seen says who led when it was sent, unless an earlier one may be what is seen`()
    {
        let spec = AddressSpec(id: self.address, prefixLength: 24, interface: "eth0", acquire: .leaderKey)
        var n1 = Script.started(etcd(), Script([spec]))
        let read = n1.now
        _ = n1.watched(5, .leader("n1"), after: .seconds(4))
        let granted = n1.now
        #expect(n1.granted(11).contains(.acquire(self.address, lease: 11, clusterID: Script.cluster)))
        var early = n1
        _ = early.watched(6, .holder(self.address, mine(11)), after: .milliseconds(200))
        _ = early.on(.assigned(self.address))
        #expect(early.status?.until == granted + .seconds(30) - Script.margin)
        #expect(early.core.node.vouching?.sentAt == read)
        // Whatever else is shown meanwhile says nothing.
        var other = n1
        _ = other.watched(6, .holder(self.address, theirs(40)))
        #expect(other.core.node.lastRead == read)
        // The first of two may have been committed before this member led no more, and led again.
        _ = n1.on(.acquireUnanswered(self.address, lease: 11, reason: "timeout"))
        let again = n1.on(.tick, after: .milliseconds(200))
        #expect(again.contains(.acquire(self.address, lease: 11, clusterID: Script.cluster)))
        _ = n1.watched(6, .holder(self.address, mine(11)), after: .milliseconds(200))
        _ = n1.on(.assigned(self.address))
        #expect(n1.status?.until == read + .seconds(30) - Script.margin)
    }

    @Test func `a lease that ended while its acquisition was under way gives no address, whatever is shown`() {
        var n1 = self.acquiring()
        _ = n1.on(.leaseGone(self.address, lease: 11))
        #expect(n1.watched(5, .holder(self.address, mine(11))) == [])
        #expect(n1.acquired(11, 5) == [.grantLease(self.address, ttl: .seconds(30))])
    }

    // MARK: - Take-overs

    @Test func `a take-over that the watch shows is taken as committed at once, and says nothing of who leads`() {
        var n1 = Script.started(etcd(leader: "n1", holder: mine(9)), found: [self.place])
        let read = n1.now
        _ = n1.postgres(.primary)
        #expect(n1.granted(11) == [.takeOver(self.address, lease: 11, from: 9, clusterID: Script.cluster)])
        let actions = n1.watched(6, .holder(self.address, mine(11)), after: .milliseconds(500))
        #expect(actions == [.assign(self.spec, until: read + .seconds(30) - Script.margin, isPresent: true)])
        #expect(n1.reports == [.acquired(self.address, lease: 11, revision: 6)])
        #expect(n1.core.node.lastRead == read)
        #expect(n1.core.leases[0].trail.value.revision == 6)
        // Its answers are no news.
        for answer: Event in [
            .acquireUnanswered(self.address, lease: 11, reason: "timeout"),
            .acquired(self.address, lease: 11, revision: 6, sentAt: n1.now, by: Script.answerer()),
        ] {
            var late = n1
            _ = late.on(answer)
            #expect(late.reports == [] && late.core.leases[0].key.isHeld)
        }
    }

    // MARK: - Revocations

    @Test func `a key that is seen to be gone is given back, whatever its revocation is answered`() {
        for isWatch in [true, false] {
            var n1 = Script.holding()
            _ = n1.watched(8, .leader("n2"))
            #expect(
                n1.on(.removed(self.address, self.place, wasPresent: true)).contains(.revoke(self.address, lease: 11)))
            var other = n1
            _ = other.watched(9, .leader("n3"))
            #expect(!other.reports.contains(.released(self.address, lease: 11)))
            if isWatch {
                _ = n1.watched(9, .holder(self.address, theirs(40)))
            } else {
                _ = n1.read(etcd(leader: "n2", revision: 9))
            }
            #expect(n1.reports.contains(.released(self.address, lease: 11)))
            #expect(n1.core.leases[0].isIdle && n1.core.leases[0].overdueAt == .distantFuture)
            for answer: Event in [
                .leaseRevoked(self.address, lease: 11), .leaseUnanswered(self.address, lease: 11, reason: "timeout"),
                .leaseGone(self.address, lease: 11),
            ] {
                var late = n1
                #expect(late.on(answer) == [] && late.reports == [], "\(answer)")
            }
        }
    }

    @Test func `a lease in doubt is revoked until that is answered: the key may yet come to stand under it`() {
        var n1 = self.acquiring()
        _ = n1.on(.acquireUnanswered(self.address, lease: 11, reason: "timeout"))
        #expect(n1.watched(8, .leader("n2")).contains(.revoke(self.address, lease: 11)))
        _ = n1.watched(9, .holder(self.address, theirs(40)))
        _ = n1.watched(10, .holder(self.address, nil))
        #expect(n1.core.leases[0].key.isReturning && n1.reports == [])
        _ = n1.on(.leaseRevoked(self.address, lease: 11))
        #expect(n1.core.leases[0].isIdle)
    }
}
