// SPDX-License-Identifier: Apache-2.0

/// What is told of one kind of irregularity on one server.
struct IrregularityJudgement {
    let code: Finding.Code
    let severity: Finding.Severity
    /// After a count and before the list; empty: the list says it all.
    let text: String
    let remedy: Finding.Remedy

    private init(
        _ code: Finding.Code, _ severity: Finding.Severity, _ text: String, _ remedy: Finding.Remedy
    ) {
        (self.code, self.severity, self.text, self.remedy) = (code, severity, text, remedy)
    }

    /// - Parameter found: what the catalog lists, one text each: never empty.
    init(_ kind: Irregularity, _ found: [String], on server: LookedAt, _ facts: ClusterFacts) {
        switch kind {
        case .placementsWithoutNode: self = .placementsWithoutNode
        case .placementsWithoutShard: self = .placementsWithoutShard
        case .shardsWithoutPlacement: self = .shardsWithoutPlacement
        case .shardsWithoutTable: self = .shardsWithoutTable
        case .inactivePlacements: self = .inactivePlacements(found, server)
        case .cleanup: self = .cleanup(server, facts)
        case .tasks: self = .tasks(found, server, facts)
        case .failedTasks: self = .failedTasks(found, server)
        case .moveSlots:
            self = .left(
                "replication slots of shard moves are read by nobody: they keep the write-ahead log from being removed",
                found.map { "select pg_drop_replication_slot(\(sqlLiteral($0)))" }, server)
        case .movePublications:
            self = .left(
                "publications of shard moves are left over", found.map { "drop publication \(sqlIdentifier($0))" },
                server)
        case .moveSubscriptions:
            self = .left(
                "subscriptions of shard moves are left over", found.map { "drop subscription \(sqlIdentifier($0))" },
                server)
        case .commitRecordsWithoutNode: self = .commitRecordsWithoutNode(server)
        case .commitRecords: self = .commitRecords(server)
        case .maintenanceDaemonMissing: self = .maintenanceDaemonMissing
        case .maintenanceDaemonUnseen: self = .maintenanceDaemonUnseen(server, facts)
        case .unplacedShardTables: self = .unplacedShardTables(facts)
        case .unknownShardTables: self = .unknownShardTables(facts)
        }
    }

    /// Statements that are told of one finding.
    private static let statementLimit = 5

    /// What is ordinary in a cluster that lives, and must be seen before a restored one is opened.
    private static func seldom(_ facts: ClusterFacts) -> Finding.Severity { facts.isAfterRestore ? .warning : .note }

    // MARK: - Metadata

    private static let placementsWithoutNode = Self(
        .placementsOrphaned, .critical,
        "placements are in groups that pg_dist_node does not have: queries to them fail",
        .init(
            "Add the group's node again if it still has the shards; otherwise only a backup brings the rows back.",
            refusal: "where the data are is an operator's to find out"))

    private static let placementsWithoutShard = Self(
        .placementsOrphaned, .warning, "placements are of shards that pg_dist_shard does not have",
        .init(
            "Find out what removed the shards, then delete these rows on every node.",
            refusal: "it changes a catalog of Citus's by hand"))

    private static let shardsWithoutPlacement = Self(
        .shardsOrphaned, .critical, "shards are in no group: queries to them fail",
        .init(
            "Look for their tables on the workers (pharos verify --deep). If they are gone, only a backup brings the rows back.",
            refusal: "where the data are is an operator's to find out"))

    private static let shardsWithoutTable = Self(
        .shardsOrphaned, .warning, "shards are of tables that are not there, or not distributed",
        .init(
            "Find out what removed the tables, then delete these rows on every node.",
            refusal: "it changes a catalog of Citus's by hand"))

    private static func inactivePlacements(_ found: [String], _ server: LookedAt) -> Self {
        Self(
            .placementsInactive, .warning, "placements are not in use, because a write to them has failed",
            .init(
                "Copy them anew from placements that are in use, on the coordinator:",
                sql: Array(found.compactMap(Self.copy).prefix(Self.statementLimit)), on: server.place,
                refusal: "it copies data, and needs a superuser"))
    }

    /// The statement that copies a placement anew, from a group that has another one in use.
    private static func copy(_ listed: String) -> String? {
        guard let shard = listed.number(after: "shard "), let group = listed.number(after: " in group ") else {
            return nil
        }
        return "select citus_copy_shard_placement(p.shardid, s.nodename, s.nodeport, t.nodename, t.nodeport)"
            + " from pg_dist_placement p join pg_dist_node s on s.groupid = p.groupid and s.noderole = 'primary'"
            + " join pg_dist_node t on t.groupid = \(group) and t.noderole = 'primary'"
            + " where p.shardid = \(shard) and p.shardstate = 1 limit 1"
    }

    // MARK: - What Citus has to do, or has not done

    private static func cleanup(_ server: LookedAt, _ facts: ClusterFacts) -> Self {
        let isOld = facts.isCleanupOld && !facts.isAfterRestore
        let text = "objects are left for Citus to remove (pg_dist_cleanup)"
        return Self(
            .cleanupPending, isOld ? .warning : Self.seldom(facts),
            isOld ? text + ", some of them for more than an hour" : text,
            .init(
                facts.isAfterRestore
                    ? "Each of them is dropped as soon as citus.defer_shard_delete_interval is given back. Where a shard was moved after the restore point, that is its only copy: compare pg_dist_placement, and delete the row of what must stay."
                    : "Citus removes them within minutes. If they stay, look at the coordinator's log.",
                sql: ["select * from pg_dist_cleanup"], on: server.place, refusal: "Citus removes them by itself"))
    }

    private static func tasks(_ found: [String], _ server: LookedAt, _ facts: ClusterFacts) -> Self {
        Self(
            .tasksPending, Self.seldom(facts), "background tasks have not ended",
            .init(
                facts.isAfterRestore
                    ? "They go on as soon as citus.background_task_queue_interval is given back. Stop what must not go on:"
                    : "A rebalance is under way, or waits. To stop it:",
                sql: Self.jobs(found).map { "select citus_job_cancel(\($0))" }, on: server.place,
                refusal: "whether a rebalance is to go on is an operator's to say"))
    }

    private static func failedTasks(_ found: [String], _ server: LookedAt) -> Self {
        let question =
            "select job_id, task_id, retry_count, message from pg_dist_background_task where status = 'error' and job_id ="
        return Self(
            .tasksFailed, .warning, "background tasks have failed, and their job with them",
            .init(
                "Look why. Then begin a rebalance anew (select citus_rebalance_start()): it stays on record until a later job of its kind has been begun.",
                sql: Self.jobs(found).map { "\(question) \($0)" }, on: server.place,
                refusal: "why it has failed is an operator's to find out"))
    }

    /// The jobs that tasks belong to, each once.
    private static func jobs(_ found: [String]) -> [Int64] {
        var jobs: [Int64] = []
        for job in found.compactMap({ $0.number(after: " of job ") }) where !jobs.contains(job) { jobs.append(job) }
        return Array(jobs.prefix(Self.statementLimit))
    }

    private static func left(_ text: String, _ statements: [String], _ server: LookedAt) -> Self {
        Self(
            .moveLeftovers, .warning, text,
            .init(
                "If no shard is being moved, drop them on \(server.name):",
                sql: Array(statements.prefix(Self.statementLimit)), on: server.place,
                refusal: "only an operator knows that no shard is being moved"))
    }

    private static func commitRecordsWithoutNode(_ server: LookedAt) -> Self {
        Self(
            .commitRecordsLeft, .warning,
            "records of committed transactions are of groups that pg_dist_node does not have: nobody removes them",
            .init(
                "If no server of such a group still has a prepared transaction of that name, delete them on \(server.name):",
                sql: [
                    "delete from pg_dist_transaction t where not exists (select from pg_dist_node n where n.groupid = t.groupid)"
                ], on: server.place, refusal: "a server that was taken out may still need them"))
    }

    private static func commitRecords(_ server: LookedAt) -> Self {
        Self(
            .commitRecordsLeft, .warning, "",
            .init(
                "More than 10,000 in pg_dist_transaction: Citus's recovery does not come to its end there. Look at the log of \(server.name), and at citus.recover_2pc_interval.",
                sql: ["select recover_prepared_transactions()"], on: server.place,
                refusal: "look for the reason first"))
    }

    private static let maintenanceDaemonMissing = Self(
        .maintenanceDaemonMissing, .warning,
        "database without Citus's maintenance daemon: transactions are not recovered, and nothing is cleaned up",
        .init(
            "Citus starts it with the next query of the database there. If it does not, look at the log, and at max_worker_processes.",
            refusal: "PostgreSQL starts it"))

    private static func maintenanceDaemonUnseen(_ server: LookedAt, _ facts: ClusterFacts) -> Self {
        let grant = server.facts.role.map { "grant pg_read_all_stats to \(sqlIdentifier($0))" }
        return Self(
            .notLookedAt, facts.unseenSeverity(otherwise: .note),
            "database of which it could not be looked at whether Citus's maintenance daemon runs: that is shown only to members of pg_read_all_stats",
            .init(
                "Give that right to the role with which Pharos logs in on \(server.name), as a superuser there.",
                sql: [grant].compactMap { $0 }, on: server.place))
    }

    // MARK: - Tables

    private static func unplacedShardTables(_ facts: ClusterFacts) -> Self {
        Self(
            .shardLeftovers, Self.seldom(facts), "tables are of shards that other groups hold",
            .init(
                "Left by a move, or newer than the metadata after a restore. Drop one only when its shard was read where pg_dist_placement says that it is.",
                refusal: "it may be the only copy"))
    }

    private static func unknownShardTables(_ facts: ClusterFacts) -> Self {
        Self(
            .shardLeftovers, facts.isAfterRestore ? .critical : .warning,
            "tables have the names of shards that no catalog knows",
            .init(
                "After a restore this node may be newer than the coordinator, and they hold rows that the coordinator does not know. Drop one only when you know where its rows are.",
                refusal: "it may be the only copy"))
    }
}

extension String {
    /// The number right after the first occurrence of a text; nil where there is none.
    fileprivate func number(after mark: String) -> Int64? {
        var rest = self[...]
        while !rest.isEmpty {
            if rest.hasPrefix(mark) { return Int64(rest.dropFirst(mark.count).prefix { $0.isNumber }) }
            rest = rest.dropFirst()
        }
        return nil
    }
}
