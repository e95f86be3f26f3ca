// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// From when a keep-alive counts that etcd has answered.
struct RenewalTests {
    @Test func `a keep-alive counts from a read of the same term or an older one, and not otherwise`() {
        var n1 = Script.holding()
        while !n1.wake().contains(.read) {}
        let sent = n1.now
        let before = n1.status?.until
        // The answering member has not heard of the leader in whose term the read was answered.
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 6, term: 4), sentAt: sent))
        _ = n1.on(
            .leaseKept(Script.address, lease: 11, ttl: .seconds(30), sentAt: sent, by: Script.answerer(term: 3)))
        #expect(n1.reports == [.renewalUncounted(Script.address, lease: 11, term: 3, known: 4)])
        #expect(n1.status?.until == before)
        // It is asked again within a second, and then counts.
        var actions: [Action] = []
        while n1.now < sent + .seconds(2), !actions.contains(.keepAlive(Script.address, lease: 11)) {
            actions = n1.wake()
        }
        #expect(actions.contains(.keepAlive(Script.address, lease: 11)))
        let again = n1.now
        _ = n1.on(
            .leaseKept(Script.address, lease: 11, ttl: .seconds(30), sentAt: again, by: Script.answerer(term: 4)))
        // From the read on, which was sent before it.
        #expect(n1.core.leases[0].key.lease?.goodUntil == sent + .seconds(30) - Script.margin)
    }

    /// Holds, with a read and a keep-alive just sent, at a moment to which it comes back.
    private func renewing() -> (Script, sent: Instant) {
        var n1 = Script.holding()
        while !n1.wake().contains(.read) {}
        return (n1, n1.now)
    }

    private func kept(_ sent: Instant, _ answerer: Answerer) -> Event {
        .leaseKept(Script.address, lease: 11, ttl: .seconds(30), sentAt: sent, by: answerer)
    }

    @Test func `a read that shows a newer term makes the keep-alive of before be repeated within a second`() {
        var (n1, sent) = self.renewing()
        _ = n1.on(self.kept(sent, Script.answerer(term: 3)))
        let read = Event.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 6, term: 4), sentAt: sent)
        _ = n1.on(read)
        #expect(n1.reports == [.renewalUncounted(Script.address, lease: 11, term: 3, known: 4)])
        var actions: [Action] = []
        while n1.now < sent + .milliseconds(1100), !actions.contains(.keepAlive(Script.address, lease: 11)) {
            actions = n1.wake()
        }
        #expect(actions.contains(.keepAlive(Script.address, lease: 11)))
    }

    @Test func `another cluster's keep-alive does not count, though the lease has the same number there`() {
        var (n1, sent) = self.renewing()
        let before = n1.core.leases[0].key.lease?.goodUntil
        _ = n1.on(self.kept(sent, Answerer(clusterID: 8, raftTerm: 3)))
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 6), sentAt: sent))
        #expect(n1.core.leases[0].key.lease?.goodUntil == before)
    }

    @Test func `a read without a term vouches for nothing`() {
        var (n1, sent) = self.renewing()
        let before = n1.core.leases[0].key.lease?.goodUntil ?? sent
        _ = n1.on(self.kept(sent, Script.answerer(term: 3)))
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 6, term: 0), sentAt: sent))
        // Only the acquisition of before vouches for it.
        #expect(n1.core.leases[0].key.lease.map { $0.goodUntil < sent + .seconds(30) - Script.margin } == true)
        #expect(n1.core.leases[0].key.lease.map { $0.goodUntil >= before } == true)
    }

    @Test func `the TTL is the one that the keep-alive's answer says`() {
        var (n1, sent) = self.renewing()
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 6), sentAt: sent))
        _ = n1.on(.leaseKept(Script.address, lease: 11, ttl: .seconds(29), sentAt: sent, by: Script.answerer()))
        #expect(n1.core.leases[0].key.lease?.goodUntil == sent + .seconds(29) - .milliseconds(2290))
    }
}
