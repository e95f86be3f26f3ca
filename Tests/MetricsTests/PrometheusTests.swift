// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import LenientJSON
import TestSupport
import Testing

@testable import Metrics

/// A real Prometheus that scrapes a node's figures, with the rules that are shipped, and a real Alertmanager behind it.
///
/// What the nodes say is written here; `for:` is left out of the rules, which have tests of their own for that.
@Suite(.serialized)
struct PrometheusTests {
    init() { EventLoop.shared.executor.startThread() }

    /// Two nodes of a cluster, as their daemons' answers make them.
    @EventLoop private final class Nodes {
        var holder = "n1"
        var isUp = true
        var problem = "no_daemon"

        func figures(_ member: String) -> String {
            let isHere = self.holder == member
            let address =
                #"{"address":"10.0.0.9","is_here":\#(isHere),"stance":"hold","lifetime_seconds":25,"port":{"state":"open","is_believed":true}}"#
            let status = """
                {"scope":"demo","member":"\(member)","version":"0.2.0","uptime_seconds":60,"is_leader":\(isHere),"has_contact":true,\
                "paused":false,"unanswered":[],"etcd":{"is_watching":true,"endpoints":[]},"addresses":[\(address)],"records":{},\
                "loop":{"last_10_minutes":{"longest_turn_microseconds":4170},"since_start":{"longest_turn_microseconds":4170}},\
                "citus":{"is_writer":true,"databases":[{"database":"app","rows":3,"drifting_groups":[],"needs_operator":[],\
                "unsynchronized_groups":[]}],"verification":{"seconds_ago":60,"databases":[{"database":"app","critical":0,\
                "warnings":0,"notes":2}]}}}
                """
            let holder = self.holder.isEmpty ? "null" : "\"\(self.holder)\""
            let members = ["n1", "n2"].map { #"{"member":"\#($0)","verdict":"well","has_daemon":true,"lag_bytes":0}"# }
            let cluster = """
                {"is_current":true,"read_seconds_ago":3,"problems":[{"code":"\(self.problem)"}],\
                "audit":{"counts":{"red":0,"amber":1,"note":0,"accepted":0}},"groups":[{"group":0,"leader":"n1",\
                "readiness":[{"failure":"leaderNode","outcome":"survived"}],\
                "addresses":[{"address":"10.0.0.9","holder":\(holder)}],"members":[\(members.joined(separator: ","))]}]}
                """
            return Exposition.prometheus.text(
                PharosMetrics.families(
                    status: self.isUp ? JSON.parse(Array(status.utf8)) : nil, cluster: JSON.parse(Array(cluster.utf8))))
        }
    }

    /// Alerts that arrived, by name and state.
    @EventLoop private final class Arrivals {
        var alerts: Set<String> = []
    }

    @EventLoop private final class Monitoring {
        let nodes = Nodes()
        private let arrivals = Arrivals()
        var arrived: Set<String> { self.arrivals.alerts }
        let folder: TemporaryDirectory
        private let http = HTTPClient()
        private var keep: [Any] = []
        private let port: Int

        init() async throws {
            self.folder = try TemporaryDirectory("prometheus")
            let ports = try freePorts(2)
            self.port = ports[0]
            let nodes = self.nodes
            let targets = try ["n1", "n2"].map { member in
                try ScriptedServer(answering: { _ in httpAnswer(200, nodes.figures(member)) })
            }
            let arrivals = self.arrivals
            let receiver = try ScriptedServer { connection in
                while try await connection.readRequest() != nil {
                    for alert in JSON.parse(connection.body)?["alerts"]?.array ?? [] {
                        let name = alert["labels"]?["alertname"]?.string ?? ""
                        arrivals.alerts.insert("\(name) \(alert["status"]?.string ?? "")")
                    }
                    try await connection.write(httpAnswer(200, ""))
                }
            }
            let rules = try Shipped.text(Shipped.rules).split(separator: "\n", omittingEmptySubsequences: false)
                .filter { !$0.hasPrefix("        for: ") && !$0.hasPrefix("        keep_firing_for: ") }
            try self.folder.write("rules.yml", rules.joined(separator: "\n"))
            try self.folder.write(
                "prometheus.yml",
                """
                global: { scrape_interval: 1s, evaluation_interval: 1s }
                rule_files: [rules.yml]
                alerting: { alertmanagers: [{ static_configs: [{ targets: ["127.0.0.1:\(ports[1])"] }] }] }
                scrape_configs:
                  - job_name: pharos
                    static_configs:
                """
                    + targets.enumerated().map {
                        "\n      - { targets: [\"127.0.0.1:\($0.element.port)\"], labels: { instance: n\($0.offset + 1) } }"
                    }.joined() + "\n")
            try self.folder.write(
                "alertmanager.yml",
                """
                route: { receiver: hook, group_wait: 0s, group_interval: 1s, repeat_interval: 1h, group_by: ["..."] }
                receivers: [{ name: hook, webhook_configs: [{ url: "\(receiver.url)/", send_resolved: true }] }]

                """)
            self.keep = [
                targets, receiver,
                try TestProcess(
                    [
                        "/usr/bin/prometheus", "--config.file=\(self.folder.file("prometheus.yml"))",
                        "--storage.tsdb.path=\(self.folder.file("data"))", "--web.listen-address=127.0.0.1:\(ports[0])",
                        "--log.level=warn",
                    ], log: self.folder.file("prometheus.log")),
                try TestProcess(
                    [
                        "/usr/bin/prometheus-alertmanager", "--config.file=\(self.folder.file("alertmanager.yml"))",
                        "--storage.path=\(self.folder.file("alerts"))", "--web.listen-address=127.0.0.1:\(ports[1])",
                        "--cluster.listen-address=", "--log.level=warn",
                    ], log: self.folder.file("alertmanager.log")),
            ]
        }

        var logs: String {
            ["prometheus.log", "alertmanager.log"].map { String(decoding: self.folder.read($0), as: UTF8.self) }
                .joined()
        }

        /// How many values an expression has now; nil if Prometheus does not take it.
        func count(_ expression: String) async -> Int? {
            let encoded = expression.utf8.map { byte in
                let digits = String(byte, radix: 16)
                return "%" + (digits.count < 2 ? "0" : "") + digits
            }.joined()
            var request = HTTPRequest(.get, "http://127.0.0.1:\(self.port)/api/v1/query?query=\(encoded)")
            request.timeout = .seconds(10)
            let answer = try? await self.http.send(request)  // Not yet, or never.
            guard let answer, answer.status == 200 else { return nil }
            return JSON.parse(answer.body)?["data"]?["result"]?.array?.count
        }

        func hears(_ alert: String) async throws -> Bool {
            try await eventually(within: .seconds(60)) { self.arrived.contains(alert) }
        }
    }

    @Test @EventLoop func `each panel of the dashboard shows something, and alerts come and go`() async throws {
        let monitoring = try await Monitoring()
        let expressions = try Shipped.expressions()
        #expect(expressions.count > 15)
        for (title, expression) in expressions {
            let isShown = try await eventually(within: .seconds(60)) { (await monitoring.count(expression) ?? 0) > 0 }
            #expect(isShown, "\(title): \(expression) \(monitoring.logs)")
        }
        #expect(await monitoring.count("pharos_(") == nil)
        #expect(try await monitoring.hears("PharosDaemonMissing firing"), "\(monitoring.logs)")
        #expect(!monitoring.arrived.contains { $0.hasPrefix("PharosAddressUnheld") })
        monitoring.nodes.problem = "no_leader"
        monitoring.nodes.holder = ""
        for alert in ["PharosNoLeader firing", "PharosAddressUnheld firing", "PharosDaemonMissing resolved"] {
            #expect(try await monitoring.hears(alert), "\(alert): \(monitoring.arrived) \(monitoring.logs)")
        }
        monitoring.nodes.holder = "n2"
        #expect(try await monitoring.hears("PharosAddressUnheld resolved"))
        monitoring.nodes.isUp = false
        #expect(try await monitoring.hears("PharosDown firing"))
    }
}
