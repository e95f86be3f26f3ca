// SPDX-License-Identifier: Apache-2.0
import Decision
import Testing

@testable import Simulation

/// What the simulated world is made of, each part by itself.
struct SimulatedWorldTests {
    // MARK: - Configurations

    @Test func `every configuration is one that check-config accepts, and every bound is reached`() {
        var ttls = Set<Int64>()
        var (counts, margins) = (Set<Int>(), Set<Duration>())
        for seed in 0..<4000 as Range<UInt64> {
            var random = Randomness(seed: seed)
            let configuration = ClusterConfiguration(&random)
            let ttl = configuration.leaseTTL ?? .seconds(20)
            ttls.insert(ttl.components.seconds)
            counts.insert(configuration.addresses.count)
            margins.insert(configuration.margin)
            #expect(ttl >= .seconds(5) && ttl <= .seconds(3600))
            #expect(configuration.margin >= ClusterConfiguration.shortestMargin)
            #expect(configuration.margin + ttl * configuration.clockDrift / 1_000_000 < ttl * 3 / 5)
            #expect((10_000...200_000).contains(configuration.clockDrift))
            #expect(Set(configuration.addresses.map(\.id)).count == configuration.addresses.count)
        }
        #expect(ttls.contains(5) && ttls.contains(3600))
        #expect(counts == [1, 2, 3, 64])
        #expect(margins.contains(.seconds(2)) && margins.contains(ClusterConfiguration.shortestMargin))
        #expect(margins.contains { $0 > .seconds(8) })
    }

    @Test func `no two clocks differ by more than the configuration allows for, and some by as much`() {
        var widest: [Int: Double] = [:]
        for seed in 0..<200 as Range<UInt64> {
            var random = Randomness(seed: seed)
            let configuration = ClusterConfiguration(&random)
            let rates = (0..<50).map { _ in configuration.someRate(&random) }
            let slowness = 1 - (rates.min() ?? 0) / (rates.max() ?? 1)
            #expect(slowness <= Double(configuration.clockDrift) / 1e6 + 1e-9)
            widest[configuration.clockDrift] = max(widest[configuration.clockDrift] ?? 0, slowness)
        }
        #expect(widest[10_000] ?? 0 > 0.0099 && widest[90_000] ?? 0 > 0.0899)
    }

    // MARK: - The kernel

    /// Lateness of two lifetimes that end `apart` from each other, over many seeds.
    private func lateness(apart: Time) -> (least: Time, most: Time) {
        var (least, most) = (Time.max, Time.min)
        for seed in 1...150 as ClosedRange<UInt64> {
            let world = World(seed: seed)
            guard world.specs.count > 1, world.configuration.spareMargin == 0 else { continue }
            let node = world.nodes[0]
            // No daemon to interfere.
            for other in world.nodes { world.startDaemon(other, after: 3_600_000_000) }
            for address in 0...1 {
                guard let slot = SimulatedKernel.slot(address, world.specs[address].place) else { continue }
                world.appear(slot, on: node, endsAt: 2_000_000 + Time(address) * apart, isForeign: true)
            }
            var gone: [Time?] = [nil, nil]
            while world.now < 6_000_000 {
                world.run(for: 1000)
                for address in 0...1 where gone[address] == nil && !node.kernel.answers(address) {
                    gone[address] = world.now
                }
            }
            for address in 0...1 {
                guard let time = gone[address] else {
                    Issue.record("never removed")
                    continue
                }
                let late = time - 2_000_000 - Time(address) * apart
                (least, most) = (min(least, late), max(most, late))
            }
        }
        return (least, most)
    }

    @Test func `the kernel is late by a tenth of a second, and by a second where lifetimes end close together`() {
        let alone = self.lateness(apart: 3_000_000)
        #expect(alone.least >= 60_000 && alone.most <= 151_000, "\(alone)")
        // The second ends just after the look that took the first away.
        let close = self.lateness(apart: 160_000)
        #expect(close.most > 900_000 && close.most <= 1_001_000, "\(close)")
    }

    @Test func `a primary takes its secondaries along, unless they are promoted`() {
        var subnet = SimulatedSubnet()
        for member in [.own, .virtual(1), .virtual(2)] as [SimulatedSubnet.Member] { subnet.add(member) }
        subnet.add(.own)
        #expect(subnet.members == [.own, .virtual(1), .virtual(2)])
        var other = subnet
        #expect(subnet.remove(.virtual(1), promotesSecondaries: false).isEmpty)
        #expect(subnet.remove(.own, promotesSecondaries: false) == [.virtual(2)])
        #expect(subnet.members.isEmpty)
        #expect(other.remove(.own, promotesSecondaries: true).isEmpty)
        #expect(other.members == [.virtual(1), .virtual(2)])
    }

    // MARK: - Patroni

    /// Patroni 3.0.2 and 4.0.7 alike: each round in which a member holds the leader key resets what it heard in failsafe mode
    /// (`_run_cycle` in ha.py).
    @Test func `a leader that heard of another in failsafe mode before it led takes its lost key back`() throws {
        let world = World(seed: 1)
        // No daemon to interfere.
        for node in world.nodes { world.startDaemon(node, after: 3_600_000_000) }
        world.config.isFailsafeEnabled = true
        while world.now < 60_000_000, !world.isSettled { world.run(for: 100_000) }
        let leader = try #require(world.nodes.first { $0.member == world.etcd.leader })
        // It won the key after another's failsafe round, and has led for a round since.
        leader.failsafeHeardAt = world.now
        world.run(for: world.config.loopWait.microseconds + 100_000)
        // Then it was cut off itself, and the others heard of it.
        for node in world.nodes where node !== leader { node.failsafeHeardAt = world.now }
        world.endLease(try #require(leader.patroniLease))
        #expect(world.etcd.leader == nil)
        world.run(for: 1_000_000)
        #expect(world.etcd.leader == leader.member)
    }

    // MARK: - The daemon's surroundings

    @Test func `announcements come as from the real announcer`() {
        var times: [Time] = []
        var elapsed: Time = 0
        for _ in 0..<6 {
            elapsed += SimulatedAnnouncer.delay(after: elapsed)
            times.append(elapsed)
        }
        #expect(times == [50_000, 200_000, 1_000_000, 5_000_000, 65_000_000, 125_000_000])
        // What a freeze has missed is not made up for.
        #expect(SimulatedAnnouncer.delay(after: 100_000_000) == 25_000_000)
    }

    @Test func `PostgreSQL's word counts for a second, and not from before the leadership`() {
        let start = Instant(sinceBoot: .seconds(100))
        var evidence = PostgresEvidence([])
        evidence.learn(.postgres(.primary, askedAt: start), isLeader: false, at: start)
        evidence.learn(
            .watched(clusterID: 7, revision: 5, changes: [.leader("n1")]), isLeader: true, at: start + .milliseconds(10)
        )
        #expect(!evidence.showsPrimary(at: start + .milliseconds(10)))
        let asked = start + .milliseconds(20)
        evidence.learn(.postgres(.primary, askedAt: asked), isLeader: true, at: asked)
        #expect(evidence.showsPrimary(at: asked + .seconds(1)))
        #expect(!evidence.showsPrimary(at: asked + .milliseconds(1001)))
        evidence.learn(.postgres(.standby, askedAt: asked), isLeader: true, at: asked)
        #expect(!evidence.showsPrimary(at: asked))
    }
}
