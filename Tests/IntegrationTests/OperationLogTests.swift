// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import LenientJSON
import PatroniValues
import TestSupport
import Testing

@testable import Shell

/// The record of operations, and the facts of a plan, in a real etcd.
@Suite(.serialized)
struct OperationLogTests {
    init() { EventLoop.shared.executor.startThread() }

    private static let keys = DetectorKeys(
        root: "/pharos/", namespace: "/service/", scope: "demo", .scopes([0: "demo"]))

    @EventLoop
    private func client(_ etcd: LocalEtcd, _ http: HTTPClient) -> EtcdClient {
        EtcdClient(
            EtcdConfiguration(endpoints: etcd.endpoints, requestTimeout: .seconds(20)), http: http, jitter: { 0 })
    }

    @Test @EventLoop func `the newest hundred records stay, whoever has written them, and are read oldest first`()
        async throws
    {
        let http = HTTPClient()
        defer { http.close() }
        let etcd = try await LocalEtcd(http: http)
        let client = self.client(etcd, http)
        let old = (0..<OperationLog.limit + 20).map { number in
            Transaction.Operation.put(
                key: Self.keys.acts + DetectorKeys.name(Int64(1000 + number)) + "-n2",
                value: Array(#"{"at":\#(1000 + number),"summary":"\#(number)"}"#.utf8), lease: 0)
        }
        _ = try await client.commit(Transaction(compares: [], success: old))
        let log = OperationLog(client, Self.keys, member: "n1")
        #expect(log.records(at: .now).records == nil && log.records(at: .now).reason?.hasPrefix("not read yet") == true)
        log.add([.init("summary", "mine"), .init("result", "done")], at: 9000)
        try await waitUntil { log.records(at: .now).records?.last?.contains("mine") == true }
        let kept = log.records(at: .now).records ?? []
        #expect(kept.count == OperationLog.limit)
        let first = JSON.parse((kept.first ?? "").utf8)
        #expect(first?["at"]?.int64 == 1021, "\(kept.first ?? "none")")
        let last = JSON.parse((kept.last ?? "").utf8)
        #expect(last?["node"]?.string == "n1" && last?["at"]?.int64 == 9000 && last?["result"]?.string == "done")
        // What cannot be read is left out.
        _ = try await client.commit(
            Transaction(compares: [], success: [.put(key: Self.keys.acts + "9", value: Array("x".utf8), lease: 0)]))
        log.add([.init("summary", "later")], at: 9001)
        try await waitUntil { log.records(at: .now).records?.last?.contains("later") == true }
        log.stop()
    }

    @Test @EventLoop func `the facts of a plan are Patroni's keys at one revision, and etcd's members`() async throws {
        let http = HTTPClient()
        defer { http.close() }
        let etcd = try await LocalEtcd(members: 3, http: http)
        let client = self.client(etcd, http)
        let keys = PatroniKeys(namespace: "/service/", scope: "demo", group: nil)
        for (key, value) in [
            (keys.leader, "n1"), (keys.config, #"{"synchronous_mode":true,"maximum_lag_on_failover":7,"pause":true}"#),
            (keys.failover, "{}"), (keys.sync, #"{"leader":"n1","sync_standby":"n2"}"#),
            (keys.member("n1"), #"{"state":"running","timeline":3,"xlog_location":100,"pending_restart":true}"#),
            (keys.member("n2"), #"{"state":"starting","timeline":2,"xlog_location":90,"tags":{"nofailover":true}}"#),
            ("/pharos/demo/switchover", #"{"by":"n3","for":"ann"}"#),
        ] {
            _ = try await client.commit(
                Transaction(compares: [], success: [.put(key: key, value: Array(value.utf8), lease: 0)]))
        }
        let resolver = HostResolver(report: { _ in })
        let nodes = NodeConnections(conninfo: "", database: "postgres", resolver: resolver)
        let look = SwitchoverLook(client, keys, claim: "/pharos/demo/switchover", nodes: nodes)
        var sight = SwitchoverSight(ownGroup: 0)
        let port = try freePorts(1)[0]
        sight.members["n1"] = .init(verdict: .well, endpoint: NodeEndpoint("127.0.0.1", port))
        let facts = await look.facts(group: 0, to: "n2", sight)
        let found = try #require(facts.keys.value)
        #expect(found.leader?.name == "n1" && found.isPaused && found.isSynchronousMode && found.maximumLag == 7)
        #expect(found.synchronous == ["n2"] && !found.isRequested && found.claimant == "n3, for ann")
        #expect(found.revisions.config > 0 && found.revisions.failover > 0 && found.revisions.sync > 0)
        #expect(found.members["n1"] == .init(timeline: 3, position: 100, isRestartPending: true))
        #expect(found.members["n2"] == .init(isRunning: false, mayLead: false, timeline: 2, position: 90))
        #expect(facts.etcd.value == .init(count: 3, lost: 0))
        guard case .unseen(let refused) = facts.leader, case .unseen(let unknown) = facts.candidate else {
            Issue.record("\(facts)")
            return
        }
        #expect(!refused.isEmpty && unknown.contains("conn_url"))
        etcd.kill(2)
        let fewer = await look.facts(group: 0, to: "n2", sight)
        #expect(fewer.etcd.value == .init(count: 3, lost: 1))
        // Another group is not looked at from here.
        let other = await look.facts(group: 3, to: nil, sight)
        #expect(other.keys.value == nil)
        nodes.stop()
    }
}
