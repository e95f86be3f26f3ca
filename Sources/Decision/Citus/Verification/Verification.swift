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
                .init(
                    "Bring the coordinator up, or run this on its node. If it answers and refuses: pharos grant-sql, on its leader."
                )))
        return worstFirst(findings)
    }
    findings += checkCoordinator(facts, coordinator)
    findings += checkFences(facts, coordinator) + checkFunctions(facts, coordinator)
    findings += checkWritable(facts) + checkFormer(facts, coordinator)
    let groups = Set(coordinator.rows.filter { !$0.isClone }.map(\.group)).union(facts.leaders.keys)
    for group in groups.sorted() { findings += checkGroup(group, facts, coordinator) }
    for row in coordinator.rows { findings += checkRow(row, facts, coordinator) }
    findings += checkLosses(facts, coordinator)
    let servers = lookedAt(facts, coordinator)
    findings += checkUnseen(servers, facts)
    findings += checkVersions(servers)
    findings += checkSystems(facts, coordinator) + checkTimelines(facts, coordinator)
    findings += checkLibraries(facts, coordinator)
    findings += checkIrregularities(servers, facts)
    findings += checkContents(servers, facts) + checkSequences(servers) + checkReachability(servers.first)
    findings += checkPrepared(servers, facts)
    findings += checkRestorePoint(servers, facts)
    findings += checkSettings(servers, facts, coordinator)
    return worstFirst(findings)
}

/// Those of one severity in the order in which they were found.
private func worstFirst(_ findings: [Finding]) -> [Finding] {
    findings.enumerated().sorted { ($1.element.severity, $0.offset) < ($0.element.severity, $1.offset) }.map(\.element)
}

/// After a failback to a site whose etcd was replaced by the other site's, its etcd is the past to the fence, for ever.
private func checkFences(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    coordinator.superseded.sorted { $0.key < $1.key }.map { group, fence in
        Finding(
            .fenceSuperseded, .critical, group: group,
            "the fence of group \(group) says that the etcd cluster which is read here was replaced by \(String(fence.by, radix: 16)): its row is changed no more",
            .init(
                "If the etcd that is read here is the one in force, as after a failback, reinstate it. If it is an old one that came back, leave the fence, and point Patroni and Pharos to the other.",
                repairedBy: [fence.reinstatement], on: facts.coordinatorPlace))
    }
}

/// What a version before did not need.
private func checkFunctions(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    guard !coordinator.missingFunctions.isEmpty else { return [] }
    return [
        Finding(
            .grantsOutdated, .warning, group: 0,
            "the role may not call \(coordinator.missingFunctions.joined(separator: ", ")), or they do not exist: without them Citus's metadata sync can hold up a failover, and secondaries cannot be registered",
            .init(
                "On the coordinator's leader (\(facts.coordinatorPlace)), as root:",
                commands: [AdviceNames(facts, of: 0).grants()]))
    ]
}

// MARK: - Groups

/// A member that does not lead, and accepts writes all the same. Drift 2 is the coordinator's: an old one returns.
private func checkWritable(_ facts: ClusterFacts) -> [Finding] {
    facts.leaders.sorted { $0.key < $1.key }.flatMap { group, leader in
        leader.others.sorted { $0.key < $1.key }.compactMap { name, endpoint in
            guard endpoint != leader.endpoint else { return nil }
            switch facts.nodes[endpoint] {
            case .answered(let node)?: guard !node.isInRecovery else { return nil }
            case .unreachable(let reason)?, .refused(let reason)?:
                return Finding(
                    .notLookedAt, facts.unseenSeverity(otherwise: .warning), group: group, node: endpoint,
                    "whether \(name), which does not lead, accepts writes could not be looked at: \(reason)",
                    .init(
                        "Bring it up, or let the role log in there: pg_hba.conf, and citus.node_conninfo in pharos.yml."
                    ))
            case .withoutCitus?, nil: return nil
            }
            return secondPrimary(group, endpoint, "\(name) accepts writes, but \(leader.name) leads")
        } + leader.placeless.sorted().map { placeless(group, $0, facts) }
    }
}

/// A member of which etcd does not say where it is reached.
private func placeless(_ group: Int, _ name: String, _ facts: ClusterFacts) -> Finding {
    Finding(
        .notLookedAt, facts.unseenSeverity(otherwise: .warning), group: group,
        "whether \(name), which does not lead, accepts writes could not be looked at: its key in etcd does not say where it is reached",
        .init("Look at Patroni on that node: patronictl list, and postgresql.connect_address in its file."))
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
        let call = leader.endpoint.map {
            "select citus_add_node(\(sqlLiteral($0.host)), \($0.port), \(group))"
        }
        return [
            Finding(
                .groupUnregistered, .warning, group: group, node: leader.endpoint,
                "\(leader.name) leads it, and pg_dist_node does not have it",
                .init(
                    call == nil ? "Add it, once patronictl list says where \(leader.name) is." : "Add it.",
                    sql: [call].compactMap { $0 }, on: facts.coordinatorPlace,
                    refusal: "adding a group moves data and needs superuser"))
        ]
    }
    if primaries.isEmpty {
        let loss = coordinator.losses?[group].map { $0.shards > 0 ? "; that is \($0.text)" : "" } ?? ""
        return [
            Finding(
                .groupWithoutPrimary, .critical, group: group,
                "no row of it is a primary (\(rows.map { "node \($0.id): \($0.role)" }.joined(separator: ", "))): every query to it fails with XX000\(loss)",
                .init(
                    "Make the right row the primary.",
                    sql: [
                        "update pg_dist_node set noderole = 'primary', metadatasynced = false where nodeid = \(rows[0].id)"
                    ], on: facts.coordinatorPlace,
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
                        "update pg_dist_node set noderole = 'secondary', metadatasynced = false where nodeid = \($0.id)"
                    }, on: facts.coordinatorPlace, refusal: "which row is the right one is an operator's to say"))
        ]
    }
    guard let endpoint = leader.endpoint else {
        return [
            Finding(
                .notLookedAt, facts.unseenSeverity(otherwise: .warning), group: group,
                "etcd does not say where its leader \(leader.name) is reached: its row could not be compared",
                .init("Look at Patroni on that node: patronictl list."))
        ]
    }
    let keepsPlace = leadsToLeader(primaries[0].endpoint, endpoint, group, facts, coordinator)
    let plan = RowPlan(
        group: group, leader: endpoint, rows: coordinator.rows, settings: facts.settings, keepsPlace: keepsPlace)
    switch plan {
    case .isTrue:
        guard facts.settings.poolInfo[group] == nil, let pool = primaries[0].pool else { return [] }
        return [
            Finding(
                .poolUnmanaged, .warning, group: group, node: primaries[0].endpoint,
                "pg_dist_poolinfo of node \(primaries[0].id) says \(pool), and nobody keeps it: after a failover the group's connections go there still",
                .init("Say under 'poolinfo' in 'citus' of pharos.yml what it is to be, on the coordinator's nodes."))
        ]
    case .changes(let changes):
        let isMoved = changes.contains { if case .move = $0 { true } else { false } }
        let text =
            isMoved
            ? "node \(primaries[0].id) is at \(primaries[0].endpoint), the leader \(leader.name) at \(endpoint)"
            : "pg_dist_poolinfo of node \(primaries[0].id) says \(primaries[0].pool ?? "nothing")"
        let refusal = whyNotYet(leader: endpoint, group, facts, coordinator)
        return [
            Finding(
                isMoved ? .rowNotLeader : .poolDiffers, isMoved ? .critical : .warning, group: group,
                node: primaries[0].endpoint, text,
                .init("Move the row to the leader.", changes: changes, on: facts.coordinatorPlace, refusal: refusal))
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

/// Whether a row's place leads to the leader by another name: one server answers at both.
func leadsToLeader(
    _ place: NodeEndpoint, _ leader: NodeEndpoint, _ group: Int, _ facts: ClusterFacts,
    _ coordinator: ClusterFacts.Coordinator
) -> Bool {
    guard place != leader, case .answered(let found)? = facts.nodes[place] else { return false }
    if group == 0, found.server.relation(to: coordinator.facts.server) == .same { return true }
    guard case .answered(let led)? = facts.nodes[leader] else { return false }
    return found.server.relation(to: led.server) == .same
}

/// Why the row of a group may not be moved to its leader at the moment, as the daemon would wait too; nil where it may.
private func whyNotYet(
    leader: NodeEndpoint, _ group: Int, _ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator
) -> String? {
    let answer = group == 0 ? .answered(coordinator.facts) : facts.nodes[leader]
    return switch answer {
    case .answered(let node)?: node.isInRecovery ? "the leader does not accept writes yet" : nil
    case .unreachable(let reason)?, .refused(let reason)?:
        "the leader could not be asked whether it accepts writes: \(reason)"
    case .withoutCitus?: "the leader's database has no Citus"
    case nil: "the leader was not asked whether it accepts writes"
    }
}
