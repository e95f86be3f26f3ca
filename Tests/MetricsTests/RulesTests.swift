// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import LenientJSON
import Testing

@testable import Metrics

/// The alert rules and the dashboard that are shipped, beside what is measured and what the manual says.
struct RulesTests {
    init() { EventLoop.shared.executor.startThread() }

    private func run(_ command: [String]) async throws -> (isTaken: Bool, said: String) {
        let outcome = try await ChildProcess(command, timeout: .seconds(120)).run()
        return (outcome.exitCode == 0, outcome.text)
    }

    @Test func `promtool takes the rules, and each alert fires for its cause and not without it`() async throws {
        let checked = try await self.run(["/usr/bin/promtool", "check", "rules", Shipped.rules])
        #expect(checked.isTaken, "\(checked.said)")
        let tested = try await self.run(["/usr/bin/promtool", "test", "rules", Shipped.ruleTests])
        #expect(tested.isTaken, "\(tested.said)")
    }

    @Test func `each alert has a test that it fires, one that it does not, and a line in the manual`() throws {
        let (tests, manual) = (try Shipped.text(Shipped.ruleTests), try Shipped.text(Shipped.manual))
        let alerts = try Shipped.alerts()
        #expect(alerts.count >= 20)
        for alert in alerts {
            #expect(
                tests.contains("- name: \(alert) fires\n") && tests.contains("- name: \(alert) is silent\n"), "\(alert)"
            )
            #expect(manual.contains("\n| `\(alert)` | "), "\(alert) in docs/operations.md")
        }
        #expect(manual.contains("\n#### Alerts\n"), "where runbook_url leads")
    }

    @Test func `rules and dashboard look at what is measured`() throws {
        let status = JSON.parse(
            Array(
                #"{"scope":"x","uptime_seconds":1,"records":{},"loop":{"last_10_minutes":{"longest_turn_microseconds":1}},"citus":{}}"#
                    .utf8))
        let cluster = JSON.parse(Array(#"{"read_seconds_ago":1}"#.utf8))
        let measured = Set(PharosMetrics.families(status: status, cluster: cluster).map(\.name))
            .union(Shipped.metrics(in: try Shipped.text(Shipped.root + "/Sources/pharos-api/API+Metrics.swift")))
        for path in [Shipped.rules, Shipped.dashboard] {
            let named = Shipped.metrics(in: try Shipped.text(path))
            #expect(named.count > 10)
            #expect(named.subtracting(measured).isEmpty, "\(path): \(named.subtracting(measured))")
        }
    }
}

/// Files beside the sources.
enum Shipped {
    static let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    static let rules = root + "/config/prometheus/pharos.rules.yml"
    static let dashboard = root + "/config/grafana/pharos.json"
    static let ruleTests = root + "/Tests/MetricsTests/Rules/pharos.rules.test.yml"
    static let manual = root + "/docs/operations.md"

    static func text(_ path: String) throws -> String {
        let file = try #require(fopen(path, "r"), "\(path)")
        defer { fclose(file) }
        var (bytes, buffer): ([UInt8], [UInt8]) = ([], [UInt8](repeating: 0, count: 1 << 16))
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func alerts() throws -> [String] {
        try self.text(self.rules).split(separator: "\n").compactMap { line in
            line.firstRange(of: "- alert: ").map { String(line[$0.upperBound...]) }
        }
    }

    /// The names that begin with `pharos_`; not those of recorded rules, which contain colons, nor of files.
    static func metrics(in text: String) -> Set<String> {
        var names: Set<String> = []
        var rest = text[...]
        while let found = rest.firstRange(of: "pharos_") {
            let name = rest[found.lowerBound...].prefix { $0.isLetter || $0.isNumber || $0 == "_" }
            let isPart = rest[..<found.lowerBound].last.map { $0 == ":" || $0 == "_" || $0.isLetter } ?? false
            rest = rest[name.endIndex...]
            if !isPart, rest.first != ":" { names.insert(String(name)) }
        }
        return names
    }

    /// The expressions of the dashboard's panels, each with its panel's title, as Grafana would ask them for all clusters.
    static func expressions() throws -> [(title: String, expression: String)] {
        let document = JSON.parse(Array(try self.text(self.dashboard).utf8))
        return (document?["panels"]?.array ?? []).flatMap { panel in
            (panel["targets"]?.array ?? []).compactMap { target in
                (target["expr"]?.string).map { expression in
                    (
                        panel["title"]?.string ?? "",
                        expression.replacing("$scope", with: ".*").replacing("$__rate_interval", with: "1m")
                    )
                }
            }
        }
    }
}
