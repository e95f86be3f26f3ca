// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import TestSupport
import Testing

extension IntegrationTests {
    @Suite(.serialized)
    struct EtcdAuthTests {
        init() { EventLoop.shared.executor.startThread() }

        @Test @EventLoop func `a user with rights on a prefix follows it, also when the token expires`() async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(arguments: ["--auth-token", "simple", "--auth-token-ttl", "1"], http: http)
            try await etcd.control("user", "add", "root:r")
            try await etcd.control("user", "add", "pharos:s3cret")
            try await etcd.control("role", "add", "follower")
            try await etcd.control(
                "role",
                "grant-permission",
                "follower",
                "--prefix=true",
                "readwrite",
                "/service/"
            )
            try await etcd.control("user", "grant-role", "pharos", "follower")
            try await etcd.control("user", "grant-role", "root", "root")
            var configuration = EtcdConfiguration(
                endpoints: etcd.endpoints,
                username: "pharos",
                password: "s3cret",
                requestTimeout: .seconds(5)
            )
            let client = EtcdClient(configuration, http: http, jitter: { 0 })
            // Before authentication is enabled, no token is needed.
            _ = try await client.range(.prefix("/service/"))
            try await etcd.control("auth", "enable")
            _ = try await client.range(.prefix("/service/"))
            let write = Transaction(compares: [], success: [.put(key: "/service/x", value: [49], lease: 0)])
            for _ in 0..<3 {
                #expect(try await client.commit(write).succeeded)
                // Longer than a token lives.
                try await EventLoop.sleep(for: .milliseconds(2200))
            }
            // A watch that begins with an expired token.
            var established = false
            let task = EventLoop.spawn {
                do throws(EtcdError) {
                    try await client.watch(.prefix("/service/"), from: 1) { _ in established = true }
                } catch {
                    #expect(error.kind == .cancelled)
                }
            }
            let deadline = ContinuousClock.now + .seconds(10)
            while !established, ContinuousClock.now < deadline { try await EventLoop.sleep(for: .milliseconds(5)) }
            #expect(established)
            task.cancel()
            await task.value
            let denied = await #expect(throws: EtcdError.self) { _ = try await client.range(.key("/other")) }
            #expect(denied?.kind == .permissionDenied)
            let deniedWatch = await #expect(throws: EtcdError.self) {
                try await client.watch(.key("/other"), from: 1) { _ in }
            }
            #expect(deniedWatch?.kind == .permissionDenied)
            configuration.password = "wr0ng"
            let stranger = EtcdClient(configuration, http: http, jitter: { 0 })
            let refused = await #expect(throws: EtcdError.self) { _ = try await stranger.range(.key("/service/x")) }
            #expect(refused?.kind == .unauthenticated && refused?.description.contains("wr0ng") == false)
            configuration.username = nil
            let nobody = EtcdClient(configuration, http: http, jitter: { 0 })
            let unknown = await #expect(throws: EtcdError.self) { _ = try await nobody.range(.key("/service/x")) }
            #expect(unknown?.kind == .unauthenticated)
            http.close()
        }

        @Test @EventLoop func `a client certificate opens etcd, and nothing else does`() async throws {
            let http = HTTPClient()
            let certificates = try await TestCertificates()
            let etcd = try await LocalEtcd(certificates: certificates, http: http)
            var configuration = EtcdConfiguration(endpoints: etcd.endpoints, tls: certificates.clientFiles)
            let client = EtcdClient(configuration, http: http, jitter: { 0 })
            #expect(try await client.grantLease(seconds: 10).ttl == 10)
            let strangers = [
                TLSFiles(authorities: certificates.authority), TLSFiles(), nil,
                TLSFiles(authorities: "/nonexistent", certificate: "/nonexistent", key: "/nonexistent"),
            ]
            for files in strangers {
                configuration.tls = files
                let stranger = EtcdClient(configuration, http: http, jitter: { 0 })
                let error = await #expect(throws: EtcdError.self) { _ = try await stranger.range(.key("/x")) }
                #expect(error?.kind == .unreachable || error?.kind == .malformed)
            }
            http.close()
        }
    }
}
