// SPDX-License-Identifier: Apache-2.0

/// Places where a member of a group once was, and that etcd does not name any more: a server that was cut off as a primary is there
/// still, and its member key has ended. It is asked who it is; what cannot be reached is most often switched off for good.
public struct FormerPlaces: Hashable, Sendable {
    public private(set) var byGroup: [Int: [NodeEndpoint]] = [:]

    /// How many there were beside those: too many to be asked.
    public private(set) var leftOut = 0

    public static let limit = 256

    /// What is remembered of the etcd cluster that the leaders were read from, but for the members that it names.
    public init(_ places: KnownPlaces, of leaders: [Int: ClusterFacts.Leader], cluster: UInt64) {
        guard places.cluster == cluster else { return }
        // An address may be another group's by now.
        let members = Set(leaders.values.flatMap { Array($0.others.values) + ($0.endpoint.map { [$0] } ?? []) })
        var room = Self.limit
        for (group, known) in places.byGroup.sorted(by: { $0.key < $1.key }) {
            guard leaders[group] != nil else { continue }
            let all = known.filter { !members.contains($0) }
            let former = all.suffix(room)
            self.leftOut += all.count - former.count
            room -= former.count
            if !former.isEmpty { self.byGroup[group] = Array(former) }
        }
    }
}

/// A server at such a place that accepts writes. Where nobody listens nobody does; what does not answer was not looked at, but for what
/// a person says to be switched off.
func checkFormer(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    unknownFormer(facts)
        + facts.former.sorted { $0.key < $1.key }.flatMap { group, places -> [Finding] in
            guard let leader = facts.leaders[group] else { return [] }
            let led = group == 0 ? coordinator.facts.server : leader.endpoint.flatMap { facts.nodes[$0]?.server }
            var (findings, unasked): ([Finding], [NodeEndpoint]) = ([], [])
            let ledSystem = led?.system
            for (place, server) in places.sorted(by: { "\($0.key)" < "\($1.key)" }) {
                switch server {
                case .nobody: continue
                case .unknown: if !facts.switchedOff.contains(place) { unasked.append(place) }
                case .server(let system, _, let isInRecovery):
                    guard !isInRecovery else { continue }
                    guard let led, let ledSystem else {
                        findings.append(unjudged(group, place, leader.name, facts))
                        continue
                    }
                    // Else the address has gone to another cluster's server.
                    guard system == ledSystem, server.relation(to: led) != .same else { continue }
                    findings.append(
                        secondPrimary(
                            group, place,
                            "a server of this group accepts writes at \(place), where a member was that etcd does not name any more, and \(leader.name) leads"
                        ))
                }
            }
            if !unasked.isEmpty { findings.append(silentFormer(group, unasked, facts)) }
            return findings
        }
}

/// Where members were is not known, or not everybody was asked.
private func unknownFormer(_ facts: ClusterFacts) -> [Finding] {
    // Where nothing is remembered there was nobody to ask; the walk after a restore says so in its own words.
    guard let problem = facts.formerProblem ?? (facts.isAfterRestore ? nil : facts.forgotten) else { return [] }
    return [
        Finding(
            .notLookedAt, facts.unseenSeverity(otherwise: .note),
            "where members were that etcd does not name any more was not looked at everywhere: \(problem)",
            .init("Run pharos verify as root on the coordinator's node, whose daemon remembers where they were."))
    ]
}

private func silentFormer(_ group: Int, _ places: [NodeEndpoint], _ facts: ClusterFacts) -> Finding {
    let list = places.prefix(5).map { "\($0)" }.joined(separator: ", ") + (places.count > 5 ? ", …" : "")
    let options = places.prefix(5).map { "--switched-off \($0)" }.joined(separator: " ")
    var finding = Finding(
        .notLookedAt, facts.unseenSeverity(otherwise: .note), group: group,
        "\(places.count) places where a member was could not be asked whether a server accepts writes there: \(list)",
        .init(
            facts.isAfterRestore
                ? "Go and see that the servers there are switched off, and stay so. Then say it: pharos verify --after-restore \(options)"
                : "If a server was cut off there and may come back, see that it is switched off."))
    finding.unseen = places
    return finding
}

/// It may be the leader itself by another address, or another cluster's server, which has the address now.
private func unjudged(_ group: Int, _ place: NodeEndpoint, _ leader: String, _ facts: ClusterFacts) -> Finding {
    var finding = Finding(
        .notLookedAt, facts.unseenSeverity(otherwise: .warning), group: group, node: place,
        "a server accepts writes at \(place), where a member was that etcd does not name any more; who it is cannot be told, because \(leader), which leads, could not be asked who it is",
        .init(
            "See that \(leader) can be asked (row-unreachable, extension-missing), and verify again. If \(place) is not \(leader) by another address, find out which server that is."
        ))
    finding.unseen = [place]
    return finding
}

/// A server of a group accepts writes beside the one that leads.
func secondPrimary(_ group: Int, _ place: NodeEndpoint, _ what: String) -> Finding {
    let consequence =
        group == 0
        ? "its background worker writes its own pg_dist_node over those of the workers"
        : "what is written to it is lost"
    return Finding(
        group == 0 ? .secondCoordinator : .secondPrimary, .critical, group: group, node: place,
        "\(what): \(consequence)",
        .init(
            "Stop PostgreSQL there at once, see that no postgres process is left, verify again, and let Patroni bring it back as a standby.",
            refusal: "Pharos does not stop PostgreSQL"))
}

extension ServerIdentity {
    fileprivate var system: String? { if case .server(let system, _, _) = self { system } else { nil } }
}

extension NodeAnswer {
    fileprivate var server: ServerIdentity? { if case .answered(let node) = self { node.server } else { nil } }
}
