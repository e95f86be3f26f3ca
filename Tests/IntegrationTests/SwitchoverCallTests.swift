// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import PatroniClient
import PatroniValues
import TestSupport
import Testing

@testable import Shell

/// A switchover that Pharos asks for: the claim in a real etcd, and Patroni's answers as they were recorded, by a scripted server.
@Suite(.serialized)
struct SwitchoverCallTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop
    private final class Stage {
        static let keys = PatroniKeys(namespace: "/service/", scope: "demo", group: nil)
        static let claim = "/pharos/demo/0/switchover"
        let http = HTTPClient()
        let etcd: LocalEtcd
        let client: EtcdClient
        let patroni: ScriptedServer
        private let call: SwitchoverCall
        private(set) var since: Int64 = 0

        /// `answer`: what Patroni says; before it does, `act` is done.
        init(_ answer: [UInt8], _ act: @escaping @EventLoop (EtcdClient) async throws -> Void = { _ in }) async throws {
            self.etcd = try await LocalEtcd(http: self.http)
            let client = EtcdClient(
                EtcdConfiguration(endpoints: self.etcd.endpoints, requestTimeout: .seconds(20)), http: self.http,
                jitter: { 0 })
            self.client = client
            self.patroni = try ScriptedServer { connection in
                _ = try await connection.readRequest()
                try await act(client)
                try await connection.write(answer)
            }
            self.call = SwitchoverCall(
                client, DetectorKeys(root: "/pharos/", namespace: "/service/", scope: "demo", .citusMode), Self.keys,
                PatroniClient(self.patroni.url, http: self.http), member: "n3")
            try await self.put(Self.keys.leader, "n1")
            self.since = try await client.range(.key(Self.keys.leader)).keyValues[0].createRevision
        }

        func put(_ key: String, _ value: String) async throws { try await Self.put(self.client, key, value) }

        static func put(_ client: EtcdClient, _ key: String, _ value: String) async throws {
            _ = try await client.commit(
                Transaction(compares: [], success: [.put(key: key, value: Array(value.utf8), lease: 0)]))
        }

        func carryOut(since: Int64? = nil, for terms: SwitchoverCall.Terms? = nil) async -> SwitchoverOutcome {
            await self.call.carryOut(
                SwitchoverOrder(leader: MemberID(0, "n1"), since: since ?? self.since, candidate: MemberID(0, "n2")),
                for: terms)
        }

        func revision(of key: String) async throws -> Int64 {
            try await self.client.range(.key(key)).keyValues.first?.modRevision ?? 0
        }

        /// For a person who has seen the keys as they are now.
        func terms(allowsPause: Bool = false) async throws -> SwitchoverCall.Terms {
            SwitchoverCall.Terms(
                person: "ann",
                revisions: PatroniRevisions(
                    config: try await self.revision(of: Self.keys.config),
                    failover: try await self.revision(of: Self.keys.failover),
                    sync: try await self.revision(of: Self.keys.sync)), allowsPause: allowsPause)
        }

        func successor(within limit: Duration) async -> String? {
            let order = SwitchoverOrder(leader: MemberID(0, "n1"), since: self.since, candidate: MemberID(0, "n2"))
            return await self.call.successor(of: order, within: limit)
        }

        func isClaimed() async throws -> Bool { try await !self.client.range(.key(Self.claim)).keyValues.isEmpty }

        func close() { self.http.close() }
    }

    @Test @EventLoop func `Patroni is asked under a claim that ends with its answer`() async throws {
        var claim: String?
        let stage = try await Stage(httpAnswer(200, "Successfully switched over to \"n2\"")) { client in
            claim = try await client.range(.key(Stage.claim)).keyValues.first?.valueText
        }
        // As Patroni leaves it after a switchover.
        try await stage.put(Stage.keys.failover, "{}")
        #expect(await stage.carryOut() == .done("Successfully switched over to \"n2\""))
        #expect(claim?.contains(#""from":"n1","to":"n2","by":"n3""#) == true, "\(claim ?? "none")")
        #expect(try await !stage.isClaimed())
        #expect(stage.patroni.requests == ["POST /switchover HTTP/1.1"])
        stage.close()
    }

    @Test(arguments: ["another leader", "another leadership", "a claim", "a request", "a pause"]) @EventLoop
    func `what stands in etcd forestalls it, and Patroni is not asked`(what: String) async throws {
        let stage = try await Stage(httpAnswer(200, "no"))
        var since: Int64?
        switch what {
        case "another leader": try await stage.put(Stage.keys.leader, "n2")
        case "another leadership": since = stage.since - 1
        case "a claim": try await stage.put(Stage.claim, #"{"by":"n9"}"#)
        case "a request": try await stage.put(Stage.keys.failover, #"{"leader":"n1","member":"n3"}"#)
        default: try await stage.put(Stage.keys.config, #"{"pause":true}"#)
        }
        guard case .forestalled(let reason) = await stage.carryOut(since: since) else {
            Issue.record("it was asked")
            return
        }
        let words = [
            "a claim": "the daemon of n9 was first", "a request": "somebody has asked", "a pause": "maintenance mode",
        ]
        #expect(reason.contains(words[what] ?? "the leader is another by now"), "\(reason)")
        #expect(stage.patroni.requests.isEmpty)
        #expect(try await stage.isClaimed() == (what == "a claim"))
        stage.close()
    }

    @Test @EventLoop func `for a person the claim says so, and rests on the keys that the person has seen`()
        async throws
    {
        var claim: String?
        let stage = try await Stage(httpAnswer(200, "Successfully switched over to \"n2\"")) { client in
            claim = try await client.range(.key(Stage.claim)).keyValues.first?.valueText
        }
        try await stage.put(Stage.keys.config, #"{"ttl":30}"#)
        try await stage.put(Stage.keys.failover, "{}")
        let seen = try await stage.terms()
        #expect(await stage.carryOut(for: seen) == .done("Successfully switched over to \"n2\""))
        #expect(claim?.contains(#""by":"n3","for":"ann""#) == true, "\(claim ?? "none")")
        for key in [Stage.keys.config, Stage.keys.failover, Stage.keys.sync] {
            let before = try await stage.terms()
            try await stage.put(key, "{}")
            guard case .forestalled(let reason) = await stage.carryOut(for: before) else {
                Issue.record("it was asked although \(key) has moved")
                continue
            }
            #expect(reason.contains("has moved in the last moment"), "\(reason)")
        }
        #expect(stage.patroni.requests.count == 1)
        #expect(try await !stage.isClaimed())
        stage.close()
    }

    @Test @EventLoop func `maintenance mode forestalls it, unless the person puts up with that`() async throws {
        let stage = try await Stage(httpAnswer(200, "yes"))
        try await stage.put(Stage.keys.config, #"{"pause":true}"#)
        #expect(await stage.carryOut(for: try await stage.terms()) == .forestalled("Patroni is in maintenance mode"))
        #expect(await stage.carryOut(for: try await stage.terms(allowsPause: true)) == .done("yes"))
        stage.close()
    }

    @Test @EventLoop func `who leads afterwards is whom etcd names in a new leadership`() async throws {
        let stage = try await Stage(httpAnswer(200, "yes"))
        #expect(await stage.successor(within: .milliseconds(700)) == nil, "the old leader still leads")
        _ = try await stage.client.commit(Transaction(compares: [], success: [.delete(.key(Stage.keys.leader))]))
        #expect(await stage.successor(within: .milliseconds(700)) == nil, "nobody leads")
        try await stage.put(Stage.keys.leader, "n3")
        #expect(await stage.successor(within: .seconds(10)) == "n3")
        stage.close()
    }

    @Test(arguments: [true, false]) @EventLoop
    func `what Patroni has begun and not answered for is followed to its end, under the claim`(works: Bool) async throws
    {
        let stage = try await Stage(httpAnswer(503, "Switchover status unknown")) { client in
            try await Stage.put(client, Stage.keys.failover, #"{"leader":"n1","member":"n2"}"#)
        }
        let outcome = EventLoop.task { await stage.carryOut() }
        try await EventLoop.sleep(for: .milliseconds(1500))
        #expect(try await stage.isClaimed())
        if works {
            _ = try await stage.client.commit(
                Transaction(compares: [], success: [.delete(.key(Stage.keys.leader))]))
            try await stage.put(Stage.keys.leader, "n2")
        }
        try await stage.put(Stage.keys.failover, "{}")
        let expected: SwitchoverOutcome =
            works ? .done("n2 leads") : .refused("its request is gone from etcd, and n1 still leads")
        #expect(await outcome.value == expected)
        #expect(try await !stage.isClaimed())
        stage.close()
    }
}
