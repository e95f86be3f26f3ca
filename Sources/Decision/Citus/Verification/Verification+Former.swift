// SPDX-License-Identifier: Apache-2.0

/// Places where a member of a group once was, and that etcd does not name any more: a server that was cut off as a primary is there
/// still, and its member key has ended. It is asked who it is; what cannot be reached is most often switched off for good.
public struct FormerPlaces: Hashable, Sendable {
    public private(set) var byGroup: [Int: [NodeEndpoint]] = [:]

    /// Of one group, the newest; and of all.
    public static let limit = 8
    public static let totalLimit = 256

    /// What is remembered of the etcd cluster that the leaders were read from, but for the members that it names.
    public init(_ places: KnownPlaces, of leaders: [Int: ClusterFacts.Leader], cluster: UInt64) {
        guard places.cluster == cluster else { return }
        var room = Self.totalLimit
        for (group, known) in places.byGroup.sorted(by: { $0.key < $1.key }) {
            guard let leader = leaders[group] else { continue }
            let members = Set(leader.others.values).union([leader.endpoint].compactMap { $0 })
            let former = known.filter { !members.contains($0) }.suffix(min(Self.limit, room))
            room -= former.count
            if !former.isEmpty { self.byGroup[group] = Array(former) }
        }
    }
}

/// A server at such a place that accepts writes.
func checkFormer(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    facts.former.sorted { $0.key < $1.key }.flatMap { group, places -> [Finding] in
        guard let leader = facts.leaders[group] else { return [] }
        let led = group == 0 ? coordinator.facts.server : leader.endpoint.flatMap { facts.nodes[$0]?.server }
        var (findings, unasked): ([Finding], [NodeEndpoint]) = ([], [])
        for (place, server) in places.sorted(by: { "\($0.key)" < "\($1.key)" }) {
            switch server {
            case .unknown: unasked.append(place)
            case .server(let system, _, let isInRecovery):
                guard !isInRecovery, server.isOfCluster(led), led.map({ server.relation(to: $0) }) != .same else {
                    continue
                }
                let doubt = led?.system == nil ? " (the leader itself could not be asked who it is)" : ""
                findings.append(secondPrimary(group, place, leader.name, system, doubt))
            }
        }
        if !unasked.isEmpty {
            let list = unasked.prefix(5).map { "\($0)" }.joined(separator: ", ") + (unasked.count > 5 ? ", …" : "")
            findings.append(
                Finding(
                    .notLookedAt, .note, group: group,
                    "\(unasked.count) places where a member was could not be asked whether a server accepts writes there: \(list)",
                    .init("If a server was cut off there and may come back, see that it is switched off.")))
        }
        return findings
    }
}

private func secondPrimary(
    _ group: Int, _ place: NodeEndpoint, _ leader: String, _ system: String, _ doubt: String
) -> Finding {
    let consequence =
        group == 0
        ? "its background worker writes its own pg_dist_node over those of the workers"
        : "what is written to it is lost"
    return Finding(
        group == 0 ? .secondCoordinator : .secondPrimary, .critical, group: group, node: place,
        "a server of this group accepts writes at \(place), where a member was that etcd does not name any more, and \(leader) leads: \(consequence)\(doubt)",
        .init(
            "Stop PostgreSQL there at once, see that no postgres process is left, verify again, and let Patroni bring it back as a standby.",
            refusal: "Pharos does not stop PostgreSQL"))
}

extension ServerIdentity {
    fileprivate var system: String? { if case .server(let system, _, _) = self { system } else { nil } }

    /// Whether it may be of the cluster whose leader is `leader`: an address may have gone to another cluster's server since.
    fileprivate func isOfCluster(_ leader: ServerIdentity?) -> Bool {
        leader?.system == nil || leader?.system == self.system
    }
}

extension NodeAnswer {
    fileprivate var server: ServerIdentity? { if case .answered(let node) = self { node.server } else { nil } }
}
