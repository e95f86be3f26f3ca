// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import HTTPClient
import LeaseKeys
import NetworkAddress
import TestSupport
import Testing

@testable import Shell

/// What etcd's refusals become for the core.
struct EtcdLinkTests {
    init() { EventLoop.shared.executor.startThread() }

    /// A link to an etcd that answers every transaction so.
    @EventLoop private func link(_ answer: [UInt8], _ http: HTTPClient) throws -> (EtcdLink, ScriptedServer) {
        let server = try ScriptedServer(answering: {
            $0.contains("/version") ? httpAnswer(200, #"{"etcdserver":"3.5.9","etcdcluster":"3.5.0"}"#) : answer
        })
        let client = EtcdClient(
            EtcdConfiguration(endpoints: [server.url], requestTimeout: .seconds(60), attemptTimeout: .seconds(60)),
            http: http, jitter: { 0 })
        let keys = PharosKeys(root: "/pharos/", namespace: "/service/", scope: "demo", group: nil)
        return (EtcdLink(client, keys, member: "n1", node: "boot-a", report: { _ in }), server)
    }

    private nonisolated static let step = TrailStep(seen: TrailInEtcd(), next: Trail())

    @Test @EventLoop func `an acquisition under a lease that has ended is told from one of unknown outcome`()
        async throws
    {
        let http = HTTPClient()
        let gone = httpAnswer(404, #"{"error":"etcdserver: requested lease not found","code":5}"#)
        let (refused, first) = try self.link(gone, http)
        #expect(
            await refused.acquire("10.0.0.3", 11, 7, Self.step, sentAt: .now)
                == .acquireFoundNoLease("10.0.0.3", lease: 11))
        #expect(
            await refused.takeOver("10.0.0.3", 12, from: 11, 7, Self.step, sentAt: .now)
                == .acquireFoundNoLease("10.0.0.3", lease: 12))
        let (unsure, second) = try self.link(httpAnswer(500, #"{"error":"internal","code":13}"#), http)
        let event = await unsure.acquire("10.0.0.3", 11, 7, Self.step, sentAt: .now)
        guard case .acquireUnanswered("10.0.0.3", lease: 11, _) = event else {
            Issue.record("\(event)")
            return
        }
        #expect(first.requests.count == 3 && second.requests.count == 2)
        http.close()
    }
}
