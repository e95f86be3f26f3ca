// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import TestSupport
import Testing

@testable import Shell

/// etcd's client, its follower and the HTTP client below them over connections that are refused, silent, late and cut, to an etcd
/// of the test's own: what the simulator, which begins above them, cannot break.
@Suite(.serialized)
struct FaultyTransportTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop
    private final class World {
        let etcd: FakeEtcd
        /// Three ways to the same etcd, as to three members.
        let ways: [FaultyTransport]
        let http = HTTPClient(.unlimited)
        let client: EtcdClient
        var generator: SeededGenerator
        /// What was asked for and has not ended.
        var underWay = 0
        var outcomes: [String: Int] = [:]
        /// Keys whose transaction was answered so.
        var (committed, refused): ([String], [String]) = ([], [])
        var isOver = false

        init(seed: UInt64) throws {
            let etcd = try FakeEtcd()
            var generator = SeededGenerator(seed)
            self.etcd = etcd
            let ways = try (0..<3).map { _ in
                try FaultyTransport(to: #require(etcd.server).port, seed: generator.next(), .many)
            }
            self.ways = ways
            self.generator = generator
            var jitter = SeededGenerator(seed)
            self.client = EtcdClient(
                EtcdConfiguration(
                    endpoints: ways.map(\.url), requestTimeout: .milliseconds(500), attemptTimeout: .milliseconds(200)),
                http: self.http, jitter: { Double.random(in: 0..<1, using: &jitter) })
        }

        func ask(_ name: String, _ question: @escaping @EventLoop () async throws(EtcdError) -> Void) {
            self.underWay += 1
            EventLoop.spawn {
                do throws(EtcdError) {
                    try await question()
                    self.outcomes["\(name) answered", default: 0] += 1
                } catch {
                    self.outcomes["\(name) failed", default: 0] += 1
                }
                self.underWay -= 1
            }
        }

        /// Puts a key that nobody puts twice.
        func commit(_ key: String) async throws(EtcdError) {
            do throws(EtcdError) {
                let answer = try await self.client.commit(
                    Transaction(compares: [.absent(key)], success: [.put(key: key, value: [1], lease: 0)]))
                if answer.succeeded { self.committed.append(key) }
                // Repeated although it may have taken place, it would find its own key.
                if !answer.succeeded { Issue.record("\(key) was there before") }
            } catch {
                if error.kind != .outcomeUnknown { self.refused.append(key) }
                throw error
            }
        }
    }

    /// What the follower has told, as whoever follows it would keep it.
    @EventLoop
    private final class Followed {
        var values: [String: [UInt8]] = [:]
        var revision: Int64 = 0
        var reads = 0
        var changes = 0

        func take(_ response: RangeResponse) {
            #expect(response.header.revision >= self.revision)
            self.values = Dictionary(uniqueKeysWithValues: response.keyValues.map { ($0.keyText, $0.value) })
            self.revision = response.header.revision
            self.reads += 1
        }

        func take(_ revision: Int64, _ events: [WatchEvent]) {
            #expect(revision > self.revision, "each revision once, and in order")
            self.revision = revision
            for event in events {
                self.values[event.keyValue.keyText] = event.kind == .put ? event.keyValue.value : nil
            }
            self.changes += events.count
        }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    @EventLoop func `each question ends, none is repeated that may not be, and no change is lost`(seed: UInt64)
        async throws
    {
        let (world, followed) = (try World(seed: seed), Followed())
        let (etcd, client) = (world.etcd, world.client)
        let range = KeyRange.prefix("/followed/")
        let follower = EtcdFollower(
            client, pauses: Backoff(first: .milliseconds(5), longest: .milliseconds(50)), jitter: { 0.5 },
            read: { () async throws(EtcdError) in
                let response = try await client.range(range)
                followed.take(response)
                return EtcdFollower.Reading(
                    clusterID: response.header.clusterID, revision: response.header.revision, ranges: [range])
            },
            receive: { _, revision, events in followed.take(revision, events) }, report: { _ in })
        follower.start()
        let lease = etcd.grant(seconds: 60)
        for round in 0..<300 {
            switch Int.random(in: 0..<5, using: &world.generator) {
            case 0: world.ask("range") { () async throws(EtcdError) in _ = try await client.range(.prefix("/")) }
            case 1: world.ask("keep-alive") { () async throws(EtcdError) in _ = try await client.keepAlive(lease) }
            case 2: world.ask("commit") { () async throws(EtcdError) in try await world.commit("/once/\(round)") }
            case 3: etcd.delete("/followed/\(Int.random(in: 0..<10, using: &world.generator))")
            default: etcd.put("/followed/\(Int.random(in: 0..<10, using: &world.generator))", "\(round)")
            }
            try await EventLoop.sleep(for: .milliseconds(Int.random(in: 0...10, using: &world.generator)))
        }
        // The faults go on: what ends, ends by its time limit.
        #expect(try await eventually(within: .seconds(20)) { world.underWay == 0 }, "\(world.underWay) have not ended")
        for key in world.committed { #expect(etcd.text(key) != nil, "\(key)") }
        for key in world.refused { #expect(etcd.text(key) == nil, "\(key)") }
        for way in world.ways { way.faults = .none }
        #expect(
            try await eventually(within: .seconds(20)) {
                let present = etcd.entries.filter { $0.key.hasPrefix("/followed/") }.mapValues(\.value)
                return follower.isWatching && followed.values == present
            })
        // It follows on.
        etcd.put("/followed/last", "1")
        #expect(try await eventually(within: .seconds(20)) { followed.values["/followed/last"] != nil })
        follower.stop()
        world.http.close()
        let injected = world.ways.reduce(into: [:]) { $0.merge($1.injected) { $0 + $1 } }
        #expect(injected.count == 5 && followed.reads > 1 && followed.changes > 0, "\(injected) \(world.outcomes)")
        for outcome in ["range answered", "keep-alive answered", "commit answered", "commit failed"] {
            #expect(world.outcomes[outcome] != nil, "\(world.outcomes)")
        }
    }
}
