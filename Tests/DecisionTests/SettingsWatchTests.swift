// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Settings of the coordinator under which a failover hangs or fails: the rules, and when they are looked at and told.
struct SettingsWatchTests {
    private static let app = CitusScript.database
    private static let well = ServerSettings(
        values: [
            "citus.node_conninfo": "sslmode=prefer tcp_user_timeout=3000 keepalives_idle=2",
            "citus.node_connection_timeout": "3000ms", "client_connection_check_interval": "1s",
        ],
        room: ServerRoom(workers: 8, workersInUse: 6, reserve: .init(connections: 3, isMember: true)))

    private static let names = AdviceNames(database: "app", cluster: "demo")

    private static func rules(_ change: (inout ServerSettings) -> Void) -> [SettingRule?] {
        var seen = Self.well
        change(&seen)
        return settingProblems(seen, Self.names).map(\.rule)
    }

    @Test func `each rule finds what is wrong, and nothing else`() {
        #expect(Self.rules { _ in } == [])
        #expect(Self.rules { $0.values["citus.node_conninfo"] = "sslmode=prefer keepalives_idle=2" } == [.nodeConninfo])
        #expect(Self.rules { $0.values["citus.node_connection_timeout"] = "3001ms" } == [.connectionTimeout])
        #expect(Self.rules { $0.values["citus.node_connection_timeout"] = "30s" } == [.connectionTimeout])
        #expect(Self.rules { $0.values["citus.node_connection_timeout"] = "?" } == [])
        #expect(Self.rules { $0.values["client_connection_check_interval"] = "0" } == [.checkInterval])
        #expect(Self.rules { $0.room?.workersInUse = 7 } == [.workers])
        #expect(Self.rules { $0.room?.workersInUse = 9 } == [.workers])
        #expect(Self.rules { $0.room?.reserve?.connections = 0 } == [.reserve])
        #expect(Self.rules { $0.room?.reserve?.isMember = false } == [.reserve])
        #expect(Self.rules { $0.room?.reserve = nil } == [])
        #expect(Self.rules { $0.values["citus.max_client_connections"] = "-1" } == [])
        #expect(Self.rules { $0.values["citus.max_client_connections"] = "90" } == [.clientLimit])
        #expect(
            Self.rules {
                $0.values["citus.max_client_connections"] = "90"
                $0.room?.isSuperuser = true
            } == [], "a superuser is let in all the same")
    }

    @Test func `what could not be looked at is said, and is not in order`() {
        #expect(
            Self.rules {
                $0.values["citus.node_conninfo"] = nil
                $0.hidden = ["citus.node_conninfo"]
            } == [.nodeConninfo])
        #expect(Self.rules { $0.problem = "no connection" } == [nil])
    }

    @Test func `what to type is Patroni's command, and a grant where a right lacks`() throws {
        for rule in SettingRule.allCases {
            var seen = Self.well
            seen.values = ["citus.node_conninfo": "", "citus.node_connection_timeout": "30s"]
            seen.values["client_connection_check_interval"] = "0"
            seen.values["citus.max_client_connections"] = "0"
            seen.room = ServerRoom(workers: 8, workersInUse: 8, reserve: .init(connections: 0, isMember: false))
            let problem = try #require(rule.problem(seen, Self.names))
            #expect(problem.commands.first?.hasPrefix("patronictl edit-config demo --pg '\(rule.rawValue)=") == true)
            #expect(problem.commands.contains { $0.contains("pharos grant-sql") } == (rule == .reserve))
            #expect(problem.commands.contains { $0.contains("restart") } == [.workers, .reserve].contains(rule))
            #expect(!problem.commands.contains { $0.contains("alter system") })
        }
        // `verify` judges by the same rules.
        #expect(settingProblems(Self.well, Self.names) == [])
    }

    @Test func `they are looked at when the daemon becomes the writer, and every hour, and told when they change`() {
        var script = CitusScript.settled()
        script.answeredRows = CitusScript.rows
        var bad = Self.well
        bad.values["citus.node_connection_timeout"] = "30000ms"
        bad.room?.workersInUse = 7
        script.settings = bad
        func told(_ script: inout CitusScript, _ span: Duration) -> [[SettingRule?]] {
            _ = script.pass(span, step: .seconds(1))
            return script.reports.compactMap { report in
                if case .settings(Self.app, let problems) = report { problems.map(\.rule) } else { nil }
            }
        }
        #expect(told(&script, .seconds(5)) == [], "not in the moment of a failover")
        #expect(told(&script, .seconds(10)) == [[.connectionTimeout, .workers]])
        // Another process runs, and it is the same all the same.
        script.settings?.room?.workersInUse = 8
        #expect(told(&script, .seconds(3700)) == [])
        script.settings?.room?.workersInUse = 1
        #expect(told(&script, .seconds(3700)) == [[.connectionTimeout]])
        script.settings = ServerSettings(problem: "no connection")
        #expect(told(&script, .seconds(3700)) == [[nil]])
        // Looked for again soon.
        script.settings = Self.well
        #expect(told(&script, .seconds(310)) == [[]])
        #expect(told(&script, .seconds(3700)) == [])
        // The daemon becomes the writer again.
        script.settings = bad
        _ = script.leads(0, "c2")
        _ = script.leads(0, "c1")
        #expect(told(&script, .seconds(15)) == [[.connectionTimeout, .workers]])
    }

    @Test func `a look that is never answered is given up, and told`() {
        var script = CitusScript.settled()
        script.answeredRows = CitusScript.rows
        script.settings = nil
        #expect(script.pass(.seconds(15), step: .seconds(1)).contains(.lookAtSettings(Self.app)))
        _ = script.pass(.seconds(70), step: .seconds(1))
        #expect(
            script.reports == [
                .settings(
                    Self.app, [SettingProblem(rule: nil, text: "not all of them could be looked at: no answer")])
            ])
        // What comes late says nothing.
        _ = script.on(.settingsSeen(Self.app, Self.well, askedAt: CitusScript().now))
        #expect(script.reports == [])
    }

    @Test func `nothing is looked at while something is being changed`() {
        var script = CitusScript.settled()
        script.settings = nil
        _ = script.leads(1, "a2")
        _ = script.answered("a2", .primary)
        #expect(!script.pass(.seconds(15)).contains(.lookAtSettings(Self.app)))
        _ = script.ended(1, .applied)
        _ = script.rowsRead()
        #expect(script.on(nil) == [] || script.pass(.seconds(1)).isEmpty == false)
    }
}
