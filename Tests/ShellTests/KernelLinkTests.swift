// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal
import NetworkAddress
import TestSupport
import Testing

@testable import Shell
@testable import VirtualAddress

/// What the kernel reports, as it reaches the core: in a network namespace, whose interface has an alternative name.
@Suite(.serialized)
struct KernelLinkTests {
    init() { EventLoop.shared.executor.startThread() }

    /// Runs `body` with a scene that holds its address in a namespace, and hears what its kernel reports. Announcements
    /// are sent outside of it, where no interface has that name.
    @EventLoop private func holding(
        interface: String = FakeIP.interface,
        _ body: @EventLoop (Scene, TestNamespace, _ port: String) async throws -> Void
    ) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let node = nodes[0]
            let port = try await TestNetwork.attach(node, as: FakeIP.interface)
            try await node.ip("link", "property", "add", "dev", FakeIP.interface, "altname", FakeIP.alternative)
            let scene = try Scene(interface: interface, node: node)
            _ = scene.start()
            try await scene.expect { scene.record(.addressAssigned) != nil }
            #expect(try await self.lines(node).count == 1)
            try await body(scene, node, port)
            try await scene.stop()
            #expect(try await self.lines(node).isEmpty)
        }
    }

    /// What `ip` prints of the scene's address.
    @EventLoop private func lines(_ node: TestNamespace) async throws -> [Substring] {
        try await node.ip("-o", "addr", "show", "to", Scene.address).split(separator: "\n")
    }

    @Test @EventLoop func `an interface by its alternative name is usable, held, and released`() async throws {
        try await self.holding(interface: FakeIP.alternative) { scene, node, _ in
            #expect(scene.record(.addressAssigned)?["INTERFACE"] == FakeIP.alternative)
            #expect(scene.records(.addressRemoved).isEmpty, "its address is no stray")
            scene.etcd.put("/service/demo/leader", "n2")
            try await scene.expect { scene.record(.addressReleased) != nil }
            #expect(try await self.lines(node).isEmpty)
            #expect(scene.records(.removeFailed).isEmpty)
        }
    }

    @Test @EventLoop func `an address that somebody makes endless gets its lifetime back within moments`() async throws
    {
        try await self.holding { scene, node, _ in
            try await node.ip(
                "addr", "change", Scene.address + "/24", "dev", FakeIP.interface, "valid_lft", "forever",
                "preferred_lft", "forever")
            try await scene.expect { scene.record(.addressLifetimeChanged)?["LIFETIME"] == "forever" }
            try await scene.expect { try await !self.lines(node).contains { $0.contains("forever") } }
            #expect(scene.records(.addressRemoved).isEmpty)
        }
    }

    @Test @EventLoop func `an address that somebody takes off is put back within moments`() async throws {
        try await self.holding { scene, node, _ in
            for _ in 1...2 {
                try await node.ip("addr", "del", Scene.address + "/24", "dev", FakeIP.interface)
                try await scene.expect(within: .seconds(2)) { try await self.lines(node).count == 1 }
            }
        }
    }

    @Test @EventLoop func `an address on a link that comes back is announced from the beginning`() async throws {
        try await self.holding { scene, node, port in
            // What reaches nobody is told once, and anew when the link has come back.
            try await scene.expect { scene.records(.announceFailed).count == 1 }
            try await node.hub.ip("link", "set", port, "down")
            // The kernel tells of a carrier a moment later, and of one that is back by then not at all.
            try await scene.expect {
                try await !node.ip("-o", "link", "show", "dev", FakeIP.interface).contains(" state UP ")
            }
            try await node.hub.ip("link", "set", port, "up")
            try await scene.expect { scene.records(.announceFailed).count == 2 }
        }
    }

    @Test @EventLoop func `what was missed is told once for each kind, and looked for each time`() throws {
        var looks = 0
        var told: [String] = []
        let link = KernelLink(
            ipPath: "/bin/false",
            deliver: { event in
                if case .kernelChanged = event { looks += 1 } else { Issue.record("\(event)") }
            }, report: { told.append($0["REASON"] ?? "") })
        let dropped = MonitorEvent.missed(.init(.dropped))
        link.receive([dropped, .linkChanged(name: "eth0", hasCarrier: true), dropped, .unclear])
        #expect(looks == 1 && told.count == 1)
        link.receive([dropped])
        #expect(looks == 2 && told.count == 1)
        for number in 1...3 { link.receive([.missed(.init(.unreadable, "\(number)"))]) }
        #expect(looks == 5 && told.count == 2 && told.last?.contains("(1)") == true)
    }
}
