// SPDX-License-Identifier: Apache-2.0
import EventLoop
import LenientJSON
import NetworkBed
import TestSupport
import Testing

/// Whether clients find somebody at an address that is here: the real daemon, on a real kernel.
extension IsolationTests {
    /// The status of the address's port, as `pharos status --json` prints it.
    @EventLoop private static func port(of scene: IsolationScene) async throws -> JSON? {
        let outcome = try await scene.pharos("status", "--json", "--socket", scene.socket)
        return JSON.parse(Array(outcome.text.utf8))?["addresses"]?.array?.first?["port"]
    }

    @Test @EventLoop func `a server that listens elsewhere on the node is told once, and so is its end`() async throws {
        try await IsolationScene.play { scene in
            try await scene.serveEtcd()
            let port: UInt16 = 5432
            // As PostgreSQL with `listen: 127.0.0.1` on every node.
            let elsewhere = try await IsolationSockets.listening("127.0.0.1", port, in: scene.node.name)
            let server = SilentServer(listening: elsewhere)
            try scene.configure(port: port)
            try scene.startDaemon()
            try await scene.lead()
            let closed = "nobody listens at \(IsolationScene.address):\(port)"
            #expect(try await eventually(within: .seconds(30)) { scene.log.contains(closed) }, "\(scene.log)")
            #expect(scene.log.contains("ip_nonlocal_bind=1"))
            #expect(try await Self.port(of: scene)?["state"]?.string == "refused")
            let text = try await scene.pharos("status", "--socket", scene.socket)
            #expect(text.exitCode == 1 && text.text.contains("!            port \(port) refuses"), "\(text.text)")
            let why = try await scene.pharos("why", "--socket", scene.socket)
            #expect(why.text.contains("port \(port) refuses"), "\(why.text)")
            #expect(scene.told.contains { $0.text.contains("but its port \(port) refuses") })

            // Mended: it listens on the address, too.
            let here = try await IsolationSockets.listening(IsolationScene.address, port, in: scene.node.name)
            let mended = SilentServer(listening: here)
            let open = "\(IsolationScene.address):\(port) accepts connections again"
            #expect(try await eventually(within: .seconds(60)) { scene.log.contains(open) }, "\(scene.log)")
            #expect(try await Self.port(of: scene)?["state"]?.string == "open")
            #expect(mended.connectionCount > 0 && server.connectionCount == 0)
            #expect(scene.log.components(of: closed) == 1)
            try await scene.expectLease()
        }
    }

    /// The packets to the port are dropped on the node itself.
    @Test @EventLoop func `a packet filter that drops is told as what it is`() async throws {
        try await IsolationScene.play { scene in
            try await scene.serveEtcd()
            let everywhere = try await IsolationSockets.listening("0.0.0.0", 5432, in: scene.node.name)
            let server = SilentServer(listening: everywhere)
            try scene.folder.write(
                "rules", "table inet t {\nchain c { type filter hook input priority 0; tcp dport 5432 drop\n}\n}\n")
            try scene.configure(port: 5432)
            try scene.startDaemon()
            try await scene.lead()
            let filter = try await scene.run(["/usr/sbin/nft", "-f", scene.folder.file("rules")])
            try #require(filter.exitCode == 0, "\(filter.text)")
            #expect(
                try await eventually(within: .seconds(90)) { scene.log.contains("neither accepted nor refused") },
                "\(scene.log)")
            #expect(!scene.log.contains("nobody listens at"))
            _ = server
            try await scene.expectLease()
        }
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { self.ranges(of: part).count }
}
