// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import TestSupport
import Testing

private func put(_ key: String, _ value: String) -> Transaction {
    Transaction(compares: [], success: [.put(key: key, value: Array(value.utf8), lease: 0)])
}

extension IntegrationTests {
    /// Three real members; the client begins with the first.
    @Suite(.serialized)
    struct EtcdFailoverTests {
        init() { EventLoop.shared.executor.startThread() }

        @EventLoop
        private func client(_ etcd: LocalEtcd, http: HTTPClient) -> EtcdClient {
            let configuration = EtcdConfiguration(
                endpoints: etcd.endpoints,
                requestTimeout: .seconds(5),
                attemptTimeout: .milliseconds(1000)
            )
            return EtcdClient(configuration, http: http, jitter: { 0 })
        }

        /// Commits until it is known to have happened: an election may be under way.
        @EventLoop
        private func commitSurely(_ client: EtcdClient, _ transaction: Transaction) async throws {
            let deadline = ContinuousClock.now + .seconds(20)
            while true {
                do throws(EtcdError) {
                    _ = try await client.commit(transaction)
                    return
                } catch {
                    guard ContinuousClock.now < deadline else { throw error }
                    try await EventLoop.sleep(for: .milliseconds(20))
                }
            }
        }

        @Test(arguments: ["kill", "freeze"])
        @EventLoop func `a watch that is resumed loses no event while its member dies`(how: String) async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(members: 3, http: http)
            let (watcher, writer) = (self.client(etcd, http: http), self.client(etcd, http: http))
            writer.dropCurrentEndpoint("the watcher's")
            var seen: [String] = []
            var next: Int64 = 1
            var endings: [EtcdError.Kind] = []
            let task = EventLoop.spawn {
                while !Task.isCancelled {
                    do throws(EtcdError) {
                        try await watcher.watch(.prefix("/k/"), from: next) { batch in
                            seen += batch.events.map(\.keyValue.valueText)
                            if let last = batch.events.last { next = last.keyValue.modRevision + 1 }
                        }
                    } catch {
                        endings.append(error.kind)
                    }
                }
            }
            var written: [String] = []
            for number in 0..<60 {
                if number == 20 { if how == "kill" { etcd.kill(0) } else { etcd.freeze(0) } }
                // The reader of a frozen member learns of it by its own requests.
                if number % 10 == 5 { do { _ = try await watcher.range(.key("/k/0")) } catch {} }
                try await self.commitSurely(writer, put("/k/\(number % 7)", "\(number)"))
                written.append("\(number)")
            }
            let deadline = ContinuousClock.now + .seconds(20)
            while seen.last != written.last, ContinuousClock.now < deadline {
                try await EventLoop.sleep(for: .milliseconds(10))
            }
            task.cancel()
            await task.value
            // A write of unknown outcome may have happened, and was then written again.
            var distinct: [String] = []
            for value in seen where value != distinct.last { distinct.append(value) }
            #expect(distinct == written)
            #expect(endings.count >= 2 && endings.last == .cancelled)
            #expect(watcher.currentEndpoint != etcd.endpoints[0])
            if how == "freeze" { etcd.thaw(0) }
            http.close()
        }

        @Test @EventLoop func `without quorum requests and watches say that there is no leader, and recover`()
            async throws
        {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(members: 3, http: http)
            let client = self.client(etcd, http: http)
            try await self.commitSurely(client, put("/a", "1"))
            let revision = try await client.range(.key("/a")).header.revision
            var ending: EtcdError.Kind?
            var established = false
            let task = EventLoop.spawn {
                do throws(EtcdError) {
                    try await client.watch(.key("/a"), from: revision + 1) { _ in established = true }
                } catch {
                    ending = error.kind
                }
            }
            try await waitUntil { established }
            etcd.kill(1)
            etcd.kill(2)
            await task.value
            #expect(ending == .noLeader)
            var kind: EtcdError.Kind?
            let deadline = ContinuousClock.now + .seconds(20)
            while kind != .noLeader, ContinuousClock.now < deadline {
                do throws(EtcdError) { _ = try await client.range(.key("/a")) } catch { kind = error.kind }
            }
            #expect(kind == .noLeader)
            // It was refused, so it certainly did not happen.
            let error = await #expect(throws: EtcdError.self) { _ = try await client.commit(put("/a", "2")) }
            #expect(error?.kind == .noLeader)
            try etcd.start(1)
            try await etcd.waitForHealth(1, http: http)
            var value: String?
            while value == nil, ContinuousClock.now < deadline + .seconds(20) {
                do { value = try await client.range(.key("/a")).keyValues.first?.valueText } catch {}
            }
            #expect(value == "1")
            http.close()
        }
    }
}
