// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop
import Glibc
import HTTPClient
import ServiceRecords
import Settings
import TestSupport
import Testing

@testable import Shell

private let nameServer = "/usr/sbin/dnsmasq"

extension IntegrationTests {
    /// A real name server, and the real etcd that it names.
    @Suite(.serialized)
    struct EtcdDiscoveryTests {
        init() { EventLoop.shared.executor.startThread() }

        /// More records than 512 bytes hold: the answer comes by TCP.
        @Test(
            .timeLimit(.minutes(1)), .enabled(if: access(nameServer, X_OK) == 0, "needs dnsmasq (dnsmasq-base)"),
            arguments: [("client", 0), ("client", 24), ("server", 0)])
        @EventLoop func `dnsmasq names the members of a real etcd`(service: String, others: Int) async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(members: 3, http: http)
            let port = try freePorts(1)[0]
            let endpoints = service == "client" ? etcd.endpoints : etcd.peers
            let ports = endpoints.compactMap { $0.split(separator: ":").last }
            let records =
                ports.map { "--srv-host=_etcd-\(service)._tcp.pharos.test,localhost,\($0),1" }
                + (0..<others).map { "--srv-host=_etcd-\(service)._tcp.pharos.test,member-\($0).pharos.test,2379,2" }
            let server = try TestProcess(
                [
                    nameServer, "--keep-in-foreground", "--port=\(port)", "--listen-address=127.0.0.1",
                    "--bind-interfaces",
                    "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--user=root",
                    "--local=/test/",
                ] + records, log: etcd.directory.file("dnsmasq.log"))
            let lookup = ServiceLookup("nameserver 127.0.0.1", port: UInt16(port))
            let discovery = EtcdDiscovery(
                .records(.init(domain: "pharos.test")), tls: nil, http: http, resolver: HostResolver(kind: .tool),
                kind: .tool
            ) { lookup }
            let expected =
                service == "client" ? ports.map { "http://localhost:\($0)" }.sorted() : etcd.endpoints.sorted()
            var found: [String] = []
            // It may not listen yet.
            try await waitUntil {
                if case .success(let urls) = await discovery.endpoints() { found = urls }
                return !found.isEmpty
            }
            #expect(found.prefix(3).sorted() == expected && found.count == min(3 + others, Settings.endpointLimit))
            let client = EtcdClient(EtcdConfiguration(endpoints: []), http: http, jitter: { 0 })
            client.configure(Array(found.prefix(3)))
            _ = try await client.range(.key("x"))
            withExtendedLifetime(server) {}
            http.close()
        }
    }
}
