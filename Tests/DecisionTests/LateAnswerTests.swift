// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Answers that come when what they answer is over.
struct LateAnswerTests {
    let address = Script.address
    let spec = Script.spec
    let grant = Action.grantLease(Script.address, ttl: .seconds(30))
    private static let answerer = Answerer(clusterID: 8, raftTerm: 3)

    /// Acquires with lease 12 in another etcd cluster, while the acquisition with lease 11 in the first was not answered.
    private func acquiringAnew() -> Script {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        #expect(n1.granted(11).contains(.acquire(self.address, lease: 11, clusterID: Script.cluster)))
        _ = n1.read(etcd(leader: "n1", revision: 90, cluster: 8, mark: nil), after: .seconds(1))
        _ = n1.on(.markAnswered(reason: nil, sentAt: n1.now))
        _ = n1.read(etcd(leader: "n1", revision: 92, cluster: 8, mark: 8, isQuarantined: true))
        _ = n1.granted(12)
        // As long as anything that the former one granted can run.
        _ = n1.on(.watched(clusterID: 8, revision: 93, changes: [.quarantine(false)]), after: .seconds(31))
        _ = n1.read(etcd(leader: "n1", revision: 93, cluster: 8, mark: 8))
        _ = n1.on(.leaseKept(self.address, lease: 12, ttl: .seconds(30), sentAt: n1.now, by: Self.answerer))
        #expect(n1.postgres(.primary).contains(.acquire(self.address, lease: 12, clusterID: 8)))
        return n1
    }

    @Test func `an acquisition that was committed in the etcd of before gives no address in this one`() {
        var n1 = self.acquiringAnew()
        #expect(n1.acquired(11, 94) == [.revoke(self.address, lease: 11)])
        #expect(n1.status?.isHere == false)
        #expect(n1.acquired(12, 95).contains { if case .assign = $0 { true } else { false } })
    }

    @Test func `an acquisition that failed in the etcd of before does not disturb the one under way`() {
        let failures: [Event] = [
            .acquireUnanswered(self.address, lease: 11, reason: "timeout"),
            .acquireFoundNoLease(self.address, lease: 11), .leaseGone(self.address, lease: 11),
            .leaseUnanswered(self.address, lease: 11, reason: "timeout"), .leaseRevoked(self.address, lease: 11),
        ]
        for failure in failures {
            var n1 = self.acquiringAnew()
            let actions = n1.on(failure)
            #expect(!actions.contains { if case .acquire = $0 { true } else { false } }, "\(failure)")
            #expect(!actions.contains(self.grant), "\(failure)")
            #expect(n1.acquired(12, 95).contains { if case .assign = $0 { true } else { false } }, "\(failure)")
        }
    }

    @Test func `a lease that ended while its acquisition was under way gives no address, committed or not`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        #expect(n1.on(.leaseGone(self.address, lease: 11)) == [])
        // Nothing is left to revoke; another lease is asked for at once.
        #expect(n1.acquired(11, 5) == [self.grant])
        #expect(n1.status?.isHere == false)
        #expect(n1.granted(12) == [.acquire(self.address, lease: 12, clusterID: Script.cluster)])
    }

    @Test func `a keep-alive of a lease that is in use no more says nothing about the one that is`() {
        var n1 = Script.holding()
        let until = n1.status?.until
        let read = etcd(leader: "n1", holder: mine(11), revision: 5)
        _ = n1.on(.tick, after: .seconds(10))
        #expect(n1.on(.readAnswered(read, sentAt: n1.now)).allSatisfy { if case .assign = $0 { false } else { true } })
        #expect(
            n1.on(.leaseKept(self.address, lease: 10, ttl: .seconds(30), sentAt: n1.now, by: Script.answerer())) == [])
        #expect(n1.status?.until == until)
        let kept = n1.on(.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: n1.now, by: Script.answerer()))
        #expect(kept.contains { if case .assign = $0 { true } else { false } })
    }

    @Test func `answers to two keep-alives in the wrong order: the lease lasts as the later one says`() {
        var n1 = Script.holding()
        _ = n1.on(.tick, after: .seconds(10))
        let (early, late) = (n1.now - .seconds(6), n1.now)
        let read = etcd(leader: "n1", holder: mine(11), revision: 5)
        _ = n1.on(.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: late, by: Script.answerer()))
        _ = n1.on(.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: early, by: Script.answerer()))
        let actions = n1.on(.readAnswered(read, sentAt: late))
        #expect(actions.contains(.assign(self.spec, until: late + .seconds(30) - Script.margin, isPresent: true)))
    }

    @Test func `a lease that grew old is used as soon as it was kept alive, and not before`() {
        let spec = AddressSpec(id: self.address, prefixLength: 24, interface: "eth0", acquire: .leaderKey)
        var n1 = Script.started(etcd(leader: "n1", holder: theirs(40)), Script([spec]))
        _ = n1.granted(11)
        let actions = n1.on(.readFailed(reason: "refused"), after: .seconds(40))
        #expect(actions.contains(.keepAlive(self.address, lease: 11)))
        #expect(n1.watched(6, .holder(self.address, nil)) == [])
        // An answer that leaves it less than a second.
        var late = n1
        let asked = late.now - .seconds(27)
        #expect(
            late.on(.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: asked, by: Script.answerer())) == [])
        let acquire = Action.acquire(self.address, lease: 11, clusterID: Script.cluster)
        // It counts from a read that was answered.
        let sent = n1.now
        let kept = Event.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: sent, by: Script.answerer())
        #expect(!n1.on(kept).contains(acquire))
        #expect(n1.on(.readAnswered(etcd(leader: "n1", revision: 7), sentAt: sent)).contains(acquire))
    }

    @Test func `a keep-alive does not shorten the pause after an acquisition that failed`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        _ = n1.on(.acquireUnanswered(self.address, lease: 11, reason: "timeout"))
        #expect(
            n1.on(.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: n1.now, by: Script.answerer())) == [])
        let acquire = Action.acquire(self.address, lease: 11, clusterID: Script.cluster)
        #expect(n1.on(.tick, after: .milliseconds(199)).contains(acquire))
    }

    @Test func `the end of another lease does not disturb an adoption`() {
        var n1 = Script.started(etcd(leader: "n1", holder: mine(9)), found: [Script.place])
        #expect(n1.granted(11).contains(.takeOver(self.address, lease: 11, from: 9, clusterID: Script.cluster)))
        _ = n1.on(.acquireUnanswered(self.address, lease: 11, reason: "timeout"))
        #expect(!n1.on(.leaseGone(self.address, lease: 10)).contains(self.grant))
        #expect(n1.status?.lease == 11)
    }

    @Test func `a key that was acquired late is given back, also while another lease is on its way back`() {
        var n1 = Script.holding()
        _ = n1.watched(8, .leader("n2"))
        #expect(
            n1.on(.removed(self.address, Script.place, wasPresent: true)).contains(.revoke(self.address, lease: 11)))
        #expect(n1.acquired(12, 9) == [.revoke(self.address, lease: 12)])
        #expect(n1.acquired(11, 9) == [])
    }

    @Test func `a lease that ended in the etcd of before may run in this one`() {
        var n1 = Script.holding()
        _ = n1.watched(8, .leader("n2"))
        _ = n1.on(.removed(self.address, Script.place, wasPresent: true))
        _ = n1.on(.leaseRevoked(self.address, lease: 11))
        _ = n1.read(etcd(leader: "n1", holder: theirs(11), revision: 90, cluster: 8, mark: nil), after: .seconds(1))
        _ = n1.on(.markAnswered(reason: nil, sentAt: n1.now))
        let marked = etcd(
            leader: "n1", holder: theirs(11), revision: 92, cluster: 8, mark: 8, isQuarantined: true,
            trail: TrailInEtcd(
                Trail([.init(lease: 20, ttl: .seconds(30), isQuarantine: true), .init(lease: 11, ttl: .seconds(30))]),
                revision: 91))
        _ = n1.read(marked)
        _ = n1.postgres(.primary)
        _ = n1.on(.watched(clusterID: 8, revision: 93, changes: [.quarantine(false)]))
        #expect(n1.stance == .wait(.heldByAnother("n2")))
    }
}
