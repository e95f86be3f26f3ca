// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What Patroni's failsafe mode covers, and what it does not.
struct FailsafeTests {
    private let active = PatroniAnswer.answered(isRunningPrimary: true, isFailsafeActive: true)
    private let inactive = PatroniAnswer.answered(isRunningPrimary: true, isFailsafeActive: false)

    @Test func `failsafe mode covers no longer than Patroni's members wait, whatever its ttl`() {
        for (ttl, loopWait, most) in [(20, 10, 5), (20, 12, 4), (14, 10, 2), (300, 10, 145)] as [(Int, Int, Int)] {
            let settings = CoreSettings(member: "n1", node: "boot-a", addresses: [Script.spec], clockDrift: 10_000)
            let start = Instant(sinceBoot: .seconds(100))
            var node = NodeState(settings: settings, startedAt: start)
            node.config = DynamicConfig(isFailsafeEnabled: true, ttl: .seconds(ttl), loopWait: .seconds(loopWait))
            node.learn(failsafeIsActive: false, isPrimary: true, askedAt: start)
            let asked = start + .seconds(1)
            node.learn(failsafeIsActive: true, isPrimary: true, askedAt: asked)
            let cover = min(.seconds(4), .seconds(most) - node.margin(for: .seconds(ttl)))
            #expect(node.failsafeUntil == (cover > .zero ? asked + cover : nil), "ttl \(ttl), loop_wait \(loopWait)")
            #expect(!node.isCoveredByFailsafe(at: asked + max(cover, .zero)))
        }
    }

    @Test func `a silence of Patroni's counts no more once it has said that failsafe mode is off`() {
        let start = Instant(sinceBoot: .seconds(100))
        let settings = CoreSettings(member: "n1", node: "boot-a", addresses: [Script.spec], clockDrift: 10_000)
        var node = NodeState(settings: settings, startedAt: start)
        node.config = DynamicConfig(isFailsafeEnabled: true, ttl: .seconds(30), loopWait: .seconds(10))
        node.learn(failsafeIsActive: false, isPrimary: true, askedAt: start)
        // A silence of six seconds.
        node.learn(failsafeIsActive: true, isPrimary: true, askedAt: start + .seconds(6))
        #expect(node.failsafeUntil.map { $0 < start + .seconds(8) } == true)
        node.learn(failsafeIsActive: false, isPrimary: true, askedAt: start + .seconds(7))
        node.learn(failsafeIsActive: true, isPrimary: true, askedAt: start + .seconds(8))
        #expect(node.failsafeUntil == start + .seconds(12))
    }

    @Test func `failsafe mode covers nothing that is not here`() {
        var n1 = Script.started(etcd(leader: nil, isFailsafeEnabled: true))
        _ = n1.on(.patroni(self.inactive, askedAt: n1.now))
        _ = n1.on(.patroni(self.active, askedAt: n1.now))
        #expect(n1.core.node.isCoveredByFailsafe(at: n1.now))
        #expect(n1.stance == .leave(.noLeader))
    }

    @Test func `what failsafe mode covered in an earlier outage is not told of a later one`() {
        func holds(_ script: Script) -> Bool {
            script.reports.contains { if case .failsafeHolds = $0 { true } else { false } }
        }
        var n1 = Script.holding(isFailsafeEnabled: true)
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(10))
        _ = n1.on(.patroni(self.inactive, askedAt: n1.now), after: .seconds(1))
        _ = n1.on(.patroni(self.active, askedAt: n1.now), after: .seconds(1))
        #expect(holds(n1))
        _ = n1.read(etcd(leader: "n1", holder: mine(11), isFailsafeEnabled: true))
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(10))
        // Patroni has been silent for so long that its answer covers nothing.
        _ = n1.on(.patroni(self.active, askedAt: n1.now))
        #expect(!holds(n1) && n1.core.node.failsafeUntil.map { $0 < n1.now } == true)
    }

    @Test func `failsafe mode puts nothing on that has lapsed`() {
        var n1 = Script.holding(isFailsafeEnabled: true)
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(20))
        #expect(n1.on(.tick, after: .seconds(25)).contains(.remove(Script.address, Script.place)))
        _ = n1.on(.removed(Script.address, Script.place, wasPresent: true))
        #expect(n1.reports.contains(.removed(Script.address, interface: "eth0", reason: .contactLost)))
        _ = n1.on(.patroni(self.inactive, askedAt: n1.now))
        let actions = n1.on(.patroni(self.active, askedAt: n1.now))
        #expect(n1.core.node.isCoveredByFailsafe(at: n1.now))
        #expect(!actions.contains { if case .assign = $0 { true } else { false } })
    }

    /// Most of etcd was rebuilt in an outage, as another cluster, and is followed.
    @Test
    func `in an etcd that was rebuilt the covered address stays as long as it is covered, unless another leads there`()
    {
        func covered() -> Script {
            var n1 = Script.holding(isFailsafeEnabled: true)
            _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(10))
            _ = n1.on(.patroni(self.inactive, askedAt: n1.now), after: .seconds(1))
            _ = n1.on(.patroni(self.active, askedAt: n1.now), after: .seconds(1))
            return n1
        }
        func removes(_ actions: [Action]) -> Bool { actions.contains(.remove(Script.address, Script.place)) }
        var n1 = covered()
        #expect(n1.core.node.isCoveredByFailsafe(at: n1.now))
        let empty = etcd(leader: nil, revision: 2, cluster: 8, mark: nil, isFailsafeEnabled: true)
        #expect(!removes(n1.read(empty)))
        #expect(n1.stance == .keep(.failsafe))
        _ = n1.on(.assigned(Script.address))
        // What Patroni said ends.
        #expect(removes(n1.on(.tick, after: .seconds(4))) && !n1.core.node.isCoveredByFailsafe(at: n1.now))

        var n2 = covered()
        #expect(removes(n2.read(etcd(leader: "n2", revision: 2, cluster: 8, mark: nil, isFailsafeEnabled: true))))
    }
}
