// SPDX-License-Identifier: Apache-2.0
import Decision
import Settings
import Testing

/// The section `citus` of pharos.yml.
struct CitusTests {
    private static let scopes = """
        databases: [app, other]
          groups: { 0: demo, 1: demo-w1 }
        """

    /// A node of a scope of its own, whose Patroni knows nothing of Citus.
    private func plain(_ citus: String) -> Files {
        files(
            """
            patroni_config: /etc/patroni/config.yml
            citus:
              \(citus)
            """, patroni: Self.patroni)
    }

    private static let patroni = """
        scope: demo
        name: n1
        etcd3: { hosts: "10.0.0.1:2379" }
        """

    @Test func `groups that are scopes are followed by Pharos alone, with or without addresses`() throws {
        let settings = try self.plain(Self.scopes).load()
        let citus = try #require(settings.citus)
        #expect(citus.core.group == 0 && citus.core.mode == .own && citus.core.databases == ["app", "other"])
        #expect(citus.scopes == [0: "demo", 1: "demo-w1"] && settings.group == nil && settings.addresses.isEmpty)
        #expect(citus.core.settle == .seconds(30) && !citus.core.registersSecondaries)
        #expect(citus.core.admission == .never && citus.core.poolInfo.isEmpty && citus.nodeConninfo == "user=pharos")
    }

    @Test func `Patroni's Citus mode gives group and database, and another writer`() throws {
        let settings = try files(
            "patroni_config: /etc/patroni/config.yml\ncitus: { settle: 10s, poolinfo: { 1: 'host={host} port=6432' } }",
            patroni: Self.patroni + "\ncitus: { group: 1, database: app }"
        ).load()
        let citus = try #require(settings.citus)
        #expect(citus.core.group == 1 && citus.core.mode == .reconcile && citus.core.databases == ["app"])
        #expect(citus.scopes == nil && settings.group == 1 && citus.core.settle == .seconds(10))
        #expect(citus.core.poolInfo == [1: "host={host} port=6432"])
    }

    @Test func `databases that are not Patroni's are Pharos's alone in its Citus mode, unless another mode is said`()
        throws
    {
        for (mode, own) in [("", ["b", "c"] as Set), ("mode: reconcile, ", ["b", "c"]), ("mode: observe, ", [])] {
            let settings = try files(
                "patroni_config: /etc/patroni/config.yml\ncitus: { \(mode)databases: [a, b, c] }",
                patroni: Self.patroni + "\ncitus: { group: 1, database: a }"
            ).load()
            #expect(settings.citus?.core.ownDatabases == own, "\(mode)")
        }
    }

    @Test func `two writers are warned of, and taken`() throws {
        func load(_ mode: String, patroniHasCitus: Bool = true) throws -> Settings {
            try files(
                "patroni_config: /etc/patroni/config.yml\ncitus: { mode: \(mode)\(patroniHasCitus ? "" : ", databases: [a], groups: { 0: demo }") }",
                patroni: Self.patroni + (patroniHasCitus ? "\ncitus: { group: 1, database: a }" : "")
            ).load()
        }
        let both = try load("own")
        #expect(
            both.warnings.map(\.description).contains(
                "pharos.yml:2:16: warning: 'mode: own' beside Patroni's own Citus mode: its handler writes pg_dist_node too, so there are two writers. Say 'reconcile' or 'observe'"
            ), "\(both.warnings)")
        #expect(both.citus?.core.mode == .own)
        for other in [try load("reconcile"), try load("observe"), try load("own", patroniHasCitus: false)] {
            #expect(!other.warnings.contains { $0.description.contains("two writers") })
        }
    }

    @Test func `what patronictl calls the clusters is known`() throws {
        #expect(try self.plain(Self.scopes).load().citus?.core.layout == .scopes([0: "demo", 1: "demo-w1"]))
        let mode = try files(
            "patroni_config: /etc/patroni/config.yml\ncitus: {}",
            patroni: Self.patroni + "\ncitus: { group: 1, database: a }"
        ).load()
        #expect(mode.citus?.core.layout == .oneScope("demo"))
    }

    /// Seen on Citus itself: a secondary that was added to one database arrived in the other one's table on the workers.
    @Test func `a pool that names a database is refused where there are several`() throws {
        func read(_ databases: String, _ pool: String) -> Files {
            files(
                "patroni_config: /etc/patroni/config.yml\ncitus: { databases: \(databases), groups: { 0: demo, 1: w }, poolinfo: { 1: '\(pool)' } }"
            )
        }
        let found = read("[app, reports]", "host={host} port={port} dbname=app").errors()
        #expect(
            found.count == 1 && found[0].hasSuffix("what belongs to each of app, reports; leave 'dbname' out"),
            "\(found)")
        _ = try read("[app, reports]", "host={host} port={port}").load()
        _ = try read("[app]", "host={host} port={port} dbname=app_pool").load()
    }

    @Test func `without the section nothing of Citus is followed`() throws {
        #expect(try files(minimal).load().citus == nil)
    }

    @Test(arguments: [
        (
            "mode: reconcil",
            "3:9: 'mode' in 'citus': expected one of own, reconcile, observe, not 'reconcil'; did you mean 'reconcile'?"
        ),
        ("settle: 0s", "3:11: 'settle' in 'citus': expected from 1s to 1h, not '0s'"),
        ("databases: []", "3:14: 'databases': expected at least one of databases"),
        ("databases: [a, a]", "3:18: 'databases[1]' in 'citus': 'a' is given twice"),
        ("groups: { 1: demo }", "3:11: 'groups' in 'citus': group 0, the coordinator's, is missing"),
        ("groups: { 0: demo, 1: demo }", "3:11: 'groups' in 'citus': 'demo' is the scope of two groups"),
        ("groups: { 0: a, 1: b }", "3:11: 'groups' in 'citus' does not name this node's scope, 'demo'"),
        (
            "groups: { 0: demo, x: b }",
            "3:22: a key of 'groups' in 'citus': expected a Citus group: a number from 0, not 'x'"
        ),
        ("groups: { 0: demo, 0: b }", "3:22: 'groups' in 'citus': group 0 is given twice"),
        ("groups: [demo]", "3:11: 'groups' in 'citus': expected a mapping from groups' numbers to scopes"),
        (
            "poolinfo: { 1: 'password=x' }",
            "3:18: 'poolinfo.1' in 'citus': a password does not belong in this file; use peer authentication, or name a "
                + "password file with 'passfile='"
        ),
        (
            "poolinfo: { 1: 'host={host} port={port} application_name=pool' }",
            "3:18: 'poolinfo.1' in 'citus': Citus accepts nothing but 'dbname', 'host' and 'port' here; found "
                + "'application_name'"
        ),
        ("secondaries: yes", "3:16: 'secondaries' in 'citus': expected text, not a boolean; put 'yes' in quotes"),
        (
            "node_conninfo: 'host=[::1]'",
            "3:18: 'node_conninfo' in 'citus': 'host': expected the directory of a socket, an address (in brackets only "
                + "inside of a URI) or a host's name"
        ),
    ])
    func `a mistake is told with its place`(line: String, message: String) {
        #expect(self.plain(line).errors().contains("pharos.yml:" + message), "\(self.plain(line).errors())")
    }

    @Test func `what is missing is said, and what excludes each other`() {
        #expect(
            self.plain("mode: own").errors() == [
                "pharos.yml:3:3: 'citus' needs 'databases': the databases with the extension citus",
                "pharos.yml:3:3: 'citus' needs 'groups', the scope of each group: Patroni's configuration has no section "
                    + "'citus'",
            ])
        let both = files(
            "patroni_config: /etc/patroni/config.yml\ncitus: { groups: { 0: demo } }",
            patroni: Self.patroni + "\ncitus: { group: 1, database: app }")
        #expect(both.errors().count == 1)
        #expect(both.errors().first?.contains("group 1 of Patroni's Citus mode is set in") == true)
    }
}
