// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import NetworkAddress
import Testing

@testable import Supervisor

/// What the kernel reports, as it reaches the core, with a program in the place of `ip`.
@Suite(.serialized)
struct KernelLinkTests {
    init() { EventLoop.shared.executor.startThread() }

    /// A scene that holds its address and hears what the kernel reports.
    @EventLoop private func holding(interface: String = FakeIP.interface) async throws -> Scene {
        let scene = try Scene(interface: interface)
        try scene.ip.set("monitor", "")
        _ = scene.start()
        try await scene.expect { scene.ip.held == Scene.address && scene.record(.addressAssigned) != nil }
        return scene
    }

    @Test @EventLoop func `an interface by its alternative name is usable, held, and released`() async throws {
        let scene = try await holding(interface: FakeIP.alternative)
        #expect(scene.ip.calls(of: "addr del") == 0, "its address is no stray")
        #expect(scene.record(.addressAssigned)?["INTERFACE"] == FakeIP.alternative)
        scene.etcd.put("/service/demo/leader", "n2")
        try await scene.expect { scene.ip.held == nil && scene.record(.addressReleased) != nil }
        #expect(scene.records(.removeFailed).isEmpty)
        try await scene.stop()
    }

    @Test @EventLoop func `an address that somebody makes endless gets its lifetime back within moments`() async throws
    {
        let scene = try await holding()
        let before = scene.ip.calls(of: "addr replace")
        try scene.ip.set("held", "\(Scene.address) 24 4294967295")
        let place = "7: \(FakeIP.interface)    inet \(Scene.address)/24 scope global \(FakeIP.interface)"
        try scene.ip.reports(place + "\\       valid_lft forever preferred_lft forever")
        try await scene.expect { scene.record(.addressLifetimeChanged)?["LIFETIME"] == "forever" }
        try await scene.expect { scene.ip.calls(of: "addr replace") > before }
        #expect(scene.records(.addressRemoved).isEmpty)
        try await scene.stop()
    }

    @Test @EventLoop func `an address on a link that comes back is announced from the beginning`() async throws {
        let scene = try await holding()
        // Each announcement on an interface that no machine has is a record: at 0, 50, 200, 1000 ms, 5 s, then each minute.
        try await scene.expect { scene.records(.announceFailed).count >= 4 }
        let link = { (flags: String) in
            "7: \(FakeIP.interface): <\(flags)> mtu 1500 qdisc noqueue state UP group default \\    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff"
        }
        try scene.ip.reports(link("NO-CARRIER,BROADCAST,MULTICAST,UP"))
        try scene.ip.reports(link("BROADCAST,MULTICAST,UP,LOWER_UP"))
        try await scene.expect { scene.records(.announceFailed).count >= 8 }
        try await scene.stop()
    }
}
