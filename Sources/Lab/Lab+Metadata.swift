// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// The Citus cluster: how it is begun, and what its coordinator says.
extension Lab {
    /// Whether the nodes have the extension itself, or the stand-in.
    public var hasRealCitus: Bool { CitusFiles.isReal(self.image, self.options.suite) }

    /// For a person: what the nodes have.
    public var citusDescription: String {
        self.hasRealCitus
            ? "Citus itself" : "a stand-in for Citus (Debian has none; see Tests/CitusStandIn/README.md)"
    }

    /// Describes the groups to Citus in every database, gives `items` its shards, and the daemon's role what
    /// `pharos grant-sql` prints. Once, on a cluster that is ready.
    @EventLoop
    public func prepareCitus() async throws(LabError) {
        guard let citus = self.options.citus else { throw LabError(.usage, "the lab has no Citus") }
        let leaders = try await self.leaders()
        guard let coordinator = leaders[0], leaders.count == self.options.groups.count else {
            throw LabError(.state, "a group has no leader")
        }
        for (number, database) in LabCitus.databases.enumerated() {
            if citus.layout == .mode, number == 0 {
                // Patroni adds the nodes by itself.
                try await self.waitFor("Patroni's registration of all groups", timeout: .seconds(30)) {
                    try await self.rows(database: database) == leaders
                }
            } else {
                let additions = leaders.sorted { $0.key < $1.key }.dropFirst().map {
                    "select citus_add_node('\(LabLayout.address($0.value))', 5432, \($0.key));"
                }
                try await self.sql(
                    "select citus_set_coordinator_host('\(LabLayout.address(coordinator))', 5432);"
                        + additions.joined(), database: database)
            }
            // Citus itself makes the table on the workers, the stand-in does not.
            for node in self.hasRealCitus ? [coordinator] : Array(leaders.values) {
                try await self.sql(
                    """
                    create table items (key integer primary key, count bigint not null);
                    alter table items owner to writer
                    """, database: database, on: node)
            }
            try await self.sql(
                "select citus_stand_in.distribute('items', 8); select citus_stand_in.share_shards()",
                database: database)
            if self.options.installTree != nil {
                try await self.run(
                    coordinator,
                    [
                        "sh", "-c",
                        "pharos grant-sql --role pharos --secondaries | runuser -u postgres -- psql -q -d \(database)",
                    ])
                for node in leaders.values {
                    try await self.run(
                        node,
                        [
                            "sh", "-c",
                            "pharos grant-sql --restore | runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 -d \(database)",
                        ])
                }
            }
        }
    }

    /// The leaders by group; a group without one is left out.
    @EventLoop
    public func leaders() async throws(LabError) -> [Int: String] {
        var leaders: [Int: String] = [:]
        for group in self.options.groups { leaders[group.number] = try await self.leader(group: group.number) }
        return leaders
    }

    /// The nodes that the primary rows of pg_dist_node name, by group, as the coordinator says; an address that is no
    /// node's is itself.
    @EventLoop
    public func rows(database: String = LabCitus.databases[0], on node: String? = nil) async throws(LabError)
        -> [Int: String]
    {
        let text = try await self.sql(
            "select groupid, nodename from pg_dist_node where noderole = 'primary'", database: database, on: node)
        var rows: [Int: String] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: "|")
            guard fields.count == 2, let group = Int(fields[0]) else { continue }
            rows[group] = self.options.nodes.first { LabLayout.address($0) == fields[1] } ?? String(fields[1])
        }
        return rows
    }

    /// Runs statements as the superuser, on the coordinator's leader or on another node; answers rows, a line each, with
    /// `|` between columns.
    @EventLoop @discardableResult
    public func sql(_ statements: String, database: String = LabCitus.databases[0], on node: String? = nil)
        async throws(LabError) -> String
    {
        guard let node = if let node { node } else { try await self.leader() } else {
            throw LabError(.state, "the coordinator's group has no leader")
        }
        return try await self.run(node, Self.psql(statements, database))
    }

    static func psql(_ statements: String, _ database: String) -> [String] {
        [
            "runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database,
            "-c", statements,
        ]
    }

    /// Gives every daemon other lines in the section `citus` of its pharos.yml, and restarts those where that is a change.
    @EventLoop
    public func configureCitus(_ settings: [String]) async throws(LabError) {
        var options = self.options
        options.citus?.settings = settings
        for group in options.groups {
            let text = NodeFiles.pharos(options, group)
            for node in group.nodes where Host.readText("\(LabLayout.root(node))/etc/pharos/pharos.yml") != text {
                try self.write(node, "/etc/pharos/pharos.yml", text)
                // One that is off reads it when it starts.
                if try Machine(node: node).leader() != nil {
                    try await self.run(node, ["systemctl", "restart", "pharos"])
                }
            }
        }
    }
}
