// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed
import TestSupport
import Testing

/// The local PostgreSQL by its host's name.
extension IsolationTests {
    /// Nobody but a name server could say what the names mean: the hosts file is empty.
    @Test(arguments: ["host=localhost", "host=db.test"])
    @EventLoop func `the local PostgreSQL is asked by name while the name servers are silent`(host: String) async throws
    {
        let isLocalhost = host == "host=localhost"
        let port = try #require(try freePorts(1).first)
        let postgres = try await LocalPostgres(port: port)
        try await IsolationScene.play { scene in
            try await scene.serveEtcd()
            let listening = try await IsolationSockets.listening("127.0.0.1", 5432, in: scene.node.name)
            let relay = RecordingProxy(listening: listening, to: "127.0.0.1", try #require(UInt16(exactly: port)))
            let servers = try await NameServers(in: scene.node.name, ["db.test": [127, 0, 0, 1]])
            servers.areSilent = isLocalhost
            try scene.folder.write("resolv.conf", NameServers.addresses.map { "nameserver \($0)\n" }.joined())
            try scene.folder.write("hosts", "")
            try scene.configure(
                acquire: "writable", "postgres: { conninfo: '\(host) user=postgres dbname=postgres' }")
            try scene.startDaemon()
            // PostgreSQL has said that it takes writes.
            try await scene.lead()
            #expect(scene.log.contains("10.77.0.100 is on eth0"), "\(scene.log)")
            servers.areSilent = true
            // New connections: after a minute the name is looked up anew, which is not answered.
            for pause in isLocalhost ? [1, 15] : [1, 62, 10] {
                relay.endConnections()
                try await scene.wait(.seconds(pause))
                let connections = relay.connectionCount
                relay.endConnections()
                #expect(
                    try await eventually(within: .seconds(20)) { relay.connectionCount > connections },
                    "PostgreSQL is not asked again: \(scene.log)")
            }
            #expect(Set(servers.unanswered) == (isLocalhost ? [] : ["db.test"]))
            #expect(scene.log.contains("the name db.test cannot be looked up") == !isLocalhost, "\(scene.log)")
            try await scene.expectLease()
        }
        withExtendedLifetime(postgres) {}
    }
}
