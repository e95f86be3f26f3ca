// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// etcd out of reach: lapse, failsafe mode, maintenance; and the watch.
struct ContactTests {
    let address = Script.address
    let spec = Script.spec
    let place = Script.place

    @Test func `without etcd nothing is renewed, and the address goes when its right ends`() {
        var n1 = Script.holding()
        let until = n1.status?.until
        #expect(n1.on(.readFailed(reason: "timeout"), after: .seconds(5)) == [.askPostgres])
        #expect(
            n1.reports == [
                .contactLost(reason: "timeout", lastRead: n1.now - Instant(sinceBoot: .milliseconds(100_005)))
            ])
        var actions: [Action] = []
        while !actions.contains(.remove(self.address, self.place)), n1.now < Instant(sinceBoot: .seconds(200)) {
            actions = n1.wake()
            #expect(!actions.contains { if case .assign = $0 { true } else { false } })
            #expect(actions.contains(.stopAnnouncing(self.spec)) == actions.contains(.remove(self.address, self.place)))
            _ = n1.on(.readFailed(reason: "timeout"), after: .zero)
            _ = n1.on(.leaseUnanswered(self.address, lease: 11, reason: "timeout"), after: .zero)
        }
        #expect(n1.now == until)
        #expect(n1.on(.removed(self.address, self.place, wasPresent: false)) == [])
        #expect(n1.reports == [.lapsed(self.address, interface: "eth0")])
    }

    @Test func `etcd answers again: the lease is renewed at once, and again within a second if that fails`() {
        var n1 = Script.holding(isFailsafeEnabled: true)
        while !n1.wake().contains(.read) { _ = n1.on(.postgres(.primary, askedAt: n1.now), after: .zero) }
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(5))
        while !n1.wake().contains(.read) {}
        // The keep-alive that was sent before the outage has not been answered; nobody waits for it.
        let answer = Event.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: n1.now)
        #expect(n1.on(answer).contains(.keepAlive(self.address, lease: 11)))
        _ = n1.on(.leaseUnanswered(self.address, lease: 11, reason: "no leader"))
        let failedAt = n1.now
        while !n1.wake().contains(.keepAlive(self.address, lease: 11)) {}
        #expect(n1.now - failedAt <= .seconds(1))
    }

    @Test func `etcd that refuses at once is asked once a second`() {
        var n1 = Script.holding()
        var reads = 0
        let begin = n1.now
        while n1.now - begin < .seconds(20) {
            if n1.wake().contains(.read) { reads += 1 }
            _ = n1.on(.readFailed(reason: "refused"))
            _ = n1.on(.leaseUnanswered(self.address, lease: 11, reason: "refused"))
            _ = n1.on(.postgres(.primary, askedAt: n1.now), after: .zero)
        }
        #expect((10...22).contains(reads))
    }

    @Test func `where failsafe mode is on, a lease is asked for that lasts until it begins`() {
        let n1 = Script.started(etcd(leader: "n1", isFailsafeEnabled: true))
        #expect(n1.core.node.leaseTTL == Script.failsafeTTL)
        for (ttl, drift, expected) in [
            (20, 10_000, 28), (30, 10_000, 41), (20, 90_000, 31), (30, 90_000, 45), (60, 90_000, 85),
            (300, 90_000, 408), (244, 10_000, 300),
            (30, 200_000, 53),
        ] {
            let config = DynamicConfig(isFailsafeEnabled: true, ttl: .seconds(ttl))
            let leaseTTL = config.addressTTL(clockDrift: drift)
            #expect(leaseTTL == .seconds(expected))
            // What is left when Patroni concludes, in the worst case: it may be asked a second later.
            let left = leaseTTL * 5 / 6 - leaseTTL.share(drift) - .seconds(2) - config.ttl
            #expect(left >= .seconds(1), "\(ttl) s: \(left)")
        }
        #expect(DynamicConfig(ttl: .seconds(30)).addressTTL(clockDrift: 90_000) == .seconds(30))
        // What the operator has chosen is taken.
        let own = Script.started(etcd(leader: "n1", isFailsafeEnabled: true), Script(leaseTTL: .seconds(15)))
        #expect(own.core.node.leaseTTL == .seconds(15))
    }

    @Test func `failsafe mode prolongs by at most four seconds from the question on, and not while etcd answers`() {
        var n1 = Script.holding(isFailsafeEnabled: true)
        #expect(n1.on(.readFailed(reason: "timeout"), after: .seconds(20)).contains(.askPatroni))
        _ = n1.on(.patroni(.answered(isRunningPrimary: true, isFailsafeActive: false), askedAt: n1.now))
        let asked = n1.now
        let active = PatroniAnswer.answered(isRunningPrimary: true, isFailsafeActive: true)
        #expect(!n1.core.isCoveredByFailsafe(at: n1.now))
        #expect(n1.on(.patroni(active, askedAt: asked)) == [] && n1.core.isCoveredByFailsafe(at: n1.now))
        #expect(n1.wake().contains(.read))
        _ = n1.on(.readFailed(reason: "timeout"))
        var given: Instant?
        for _ in 0..<60 {
            let asked = n1.now
            for action in n1.on(.patroni(active, askedAt: asked)) {
                if case .assign(_, let until, _) = action {
                    #expect(until <= n1.now + .seconds(4))
                    given = until
                    _ = n1.on(.assigned(self.address), after: .zero)
                }
            }
            #expect(n1.status?.isHere == true)
            _ = n1.on(.tick, after: .milliseconds(999))
            _ = n1.on(.readFailed(reason: "timeout"), after: .zero)
        }
        #expect(given != nil)
        let inactive = PatroniAnswer.answered(isRunningPrimary: true, isFailsafeActive: false)
        _ = n1.on(.patroni(inactive, askedAt: n1.now))
        #expect(n1.on(.tick, after: .seconds(4)).contains(.remove(self.address, self.place)))
    }

    @Test func `failsafe mode covers the moment between etcd's first answer and the renewal of the lease`() {
        var n1 = Script.holding(isFailsafeEnabled: true)
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(20))
        _ = n1.on(.patroni(.answered(isRunningPrimary: true, isFailsafeActive: false), askedAt: n1.now))
        let active = PatroniAnswer.answered(isRunningPrimary: true, isFailsafeActive: true)
        for _ in 0..<30 {
            let assigns = n1.on(.patroni(active, askedAt: n1.now)).contains {
                if case .assign = $0 { true } else { false }
            }
            if assigns { _ = n1.on(.assigned(self.address), after: .zero) }
            _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(1))
        }
        // The lease's own right is long over; whether the lease still runs, only the keep-alive will tell.
        let snapshot = etcd(leader: "n1", holder: mine(11), revision: 8, isFailsafeEnabled: true)
        let actions = n1.read(snapshot)
        #expect(!actions.contains(.remove(self.address, self.place)))
        // What Patroni was asked in the outage, it may answer after it: that is no other outage's report.
        #expect(n1.reports.count == 1)
        _ = n1.on(.patroni(active, askedAt: n1.now))
        #expect(n1.reports == [])
        _ = n1.on(.assigned(self.address))
        let kept = Event.leaseKept(
            self.address, lease: 11, ttl: Script.failsafeTTL, sentAt: n1.now, by: Script.answerer())
        let isAssigned = n1.on(kept).contains {
            if case .assign(_, let until, _) = $0 { until > n1.now + .seconds(20) } else { false }
        }
        #expect(isAssigned)
        _ = n1.on(.assigned(self.address))
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(20))
        _ = n1.on(.patroni(.answered(isRunningPrimary: true, isFailsafeActive: false), askedAt: n1.now))
        _ = n1.on(.patroni(active, askedAt: n1.now))
        #expect(n1.reports.contains { if case .failsafeHolds = $0 { true } else { false } })
    }

    @Test func `without a lease that runs, the cover of failsafe mode ends though etcd answers`() {
        var n1 = Script.holding(isFailsafeEnabled: true)
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(20))
        _ = n1.on(.patroni(.answered(isRunningPrimary: true, isFailsafeActive: false), askedAt: n1.now))
        let active = PatroniAnswer.answered(isRunningPrimary: true, isFailsafeActive: true)
        for _ in 0..<30 {
            _ = n1.on(.patroni(active, askedAt: n1.now))
            _ = n1.on(.assigned(self.address), after: .zero)
            _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(1))
        }
        _ = n1.read(etcd(leader: "n1", holder: mine(11), revision: 8, isFailsafeEnabled: true))
        #expect(n1.on(.tick, after: .seconds(4)).contains(.remove(self.address, self.place)))
    }

    @Test func `a Patroni that was silent is not believed until it must have asked the others again`() {
        var n1 = Script.holding(isFailsafeEnabled: true)
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(20))
        let active = PatroniAnswer.answered(isRunningPrimary: true, isFailsafeActive: true)
        let begin = n1.now
        var coveredAfter: Duration?
        for _ in 0..<40 where coveredAfter == nil {
            _ = n1.on(.patroni(active, askedAt: n1.now))
            _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(1))
            if n1.core.node.isCoveredByFailsafe(at: n1.now) { coveredAfter = n1.now - begin }
        }
        #expect(coveredAfter.map { $0 >= .seconds(20) && $0 <= .seconds(23) } == true)
    }

    @Test func `failsafe mode covers nothing that Patroni does not run as primary`() {
        var n1 = Script.holding(isFailsafeEnabled: true)
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(20))
        for answer: PatroniAnswer in [
            .answered(isRunningPrimary: false, isFailsafeActive: true),
            .answered(isRunningPrimary: true, isFailsafeActive: false), .unreachable(reason: "timeout"),
        ] { _ = n1.on(.patroni(answer, askedAt: n1.now)) }
        #expect(n1.on(.tick, after: .seconds(20)).contains(.remove(self.address, self.place)))
    }

    @Test func `failsafe mode gives way to a leader that etcd names`() {
        var n1 = Script.holding(isFailsafeEnabled: true)
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(20))
        _ = n1.on(.patroni(.answered(isRunningPrimary: true, isFailsafeActive: false), askedAt: n1.now))
        _ = n1.on(.patroni(.answered(isRunningPrimary: true, isFailsafeActive: true), askedAt: n1.now))
        #expect(n1.core.node.isCoveredByFailsafe(at: n1.now))
        #expect(n1.read(etcd(leader: "n2", revision: 9)).contains(.remove(self.address, self.place)))
    }

    @Test func `in maintenance a held address stays without a leader, and PostgreSQL is asked each second`() {
        var n1 = Script.holding()
        _ = n1.watched(6, .patroni(DynamicConfig(isPaused: true)))
        #expect(n1.reports == [.pauseChanged(isPaused: true)])
        #expect(n1.watched(7, .leader(nil)) == [])
        #expect(n1.stance == .keep(.maintenance))
        #expect(n1.on(.tick, after: .seconds(1)).contains(.askPostgres))
        #expect(n1.postgres(.standby) == [.stopAnnouncing(self.spec), .remove(self.address, self.place)])
        #expect(n1.stance == .leave(.noLeader))
    }

    @Test func `in maintenance a restarted daemon adopts what it held, without a leader`() {
        var n1 = Script.started(etcd(holder: mine(9), isPaused: true), found: [self.place])
        #expect(n1.stance == .keep(.maintenance))
        #expect(n1.granted(11) == [.takeOver(self.address, lease: 11, from: 9, clusterID: Script.cluster)])
        _ = n1.postgres(.primary)
        #expect(n1.acquired(11, 6).contains { if case .assign = $0 { true } else { false } })
        #expect(n1.stance == .keep(.maintenance))
    }

    @Test func `in maintenance nothing is acquired without a leader`() {
        var n1 = Script.started(etcd(isPaused: true))
        #expect(n1.stance == .leave(.noLeader))
        #expect(n1.on(.tick, after: .seconds(1)) == [])
    }

    @Test func `a leader that a read shows first is awaited from the watch for a second`() {
        var n1 = Script.started(etcd(leader: "n2"))
        _ = n1.read(etcd(leader: "n3", revision: 6), after: .seconds(1))
        #expect(n1.wakesIn == .seconds(1))
        #expect(n1.wake().contains(.restartWatch))
        #expect(n1.reports == [.watchStale(revision: 6)])
        _ = n1.read(etcd(leader: "n4", revision: 7))
        #expect(n1.watched(7, .leader("n4")) == [])
        #expect(!n1.on(.tick, after: .seconds(1)).contains(.restartWatch))
    }

    @Test func `a watch that lags behind what a read has shown is not alive for it`() {
        var n1 = Script.started(etcd(leader: "n2"))
        _ = n1.read(etcd(leader: "n3", revision: 8), after: .seconds(1))
        _ = n1.watched(7, .leader("n2"))
        #expect(n1.on(.tick, after: .seconds(1)).contains(.restartWatch))
    }

    @Test func `older news changes nothing, whatever brings it`() {
        var n1 = Script.holding()
        #expect(n1.watched(2, .leader("n2")) == [])
        #expect(n1.watched(3, .holder(self.address, theirs(40))) == [])
        let sent = n1.now - .seconds(1)
        #expect(n1.on(.readAnswered(etcd(leader: "n2", revision: 3), sentAt: sent)) == [])
        #expect(n1.stance == .hold)
    }

    @Test func `a holder that a read shows first is awaited from the watch for a second, as the leader is`() {
        var n1 = Script.started(etcd(leader: "n2", holder: theirs(40)))
        _ = n1.read(etcd(leader: "n2", revision: 6), after: .seconds(1))
        #expect(n1.wakesIn == .seconds(1))
        // The other watch is alive, which says nothing of this one.
        _ = n1.watched(7, .leader("n2"), after: .milliseconds(500))
        #expect(n1.wake().contains(.restartWatch))
        #expect(n1.reports == [.watchStale(revision: 6)])
        // The watch of before owed nothing else; a new one is given its time.
        _ = n1.read(etcd(leader: "n2", holder: theirs(41), revision: 8))
        #expect(n1.watched(8, .holder(self.address, theirs(41))) == [])
        #expect(!n1.on(.tick, after: .seconds(1)).contains(.restartWatch))
    }

    @Test func `a holder that goes on changing does not put the deadline off`() {
        var n1 = Script.started(etcd(leader: "n2", holder: theirs(40)))
        var actions: [Action] = []
        for number in 1...4 {
            let holder = theirs(40 + LeaseID(number))
            actions += n1.read(
                etcd(leader: "n2", holder: holder, revision: 5 + Int64(number)), after: .milliseconds(400))
        }
        #expect(actions.contains(.restartWatch))
    }

    @Test func `our own acquisition is no news that the watch owes`() {
        var n1 = Script.holding()
        // The watch was faster than the transaction's answer, and tells the TTL besides.
        let told = Holder(member: "n1", node: "boot-a", lease: 11, ttl: .seconds(30))
        _ = n1.read(etcd(leader: "n1", holder: told, revision: 6))
        #expect(!n1.on(.tick, after: .seconds(2)).contains(.restartWatch))
    }

    @Test func `a watch owes nothing of before its beginning`() {
        var n1 = Script.started(etcd(leader: "n2", holder: theirs(40)))
        _ = n1.read(etcd(leader: "n3", holder: theirs(41), revision: 6))
        // The shell has begun to watch behind revision 6, and shows what it read itself.
        _ = n1.on(.followed(etcd(leader: "n4", holder: theirs(42), revision: 7), sentAt: n1.now))
        #expect(n1.core.believedSnapshot?.leader == "n4")
        #expect(!n1.on(.tick, after: .seconds(2)).contains(.restartWatch))
        // What is newer than the beginning, it owes.
        _ = n1.read(etcd(leader: "n5", holder: theirs(42), revision: 9))
        _ = n1.on(.followed(etcd(leader: "n4", holder: theirs(42), revision: 8), sentAt: n1.now - .seconds(1)))
        #expect(n1.on(.tick, after: .seconds(1)).contains(.restartWatch))
    }

    @Test func `the shell's own read ends no read of the core's`() {
        var n1 = Script.holding()
        while !n1.wake().contains(.read) {}
        _ = n1.on(.followed(etcd(leader: "n1", holder: mine(11), revision: 6), sentAt: n1.now))
        // The core's read is still under way: no other is sent, however long it takes.
        #expect(!n1.on(.tick, after: .seconds(9)).contains(.read))
        // It fails late, but something newer was read: there is contact.
        _ = n1.on(.readFailed(reason: "timeout"))
        #expect(n1.reports == [] && n1.core.hasContact)
        #expect(n1.on(.tick, after: .seconds(1)).contains(.read))
        _ = n1.on(.readFailed(reason: "timeout"))
        #expect(!n1.core.hasContact)
    }
}
