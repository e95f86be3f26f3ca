// SPDX-License-Identifier: Apache-2.0

/// Citus, where it is followed. What its metadata says, `pharos verify` looks at.
extension AuditRule {
    static let citus: [AuditRule] = [
        preparedZero, citusConninfo, citusTimeout, checkInterval, recoverOff, preload, replicationFactor, restorePoints,
        severalDatabases,
        groupAlone, coordinatorShards,
    ]

    private static let preparedZero = AuditRule(
        "citus-prepared-transactions", .citus, .red, "`max_prepared_transactions` is at least `max_connections`",
        why:
            "Each distributed commit prepares a transaction on each node that takes part: without room for it, it fails.",
        source: Source.citus
    ) { facts, say throws(Unlooked) in
        try say.eachCitusServer(of: facts) { name, server, say throws(Unlooked) in
            guard let prepared = try server.number("max_prepared_transactions"),
                let connections = try server.number("max_connections"),
                prepared < connections
            else { return }
            say.find(
                "\(name): max_prepared_transactions is \(prepared), max_connections \(connections)",
                should: "\(2 * connections)",
                .postgres("max_prepared_transactions=\(2 * connections)"), .restart(facts.scope),
                as: prepared == 0 ? nil : .amber)
        }
    }

    private static let citusConninfo = AuditRule(
        "citus-node-conninfo", .citus, .amber,
        "`citus.node_conninfo` demands `verify-full`, gives up on dead hosts, and says nothing twice",
        why:
            "A call to a host without power hangs for minutes (135 s measured), and whatever waits for its locks with it.",
        source: Source.citus
    ) { facts, say throws(Unlooked) in
        try say.eachCitusServer(of: facts) { name, server, say throws(Unlooked) in
            guard let value = try server.text("citus.node_conninfo") else {
                throw Unlooked("citus.node_conninfo is not shown: is citus loaded?")
            }
            let keys = value.split(separator: " ").compactMap { $0.split(separator: "=").first.map(String.init) }
            var wrong: [String] = []
            let twice = Set(keys.filter { key in keys.count { $0 == key } > 1 })
            if !twice.isEmpty {
                wrong.append("\(twice.sorted().joined(separator: ", ")) twice (the last one counts)")
            }
            let missing = ["tcp_user_timeout", "keepalives_idle"].filter { !keys.contains($0) }
            if !missing.isEmpty { wrong.append("no \(missing.joined(separator: ", "))") }
            if !value.contains("sslmode=verify-full") { wrong.append("no sslmode=verify-full") }
            guard !wrong.isEmpty else { return }
            say.find(
                "\(name): citus.node_conninfo has \(wrong.joined(separator: "; "))",
                should:
                    "sslmode=verify-full tcp_user_timeout=3000 keepalives_idle=2 keepalives_interval=1 keepalives_count=3",
                .postgres("citus.node_conninfo=…"), as: wrong == ["no sslmode=verify-full"] ? .note : nil)
        }
    }

    private static let citusTimeout = AuditRule(
        "citus-connection-timeout", .citus, .amber, "`citus.node_connection_timeout` is at most 5 s",
        why: "So long a session waits for a node that is dead, and keeps its locks.",
        source: Source.citus
    ) { facts, say throws(Unlooked) in
        try say.eachCitusServer(of: facts) { name, server, say throws(Unlooked) in
            guard let time = try server.milliseconds("citus.node_connection_timeout"), time > 5000 else { return }
            say.find(
                "\(name): citus.node_connection_timeout is \(Quantity.seconds(Double(time) / 1000))", should: "3 s",
                .postgres("citus.node_connection_timeout=3s"))
        }
    }

    private static let checkInterval = AuditRule(
        "citus-check-interval", .citus, .red, "`client_connection_check_interval` is set on the coordinator",
        why:
            "A call of citus_update_node that was abandoned goes on waiting for its locks, and commits later: after 30 minutes once.",
        source: Source.citus
    ) { facts, say throws(Unlooked) in
        // With scopes of their own, or a group that is not known, each group is looked at.
        guard facts.group ?? 0 == 0 else { return }
        try say.eachCitusServer(of: facts) { name, server, say throws(Unlooked) in
            guard try server.milliseconds("client_connection_check_interval") == 0 else { return }
            say.find(
                "\(name): client_connection_check_interval is 0", should: "1 s",
                .postgres("client_connection_check_interval=1s"))
        }
    }

    private static let recoverOff = AuditRule(
        "citus-recovery-off", .citus, .red, "`citus.recover_2pc_interval` is not -1",
        why: "Left over from a restore: transactions that were prepared in a failover stay, with their locks.",
        source: Source.citus
    ) { facts, say throws(Unlooked) in
        try say.eachCitusServer(of: facts) { name, server, say throws(Unlooked) in
            guard try server.number("citus.recover_2pc_interval") == -1 else { return }
            say.find(
                "\(name): citus.recover_2pc_interval is -1",
                should: "60 s, once the restore is verified (docs/restore.md)",
                .postgres("citus.recover_2pc_interval=60s"))
        }
    }

    private static let preload = AuditRule(
        "citus-not-first", .citus, .red, "citus is the first of `shared_preload_libraries`",
        why: "Behind another library Citus refuses to start, and the server with it.",
        source: "Citus documentation, Installation"
    ) { facts, say throws(Unlooked) in
        try say.eachCitusServer(of: facts) { name, server, say throws(Unlooked) in
            guard let value = try server.text("shared_preload_libraries") else {
                throw Unlooked("shared_preload_libraries is not shown")
            }
            let libraries = value.split(separator: ",").map { $0.filter { $0 != " " } }
            guard libraries.first != "citus" else { return }
            say.find(
                "\(name): shared_preload_libraries is '\(value)'", should: "citus first",
                .postgres("shared_preload_libraries=citus,…"), .restart(facts.scope))
        }
    }

    private static let replicationFactor = AuditRule(
        "citus-shard-replication", .citus, .amber, "`citus.shard_replication_factor` is 1",
        why:
            "Copies of shards beside streaming replication: two mechanisms for one purpose. A worker's failover marks copies as lost.",
        source: Source.citus
    ) { facts, say throws(Unlooked) in
        try say.eachCitusServer(of: facts) { name, server, say throws(Unlooked) in
            guard let factor = try server.number("citus.shard_replication_factor"), factor > 1 else { return }
            say.find(
                "\(name): citus.shard_replication_factor is \(factor)", should: "1",
                .postgres("citus.shard_replication_factor=1"))
        }
    }

    private static let restorePoints = AuditRule(
        "citus-restore-points", .citus, .note, "Citus is 14.0 or later, or nobody writes through workers",
        why:
            "Before 14.0 a restore point does not hold up writes that enter through workers: groups restored to it may not fit together.",
        source: "docs/restore.md"
    ) { facts, say throws(Unlooked) in
        try say.eachCitusServer(of: facts) { name, server, say throws(Unlooked) in
            guard let version = server.citusVersion else {
                throw Unlooked("the version of citus in the database that was asked")
            }
            let major = version.split(separator: ".").first.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
            guard major < 14 else { return }
            say.find(
                "\(name): Citus \(version)", should: "restore points by pharos restore-point, with writes held",
                AuditStep("any node", "pharos restore-point NAME"))
        }
    }

    private static let severalDatabases = AuditRule(
        "citus-several-databases", .citus, .amber, "Patroni's own Citus mode is used with one database",
        why: "Patroni keeps pg_dist_node of one database alone; the others' rows are Pharos's to keep.",
        source: "Patroni documentation, Citus support"
    ) { facts, say throws(Unlooked) in
        guard let citus = facts.citus, citus.isPatroniMode, citus.databases.count > 1 else { return }
        say.find(
            "Patroni's Citus mode, and \(citus.databases.count) databases: \(citus.databases.joined(separator: ", "))",
            should: "one database, or groups that are Patroni clusters of their own (docs/citus.md)",
            AuditStep("any node", "pharos verify"))
    }

    private static let groupAlone = AuditRule(
        "group-of-one", .citus, .red, "every group has a standby",
        why: "With its only member the group's shards are gone until it is back.",
        source: Source.pharos
    ) { facts, say throws(Unlooked) in
        guard facts.citus != nil else { return }
        for group in try facts.daemon.get().groups where group.members.count < 2 {
            say.find(
                "group \(group.number) has one member, \(group.members.first?.name ?? "none")", should: "a standby",
                AuditStep("any node", "pharos cluster"))
        }
    }

    private static let coordinatorShards = AuditRule(
        "citus-coordinator-shards", .citus, .note, "the coordinator holds no shards",
        why:
            "Its failover then costs data traffic as well as planning, and its load is higher than that of the others.",
        source: Source.citus
    ) { facts, say throws(Unlooked) in
        guard let citus = facts.citus, try citus.coordinatorHasShards.get() else { return }
        say.find(
            "the coordinator may hold shards (shouldhaveshards)", should: "known, or no",
            AuditStep(
                "any node",
                "psql -c \"select citus_set_node_property(NAME, PORT, 'shouldhaveshards', false)\" on the coordinator"))
    }
}
