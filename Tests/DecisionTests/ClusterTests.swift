// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// A new etcd, a wiped one, a restored one.
struct ClusterTests {
    let address = Script.address
    let place = Script.place

    @Test func `a new etcd is marked and quarantined, and nothing is acquired meanwhile`() {
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed()
        let mark = Action.markCluster(clusterID: Script.cluster, seen: 0, quarantine: .seconds(30))
        #expect(
            n1.read(etcd(leader: "n1", mark: nil)) == [
                mark, .grantLease(self.address, ttl: .seconds(30)), .askPostgres, .ready,
            ])
        _ = n1.postgres(.primary)
        #expect(n1.granted(11) == [])
        #expect(n1.stance == .wait(.clusterNotMarked))
        #expect(n1.on(.markAnswered(reason: nil, sentAt: n1.now)).contains(.read))
        _ = n1.on(.readAnswered(etcd(leader: "n1", revision: 6, isQuarantined: true), sentAt: n1.now))
        #expect(n1.stance == .wait(.quarantine))
        _ = n1.postgres(.primary)
        #expect(
            n1.watched(7, .quarantine(false)) == [.acquire(self.address, lease: 11, clusterID: Script.cluster)])
    }

    @Test func `an etcd without Patroni's configuration is not marked: how long to wait is not known`() {
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed()
        var empty = etcd(leader: "n1", mark: nil)
        empty.patroni = nil
        #expect(n1.read(empty) == [.grantLease(self.address, ttl: .seconds(30)), .askPostgres, .ready])
        #expect(
            n1.watched(6, .patroni(DynamicConfig(ttl: .seconds(60)))) == [
                .markCluster(clusterID: Script.cluster, seen: 0, quarantine: .seconds(60))
            ])
        var configured = Script(leaseTTL: .seconds(20))
        _ = configured.on(.tick)
        #expect(
            configured.read(empty).contains(
                .markCluster(clusterID: Script.cluster, seen: 0, quarantine: .seconds(20))))
    }

    @Test func `the quarantine lasts as long as a lease that was granted before the ttl was lowered`() {
        var n1 = Script.started(etcd(leader: "n2", ttl: .seconds(60)))
        _ = n1.watched(6, .patroni(DynamicConfig(ttl: .seconds(20))), after: .seconds(1))
        let replaced = etcd(leader: "n2", revision: 3, cluster: 8, mark: nil, ttl: .seconds(20))
        #expect(
            n1.read(replaced, after: .seconds(30)).contains(
                .markCluster(clusterID: 8, seen: 0, quarantine: .seconds(60))))
        let again = etcd(leader: "n2", revision: 3, cluster: 9, mark: nil, ttl: .seconds(20))
        _ = n1.on(.markAnswered(reason: nil, sentAt: n1.now))
        #expect(
            n1.read(again, after: .seconds(31)).contains(
                .markCluster(clusterID: 9, seen: 0, quarantine: .seconds(20))))
    }

    @Test func `the quarantine lasts as long as the longest lease, also where the ttl was lowered twice`() {
        var n1 = Script.started(etcd(leader: "n2", ttl: .seconds(60)))
        _ = n1.watched(6, .patroni(DynamicConfig(ttl: .seconds(40))), after: .seconds(1))
        _ = n1.watched(7, .patroni(DynamicConfig(ttl: .seconds(20))), after: .seconds(1))
        let replaced = etcd(leader: "n2", revision: 3, cluster: 8, mark: nil, ttl: .seconds(20))
        #expect(
            n1.read(replaced, after: .seconds(30)).contains(
                .markCluster(clusterID: 8, seen: 0, quarantine: .seconds(60))))
    }

    @Test func `the quarantine lasts as long as a lease that was granted before a reload shortened it`() {
        var unconfigured = etcd(leader: "n2")
        unconfigured.patroni = nil
        var n1 = Script.started(unconfigured, Script(leaseTTL: .seconds(60)))
        let shorter = CoreSettings(
            member: "n1", node: "boot-a", addresses: [Script.spec], leaseTTL: .seconds(20), clockDrift: 10_000)
        _ = n1.on(.reconfigured(shorter), after: .seconds(1))
        var replaced = etcd(leader: "n2", revision: 3, cluster: 8, mark: nil)
        replaced.patroni = nil
        #expect(
            n1.read(replaced, after: .seconds(30)).contains(
                .markCluster(clusterID: 8, seen: 0, quarantine: .seconds(60))))
    }

    @Test func `a mark that does not stick is written once a second at most`() {
        var n1 = Script.started(etcd(leader: "n2", mark: nil))
        var marks = 0
        let begin = n1.now
        while n1.now - begin < .seconds(10) {
            var actions = n1.on(.markAnswered(reason: nil, sentAt: n1.now))
            actions += n1.read(etcd(leader: "n2", mark: nil))
            for action in actions { if case .markCluster = action { marks += 1 } }
        }
        #expect((5...11).contains(marks))
    }

    @Test func `in another etcd the address goes, and the leases of the old one are forgotten`() {
        var n1 = Script.holding()
        let other = etcd(leader: "n1", revision: 3, cluster: 8, mark: nil)
        #expect(
            n1.read(other) == [
                .markCluster(clusterID: 8, seen: 0, quarantine: .seconds(30)), .stopAnnouncing(Script.spec),
                .remove(self.address, self.place),
                .grantLease(self.address, ttl: .seconds(30)),
            ])
        #expect(n1.reports.contains(.clusterReplaced(old: Script.cluster, new: 8)))
        #expect(n1.stance == .wait(.clusterNotMarked))
    }

    @Test func `what a watch of another etcd shows is not believed, and etcd is read`() {
        var n1 = Script.started(etcd(leader: "n2"))
        let other = Event.watched(clusterID: 8, revision: 90, changes: [.leader("n1")])
        #expect(n1.on(other).contains(.read))
        #expect(n1.stance == .leave(.leaderIsAnother("n2")))
    }

    @Test func `an answer of the etcd of before, come late, changes nothing`() {
        var n1 = Script.started(etcd(leader: "n2"))
        let sent = n1.now
        _ = n1.read(etcd(leader: "n2", revision: 3, cluster: 8, mark: 8), after: .seconds(1))
        #expect(n1.on(.readAnswered(etcd(leader: "n1", revision: 90), sentAt: sent)) == [])
        #expect(n1.core.believedSnapshot?.clusterID == 8)
    }

    @Test func `an etcd wiped under its old number is noticed by its revision, and marked again`() {
        var n1 = Script.started(etcd(leader: "n1", revision: 900))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        _ = n1.acquired(11, 901)
        _ = n1.on(.assigned(self.address))
        let wiped = etcd(leader: "n1", revision: 4)
        let actions = n1.read(wiped, after: .seconds(1))
        #expect(actions.contains(.remove(self.address, self.place)))
        #expect(
            actions.contains(
                .markCluster(clusterID: Script.cluster, seen: 2, quarantine: .seconds(30))))
        _ = n1.postgres(.primary)
        #expect(n1.stance == .wait(.clusterNotMarked))
    }

    @Test func `where another node has quarantined the wiped etcd, once is enough`() {
        var n1 = Script.started(etcd(leader: "n2", revision: 900))
        var empty = etcd(leader: "n2", revision: 2, mark: nil)
        empty.patroni = nil
        _ = n1.read(empty, after: .seconds(1))
        #expect(n1.read(etcd(leader: "n2", revision: 6, isQuarantined: true), after: .seconds(1)) == [])
    }

    @Test func `a mark that cannot be read is overwritten, and the cluster quarantined`() {
        var snapshot = etcd(leader: "n1", revision: 9)
        snapshot.mark = ClusterMark(clusterID: nil, revision: 8)
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed()
        #expect(
            n1.read(snapshot).contains(
                .markCluster(clusterID: Script.cluster, seen: 8, quarantine: .seconds(30))))
        _ = n1.postgres(.primary)
        #expect(n1.granted(11) == [])
        #expect(n1.stance == .wait(.clusterNotMarked))
        _ = n1.on(.markAnswered(reason: nil, sentAt: n1.now))
        var marked = etcd(leader: "n1", revision: 10, isQuarantined: true)
        marked.mark = ClusterMark(clusterID: Script.cluster, revision: 10)
        #expect(!n1.read(marked).contains { if case .markCluster = $0 { true } else { false } })
        #expect(n1.stance == .wait(.quarantine))
    }

    @Test func `what cannot be read of Patroni's configuration stays as it was`() {
        var n1 = Script.started(etcd(leader: "n2", ttl: .seconds(60)))
        var odd = DynamicConfig(isPaused: true, ttl: .seconds(30), loopWait: .seconds(1))
        odd.unreadable = [.ttl, .loopWait]
        _ = n1.watched(6, .patroni(odd))
        #expect(n1.reports == [.pauseChanged(isPaused: true)])
        #expect(n1.core.believedSnapshot?.patroni == DynamicConfig(isPaused: true, ttl: .seconds(60)))
        odd.unreadable = [.isPaused, .isFailsafeEnabled]
        odd.isPaused = false
        odd.isFailsafeEnabled = true
        _ = n1.watched(7, .patroni(odd))
        let mended = DynamicConfig(isPaused: true, ttl: .seconds(30), loopWait: .seconds(1))
        #expect(n1.core.believedSnapshot?.patroni == mended)
    }

    @Test func `a ttl that was never readable is not known: nothing is marked`() {
        var empty = etcd(leader: "n1", mark: nil)
        empty.patroni?.unreadable = [.ttl]
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed()
        #expect(n1.read(empty) == [.grantLease(self.address, ttl: .seconds(30)), .askPostgres, .ready])
        #expect(
            n1.watched(6, .patroni(DynamicConfig(ttl: .seconds(60)))) == [
                .markCluster(clusterID: Script.cluster, seen: 0, quarantine: .seconds(60))
            ])
    }
}
