// SPDX-License-Identifier: Apache-2.0

/// What the rows of `pg_dist_node` say, and the servers that they name.
func checkRow(_ row: NodeRow, _ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    var findings: [Finding] = []
    func find(_ code: Finding.Code, _ severity: Finding.Severity, _ text: String, _ remedy: Finding.Remedy) {
        findings.append(
            Finding(code, severity, group: row.group, node: row.endpoint, "node \(row.id): \(text)", remedy))
    }
    // It is no server of any group until it is promoted, and Citus keeps it inactive until then.
    guard !row.isClone else { return [] }
    let place = "\(sqlLiteral(row.endpoint.host)), \(row.endpoint.port)"
    if !row.isActive {
        find(
            .inactive, .warning, "isactive is false: it takes no part in queries",
            .init(
                "Activate it\(facts.synchronizing).",
                sql: facts.unlessRestored(["select citus_activate_node(\(place))"]), on: facts.coordinatorPlace,
                refusal: "it copies reference tables, and needs superuser"))
    }
    if row.role == .primary, row.group != 0, !row.hasMetadata {
        find(
            .noMetadata, .warning, "hasmetadata is false: tables that are made now are not seen there",
            .init(
                "Start the synchronization of metadata\(facts.synchronizing).",
                sql: facts.unlessRestored(["select start_metadata_sync_to_node(\(place))"]), on: facts.coordinatorPlace,
                refusal:
                    "a resynchronization after a restore would orphan newer shards: first make sure that there was none"
            ))
    } else if row.role == .primary, row.group != 0, row.isActive, !row.isSynchronized {
        find(
            .notSynchronized, .warning, "metadatasynced is false: its copy of pg_dist_node is behind",
            .init("Citus tries again every five seconds: see that the coordinator reaches it."))
    }
    // The coordinator itself is looked at whether it is registered or not.
    guard row.group != 0 || row.role != .primary else { return findings }
    switch facts.nodes[row.endpoint] {
    case nil: break
    case .withoutCitus?:
        find(
            .extensionMissing, .critical, "the database \(facts.database) of \(row.endpoint) has no extension citus",
            .init(
                "If it was restored or made anew, restore it with Citus. Otherwise look whether the row names the right server."
            ))
    case .unreachable(let reason)?:
        find(
            .rowUnreachable, row.role == .primary ? .critical : .warning,
            "\(row.endpoint) cannot be reached: \(reason)",
            .init("Bring it up; if another member leads the group, its row must follow (row-not-leader)."))
    case .refused(let reason)?:
        find(
            .rowUnverified, .warning, "\(row.endpoint) does not let this role in, so it was not looked at: \(reason)",
            .init("Let the role log in there: pg_hba.conf, and citus.node_conninfo in pharos.yml."))
    case .answered(let node)?: findings += checkNode(node, row, facts, coordinator)
    }
    return findings
}

private func checkNode(
    _ node: NodeFacts, _ row: NodeRow, _ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator
) -> [Finding] {
    var findings: [Finding] = []
    func find(_ code: Finding.Code, _ severity: Finding.Severity, _ text: String, _ remedy: Finding.Remedy) {
        findings.append(
            Finding(code, severity, group: row.group, node: row.endpoint, "node \(row.id): \(text)", remedy))
    }
    switch row.role {
    case .unavailable: return []
    case .secondary:
        if !node.isInRecovery {
            find(
                .secondaryIsPrimary, .warning, "it is registered as a \(row.role) and accepts writes",
                .init("If it leads the group, its row must be swapped with the primary's (row-not-leader)."))
        }
        return findings
    case .primary: break
    }
    if node.isInRecovery {
        find(
            .rowInRecovery, .critical,
            "\(row.endpoint) is a standby: reads are stale and writes fail with 25006, while every flag looks right",
            .init("The row must follow the group's leader (row-not-leader)."))
    }
    if let localGroup = node.localGroup, localGroup != row.group {
        find(
            .localGroupWrong, .critical,
            "pg_dist_local_group there says \(localGroup)\(localGroup == 0 ? ": it takes itself for the coordinator" : "")",
            .init(
                "Citus writes it anew with the node's copy of pg_dist_node: let it do that again.",
                sql: ["update pg_dist_node set metadatasynced = false where nodeid = \(row.id)"],
                on: facts.coordinatorPlace,
                refusal: "it changes a catalog of Citus's by hand, and needs a superuser"))
    }
    if let finding = missingShards(node, row.group, row.endpoint) { findings.append(finding) }
    guard row.hasMetadata, row.isActive else { return findings }
    for table in CatalogTable.allCases {
        guard let here = coordinator.facts.digests[table], let there = node.digests[table], here != there else {
            continue
        }
        // While Citus is at it, its rows may differ for a moment.
        let severity: Finding.Severity =
            (table == .nodes && !row.isSynchronized) || table == .objects ? .warning : .critical
        find(
            table.code, severity,
            "its copy of \(table.rawValue) differs from the coordinator's\(text(node.differences[table]))",
            table == .nodes ? nodesRemedy(row, facts) : copyRemedy(row, facts))
    }
    return findings
}

extension ClusterFacts {
    /// Statements that let the coordinator's view win are not for a cluster that was just restored.
    fileprivate func unlessRestored(_ statements: [String]) -> [String] { self.isAfterRestore ? [] : statements }
    fileprivate var synchronizing: String {
        self.isAfterRestore ? ", but not before all nodes are shown to be at one point" : ""
    }
}

private func copyRemedy(_ row: NodeRow, _ facts: ClusterFacts) -> Finding.Remedy {
    .init(
        "Find out which is right before anything is synchronized: after a restore the coordinator's may be the older one.",
        sql: facts.unlessRestored([
            "select start_metadata_sync_to_node(\(sqlLiteral(row.endpoint.host)), \(row.endpoint.port))"
        ]),
        on: facts.coordinatorPlace,
        refusal: "a resynchronization lets the coordinator's view win and orphans newer shards if it was restored")
}

/// Citus writes that copy anew with every change of a row, and no other copy with it: no shard depends on it.
private func nodesRemedy(_ row: NodeRow, _ facts: ClusterFacts) -> Finding.Remedy {
    .init(
        "See that the coordinator's rows are right (row-not-leader). Then let Citus write this copy anew, on the coordinator, as a superuser; it touches pg_dist_node alone.",
        sql: ["update pg_dist_node set metadatasynced = false where nodeid = \(row.id)"],
        on: facts.coordinatorPlace,
        refusal: "it changes a catalog of Citus's by hand, and needs a superuser")
}

/// What differs, for people.
private func text(_ difference: CopyDifference?) -> String {
    guard let difference else { return "" }
    func list(_ lines: [String], _ what: String) -> [String] {
        lines.isEmpty ? [] : ["\(what) \(lines.map { "[\($0)]" }.joined(separator: ", "))"]
    }
    let parts = list(difference.extra, "here alone:") + list(difference.lacking, "there alone:")
    return parts.isEmpty ? "" : "; " + parts.joined(separator: "; ")
}

extension CatalogTable {
    /// What is found where copies of it differ.
    fileprivate var code: Finding.Code {
        switch self {
        case .nodes: .nodesDiffer
        case .placements: .placementsDiffer
        case .shards: .shardsDiffer
        case .tables: .tablesDiffer
        case .colocations: .colocationsDiffer
        case .objects: .objectsDiffer
        case .schemas: .schemasDiffer
        }
    }
}

/// The server that was asked as the coordinator.
func checkCoordinator(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    let (node, endpoint) = (coordinator.facts, facts.leaders[0]?.endpoint)
    var findings: [Finding] = []
    if node.isInRecovery {
        findings.append(
            Finding(
                .rowInRecovery, .critical, group: 0, node: endpoint,
                "the coordinator is in recovery: it accepts no writes, and pg_dist_node cannot follow anything",
                .init("Look at Patroni there. While it promotes, verify again in a moment.")))
    }
    if let localGroup = node.localGroup, localGroup != 0 {
        findings.append(
            Finding(
                .localGroupWrong, .critical, group: 0, node: endpoint,
                "pg_dist_local_group on the coordinator says \(localGroup): it takes itself for a worker, and the daemon changes nothing there",
                .init(
                    "A backup of a worker may have been restored here. Only if this is the coordinator, as a superuser:",
                    sql: ["update pg_dist_local_group set groupid = 0"], on: facts.coordinatorPlace,
                    refusal: "it changes a catalog of Citus's by hand, and needs a superuser")))
    }
    if let finding = missingShards(node, 0, endpoint) { findings.append(finding) }
    return findings
}

private func missingShards(_ node: NodeFacts, _ group: Int, _ endpoint: NodeEndpoint?) -> Finding? {
    guard let missing = node.missingShards, !missing.isEmpty else { return nil }
    let list = missing.prefix(5).joined(separator: ", ") + (missing.count > 5 ? " …" : "")
    return Finding(
        .shardMissing, .critical, group: group, node: endpoint, "\(missing.count) shards have no table there: \(list)",
        .init(
            "Restore this node to the same point as the coordinator (docs/restore.md), or drop what was made since.",
            refusal: "data is missing: only a backup brings it back"))
}
