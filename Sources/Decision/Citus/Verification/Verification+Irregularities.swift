// SPDX-License-Identifier: Apache-2.0

/// What a node's catalogs can hold that should not be there. The raw values are those of `CitusIrregularity`.
public enum Irregularity: String, Hashable, Sendable, CaseIterable {
    case placementsWithoutNode, placementsWithoutShard, shardsWithoutPlacement, shardsWithoutTable, inactivePlacements
    case cleanup, tasks, moveSlots, movePublications, moveSubscriptions, commitRecordsWithoutNode, commitRecords
    case maintenanceDaemonMissing, maintenanceDaemonUnseen, unplacedShardTables, unknownShardTables

    /// Citus's metadata are the same on every node, and compared: what is wrong with them is told of the coordinator alone.
    fileprivate var isOfMetadata: Bool {
        switch self {
        case .placementsWithoutNode, .placementsWithoutShard, .shardsWithoutPlacement, .shardsWithoutTable,
            .inactivePlacements, .cleanup, .tasks:
            true
        case .moveSlots, .movePublications, .moveSubscriptions, .commitRecordsWithoutNode, .commitRecords,
            .maintenanceDaemonMissing, .maintenanceDaemonUnseen, .unplacedShardTables, .unknownShardTables:
            false
        }
    }
}

/// What is told of one kind.
private struct Judgement {
    let code: Finding.Code
    let severity: Finding.Severity
    /// After a count and before the list.
    let text: String
    let remedy: Finding.Remedy
}

/// What is left over, or lost, in the catalogs.
func checkIrregularities(_ servers: [LookedAt], _ facts: ClusterFacts) -> [Finding] {
    // What Citus is going to remove by itself is nobody's to look at.
    let cleanup = Set(
        (servers.first { $0.group == 0 }?.facts.irregularities[.cleanup] ?? []).compactMap {
            $0.text(before: " in group ")
        })
    return servers.flatMap { server in
        Irregularity.allCases.compactMap { kind -> Finding? in
            guard var found = server.facts.irregularities[kind], !kind.isOfMetadata || server.group == 0 else {
                return nil
            }
            switch kind {
            case .movePublications, .moveSubscriptions, .unplacedShardTables, .unknownShardTables, .moveSlots:
                found.removeAll { cleanup.contains($0) }
            default: break  // Nothing that Citus removes.
            }
            guard !found.isEmpty else { return nil }
            let judgement = judge(kind, found, isAfterRestore: facts.isAfterRestore)
            let count = found.count > 100 ? "more than 100" : "\(found.count)"
            let list = found.prefix(5).joined(separator: ", ") + (found.count > 5 ? " …" : "")
            let text = judgement.text.isEmpty ? list : "\(count) \(judgement.text): \(list)"
            return Finding(
                judgement.code, judgement.severity, group: server.group, node: server.endpoint, text, judgement.remedy)
        }
    }
}

private func judge(_ kind: Irregularity, _ found: [String], isAfterRestore: Bool) -> Judgement {
    /// What is ordinary in a cluster that lives, and must be seen before a restored one is opened.
    let seldom: Finding.Severity = isAfterRestore ? .warning : .note
    let judgement = { (code: Finding.Code, severity: Finding.Severity, text: String, remedy: Finding.Remedy) in
        Judgement(code: code, severity: severity, text: text, remedy: remedy)
    }
    switch kind {
    case .placementsWithoutNode:
        return judgement(
            .placementsOrphaned, .critical,
            "placements are in groups that pg_dist_node does not have: queries to them fail",
            .init(
                "Add the group's node again if it still has the shards; otherwise only a backup brings the rows back.",
                refusal: "where the data are is an operator's to find out"))
    case .placementsWithoutShard:
        return judgement(
            .placementsOrphaned, .warning, "placements are of shards that pg_dist_shard does not have",
            .init(
                "Find out what removed the shards, then delete these rows on every node.",
                refusal: "it changes a catalog of Citus's by hand"))
    case .shardsWithoutPlacement:
        return judgement(
            .shardsOrphaned, .critical, "shards are in no group: queries to them fail",
            .init(
                "Look for their tables on the workers (pharos verify --deep). If they are gone, only a backup brings the rows back.",
                refusal: "where the data are is an operator's to find out"))
    case .shardsWithoutTable:
        return judgement(
            .shardsOrphaned, .warning, "shards are of tables that are not there, or not distributed",
            .init(
                "Find out what removed the tables, then delete these rows on every node.",
                refusal: "it changes a catalog of Citus's by hand"))
    case .inactivePlacements:
        return judgement(
            .placementsInactive, .warning, "placements are not in use, because a write to them has failed",
            .init(
                "Copy them anew from the placements in use, on the coordinator:",
                sql: ["select citus_copy_shard_placement(SHARD, 'FROM', PORT, 'TO', PORT)"],
                refusal: "it copies data, and needs a superuser"))
    case .cleanup:
        return judgement(
            .cleanupPending, seldom, "objects are left for Citus to remove (pg_dist_cleanup)",
            .init(
                isAfterRestore
                    ? "Each of them is dropped as soon as citus.defer_shard_delete_interval is given back. Where a shard was moved after the restore point, that is its only copy: compare pg_dist_placement, and delete the row of what must stay."
                    : "Citus removes them within minutes. If they stay, look at the coordinator's log.",
                sql: ["select * from pg_dist_cleanup"], refusal: "Citus removes them by itself"))
    case .tasks:
        return judgement(
            .tasksPending, seldom, "background tasks have not ended",
            .init(
                isAfterRestore
                    ? "They go on as soon as citus.background_task_queue_interval is given back. Stop what must not go on:"
                    : "A rebalance is under way, or waits.", sql: ["select citus_job_cancel(JOB)"],
                refusal: "whether a rebalance is to go on is an operator's to say"))
    case .moveSlots:
        return judgement(
            .moveLeftovers, .warning,
            "replication slots of shard moves are read by nobody: they keep the write-ahead log from being removed",
            .init(
                "If no shard is being moved, drop them there.",
                sql: found.prefix(5).map { "select pg_drop_replication_slot(\(sqlLiteral($0)))" },
                refusal: "only an operator knows that no shard is being moved"))
    case .movePublications:
        return judgement(
            .moveLeftovers, .warning, "publications of shard moves are left over",
            .init(
                "If no shard is being moved, drop them there.",
                sql: found.prefix(5).map { "drop publication \(sqlIdentifier($0))" },
                refusal: "only an operator knows that no shard is being moved"))
    case .moveSubscriptions:
        return judgement(
            .moveLeftovers, .warning, "subscriptions of shard moves are left over",
            .init(
                "If no shard is being moved, drop them there.",
                sql: found.prefix(5).map { "drop subscription \(sqlIdentifier($0))" },
                refusal: "only an operator knows that no shard is being moved"))
    case .commitRecordsWithoutNode:
        return judgement(
            .commitRecordsLeft, .warning,
            "records of committed transactions are of groups that pg_dist_node does not have: nobody removes them",
            .init(
                "If no server of such a group still has a prepared transaction of that name, delete them there.",
                sql: [
                    "delete from pg_dist_transaction t where not exists (select from pg_dist_node n where n.groupid = t.groupid)"
                ], refusal: "a server that was taken out may still need them"))
    case .commitRecords:
        return judgement(
            .commitRecordsLeft, .warning, "",
            .init(
                "More than 10,000 in pg_dist_transaction: Citus's recovery does not come to its end there. Look at its log, and at citus.recover_2pc_interval.",
                sql: ["select recover_prepared_transactions()"], refusal: "look for the reason first"))
    case .maintenanceDaemonMissing:
        return judgement(
            .maintenanceDaemonMissing, .warning,
            "database without Citus's maintenance daemon: transactions are not recovered, and nothing is cleaned up",
            .init(
                "Citus starts it with the next query of the database there. If it does not, look at the log, and at max_worker_processes.",
                refusal: "PostgreSQL starts it"))
    case .maintenanceDaemonUnseen:
        return judgement(
            .notLookedAt, .note,
            "database of which it could not be looked at whether Citus's maintenance daemon runs: that is shown only to members of pg_read_all_stats",
            .init("On that node's leader, as a superuser.", sql: ["grant pg_read_all_stats to ROLE"]))
    case .unplacedShardTables:
        return judgement(
            .shardLeftovers, seldom, "tables are of shards that other groups hold",
            .init(
                "Left by a move, or newer than the metadata after a restore. Drop one only when its shard was read where pg_dist_placement says that it is.",
                refusal: "it may be the only copy"))
    case .unknownShardTables:
        return judgement(
            .shardLeftovers, isAfterRestore ? .critical : .warning,
            "tables have the names of shards that no catalog knows",
            .init(
                "After a restore this node may be newer than the coordinator, and they hold rows that the coordinator does not know. Drop one only when you know where its rows are.",
                refusal: "it may be the only copy"))
    }
}

/// Of reference tables, and others of which several nodes have a copy. Somebody who writes changes one after the other: what is
/// changing is not compared.
func checkContents(_ servers: [LookedAt]) -> [Finding] {
    var byShard: [ShardID: [(server: LookedAt, copy: ShardCopyDigest)]] = [:]
    for server in servers {
        for (shard, copy) in server.facts.copies ?? [:] { byShard[shard, default: []].append((server, copy)) }
    }
    return byShard.sorted { $0.key < $1.key }.compactMap { shard, copies in
        guard copies.count > 1, !copies.contains(where: \.copy.isChanging),
            Set(copies.map { "\($0.copy.count) \($0.copy.digest)" }).count > 1
        else { return nil }
        let list = copies.map { "\($0.server.name) has \($0.copy.count) rows" }.joined(separator: ", ")
        let isCount = Set(copies.map(\.copy.count)).count > 1
        return Finding(
            .copiesOfShardDiffer, .critical, group: copies[0].server.group, node: copies[0].server.endpoint,
            "the copies of \(copies[0].copy.name) are not the same: \(list)\(isCount ? "" : ", which are not equal")",
            .init(
                "Each node reads its own copy, so answers differ. Find out which is right, and write the rows anew through the coordinator; after a restore, the nodes are at different points.",
                refusal: "which copy is right is an operator's to say"))
    }
}

/// After a restore, or a failover that lost something, sequences may have gone back. A column's highest value may be on any node.
func checkSequences(_ servers: [LookedAt]) -> [Finding] {
    struct Place: Hashable {
        let name: String
        let range: Int64
    }
    var highest: [Place: Int64] = [:]
    for value in servers.flatMap(\.facts.sequences) {
        let place = Place(name: value.name, range: value.range)
        if let most = value.highest { highest[place] = max(highest[place] ?? most, most) }
    }
    return servers.compactMap { server in
        let behind = server.facts.sequences.compactMap { value -> (name: String, last: Int64, highest: Int64)? in
            guard let last = value.last, let most = highest[Place(name: value.name, range: value.range)], most > last
            else { return nil }
            return (value.name, last, most)
        }
        guard !behind.isEmpty else { return nil }
        let list = behind.prefix(5).map { "\($0.name) is at \($0.last), its column at \($0.highest)" }
        return Finding(
            .sequencesBehind, .warning, group: server.group, node: server.endpoint,
            "\(behind.count) sequences would give values that are in use, and writes fail with 23505: \(list.joined(separator: ", "))\(behind.count > 5 ? " …" : "")",
            .init(
                "Set them, there, as a superuser.",
                sql: behind.prefix(20).map { "select setval(\(sqlLiteral($0.name)), \($0.highest))" },
                on: server.endpoint, refusal: "it needs the right to the tables"))
    }
}

func checkReachability(_ coordinator: LookedAt?) -> [Finding] {
    guard let coordinator, !coordinator.facts.unreachable.isEmpty else { return [] }
    let pairs = coordinator.facts.unreachable
    return [
        Finding(
            .nodesUnreachable, .warning, group: 0, node: coordinator.endpoint,
            "as Citus itself connects, these nodes do not reach each other: \(pairs.prefix(5).joined(separator: ", "))\(pairs.count > 5 ? " …" : "")",
            .init(
                "Look at pg_hba.conf, pg_dist_authinfo and citus.node_conninfo of these nodes: queries between them fail.",
                refusal: "it is configuration"))
    ]
}

extension String {
    /// What stands before the first occurrence of a text; nil where it does not occur.
    fileprivate func text(before mark: String) -> String? {
        var rest = self[...]
        while !rest.isEmpty {
            if rest.hasPrefix(mark) { return String(self[..<rest.startIndex]) }
            rest = rest.dropFirst()
        }
        return nil
    }
}
