// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import TestSupport
import Testing

@testable import Shell

/// An answer for which others have left no room says nothing of whoever sent it.
struct CrowdedTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop private func crowded() -> HTTPClient {
        var limits = ConnectionLimits.few
        limits.buffered = 8
        return HTTPClient(limits)
    }

    @Test @EventLoop func `no endpoint of etcd is blamed for it`() async throws {
        let server = try ScriptedServer { _ in httpAnswer(200, #"{"header":{"cluster_id":"1"}}"#) }
        let http = self.crowded()
        let client = EtcdClient(EtcdConfiguration(endpoints: [server.url]), http: http, jitter: { 0 })
        await #expect(throws: EtcdError.self) { _ = try await client.range(.key("x")) }
        #expect(client.endpointStates.map(\.hasFailed) == [false])
        http.close()
    }

    @Test @EventLoop func `no member is held failed for it`() async throws {
        let server = try ScriptedServer { _ in httpAnswer(200, #"{"state":"running","role":"replica"}"#) }
        let http = self.crowded()
        let probe = MemberProbe(
            http: http, tls: nil,
            nodes: NodeConnections(conninfo: "user=u", database: "postgres", resolver: HostResolver()),
            report: { Issue.record("\($0.message)") })
        let findings = await probe.ask(
            MemberID(0, "n2"), api: server.url + "/patroni", endpoint: NodeEndpoint("127.0.0.1", 1),
            timeout: .seconds(20))
        guard case .unasked(let reason)? = findings?.patroni else {
            Issue.record("\(String(describing: findings))")
            return
        }
        #expect(reason.contains("together"))
        http.close()
    }
}
