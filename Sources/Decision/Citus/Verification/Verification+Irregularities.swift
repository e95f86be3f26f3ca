// SPDX-License-Identifier: Apache-2.0

/// What a node's catalogs can hold that should not be there. The raw values are those of `CitusIrregularity`.
public enum Irregularity: String, Hashable, Sendable, CaseIterable {
    case placementsWithoutNode, placementsWithoutShard, shardsWithoutPlacement, shardsWithoutTable, inactivePlacements
    case cleanup, tasks, failedTasks, moveSlots, movePublications, moveSubscriptions, commitRecordsWithoutNode,
        commitRecords
    case maintenanceDaemonMissing, maintenanceDaemonUnseen, unplacedShardTables, unknownShardTables

    /// Citus's metadata are the same on every node, and compared: what is wrong with them is told of the coordinator alone.
    fileprivate var isOfMetadata: Bool {
        switch self {
        case .placementsWithoutNode, .placementsWithoutShard, .shardsWithoutPlacement, .shardsWithoutTable,
            .inactivePlacements, .cleanup, .tasks, .failedTasks:
            true
        case .moveSlots, .movePublications, .moveSubscriptions, .commitRecordsWithoutNode, .commitRecords,
            .maintenanceDaemonMissing, .maintenanceDaemonUnseen, .unplacedShardTables, .unknownShardTables:
            false
        }
    }
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
            let judgement = IrregularityJudgement(kind, found, on: server, facts)
            let count = found.count > 100 ? "more than 100" : "\(found.count)"
            let list = found.prefix(5).joined(separator: ", ") + (found.count > 5 ? " …" : "")
            let text = judgement.text.isEmpty ? list : "\(count) \(judgement.text): \(list)"
            var finding = Finding(
                judgement.code, judgement.severity, group: server.group, node: server.endpoint, text, judgement.remedy)
            if kind == .cleanup { finding.pending = found }
            return finding
        }
    }
}

/// Of reference tables, and others of which several nodes have a copy. Somebody who writes changes one after the other: what is
/// changing is not compared, and told as that.
func checkContents(_ servers: [LookedAt], _ facts: ClusterFacts) -> [Finding] {
    var byShard: [ShardID: [(server: LookedAt, copy: ShardCopyDigest)]] = [:]
    for server in servers {
        for (shard, copy) in server.facts.copies ?? [:] { byShard[shard, default: []].append((server, copy)) }
    }
    let several = byShard.sorted { $0.key < $1.key }.map(\.value).filter { $0.count > 1 }
    let changing = several.filter { $0.contains(where: \.copy.isChanging) }.map { $0[0].copy.name }
    let differing = several.compactMap { copies -> Finding? in
        guard !copies.contains(where: \.copy.isChanging),
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
    guard !changing.isEmpty else { return differing }
    let list = changing.prefix(5).joined(separator: ", ") + (changing.count > 5 ? ", …" : "")
    let unseen = Finding(
        .notLookedAt, facts.unseenSeverity(otherwise: .note),
        "somebody writes to \(list): the copies on several nodes could not be compared",
        .init(
            facts.isAfterRestore
                ? "Find out who does, keep them out, and verify again: a cluster that was just restored is written to by nobody."
                : "Verify again while nobody writes to them."))
    return differing + [unseen]
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
                on: server.place, refusal: "it needs the right to the tables"))
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
