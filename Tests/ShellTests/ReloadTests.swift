// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal
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
}
