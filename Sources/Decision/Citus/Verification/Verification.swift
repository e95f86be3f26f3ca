// SPDX-License-Identifier: Apache-2.0

/// Everything that is not as it should be, the worst first.
public func verify(_ facts: ClusterFacts) -> [Finding] {
    var findings: [Finding] = []
    if let problem = facts.etcdProblem {
        findings.append(
            Finding(
                .etcdUnreadable, .warning, "etcd cannot be read: \(problem)",
                .init("Without it nobody knows who leads: repeat when etcd answers.")))
    }
    guard let coordinator = facts.coordinator else {
        findings.append(
            Finding(
                .coordinatorUnreachable, .critical, group: 0, node: facts.leaders[0]?.endpoint,
                facts.coordinatorProblem ?? "no coordinator is known",
                .init("Bring the coordinator up, or run this on its node.")))
        return findings
    }
    findings += checkCoordinators(facts)
    let groups = Set(coordinator.rows.map(\.group)).union(facts.leaders.keys)
    for group in groups.sorted() { findings += checkGroup(group, facts, coordinator) }
    for row in coordinator.rows { findings += checkRow(row, facts, coordinator) }
    findings += checkPrepared(facts, coordinator)
    findings += checkSettings(facts, coordinator)
    return findings.enumerated().sorted {
        ($1.element.severity, $0.offset) < ($0.element.severity, $1.offset)
    }.map(\.element)
}

// MARK: - Groups

/// Drift 2: an old coordinator returns as a writable primary.
private func checkCoordinators(_ facts: ClusterFacts) -> [Finding] {
    (facts.leaders[0]?.others ?? [:]).sorted { $0.key < $1.key }.compactMap { name, endpoint in
        guard case .answered(let node)? = facts.nodes[endpoint], !node.isInRecovery else { return nil }
        return Finding(
            .secondCoordinator, .critical, group: 0, node: endpoint,
            "\(name) accepts writes, but \(facts.leaders[0]?.name ?? "another") leads: its background worker writes its own pg_dist_node over those of the workers",
            .init(
                "Stop PostgreSQL there at once, see that no postgres process is left, verify again, and let Patroni bring it back as a standby.",
                refusal: "Pharos does not stop PostgreSQL"))
    }
}

private func checkGroup(_ group: Int, _ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    let rows = coordinator.rows.filter { $0.group == group }
    let primaries = rows.filter { $0.role == .primary }
    guard let leader = facts.leaders[group] else {
        guard facts.etcdProblem == nil, !rows.isEmpty else { return [] }
        return [
            Finding(
                .groupVanished, .warning, group: group,
                "pg_dist_node has the group, etcd has no leader of it: Patroni does not run there, or nobody leads",
                .init("Look at Patroni on its nodes. If it was taken out of service, drain it and remove its node."))
        ]
    }
    if rows.isEmpty {
        guard group != 0 else { return [] }
        let place = leader.endpoint.map { "'\($0.host)', \($0.port)" } ?? "HOST, PORT"
        return [
            Finding(
                .groupUnregistered, .warning, group: group, node: leader.endpoint,
                "\(leader.name) leads it, and pg_dist_node does not have it",
                .init(
                    "Add it.", sql: ["select citus_add_node(\(place), \(group))"],
                    refusal: "adding a group moves data and needs superuser"))
        ]
    }
    if primaries.isEmpty {
        return [
            Finding(
                .groupWithoutPrimary, .critical, group: group,
                "no row of it is a primary (\(rows.map { "node \($0.id): \($0.role)" }.joined(separator: ", "))): every query to it fails with XX000",
                .init(
                    "Make the right row the primary.",
                    sql: ["update pg_dist_node set noderole = 'primary' where nodeid = \(rows[0].id)"],
                    refusal: "which row is the right one is an operator's to say"))
        ]
    }
    if primaries.count > 1 {
        let ids = primaries.map { "\($0.id)" }.joined(separator: ", ")
        return [
            Finding(
                .twoPrimaries, .critical, group: group, "nodes \(ids) are all its primary",
                .init(
                    "Make all but one a secondary.",
                    sql: primaries.dropFirst().map {
                        "update pg_dist_node set noderole = 'secondary' where nodeid = \($0.id)"
                    }, refusal: "which row is the right one is an operator's to say"))
        ]
    }
    guard let endpoint = leader.endpoint else { return [] }
    switch RowPlan(group: group, leader: endpoint, rows: coordinator.rows, settings: facts.settings) {
    case .isTrue: return []
    case .changes(let changes):
        let isMoved = changes.contains { if case .move = $0 { true } else { false } }
        let text =
            isMoved
            ? "node \(primaries[0].id) is at \(primaries[0].endpoint), the leader \(leader.name) at \(endpoint)"
            : "pg_dist_poolinfo of node \(primaries[0].id) says \(primaries[0].pool ?? "nothing")"
        let refusal: String? =
            if case .answered(let node)? = facts.nodes[endpoint], node.isInRecovery {
                "the leader does not accept writes yet"
            } else { nil }
        return [
            Finding(
                isMoved ? .rowNotLeader : .poolDiffers, isMoved ? .critical : .warning, group: group,
                node: primaries[0].endpoint, text,
                .init("Move the row to the leader.", changes: changes, refusal: refusal))
        ]
    case .refused(let refusal):
        return [
            Finding(
                .rowNotLeader, .critical, group: group, node: primaries[0].endpoint,
                "node \(primaries[0].id) is at \(primaries[0].endpoint), the leader \(leader.name) at \(endpoint), which cannot be moved there: \(refusal)",
                .init("Remove or rename the row that has the leader's address."))
        ]
    }
}

// MARK: - Rows

private func checkRow(_ row: NodeRow, _ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    var findings: [Finding] = []
    func find(_ code: Finding.Code, _ severity: Finding.Severity, _ text: String, _ remedy: Finding.Remedy) {
        findings.append(
            Finding(code, severity, group: row.group, node: row.endpoint, "node \(row.id): \(text)", remedy))
    }
    let place = "'\(row.endpoint.host)', \(row.endpoint.port)"
    if !row.isActive {
        find(
            .inactive, .warning, "isactive is false: it takes no part in queries",
            .init(
                "Activate it.", sql: ["select citus_activate_node(\(place))"],
                refusal: "it copies reference tables, and needs superuser"))
    }
    if row.role == .primary, row.group != 0, !row.hasMetadata {
        find(
            .noMetadata, .warning, "hasmetadata is false: tables that are made now are not seen there",
            .init(
                "Start the synchronization of metadata.", sql: ["select start_metadata_sync_to_node(\(place))"],
                refusal:
                    "a resynchronization after a restore would orphan newer shards: first make sure that there was none"
            ))
    } else if row.role == .primary, row.group != 0, row.isActive, !row.isSynchronized {
        find(
            .notSynchronized, .warning, "metadatasynced is false: its copy of pg_dist_node is behind",
            .init("Citus tries again every five seconds: see that the coordinator reaches it."))
    }
    switch facts.nodes[row.endpoint] {
    case nil: break
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
                refusal: "it changes a catalog of Citus's by hand, and needs a superuser"))
    }
    guard row.group != 0, row.hasMetadata, row.isActive else { return findings }
    for table in CatalogTable.allCases {
        guard let here = coordinator.facts.digests[table], let there = node.digests[table], here != there else {
            continue
        }
        // While Citus is at it, its rows may differ for a moment.
        let severity: Finding.Severity = table == .nodes && !row.isSynchronized ? .warning : .critical
        let code: Finding.Code =
            switch table {
            case .nodes: .nodesDiffer
            case .placements: .placementsDiffer
            case .shards: .shardsDiffer
            }
        find(
            code, severity, "its copy of \(table.rawValue) differs from the coordinator's",
            .init(
                "Find out which is right before anything is synchronized: after a restore the coordinator's may be the older one.",
                sql: ["select start_metadata_sync_to_node('\(row.endpoint.host)', \(row.endpoint.port))"],
                refusal:
                    "a resynchronization lets the coordinator's view win and orphans newer shards if it was restored"))
    }
    if let missing = node.missingShards, !missing.isEmpty {
        let list = missing.prefix(5).joined(separator: ", ") + (missing.count > 5 ? " …" : "")
        find(
            .shardMissing, .critical, "\(missing.count) shards have no table there: \(list)",
            .init(
                "Restore this node to the same point as the coordinator (docs/restore.md), or drop what was made since.",
                refusal: "data is missing: only a backup brings it back"))
    }
    return findings
}
