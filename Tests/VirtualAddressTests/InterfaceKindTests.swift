// SPDX-License-Identifier: Apache-2.0
import EventLoop
import TestSupport
import Testing

/// Several addresses of ours in the node's own subnet, on each kind of interface that this kernel has, in whatever order a network
/// manager adds things: the own address stays, the node's own connections come from it, and ours arrive and leave.
@Suite(.serialized)
struct InterfaceKindTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test(arguments: InterfaceKind.usual, InterfaceOrder.allCases)
    @EventLoop func `the own address stays, connections come from it, and ours arrive and leave`(
        kind: InterfaceKind, order: InterfaceOrder
    ) async throws { try await InterfaceScene.play(kind, order) }

    @Test(arguments: [InterfaceKind.bridge, .macvlan])
    @EventLoop func `a peer's neighbor table follows an address on it`(kind: InterfaceKind) async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            try await kind.make(in: nodes[0])
            let scene = try await PeerScene(kind, nodes)
            try await scene.hold()
            #expect(try await scene.peerFollows())
            scene.silence()
        }
    }
}
