// SPDX-License-Identifier: Apache-2.0
import EventLoop
import LenientJSON
import Testing

@testable import Metrics

/// The figures of a node and of the cluster, judged by those who read them: Prometheus's promtool, and the strict parser of its
/// Python client.
struct MetricsTests {
    init() { EventLoop.shared.executor.startThread() }

    private static func member(_ number: Int, _ verdict: String = "well") -> String {
        #"{"member":"n\#(number)","role":"standby","verdict":"\#(verdict)","has_daemon":true,"lag_bytes":\#(number)}"#
    }

    private static func cluster(members: Int) throws -> JSON {
        let list = (1...members).map { Self.member($0) }.joined(separator: ",")
        return try #require(
            JSON.parse(
                Array(
                    #"""
                    {"is_current":true,"read_seconds_ago":3,"problems":[{"code":"no_daemon"},{"code":"no_daemon"}],
                    "audit":{"counts":{"red":1,"amber":2,"note":0,"accepted":0}},
                    "groups":[{"group":0,"leader":"n1","readiness":[{"failure":"leaderNode","outcome":"not_survived"},
                    {"failure":"leaderPatroni","outcome":"not_known"},{"failure":"etcdMember","outcome":"survived"},
                    {"failure":"standby","member":"n2","outcome":"survived"},{"failure":"standby","member":"n3","outcome":"not_known"},
                    {"failure":"thisDaemon","outcome":"not_survived","accepted_until":"2027-01-01"}],"addresses":[{"address":"10.0.0.9","holder":"n1"},{"address":"10.0.0.8"}],
                    "members":[\#(list)]}]}
                    """#.utf8)))
    }

    private static func status() throws -> JSON {
        try #require(
            JSON.parse(
                Array(
                    #"""
                    {"scope":"de\"mo\\","member":"n1","version":"0.1.0","uptime_seconds":86400,"is_leader":true,"has_contact":true,
                    "paused":false,"unanswered":[],"etcd":{"is_watching":true,"endpoints":[{"is_foreign":true},{"is_foreign":false}]},
                    "loop":{"last_10_minutes":{"longest_turn_microseconds":4170},"since_start":{"longest_turn_microseconds":900000}},
                    "addresses":[{"address":"10.0.0.9","is_here":true,"stance":"hold","lifetime_seconds":25,
                    "port":{"state":"open","is_believed":true}},{"address":"fd00::9","is_here":false,"stance":"wait","port":null}],
                    "records":{"addressAcquired":3,"addressRemovedByOthers":1,"addressAddedByOthers":2},
                    "citus":{"is_writer":true,"databases":[{"database":"app","rows":3,"drifting_groups":[2],"needs_operator":[],
                    "unsynchronized_groups":[]}],"verification":{"seconds_ago":60,"databases":[{"database":"app","critical":1,
                    "warnings":0,"notes":2}]}}}
                    """#.utf8)))
    }

    private static func families(members: Int = 3) throws -> [MetricFamily] {
        PharosMetrics.families(status: try Self.status(), cluster: try Self.cluster(members: members))
    }

    /// What the program says of a text on its standard input, and whether it takes it.
    private static func judge(_ command: [String], _ text: String) async throws -> (isTaken: Bool, said: String) {
        var process = ChildProcess(command, timeout: .seconds(60))
        process.input = Array(text.utf8)
        let outcome = try await process.run()
        return (outcome.exitCode == 0, outcome.text)
    }

    private static let promtool = ["/usr/bin/promtool", "check", "metrics"]
    private static let strict = [
        "/usr/bin/python3", "-c",
        "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as read\nprint(len(list(read(sys.stdin.read()))))",
    ]

    @Test func `promtool has nothing to say against them, and does against what breaks its rules`() async throws {
        let good = try await Self.judge(Self.promtool, Exposition.prometheus.text(try Self.families()))
        #expect(good.isTaken && good.said.isEmpty, "\(good.said)")
        let bad = MetricFamily("pharosMilliseconds", .counter, "", [.init([], 1)])
        let judged = try await Self.judge(Self.promtool, Exposition.prometheus.text([bad]))
        #expect(!judged.isTaken, "\(judged.said)")
    }

    @Test func `the strict parser of OpenMetrics reads them all, and refuses what lacks its end`() async throws {
        let families = try Self.families()
        let text = Exposition.openMetrics.text(families)
        let good = try await Self.judge(Self.strict, text)
        #expect(good.isTaken && good.said == "\(families.count { !$0.samples.isEmpty })\n", "\(good.said)")
        #expect(try await !Self.judge(Self.strict, String(text.dropLast("# EOF\n".count))).isTaken)
    }

    @Test func `of a daemon that does not answer nothing is said but that`() {
        let text = Exposition.prometheus.text(PharosMetrics.families(status: nil, cluster: nil))
        #expect(text.split(separator: "\n").last == "pharos_up 0" && text.split(separator: "\n").count == 3)
    }

    /// The line with the label that all but one have.
    private static func scoped(_ line: String) -> String {
        guard !line.hasPrefix("pharos_up") else { return line }
        let scope = #"scope="de\"mo\\""#
        if let brace = line.firstIndex(of: "{") {
            return "\(line[...brace])\(scope),\(line[line.index(after: brace)...])"
        }
        return line.replacing(" ", with: "{\(scope)} ", maxReplacements: 1)
    }

    @Test func `one of several daemons of a host says which in each line, whether it answers or not`() throws {
        for status in [nil, try Self.status()] {
            let families = PharosMetrics.families(status: status, cluster: nil, instance: "15-main")
            let samples = families.flatMap(\.samples)
            #expect(
                !samples.isEmpty && samples.allSatisfy { $0.labels.first.map { $0 == ("cluster", "15-main") } == true })
        }
    }

    @Test func `each figure is the status's`() throws {
        let text = Exposition.prometheus.text(try Self.families())
        for line in [
            "pharos_up 1", "pharos_leads 1", "pharos_etcd_endpoints_foreign 1",
            #"pharos_build_info{member="n1",version="0.1.0"} 1"#,
            #"pharos_address_state{address="10.0.0.9",state="hold"} 1"#,
            #"pharos_address_state{address="fd00::9",state="hold"} 0"#,
            #"pharos_address_port_open{address="10.0.0.9"} 1"#, "pharos_acquisitions_total 3",
            "pharos_changes_by_others_total 3", "pharos_lapses_total 0",
            #"pharos_loop_longest_turn_seconds{window="10m"} 0.00417"#,
            #"pharos_citus_groups_drifting{database="app"} 1"#,
            #"pharos_citus_findings{database="app",severity="critical"} 1"#,
            #"pharos_cluster_problems{code="no_daemon"} 2"#, #"pharos_cluster_problems{code="no_leader"} 0"#,
            #"pharos_group_addresses{group="0"} 2"#, #"pharos_group_addresses_held{group="0"} 1"#,
            #"pharos_member_verdict{group="0",member="n2",state="well"} 1"#,
            #"pharos_member_lag_bytes{group="0",member="n2"} 2"#, #"pharos_audit_findings{grade="amber"} 2"#,
            #"pharos_failover_survivable{group="0",failure="leaderNode"} 0"#,
            #"pharos_failover_survivable{group="0",failure="etcdMember"} 1"#,
            #"pharos_failover_accepted{group="0",failure="leaderNode"} 0"#,
            #"pharos_failover_accepted{group="0",failure="thisDaemon"} 1"#,
        ] { #expect(text.contains("\n\(Self.scoped(line))\n"), "\(line) in \(text)") }
        // Whether it would be survived is not known: of one standby of two.
        #expect(!text.contains(#"failure="leaderPatroni""#) && !text.contains(#"failure="standby""#))
        // An address of which no port is tried has no series for it.
        #expect(!text.contains(Self.scoped(#"pharos_address_port_open{address="fd00::9"}"#)))
    }

    @Test(arguments: ["unknown", "untried"]) func `what could not be looked at has no figure`(state: String) throws {
        let text =
            #"{"addresses":[{"address":"10.0.0.9","port":{"state":"\#(state)","is_believed":true}}],"citus":{"databases":[{"database":"app"}]}}"#
        let status = try #require(JSON.parse(Array(text.utf8)))
        let families = PharosMetrics.families(status: status, cluster: nil).filter { !$0.samples.isEmpty }
        #expect(!families.contains { ["pharos_address_port_open", "pharos_citus_readable"].contains($0.name) })
    }

    @Test func `there are fewer than 100 series, and at most 15 for each member`() throws {
        func series(_ members: Int) throws -> Int {
            try Self.families(members: members).reduce(0) { $0 + $1.samples.count }
        }
        let (one, two) = (try series(1), try series(2))
        #expect(two - one <= 15)
        #expect(one - (two - one) < 100)
    }

    @Test func `what was survivable before etcd fell silent has no figure`() throws {
        let text =
            #"{"is_current":false,"read_seconds_ago":90,"audit":{"counts":{"red":0}},"groups":[{"group":0,"readiness":[{"failure":"leaderNode","outcome":"survived"}]}]}"#
        let old = try #require(JSON.parse(Array(text.utf8)))
        let families = PharosMetrics.families(status: try Self.status(), cluster: old).filter { !$0.samples.isEmpty }
        #expect(!families.contains { $0.name.hasPrefix("pharos_failover") || $0.name.hasPrefix("pharos_audit") })
    }

    @Test func `groups that were not read have no figures, and are not zero`() throws {
        let unread = try #require(JSON.parse(Array(#"{"is_current":false,"read_seconds_ago":null,"groups":[]}"#.utf8)))
        let names = PharosMetrics.families(status: try Self.status(), cluster: unread).map(\.name)
        #expect(!names.contains { $0.hasPrefix("pharos_cluster") || $0.hasPrefix("pharos_member") })
    }
}
