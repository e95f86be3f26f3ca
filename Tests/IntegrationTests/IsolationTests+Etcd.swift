// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import HTTPClient
import NetworkBed
import TestSupport
import Testing

/// The ways to etcd: certificates that are replaced, an endpoint that says nothing, an address that is dead.
extension IsolationTests {
    @Test @EventLoop func `certificates and authority are replaced without a restart, and SIGHUP connects anew`()
        async throws
    {
        let certificates = try await TestCertificates()
        try await IsolationScene.play(certificates: certificates) { scene in
            let proxy = try await scene.serveEtcd()
            let files = certificates.clientFiles
            try scene.configure(
                endpoints: ["https://127.0.0.1:2379"],
                etcd: ", ca_file: \(files.authorities ?? ""), cert_file: \(files.certificate ?? "")"
                    + ", key_file: \(files.key ?? "")")
            try scene.startDaemon()
            try await scene.lead()

            // etcd shows its new certificate at the next handshake, and knows the daemon's old one.
            try await certificates.renew(client: false)
            let count = proxy.connectionCount
            try await scene.wait(.seconds(10))
            #expect(proxy.connectionCount == count, "what is connected goes on")
            kill(try #require(scene.daemon).id, SIGHUP)
            let isConnectedAnew = try await eventually(within: .seconds(20)) { proxy.connectionCount > count }
            #expect(isConnectedAnew, "SIGHUP drops what is kept")
            try await scene.wait(.seconds(10))
            try await scene.expectLease(readable: false)

            // All of them, and nobody tells the daemon: etcd is restarted, and each connection is a new one.
            try await certificates.renew()
            let before = proxy.connectionCount
            scene.etcd.kill(0)
            try scene.etcd.start(0)
            try await scene.wait(.seconds(20))
            #expect(proxy.connectionCount > before)
            try await scene.expectLease(readable: false)
        }
    }

    @Test @EventLoop func `an endpoint of etcd that accepts and never answers keeps nobody, also where it comes first`()
        async throws
    {
        try await IsolationScene.play { scene in
            let silent = SilentServer(
                listening: try await IsolationSockets.listening("127.0.0.1", 2380, in: scene.node.name))
            var good = try await scene.serveEtcd()
            try scene.configure(endpoints: ["http://127.0.0.1:2380", IsolationScene.endpoint])
            try scene.startDaemon()
            try await scene.lead()
            // The good one goes, and is back as soon as the daemon has turned to the silent one.
            for _ in 0..<3 {
                let count = silent.connectionCount
                good.stop()
                try #require(try await eventually(within: .seconds(20)) { silent.connectionCount > count })
                good = try await scene.serveEtcd()
                try await scene.wait(.seconds(10))
            }
            try await scene.expectLease()
        }
    }

    @Test @EventLoop func `of a name of etcd's with two addresses the first may be dead`() async throws {
        try await IsolationScene.play { scene in
            // A neighbor of the node's whose link address nobody has. (The system sorts the nearer address first.)
            let dead = "10.77.0.9"
            try await scene.node.ip(
                "neighbor", "add", dead, "lladdr", "02:00:00:00:00:09", "dev", "eth0", "nud", "permanent")
            try scene.folder.write(
                "hosts", "127.0.0.1 localhost\n\(dead) etcd.test\n\(IsolationScene.hubAddress) etcd.test\n")
            let proxy = try await scene.serveEtcd(IsolationScene.hubAddress)
            try scene.configure(endpoints: ["http://etcd.test:2379"])
            try scene.startDaemon()
            try await scene.lead()
            let found = try await scene.run(["/usr/bin/getent", "ahosts", "etcd.test"]).text
            #expect(found.hasPrefix(dead + " "), "\(found)")
            for _ in 0..<3 {
                let count = proxy.connectionCount
                proxy.endConnections()
                try await scene.wait(.seconds(8))
                #expect(proxy.connectionCount > count)
            }
            try await scene.expectLease()
        }
    }
}
