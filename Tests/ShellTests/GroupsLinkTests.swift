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

/// What the addresses' watch hands over to the groups.
@Suite(.serialized)
struct GroupsLinkTests {
    init() { EventLoop.shared.executor.startThread() }

    /// What was delivered of observations and claims, in short: what was read, and what was handed over.
    @EventLoop
    private final class Told {
        var news: [String] = []
        func take(_ event: Event) {
            switch event {
            case .detector(.claimsRead): self.news.append("read")
            case .detector(.switchoverClaimed(_, let member, _)): self.news.append(member ?? "nobody")
            case .groups(.changed(_, let revision, let changes)):
                let isLog = changes.contains { if case .log = $0.fact { true } else { false } }
                self.news.append("\(isLog ? "log" : "changed") at \(revision)")
            case .groups(.read(let snapshot, _)):
                for case .log(let fact) in snapshot.facts.map(\.fact) { self.news.append("\(fact)") }
            default: break  // Not looked at.
            }
        }
    }

    @Test @EventLoop func `what is handed over while the groups are read is told after the older answer`() async throws
    {
        let (etcd, http, told) = (try FakeEtcd(), HTTPClient(), Told())
        let client = EtcdClient(
            EtcdConfiguration(endpoints: [etcd.url], requestTimeout: .seconds(60), attemptTimeout: .seconds(60)),
            http: http, jitter: { 0 })
        let layout = GroupKeys.Layout.scopes([0: "demo"])
        let keys = DetectorKeys(root: "/pharos/", namespace: "/service/", scope: "demo", layout)
        let link = GroupsLink(
            client, GroupKeys(namespace: "/service/", scope: "demo", layout, own: 0), keys,
            watchedElsewhere: [.prefix("/pharos/demo/"), .key("/service/demo/leader")], jitter: { 0 },
            deliver: { told.take($0) }, report: { _ in })
        func change(_ key: String, _ value: String, _ revision: Int64) -> WatchEvent {
            WatchEvent(
                kind: .put,
                keyValue: KeyValue(
                    key: Array(key.utf8), value: Array(value.utf8), createRevision: 1, modRevision: revision,
                    version: 1, lease: 0))
        }
        let claim = try #require(keys.switchover(of: 0))
        var isHeld = true
        etcd.holdsAnswer = { $0 == "/v3/kv/txn" && isHeld }
        link.renew(in: 7)
        #expect(try await eventually(within: .seconds(10)) { etcd.count(of: "/v3/kv/txn") == 1 })
        // Newer than the answer that is on its way; and of another cluster, which is nobody's here.
        link.receive(7, 1000, [change(claim, #"{"by":"n2"}"#, 1000)])
        link.receive(7, 1001, [change("/service/demo/leader", "n2", 1001)])
        link.receive(8, 1002, [change(claim, #"{"by":"n3"}"#, 1002)])
        link.receive(7, 1003, [change("/service/demo/history", #"[[1,5,"x"]]"#, 1003)])
        isHeld = false
        #expect(try await eventually(within: .seconds(10)) { told.news.count == 4 }, "\(told.news)")
        #expect(told.news == ["read", "n2", "changed at 1001", "log at 1003"])
        link.stop()
        http.close()
    }

    @Test @EventLoop func `another cluster's keys are not looked at`() async throws {
        let (etcd, http, told) = (try FakeEtcd(), HTTPClient(), Told())
        let client = EtcdClient(
            EtcdConfiguration(endpoints: [etcd.url], requestTimeout: .seconds(60), attemptTimeout: .seconds(60)),
            http: http, jitter: { 0 })
        var records: [LogRecord] = []
        let layout = GroupKeys.Layout.scopes([0: "demo"])
        let link = GroupsLink(
            client, GroupKeys(namespace: "/service/", scope: "demo", layout),
            DetectorKeys(root: "/pharos/", namespace: "/service/", scope: "demo", layout), watchedElsewhere: [],
            jitter: { 0 }, deliver: { told.take($0) }, report: { records.append($0) })
        link.renew(in: 8)
        #expect(
            try await eventually(within: .seconds(10)) {
                records.first?.message.contains("another etcd cluster") == true
            })
        #expect(told.news == [] && etcd.count(of: "/v3/watch") == 0)
        // Nor where the core itself has them read.
        let reads = etcd.count(of: "/v3/kv/txn")
        guard case .unread(let reason) = await link.read(sentAt: .now) else {
            Issue.record("another cluster's groups were handed to the core")
            return
        }
        #expect(reason.contains("another etcd cluster") && etcd.count(of: "/v3/kv/txn") > reads, "\(reason)")
        link.stop()
        http.close()
    }

    @Test @EventLoop func `what is long to read is not read again at once for a watch that does not last`() async throws
    {
        let (etcd, http) = (try FakeEtcd(), HTTPClient())
        let client = EtcdClient(EtcdConfiguration(endpoints: [etcd.url]), http: http, jitter: { 0 })
        etcd.tamper = { $0 == "/v3/watch" ? "garbage" : $1 }
        var told: [LogRecord] = []
        let follower = EtcdFollower(
            client, pauses: Backoff(first: .seconds(600), longest: .seconds(600)), jitter: { 0.5 },
            read: { () async throws(EtcdError) in
                let response = try await client.range(.prefix("/"))
                return EtcdFollower.Reading(
                    clusterID: response.header.clusterID, revision: response.header.revision, ranges: [.prefix("/")])
            },
            receive: { _, _, _ in }, report: { told.append($0) })
        follower.start()
        #expect(try await eventually(within: .seconds(10)) { !told.isEmpty })
        try await EventLoop.sleep(for: .seconds(1))
        #expect(etcd.count(of: "/v3/kv/range") == 1 && etcd.count(of: "/v3/watch") == 1)
        follower.stop()
        http.close()
    }
}
