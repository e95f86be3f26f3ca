// SPDX-License-Identifier: Apache-2.0
import EventLoop
import TestSupport
import Testing

@testable import VirtualAddress

extension Trait where Self == ConditionTrait {
    /// Skips a test, and says so, where the kernel lacks the kind of interface.
    static func kernelHas(_ kind: InterfaceKind) -> Self {
        .enabled("this kernel has no \(kind.rawValue): `make test-qemu` brings one that has") {
            EventLoop.shared.executor.startThread()
            return try await kind.isHere
        }
    }
}

/// What ``InterfaceKindTests`` show, on kinds of interface that not every kernel has; and what only those can do. Where the kernel
/// lacks one its tests are skipped, and say so; `make test-qemu` runs them on a kernel that lacks none.
@Suite(.serialized)
struct RareInterfaceTests {
    init() { EventLoop.shared.executor.startThread() }

    // MARK: - The own address stays, connections come from it, and ours arrive and leave

    @Test(.kernelHas(.vlan), arguments: InterfaceOrder.allCases)
    @EventLoop func `on a VLAN the own address stays, and ours arrive and leave`(order: InterfaceOrder) async throws {
        try await InterfaceScene.play(.vlan, order)
    }

    @Test(.kernelHas(.bond), arguments: InterfaceOrder.allCases)
    @EventLoop func `on a bond the own address stays, and ours arrive and leave`(order: InterfaceOrder) async throws {
        try await InterfaceScene.play(.bond, order)
    }

    @Test(.kernelHas(.vlanOnBond), arguments: InterfaceOrder.allCases)
    @EventLoop func `on a bond's VLAN the own address stays, and ours arrive and leave`(
        order: InterfaceOrder
    ) async throws {
        try await InterfaceScene.play(.vlanOnBond, order)
    }

    @Test(.kernelHas(.vrf), arguments: InterfaceOrder.allCases)
    @EventLoop func `in a VRF the own address stays, and ours arrive and leave`(order: InterfaceOrder) async throws {
        try await InterfaceScene.play(.vrf, order)
    }

    @Test(.kernelHas(.ipvlan), arguments: InterfaceOrder.allCases)
    @EventLoop func `on an ipvlan the own address stays, and ours arrive and leave`(order: InterfaceOrder) async throws
    {
        try await InterfaceScene.play(.ipvlan, order)
    }

    @Test(.kernelHas(.vrf)) @EventLoop func `an interface that is put into a VRF keeps what it holds`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let scene = try InterfaceScene(.vrf, in: nodes[0])
            try await scene.addOwn()
            try await scene.hold()
            try await InterfaceKind.vrf.make(in: nodes[0])
            try await scene.hold()
            try await scene.expectAll()
            try await nodes[0].ip("link", "set", "eth0", "nomaster")
            try await scene.hold()
            let route = try await nodes[0].ip("route", "get", "10.77.0.9")
            #expect(route.contains("dev eth0 ") && route.contains(" src 10.77.0.1 "), "\(route)")
        }
    }

    // MARK: - Peers

    @Test(.kernelHas(.vlan)) @EventLoop func `a peer follows an address on a VLAN, and reaches it`() async throws {
        try await self.expectPeerFollows(.vlan)
    }

    @Test(.kernelHas(.bond)) @EventLoop func `a peer follows an address on a bond, and reaches it`() async throws {
        try await self.expectPeerFollows(.bond)
    }

    @Test(.kernelHas(.vlanOnBond))
    @EventLoop func `a peer follows an address on a bond's VLAN, and reaches it`() async throws {
        try await self.expectPeerFollows(.vlanOnBond)
    }

    @Test(.kernelHas(.vrf)) @EventLoop func `a peer follows an address in a VRF, and reaches it`() async throws {
        try await self.expectPeerFollows(.vrf)
    }

    @Test(.kernelHas(.ipvlan)) @EventLoop func `a peer follows an address on an ipvlan, and reaches it`() async throws {
        try await self.expectPeerFollows(.ipvlan)
    }

    @EventLoop private func expectPeerFollows(_ kind: InterfaceKind) async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            try await kind.make(in: nodes[0])
            let scene = try await PeerScene(kind, nodes)
            try await scene.hold()
            #expect(try await scene.peerFollows())
            #expect(try await scene.isReached())
            scene.silence()
        }
    }

    // MARK: - A bond whose working interface fails

    /// With one link address for both interfaces, or with that of whichever works, which the peer has to learn anew.
    @Test(.kernelHas(.bond), arguments: [false, true])
    @EventLoop func `a bond's working interface fails while the bond holds an address: nobody loses it`(
        changesLink: Bool
    ) async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            let port = try await InterfaceKind.makeBond(
                changesLink ? ["fail_over_mac", "active"] : [], in: nodes[0])
            let scene = try await PeerScene(.bond, nodes)
            let addresses = try InterfaceScene(.bond, in: nodes[0])
            try await addresses.addOwn()
            try await addresses.hold()
            scene.announce()
            #expect(try await scene.peerFollows())
            #expect(try await scene.isReached())
            let (before, link) = (try await addresses.addresses, try await scene.link)

            try await nodes[0].hub.ip("link", "set", port, "down")
            let hasChanged = try await eventually { try await InterfaceKind.working(in: nodes[0]) == "eth0" }
            try #require(hasChanged)
            #expect(try await addresses.addresses == before)
            #expect((try await scene.link != link) == changesLink)
            #expect(try await scene.peerFollows())
            #expect(try await scene.isReached())
            // The lifetime can be renewed, and what is ours leaves alone, as ever.
            try await addresses.hold()
            try await addresses.expectAll()
            scene.silence()
            try await addresses.expectLeaving()
        }
    }
}
