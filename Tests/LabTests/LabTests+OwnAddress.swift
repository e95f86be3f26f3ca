// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// The node's own address beside ours: whoever takes it away and puts it back, and whenever ours goes, it stays.
extension LabTests {
    @Test(arguments: NetworkManager.allCases) @EventLoop
    func `a network manager that applies its configuration anew takes nothing along, nor does the next switchover`(
        _ manager: NetworkManager
    ) async throws {
        try await Scene.play("\(manager) applies its configuration anew") { scene in
            let node = scene.leader
            let own = LabLayout.address(node)
            for script in [manager.takeOver(.fixed(node: node)), manager.reapply] {
                try await scene.takeAddressesAway(script)
                try await scene.expectOwnNetwork(of: node, own)
                try await scene.expectNothingOpenedFromOurs(on: node)
            }
            try await scene.switchOver()
            try await scene.expectOwnNetwork(of: node, own)
            try await scene.run(node, "sh", "-c", manager.letGo)
            try await scene.lab.resetNetwork(of: node)
        }
    }

    @Test(arguments: NetworkManager.allCases) @EventLoop
    func `another DHCP lease takes nothing along, nor does the next switchover`(_ manager: NetworkManager) async throws
    {
        try await Scene.play("another DHCP lease for \(manager)") { scene in
            let (node, server) = (scene.leader, scene.others[1])
            // Where the others look for its services, the node stays: only what it connects from is leased.
            try await scene.run(node, "ip", "address", "add", "\(LabLayout.address(node))/32", "dev", "lo")
            let (first, second) = manager.leases
            for (number, script) in [(first, manager.takeOver(.lease(node: node))), (second, manager.reapply)] {
                try await scene.run(server, "sh", "-c", NetworkManager.serveLease(on: server, number: number))
                try await scene.takeAddressesAway(script)
                try await scene.expectOwnNetwork(of: node, "10.77.0.\(number)")
                try await scene.expectNothingOpenedFromOurs(on: node)
            }
            try await scene.switchOver()
            try await scene.expectOwnNetwork(of: node, "10.77.0.\(second)")
            try await scene.run(node, "sh", "-c", manager.letGo)
            try await scene.run(server, "sh", "-c", NetworkManager.endLeases)
            try await scene.run(node, "ip", "address", "del", "\(LabLayout.address(node))/32", "dev", "lo")
            for node in [node, server] { try await scene.lab.resetNetwork(of: node) }
        }
    }

    @Test @EventLoop func `the node's own address that came back behind ours survives a switchover`() async throws {
        try await Scene.play("own address behind ours, then a switchover") { scene in
            let node = scene.leader
            try await scene.putOwnAddressBehindOurs()
            try await scene.bringBack("pharos")
            try await scene.awaitLog(node, "its lease is taken over")
            try await scene.expectOwnNetwork(of: node, LabLayout.address(node))
            try await scene.switchOver()
            try await scene.expectOwnNetwork(of: node, LabLayout.address(node))
        }
    }

    @Test @EventLoop func `the node's own address that came back behind ours survives a release without the daemon`()
        async throws
    {
        try await Scene.play("own address behind ours, then pharos release") { scene in
            let node = scene.leader
            try await scene.putOwnAddressBehindOurs()
            try await scene.run(node, "pharos", "release")
            for address in Scene.addresses { #expect(try await scene.lab.holders(address) == []) }
            try await scene.expectOwnNetwork(of: node, LabLayout.address(node))
            try await scene.bringBack("pharos")
            try await scene.awaitHolders([node], .seconds(30))
        }
    }
}
