// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EventLoop
import HTTPClient
import TestSupport
import Testing

struct EtcdVersionTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test(arguments: [
        ("3.3.25", true), ("3.4.23", true), ("3.4.30", true), ("3.4.31", false), ("3.5.0-rc.1", true), ("3.5.12", true),
        ("3.5.13", false), ("3.5.16", false), ("3.6.0-rc.1", false), ("4.0.0", false),
    ]) func `releases of before 3.4.31 and 3.5.13 are known for their fault`(text: String, isFaulty: Bool) throws {
        let version = try #require(EtcdVersion(text))
        #expect(version.trustsDeposedLeaders == isFaulty)
    }

    @Test(arguments: ["", "3", "3.4", "3.4.x", "3.4.-1", "v3.4.1", "3.4.1.2", "3.99999999999999999999.1"])
    func `anything else is no release`(text: String) { #expect(EtcdVersion(text) == nil) }

    @Test @EventLoop func `each endpoint is asked, and one that gives no answer or no version is left out`()
        async throws
    {
        let http = HTTPClient()
        let good = try ScriptedServer(answering: { _ in
            httpAnswer(200, #"{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}"#)
        })
        let odd = try ScriptedServer(answering: { _ in httpAnswer(200, #"{"etcdserver":7}"#) })
        let endpoints = [good.url, odd.url, "http://127.0.0.1:1"]
        let client = EtcdClient(EtcdConfiguration(endpoints: endpoints), http: http, jitter: { 0 })
        let versions = await client.versions()
        #expect(versions.map(\.endpoint) == endpoints)
        #expect(versions.map(\.version) == [EtcdVersion(3, 4, 23), nil, nil])
        #expect(client.currentEndpoint == good.url)
        withExtendedLifetime((good, odd)) { http.close() }
    }
}
