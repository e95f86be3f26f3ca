// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import LenientJSON
import Settings
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// What a whole daemon makes of a real etcd that loses a member. Patroni's keys are written by the test: there is no Patroni.
    @Suite(.serialized)
    struct ContinuousAuditTests {
        init() { EventLoop.shared.executor.startThread() }

        @EventLoop private final class Records {
            var all: [LogRecord] = []
            func messages(_ kind: LogKind) -> [String] { self.all.filter { $0.kind == kind }.map(\.message) }
        }

        @Test(.timeLimit(.minutes(5))) @EventLoop
        func `a member of etcd that is lost is told within a minute, and its return, too`() async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(members: 3, http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            for (key, value) in [
                ("config", #"{"ttl":30,"loop_wait":10,"retry_timeout":10}"#), ("leader", "n2"),
                ("members/n1", #"{"conn_url":"postgres://127.0.0.11:1/postgres","role":"replica","state":"running"}"#),
                ("members/n2", #"{"conn_url":"postgres://127.0.0.12:1/postgres","role":"primary","state":"running"}"#),
            ] {
                let put = Transaction.Operation.put(key: "/service/demo/\(key)", value: Array(value.utf8), lease: 0)
                _ = try await client.commit(Transaction(compares: [], success: [put]))
            }
            let folder = try TemporaryDirectory("audit")
            // The others are learned: one endpoint is enough. It never leads, so no address comes here.
            let settings = try Settings.load(
                text: """
                    scope: demo
                    member: n1
                    addresses: [{ address: 10.99.99.3/24, interface: nowhere0 }]
                    etcd: { endpoints: ["\(etcd.endpoints[0])"] }
                    patroni: { url: "http://127.0.0.1:1" }
                    postgres: { conninfo: "host=/nonexistent dbname=postgres" }
                    detector: { profile: fast }
                    status: { socket: \(folder.file("socket")) }
                    """)
            let records = Records()
            let shell = Shell(
                settings, node: "boot-a",
                .init(
                    log: { records.all.append($0) }, ready: {}, status: { _ in }, exit: {}, redact: { $0 },
                    jitter: { 0.5 }, ipPath: "/bin/false"))
            shell.start()
            func outcome(_ failure: String) throws -> String? {
                let cluster = try #require(JSON.parse(Array(shell.clusterJSON().utf8)))
                let lines = cluster["groups"]?.array?.first?["readiness"]?.array ?? []
                return lines.first { $0["failure"]?.string == failure }?["outcome"]?.string
            }
            func problems() -> [String] { shell.wholeClusterStatus?.problems.map { Wording.code($0) } ?? [] }

            let isWell = try await eventually(within: .seconds(40)) { try outcome("etcdMember") == "survived" }
            #expect(isWell, "\(shell.clusterJSON())")
            #expect(try outcome("thisDaemon") == "survived" && !problems().contains("failure_not_survived"))

            etcd.kill(2)
            let killed = ContinuousClock.now
            let isSeen = try await eventually(within: .seconds(30)) { try outcome("etcdMember") == "not_survived" }
            #expect(isSeen, "\(shell.clusterJSON())")
            #expect(problems().contains("failure_not_survived"))
            let isTold = try await eventually(within: .seconds(60)) { !records.messages(.failureNotSurvived).isEmpty }
            #expect(isTold && ContinuousClock.now - killed < .seconds(60))
            #expect(
                records.messages(.failureNotSurvived).contains { $0.contains("1 of 3 would be left, 2 are needed") },
                "\(records.messages(.failureNotSurvived))")
            #expect(records.messages(.auditFinding).contains { $0.hasPrefix("etcd-member-down: etcd's member m2") })

            try etcd.start(2)
            let isBack = try await eventually(within: .seconds(90)) {
                !records.messages(.failureSurvivedAgain).isEmpty && !records.messages(.auditFindingGone).isEmpty
            }
            #expect(isBack, "\(records.all.map(\.message))")
            #expect(try outcome("etcdMember") == "survived" && !problems().contains("failure_not_survived"))
            shell.stop()
            http.close()
        }
    }
}
