// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdValues
import Testing

@testable import Simulation

/// Several endpoints of etcd, of which some are rebuilt alone: what the simulator makes of the daemon's own choice among them.
struct SimulatedEndpointsTests {
    /// The first seed whose world has several endpoints; without failsafe mode, whose cover no other etcd is to end.
    private static func world() throws -> World {
        for seed in 1...200 as ClosedRange<UInt64> where World.hasEndpoints(seed) {
            let world = World(seed: seed)
            guard !world.config.isFailsafeEnabled, world.nodes.allSatisfy(\.diskWorks), world.ttl <= 60_000_000,
                world.longestOutage > 6_000_000
            else {
                continue
            }
            world.run(for: 30_000_000)
            world.awaitReturn()
            try #require(world.violation == nil)
            return world
        }
        throw NoWorld()
    }

    private struct NoWorld: Error {}

    private static func rebuilt(_ world: World) -> Int? {
        world.members?.members.firstIndex { $0.side == .alone }
    }

    @Test
    func `one endpoint of three that is rebuilt alone costs nobody an address, nor does a new process believe it`()
        throws
    {
        let world = try Self.world()
        let holder = try #require(world.nodes.first { $0.kernel.holds(0) })
        world.isCalm = true
        #expect(world.strikeEndpoint(.rebuilt, holder, for: 3_600_000_000))
        for _ in 0..<3 {
            for node in world.nodes {
                world.crashDaemon(node, restartAfter: 100_000)
                world.run(for: 5_000_000)
            }
        }
        world.run(for: 300_000_000)
        #expect(world.violation == nil, "\(world.violation.map(String.init(describing:)) ?? "")")
        #expect(holder.kernel.holds(0))
        for node in world.nodes {
            #expect(node.endpoints?.choice.followed == world.etcd.clusterID)
            #expect(node.endpoints?.choice.foreigners.count == 1)
        }
    }

    @Test func `who reaches only the one that was rebuilt follows it when the one of before is forgotten, not sooner`()
        throws
    {
        let world = try Self.world()
        let node = try #require(world.nodes.first { $0.kernel.holds(0) })
        let main = world.etcd.clusterID
        #expect(world.strikeEndpoint(.rebuilt, node, for: 3_600_000_000))
        let place = try #require(Self.rebuilt(world))
        world.isolate(node, with: place, for: 3_600_000_000)
        let patience = max(120_000_000, 2 * world.ttl)
        world.run(for: Time(Double(patience) * 0.7))
        #expect(node.endpoints?.choice.followed == main)
        #expect(!node.kernel.holds(0))
        world.run(for: Time(Double(patience) * 0.55) + 35_000_000)
        #expect(node.endpoints?.choice.followed == world.members?.members[place].alone?.clusterID)
        #expect(world.violation == nil, "\(world.violation.map(String.init(describing:)) ?? "")")
        // Whole again, it comes back at once.
        world.heal()
        world.awaitReturn()
        #expect(world.violation == nil, "\(world.violation.map(String.init(describing:)) ?? "")")
        #expect(world.nodes.allSatisfy { $0.endpoints?.choice.followed == main })
    }

    @Test func `what two nodes hold by two etcds is counted, and by one etcd a violation`() throws {
        let world = try Self.world()
        let (first, second) = (world.nodes[0], world.nodes[1])
        func hold(_ here: UInt64, _ there: UInt64) -> Bool {
            first.endpoints?.heldUnder[0] = here
            second.endpoints?.heldUnder[0] = there
            return world.isDivided(first, second, 0)
        }
        #expect(!hold(1, 1))
        // One etcd before and after it was replaced.
        #expect(!hold(1, 2))
        #expect(hold(1, SimulatedEtcd.firstAlone + 1))
    }

    @Test func `another etcd is followed too soon: that is a violation`() throws {
        let world = try Self.world()
        let node = world.nodes[0]
        let main = world.etcd.clusterID
        node.endpoints?.told = [0: (77, node.microseconds(at: world.now)), 1: (main, 0), 2: (main, 0)]
        node.endpoints?.heardAt[main] = node.microseconds(at: world.now) - 119_000_000
        world.checkChoice(of: node, 77)
        #expect(world.violation?.message.contains("instead of \(main)") == true)
    }

    @Test func `an address that goes when nothing happens is a violation`() throws {
        let world = try Self.world()
        let node = try #require(world.nodes.first { $0.kernel.holds(0) })
        world.isQuiet = true
        world.deleteByHand(node)
        #expect(world.violation?.message == "\(node.member) lost \(world.specs[0].id) without a cause")
    }
}
