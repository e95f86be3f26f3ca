// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed
import TestSupport
import Testing

/// The real daemon with its lease in a real etcd, and its address on a kind of interface that not every kernel has. Where the kernel
/// lacks it the tests are skipped, and say so; `make test-qemu` runs them on a kernel that lacks none.
@Suite(.serialized)
struct InterfaceDaemonTests {
    init() { EventLoop.shared.executor.startThread() }

    /// A scene with the node's own address, and the daemon's, on an interface of a kind; `make` makes it.
    @EventLoop private func play<Made>(
        _ kind: InterfaceKind, port: UInt16 = 0, make: @EventLoop (TestNamespace) async throws -> Made,
        _ body: @EventLoop (IsolationScene, Made) async throws -> Void
    ) async throws {
        try await IsolationScene.play { scene in
            try await scene.node.ip("address", "flush", "dev", "eth0")
            let made = try await make(scene.node)
            scene.interface = kind.interface
            try await scene.node.ip("address", "add", Self.own, "dev", kind.device)
            try await scene.serveEtcd()
            try scene.configure(port: port)
            try scene.startDaemon()
            try await scene.lead(within: Self.patience)
            try await body(scene, made)
        }
    }

    private static let own = "10.77.0.1/16"
    /// An emulated machine is slow.
    private static let patience: Duration = .seconds(120)

    /// Long enough for some renewals, and so for the end of a lifetime that is not renewed.
    private static let span: Duration = .seconds(15)

    @EventLoop private func hasOwn(_ scene: IsolationScene) async throws -> Bool {
        try await scene.node.ip("-o", "address", "show", "dev", scene.interface).contains(" \(Self.own) ")
    }

    @Test(.kernelHas(.vlan)) @EventLoop
    func `on a VLAN the address is kept, and comes back after the network manager has taken all away`() async throws {
        try await self.play(.vlan, make: { try await InterfaceKind.vlan.make(in: $0) }) { scene, _ in
            try await scene.wait(Self.span)
            try await scene.expectLease()
            try await scene.node.ip("address", "flush", "dev", scene.interface)
            try await waitUntil { try await scene.hasAddress() }
            try await scene.node.ip("address", "add", Self.own, "dev", scene.interface)
            try await scene.follow(within: Self.patience)
            try await scene.wait(Self.span)
            #expect(try await self.hasOwn(scene))
            try await scene.expectLease()
        }
    }

    @Test(.kernelHas(.bond)) @EventLoop
    func `a bond's working interface fails, and the daemon keeps its address throughout`() async throws {
        try await self.play(.bond, make: { try await InterfaceKind.makeBond(in: $0) }) { scene, port in
            try await scene.node.hub.ip("link", "set", port, "down")
            try await waitUntil { try await InterfaceKind.working(in: scene.node) == "eth0" }
            try await scene.wait(Self.span)
            #expect(try await self.hasOwn(scene))
            try await scene.expectLease()
        }
    }

    @Test(.kernelHas(.vlanOnBond)) @EventLoop
    func `a bond's working interface fails, and the daemon keeps its address on the bond's VLAN`() async throws {
        try await self.play(
            .vlanOnBond,
            make: { node in
                let port = try await InterfaceKind.makeBond(in: node)
                try await InterfaceKind.makeVLAN(on: "bond0", in: node)
                return port
            }
        ) { scene, port in
            try await scene.node.hub.ip("link", "set", port, "down")
            try await waitUntil { try await InterfaceKind.working(in: scene.node) == "eth0" }
            try await scene.wait(Self.span)
            #expect(try await self.hasOwn(scene))
            try await scene.expectLease()
        }
    }

    @Test(.kernelHas(.vrf)) @EventLoop
    func `in a VRF the address is kept, and its port is found open as its clients find it`() async throws {
        let port: UInt16 = 5432
        try await self.play(.vrf, port: port, make: { try await InterfaceKind.vrf.make(in: $0) }) { scene, _ in
            try await TestNetwork.run([
                TestNetwork.ip, "netns", "exec", scene.node.name, "sh", "-c",
                "echo 1 >/proc/sys/net/ipv4/tcp_l3mdev_accept",
            ])
            let server = SilentServer(
                listening: try await IsolationSockets.listening("0.0.0.0", port, in: scene.node.name))
            // Until the first try after the server listens.
            try await waitUntil { server.connectionCount > 0 }
            try await scene.wait(Self.span)
            let text = try await scene.pharos("status", "--socket", scene.socket).text
            #expect(!text.contains("refuses"), "\(text)")
            #expect(try await self.hasOwn(scene))
            try await scene.expectLease()
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips a test, and says so, where the kernel lacks the kind of interface.
    fileprivate static func kernelHas(_ kind: InterfaceKind) -> Self {
        .enabled("this kernel has no \(kind.rawValue): `make test-qemu` brings one that has") {
            EventLoop.shared.executor.startThread()
            return try await kind.isHere
        }
    }
}
