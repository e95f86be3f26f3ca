// SPDX-License-Identifier: Apache-2.0

/// Every server that answered, with its group: the leader, the other members, and what the rows name.
private func members(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator)
    -> [(group: Int, endpoint: NodeEndpoint?, isLeader: Bool, facts: NodeFacts)]
{
    facts.leaders.sorted { $0.key < $1.key }.flatMap { group, leader in
        var members: [(group: Int, endpoint: NodeEndpoint?, isLeader: Bool, facts: NodeFacts)] = []
        if group == 0 {
            members.append((0, leader.endpoint, true, coordinator.facts))
        } else if let place = leader.endpoint, case .answered(let node)? = facts.nodes[place] {
            members.append((group, place, true, node))
        }
        for (_, place) in leader.others.sorted(by: { $0.key < $1.key }) where place != leader.endpoint {
            if case .answered(let node)? = facts.nodes[place] { members.append((group, place, false, node)) }
        }
        return members
    }
}

/// All members of a group are copies of one PostgreSQL cluster, and no two groups of the same one.
func checkSystems(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    var leaders: [Int: String] = [:]
    var findings: [Finding] = []
    for member in members(facts, coordinator) {
        guard case .server(let system, _, _) = member.facts.server else { continue }
        if member.isLeader {
            leaders[member.group] = system
        } else if let own = leaders[member.group], own != system {
            findings.append(
                Finding(
                    .systemWrong, .critical, group: member.group, node: member.endpoint,
                    "its system identifier is \(system), the leader's is \(own): it is no copy of the leader",
                    .init(
                        "Find out what was restored or initialized there; Patroni brings it back with patronictl reinit.",
                        refusal: "its data may be the only ones")))
        }
    }
    for (system, groups) in Dictionary(grouping: leaders, by: \.value).sorted(by: { $0.key < $1.key })
    where groups.count > 1 {
        let names = groups.map(\.key).sorted().map(String.init).joined(separator: " and ")
        findings.append(
            Finding(
                .systemWrong, facts.isAfterRestore ? .critical : .warning,
                "the leaders of groups \(names) have one system identifier (\(system)): one was made from the other's backup",
                .init(
                    "If a backup was restored onto the wrong group's servers, restore the right one. If the group was made so, this stays.",
                    refusal: "which one is right is an operator's to say")))
    }
    return findings
}

/// A server whose library is of another version than the extension refuses every call of Citus's, `citus_update_node` too. A standby has
/// the leader's extension, and its own library.
func checkLibraries(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    members(facts, coordinator).compactMap { member in
        guard let library = member.facts.citusLibrary.flatMap({ CitusRelease($0) }),
            let installed = member.facts.citusVersion.flatMap({ CitusRelease($0) }), library != installed
        else { return nil }
        let consequence =
            member.isLeader
            ? "Citus refuses every call, and no row of pg_dist_node can follow"
            : "once it leads, Citus refuses every call"
        return Finding(
            .versionsDiffer, member.isLeader ? .critical : .warning, group: member.group, node: member.endpoint,
            "its library is Citus \(library), the extension \(installed): \(consequence)",
            .init(
                "Bring all members of the group to one version of the package; then, in each database of its leader, as a superuser:",
                sql: ["alter extension citus update"],
                on: StatementPlace(facts.leaders[member.group]?.endpoint, leads: member.group),
                refusal: "it is an upgrade"))
    }
}

/// A standby that follows another timeline than its leader writes follows somebody else.
func checkTimelines(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    var leaders: [Int: Int] = [:]
    return members(facts, coordinator).compactMap { member in
        if member.isLeader {
            leaders[member.group] = member.facts.isInRecovery ? nil : member.facts.timeline
            return nil
        }
        guard member.facts.isInRecovery, let own = leaders[member.group], let there = member.facts.timeline,
            own != there
        else { return nil }
        return Finding(
            .timelineDiffers, .warning, group: member.group, node: member.endpoint,
            "it receives timeline \(there), and the leader writes timeline \(own): it does not follow the leader",
            .init(
                "Look at its log, and at patronictl list; patronictl reinit brings it back.", refusal: "Patroni does it"
            ))
    }
}
