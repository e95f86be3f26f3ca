// SPDX-License-Identifier: Apache-2.0

/// Whether there is room for a failover: at the moment of the question, not by the peaks of a week.
extension AuditRule {
    static let headroom: [AuditRule] = [
        connectionsFew, diskData, diskLog, inodesFew, workersFew, transactionIDs, memoryShort,
    ]

    private static let connectionsFew = AuditRule(
        "connections-few", .headroom, .amber,
        "the leader's sessions would fit on each candidate, with a fifth to spare",
        why:
            "After a failover all clients come back at once, and more of them than before: who finds no place waits or fails.",
        source: "PostgreSQL documentation, Connections and Authentication"
    ) { facts, say throws(Unlooked) in
        let (leader, primary) = try facts.leaderServer()
        let used = try primary.connections.get()
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            guard let most = try server.number("max_connections") else {
                throw Unlooked("max_connections is not shown")
            }
            let reserved =
                (try server.number("superuser_reserved_connections") ?? 3)
                + (try server.number("reserved_connections") ?? 0)
            let part = Double(used) / Double(max(1, most - reserved))
            guard part > 0.8 else { return }
            say.find(
                "\(leader) has \(used) sessions; \(name) has room for \(most - reserved)",
                should: "a fifth to spare",
                .postgres("max_connections=\(used * 3 / 2 + reserved)"), .restart(facts.scope),
                as: part > 0.95 ? .red : nil)
        }
    }

    private static let diskData = AuditRule(
        "data-disk-full", .headroom, .amber, "a fifth of the data directory's disk is free",
        why:
            "With a full disk every write fails, and nobody fails over from there: the server runs, and holds its key.",
        source: "PostgreSQL documentation, Disk Full Failure"
    ) { facts, say throws(Unlooked) in
        judge(try facts.node.dataDisk.get(), facts, &say)
    }

    private static let diskLog = AuditRule(
        "log-disk-full", .headroom, .amber, "a fifth of the disk of `pg_wal` is free",
        why: "With a full disk for the log PostgreSQL stops, on the leader as on a standby.",
        source: "PostgreSQL documentation, Disk Full Failure"
    ) { facts, say throws(Unlooked) in
        judge(try facts.node.walDisk.get(), facts, &say)
    }

    private static func judge(_ disk: AuditFacts.Node.Disk, _ facts: AuditFacts, _ say: inout Judgement) {
        let part = Double(disk.free) / Double(max(1, disk.size))
        guard part < 0.2 else { return }
        say.find(
            "\(facts.member): \(Quantity.bytes(disk.free)) of \(Quantity.bytes(disk.size)) are free at \(disk.path) (\(Quantity.percent(part)))",
            should: "a fifth",
            AuditStep(facts.member, "du -xh \(disk.path) | sort -h | tail; select * from pg_replication_slots"),
            as: part < 0.05 ? .red : nil)
    }

    private static let inodesFew = AuditRule(
        "inodes-few", .headroom, .amber, "a tenth of the inodes of the data directory's disk is free",
        why: "Without inodes no file can be made, though the disk has room.",
        source: "PostgreSQL documentation, Disk Full Failure"
    ) { facts, say throws(Unlooked) in
        let disk = try facts.node.dataDisk.get()
        guard let free = disk.freeInodes, free < 0.1 else { return }
        say.find(
            "\(facts.member): \(Quantity.percent(free)) of the inodes are free at \(disk.path)", should: "a tenth",
            AuditStep(facts.member, "df -i \(disk.path)"), as: free < 0.02 ? .red : nil)
    }

    private static let workersFew = AuditRule(
        "workers-few", .headroom, .amber, "a quarter of `max_worker_processes` is free on each member",
        why: "Logical replication, parallel queries and Citus's own work find no process after a failover.",
        source: "PostgreSQL documentation, Resource Consumption"
    ) { facts, say throws(Unlooked) in
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            guard let most = try server.number("max_worker_processes") else {
                throw Unlooked("max_worker_processes is not shown")
            }
            let used = try server.workers.get()
            guard Double(used) > 0.75 * Double(most) else { return }
            say.find(
                "\(name): \(used) of \(most) background workers run", should: "a quarter free",
                .postgres("max_worker_processes=\(max(16, 2 * used))"),
                .restart(facts.scope))
        }
    }

    private static let transactionIDs = AuditRule(
        "transaction-ids-old", .headroom, .amber, "no database is older than 400 million transactions",
        why: "At 2 billion the server takes no writes until vacuum has caught up, and a failover does not help.",
        source: "PostgreSQL documentation, Routine Vacuuming"
    ) { facts, say throws(Unlooked) in
        let (name, server) = try facts.leaderServer()
        let age = try server.transactionAge.get()
        guard age > 400_000_000 else { return }
        say.find(
            "\(name): the oldest transaction id is \(age / 1_000_000) million old",
            should: "about autovacuum_freeze_max_age, 200 million",
            AuditStep(name, "psql -c 'select datname, age(datfrozenxid) from pg_database order by 2 desc'"),
            as: age > 1_500_000_000 ? .red : nil)
    }

    private static let memoryShort = AuditRule(
        "memory-short", .headroom, .amber,
        "not everything waited for memory during the last 5 minutes (`/proc/pressure/memory`)",
        why: "Programs stand still for as long: the daemon, too, and its leases end.",
        source: "Linux kernel documentation, PSI"
    ) { facts, say throws(Unlooked) in
        let pressure = try facts.node.memoryPressure.get()
        guard pressure > 5 else { return }
        say.find(
            "\(facts.member): everything waited for memory for \(Quantity.short(pressure)) % of the last 5 minutes",
            should: "0 %",
            AuditStep(facts.member, "cat /proc/pressure/memory; ps -eo pid,rss,comm --sort=-rss | head"))
    }
}
