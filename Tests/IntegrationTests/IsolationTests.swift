// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkBed
import TestSupport
import Testing

/// Nothing that looks at others costs this node its lease: the real daemon, a real etcd, a real kernel.
@Suite struct IsolationTests {
    init() { EventLoop.shared.executor.startThread() }

    /// Members by name are known from the moment on in which no name server answers any more.
    @Test(arguments: [IsolationScene.endpoint, "http://etcd.test:2379"])
    @EventLoop func `name servers that fall silent cost nothing, whether etcd is known by its address or by name`(
        endpoint: String
    ) async throws {
        try await IsolationScene.play { scene in
            let proxy = try await scene.serveEtcd()
            let servers = try await NameServers(in: scene.node.name, ["etcd.test": [127, 0, 0, 1]])
            try scene.folder.write(
                "resolv.conf", NameServers.addresses.map { "nameserver \($0)\n" }.joined())
            try scene.configure(endpoints: [endpoint], "detector: { profile: fast }")
            try scene.startDaemon()
            try await scene.lead()
            servers.areSilent = true
            try await scene.put((2...3).map { ("/service/demo/members/n\($0)", IsolationScene.member("n\($0).test")) })
            try await scene.wait(.seconds(20))
            // New connections, with what was found before.
            proxy.endConnections()
            // An answer is looked up anew after a minute; this one is not answered.
            try await scene.wait(.seconds(50))
            proxy.endConnections()
            try await scene.wait(.seconds(10))
            let asked = Set(servers.unanswered)
            #expect(asked.isSuperset(of: ["n2.test", "n3.test"]), "\(asked)")
            #expect(asked.contains("etcd.test") == endpoint.contains("etcd.test"), "\(asked)")
            try await scene.expectLease()
        }
    }
}
