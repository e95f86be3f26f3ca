// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Which history of etcd this is: an old copy, an earlier cluster that comes back, a memory that is lost.
struct TrailTests {
    static func trail(_ leases: LeaseID...) -> Trail {
        Trail(leases.map { Trail.Entry(lease: $0, ttl: .seconds(30)) })
    }

    static func found(_ leases: LeaseID...) -> TrailInEtcd {
        TrailInEtcd(Trail(leases.map { Trail.Entry(lease: $0, ttl: .seconds(30)) }), revision: 3)
    }

    static func memory(_ leases: LeaseID...) -> Memory {
        let trail = Trail(leases.map { Trail.Entry(lease: $0, ttl: .seconds(30)) })
        return Memory(trails: [Addressed(Script.address, trail)])
    }

    static func isMarking(_ actions: [Action]) -> Bool {
        actions.contains { if case .markCluster = $0 { true } else { false } }
    }

    @Test
    func `a trail that knows what is remembered continues it, one that only knows what came before contradicts it`() {
        #expect(Trail().kinship(with: Trail()) == .continued)
        #expect(Self.trail(2, 1).kinship(with: Self.trail(2, 1)) == .continued)
        #expect(Self.trail(2, 1).kinship(with: Self.trail(3, 2)) == .continued)
        #expect(Self.trail(2, 1).kinship(with: Self.trail(1)) == .contradicted)
        #expect(Self.trail(2, 1).kinship(with: Self.trail(3, 1)) == .contradicted)
        #expect(Self.trail(2, 1).kinship(with: Trail()) == .unknown)
        #expect(Self.trail(2, 1).kinship(with: Self.trail(4, 3)) == .unknown)
        #expect(Trail().kinship(with: Self.trail(1)) == .unknown)
        let merged = Self.trail(2, 1).merged(with: Self.trail(3, 1))
        #expect(Self.trail(2, 1).kinship(with: merged) == .continued)
        #expect(Self.trail(3, 1).kinship(with: merged) == .continued)
    }

    @Test func `a fresh process that remembers more than etcd knows quarantines it before anything is acquired`() {
        var n1 = Script(memory: Self.memory(2, 1))
        _ = n1.on(.tick)
        _ = n1.listed()
        let actions = n1.read(etcd(leader: "n1", trail: Self.found(1)))
        #expect(Self.isMarking(actions))
        #expect(n1.reports.contains(.historyContradicted(Script.address)))
        _ = n1.postgres(.primary)
        #expect(n1.granted(11) == [])
        #expect(n1.stance == .wait(.clusterNotMarked))
        // The mark is written, and with it both histories in one.
        _ = n1.on(.markAnswered(reason: nil, sentAt: n1.now))
        _ = n1.read(etcd(leader: "n1", revision: 6, isQuarantined: true, trail: Self.found(20, 2, 1)))
        #expect(n1.stance == .wait(.quarantine))
        _ = n1.postgres(.primary)
        #expect(
            n1.watched(7, .quarantine(false)) == [.acquire(Script.address, lease: 11, clusterID: Script.cluster)])
    }

    @Test func `a restart costs nothing where etcd knows what is remembered`() {
        for found in [Self.found(2, 1), Self.found(3, 2, 1)] {
            var n1 = Script.started(etcd(leader: "n1", trail: found), Script(memory: Self.memory(2, 1)))
            #expect(n1.granted(11) == [])
            #expect(n1.postgres(.primary) == [.acquire(Script.address, lease: 11, clusterID: Script.cluster)])
        }
    }

    @Test
    func `without a memory also a history without acquisitions is not trusted at once, where it was marked before`() {
        let nothing = Memory(isPartial: true)
        var n1 = Script.started(etcd(leader: "n1"), Script(memory: nothing))
        #expect(n1.reports.contains { if case .historyUnknown = $0 { true } else { false } })
        _ = n1.granted(11)
        #expect(n1.postgres(.primary) == [] && n1.stance == .wait(.historyUnknown))
        _ = n1.on(.tick, after: .seconds(31))
        _ = n1.postgres(.primary)
        #expect(n1.stance == .hold)
        // What is kept then says that there was nothing: the next process knows, of this address alone.
        #expect(n1.core.memory == Memory(trails: [Addressed(Script.address, Trail())], isPartial: true))
        let other = AddressSpec(id: "10.0.0.9", prefixLength: 24, interface: "eth0", acquire: .writable)
        var next = Script.started(etcd(leader: "n1"), Script([Script.spec, other], memory: n1.core.memory))
        let unknown = next.reports.filter { if case .historyUnknown = $0 { true } else { false } }
        #expect(unknown.count == 1)
        _ = next.granted(11)
        #expect(next.postgres(.primary) == [.acquire(Script.address, lease: 11, clusterID: Script.cluster)])
        // A process of a version that kept nothing was here before, in this boot.
        var upgraded = Script.started(
            etcd(leader: "n1"), Script(memory: Memory(followsForgetful: true, isPartial: true)))
        _ = upgraded.granted(11)
        #expect(upgraded.postgres(.primary) == [.acquire(Script.address, lease: 11, clusterID: Script.cluster)])
        // A cluster that is marked from now on is quarantined for as long.
        var fresh = Script(memory: nothing)
        _ = fresh.on(.tick)
        _ = fresh.listed()
        #expect(Self.isMarking(fresh.read(etcd(leader: "n1", mark: nil))))
        _ = fresh.on(.markAnswered(reason: nil, sentAt: fresh.now))
        _ = fresh.read(etcd(leader: "n1", revision: 6, isQuarantined: true))
        _ = fresh.granted(11)
        _ = fresh.postgres(.primary)
        #expect(
            fresh.watched(7, .quarantine(false)) == [.acquire(Script.address, lease: 11, clusterID: Script.cluster)])
    }

    @Test func `the first start after a version that kept no trails waits for nothing`() {
        var n1 = Script.started(etcd(leader: "n1"))
        #expect(n1.granted(11) == [])
        #expect(n1.postgres(.primary) == [.acquire(Script.address, lease: 11, clusterID: Script.cluster)])
        var n2 = Script.started(
            etcd(leader: "n1", trail: Self.found(1)), Script(memory: Memory(followsForgetful: true)))
        #expect(n2.granted(11) == [])
        #expect(n2.postgres(.primary) == [.acquire(Script.address, lease: 11, clusterID: Script.cluster)])
    }

    @Test func `a node that remembers nothing waits for one TTL, and holds nobody else up`() {
        var n1 = Script(memory: Memory())
        _ = n1.on(.tick)
        _ = n1.listed()
        let actions = n1.read(etcd(leader: "n1", trail: Self.found(1)))
        #expect(!Self.isMarking(actions))
        #expect(n1.reports.contains(.historyUnknown(Script.address, wait: Script.historyWait)))
        let begun = n1.now
        _ = n1.granted(11)
        _ = n1.postgres(.primary)
        #expect(n1.stance == .wait(.historyUnknown))
        let due = begun + Script.historyWait
        _ = n1.on(.postgres(.primary, askedAt: due - .milliseconds(1)), after: due - .milliseconds(1) - n1.now)
        #expect(n1.stance == .wait(.historyUnknown))
        _ = n1.on(.postgres(.primary, askedAt: due), after: .milliseconds(1))
        #expect(n1.stance == .hold)
    }

    @Test func `the first acquisition of all is seen while it happens, and remembered`() {
        var n1 = Script.started(etcd(leader: "n2"))
        _ = n1.watched(5, .trail(Script.address, Self.found(1)))
        #expect(n1.memory == Self.memory(1))
        _ = n1.watched(6, .leader("n1"))
        #expect(n1.stance != .wait(.historyUnknown))
    }

    @Test func `back in an earlier cluster there is a quarantine, though its mark is right`() {
        let memory = Script(memory: Self.memory(1))
        var n2 = Script.started(etcd(leader: "n1", trail: Self.found(1)), memory)
        _ = n2.read(etcd(leader: "n1", revision: 3, cluster: 8, mark: 8, isQuarantined: true), after: .seconds(1))
        _ = n2.on(.watched(clusterID: 8, revision: 9, changes: [.trail(Script.address, Self.found(2, 1))]))
        let actions = n2.read(etcd(leader: "n1", revision: 10, trail: Self.found(1)), after: .seconds(60))
        #expect(Self.isMarking(actions))
        #expect(n2.steps.map(\.next) == [Self.trail(2, 1)])
    }

    @Test func `that nothing can be told of a replaced etcd's history is told once`() {
        var n1 = Script.started(etcd(leader: "n1", trail: Self.found(1)), Script(memory: Self.memory(1)))
        _ = n1.read(etcd(leader: "n1", revision: 40, cluster: 8, mark: 8, trail: Self.found(9)), after: .seconds(1))
        #expect(n1.reports.count { if case .historyUnknown = $0 { true } else { false } } == 1)
    }

    @Test func `also where nothing was acquired meanwhile that is known here`() {
        var n2 = Script.started(etcd(leader: "n1", trail: Self.found(1)), Script(memory: Self.memory(1)))
        _ = n2.read(etcd(leader: "n1", revision: 3, cluster: 8, mark: 8, isQuarantined: true), after: .seconds(1))
        #expect(Self.isMarking(n2.read(etcd(leader: "n1", revision: 10, trail: Self.found(1)), after: .seconds(60))))
    }

    @Test func `what others acquire during the wait does not shorten it, their quarantine does`() {
        func waiting() -> Script {
            var n2 = Script.started(etcd(leader: "n1", trail: Self.found(1)), Script(memory: Self.memory(1)))
            let other = etcd(leader: "n1", revision: 40, cluster: 8, mark: 8, isQuarantined: true, trail: Self.found(1))
            _ = n2.read(other, after: .seconds(60))
            return n2
        }
        func changed(_ trail: Trail) -> Event {
            let change = KeyChange.trail(Script.address, TrailInEtcd(trail, revision: 41))
            return .watched(clusterID: 8, revision: 41, changes: [.quarantine(false), change, .leader("n1")])
        }
        var acquired = waiting()
        _ = acquired.on(changed(Self.trail(2, 1)))
        _ = acquired.postgres(.primary)
        #expect(acquired.stance == .wait(.historyUnknown))
        var settled = waiting()
        _ = settled.on(
            changed(
                Trail([.init(lease: 2, ttl: .seconds(30), isQuarantine: true), .init(lease: 1, ttl: .seconds(30))])))
        _ = settled.postgres(.primary)
        #expect(settled.stance == .hold)
    }

    @Test func `a cluster in which others have settled since is not quarantined a second time`() {
        var n2 = Script.started(etcd(leader: "n1", trail: Self.found(1)), Script(memory: Self.memory(1)))
        let settled = Trail([
            .init(lease: 21, ttl: .seconds(30)), .init(lease: 20, ttl: .seconds(30), isQuarantine: true),
            .init(lease: 1, ttl: .seconds(30)),
        ])
        var other = etcd(leader: "n2", revision: 40, cluster: 8, mark: 8)
        other.trails = [Addressed(Script.address, TrailInEtcd(settled, revision: 30))]
        #expect(!Self.isMarking(n2.read(other, after: .seconds(60))))
        #expect(!n2.reports.contains(.historyUnknown(Script.address, wait: Script.historyWait)))
        // Gone on, but without a quarantine: something else may have been granted where this node was.
        var n3 = Script.started(etcd(leader: "n1", trail: Self.found(1)), Script(memory: Self.memory(1)))
        other.trails = [Addressed(Script.address, Self.found(21, 1))]
        #expect(Self.isMarking(n3.read(other, after: .seconds(60))))
    }

    @Test func `a quarantine that is in sight is no reason to trust a history that contradicts what is remembered`() {
        var n1 = Script(memory: Self.memory(2, 1))
        _ = n1.on(.tick)
        _ = n1.listed()
        let begun = n1.now
        #expect(!Self.isMarking(n1.read(etcd(leader: "n1", isQuarantined: true, trail: Self.found(1)))))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        // It began in another life of this cluster, and ends early. What others acquire in it now is no reason for a second one.
        #expect(n1.watched(7, .quarantine(false)) == [])
        #expect(!Self.isMarking(n1.watched(8, .trail(Script.address, Self.found(4, 1)))))
        #expect(n1.stance == .wait(.historyUnknown))
        _ = n1.on(.postgres(.primary, askedAt: begun + .seconds(31)), after: begun + .seconds(31) - n1.now)
        #expect(n1.stance == .hold)
    }

    @Test func `a quarantine lasts as long as the newest lease that any history knows`() {
        let long = Trail([.init(lease: 2, ttl: .seconds(60)), .init(lease: 1, ttl: .seconds(90))])
        var n1 = Script(memory: Memory(trails: [Addressed(Script.address, long)]))
        _ = n1.on(.tick)
        _ = n1.listed()
        let actions = n1.read(etcd(leader: "n1", trail: Self.found(1)))
        #expect(actions.contains(.markCluster(clusterID: Script.cluster, seen: 2, quarantine: .seconds(60))))
    }

    @Test func `an earlier process's address is taken over by a node without a memory, if the kernel still has it`() {
        for found in [[Script.place], []] {
            var n1 = Script()
            _ = n1.on(.tick)
            _ = n1.read(etcd(leader: "n1", holder: mine(1), trail: Self.found(1)))
            let actions = n1.listed(found)
            #expect(n1.reports.contains(.leaseAdopted(Script.address, lease: 1)) == !found.isEmpty)
            #expect(actions.contains(.remove(Script.address, Script.place)) == false)
        }
    }

    @Test func `an acquisition that another cluster committed counts for nothing`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        let elsewhere = Answerer(clusterID: 8, raftTerm: 3)
        let actions = n1.on(
            .acquired(Script.address, lease: 11, revision: 5, sentAt: n1.now, by: elsewhere))
        #expect(actions.contains(.read))
        #expect(!actions.contains { if case .assign = $0 { true } else { false } })
        // Of a lease that nobody uses any more, nothing is left there.
        #expect(
            n1.on(.acquired(Script.address, lease: 99, revision: 6, sentAt: n1.now, by: elsewhere))
                .contains(.revoke(Script.address, lease: 99)))
    }

    @Test func `how long a history is not trusted, is the longest that any lease may run`() {
        // As etcd's trail says, though today's TTL is lower.
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed()
        let long = TrailInEtcd(Trail([.init(lease: 1, ttl: .seconds(60))]), revision: 3)
        _ = n1.read(etcd(leader: "n1", trail: long))
        #expect(n1.reports.contains(.historyUnknown(Script.address, wait: Script.historyWait * 2)))
        // As it was before it was lowered.
        var n2 = Script.started(etcd(leader: "n1", ttl: .seconds(60)))
        _ = n2.watched(6, .patroni(DynamicConfig(ttl: .seconds(20))), after: .seconds(1))
        _ = n2.read(etcd(leader: "n1", revision: 3, cluster: 8, mark: 8, ttl: .seconds(20)), after: .seconds(1))
        #expect(n2.reports.contains(.historyUnknown(Script.address, wait: Script.historyWait * 2)))
    }
}
