// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal
import LenientJSON
import NetworkAddress
import TestSupport
import Testing

@testable import Settings
@testable import Shell

@Suite(.serialized)
struct ReloadTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `a retired address is taken off, given back, and forgotten`() async throws {
        let scene = try Scene()
        let shell = try await scene.startHolding()
        var settings = scene.settings
        let other = try #require(AddressPrefix("10.99.99.4/24"))
        settings.addresses = [.init(prefix: other, interface: FakeIP.interface, acquire: .leaderKey)]
        #expect(shell.reload(settings) == nil)
        #expect(shell.followedAddresses == [Scene.address, "10.99.99.4"])
        try await scene.expect { scene.etcd.text(Scene.key) == nil && scene.ip.held == "10.99.99.4" }
        try await scene.expect { shell.followedAddresses == ["10.99.99.4"] }
        #expect(scene.record(.addressRemoved)?["REASON"] == "reconfigured")
        settings.lease.root = "/other/"
        #expect(shell.reload(settings)?.contains("restart") == true)
        try await scene.stop()
    }

    @Test @EventLoop func `one of several daemons of a host says what to type for it, wherever it says so`()
        async throws
    {
        let instance = try #require(DaemonInstance(named: "15-main"))
        let scene = try Scene(leader: "n2", instance: instance)
        scene.etcd.delete("/service/demo/members/n1")
        scene.etcd.put("/service/demo/members/n2", "{}")
        let shell = scene.start()
        try await scene.expect { scene.record(.memberUnknown) != nil }
        #expect(scene.record(.memberUnknown)?.message.contains("pharos check-config --cluster 15-main") == true)
        let events = try scene.status["events"]?.array?.compactMap { $0["message"]?.string } ?? []
        #expect(events.contains { $0.contains("pharos check-config --cluster 15-main") }, "\(events)")
        var settings = scene.settings
        settings.lease.root = "/other/"
        #expect(shell.reload(settings)?.contains("systemctl restart pharos@15-main (") == true)
        try await scene.stop()
    }
}
