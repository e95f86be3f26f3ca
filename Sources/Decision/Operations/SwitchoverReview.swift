// SPDX-License-Identifier: Apache-2.0

/// Judges a switchover that somebody asks for: what would be done, and what speaks against it.
public struct SwitchoverReview {
    private let group: Int
    private let wanted: String?
    let facts: SwitchoverFacts

    /// `wanted`: nil: the member that is fit best.
    public init(group: Int, to wanted: String?, _ facts: SwitchoverFacts) {
        (self.group, self.wanted, self.facts) = (group, wanted, facts)
    }

    // MARK: - The candidate

    /// Who leads, and who would after it; nil: nobody could, or it is not known.
    public static func pair(
        to wanted: String?, _ keys: SwitchoverFacts.Keys, _ sight: SwitchoverSight, in group: Int
    ) -> (leader: String, candidate: String)? {
        guard group == sight.ownGroup, let leader = keys.leader?.name else { return nil }
        if let wanted { return wanted != leader && keys.members[wanted] != nil ? (leader, wanted) : nil }
        let best = keys.members.keys.filter { $0 != leader }.min { one, other in
            Self.rank(one, keys, sight) < Self.rank(other, keys, sight)
        }
        return best.map { (leader, $0) }
    }

    /// Less is better: grave objections, others, bytes behind, the name.
    private static func rank(
        _ name: String, _ keys: SwitchoverFacts.Keys, _ sight: SwitchoverSight
    ) -> (Int, Int, Int64, String) {
        let found = ObjectionRule.ofCandidate.compactMap { self.objection($0, name, keys, sight) }
        let lag = self.lag(of: name, keys, sight)?.bytes ?? .max
        return (found.count(where: \.rule.isGrave), found.count { !$0.rule.isGrave }, lag, name)
    }

    // MARK: - Hindrances

    private var hindrances: [Hindrance] {
        guard self.group == self.facts.sight.ownGroup else {
            let names = self.facts.sight.strangers
            let place = names.isEmpty ? "a node of that group" : names.joined(separator: " or ")
            return [
                Hindrance(
                    "other_group",
                    "group \(self.group) is not the one of this node's Patroni (\(self.facts.sight.ownGroup)), which alone is asked",
                    advice: "on \(place): pharos switchover")
            ]
        }
        guard case .seen(let keys, _) = self.facts.keys else {
            guard case .unseen(let reason) = self.facts.keys else { return [] }
            return [
                Hindrance(
                    "etcd_unreadable",
                    "etcd could not be read, so that nobody could be kept from doing the same: \(reason)",
                    advice: "etcdctl endpoint health --cluster; pharos why")
            ]
        }
        guard let leader = keys.leader?.name else {
            return [
                Hindrance(
                    "no_leader", "nobody leads group \(self.group): there is nothing to switch over from",
                    advice: "patronictl list; if it stays: patronictl failover")
            ]
        }
        if let claimant = keys.claimant {
            return [
                Hindrance(
                    "under_way", "a switchover of the group is under way, asked for by the daemon of \(claimant)",
                    advice: "pharos cluster shows who leads; a claim ends by itself within two minutes")
            ]
        }
        if keys.isRequested {
            return [
                Hindrance(
                    "requested", "somebody has asked Patroni for another leader already (its key failover)",
                    advice: "wait for it, or call a scheduled one off: patronictl flush switchover")
            ]
        }
        if let wanted = self.wanted {
            if wanted == leader {
                return [Hindrance("leads_already", "\(wanted) leads already", advice: "nothing is to be done")]
            }
            guard keys.members[wanted] != nil else {
                let names = keys.members.keys.filter { $0 != leader }.sorted().prefix(16).joined(separator: ", ")
                return [
                    Hindrance(
                        "unknown_member", "Patroni knows no member '\(wanted)' in group \(self.group)",
                        advice: names.isEmpty ? "there is no member beside \(leader)" : "one of: \(names)")
                ]
            }
        } else if keys.members.keys.allSatisfy({ $0 == leader }) {
            return [
                Hindrance(
                    "no_candidate", "\(leader) is alone: there is nobody who could lead after it",
                    advice: "patronictl list; start a standby's Patroni first")
            ]
        }
        return []
    }

    // MARK: - All of it

    public var review: Review {
        let place = "group \(self.group)"
        let hindrances = self.hindrances
        guard hindrances.isEmpty, let keys = self.facts.keys.value, let leader = keys.leader,
            let pair = Self.pair(to: self.wanted, keys, self.facts.sight, in: self.group)
        else {
            return Review(
                summary: "switch \(place) over\(self.wanted.map { " to \($0)" } ?? "")",
                hindrances: hindrances, action: nil)
        }
        let order = SwitchoverOrder(
            leader: MemberID(self.group, pair.leader), since: leader.since,
            candidate: MemberID(self.group, pair.candidate))
        return Review(
            summary: "switch \(place) over from \(pair.leader) to \(pair.candidate)", mustName: pair.leader,
            steps: [
                "claim the group's switchover in etcd, if \(pair.leader) still leads and nothing has moved",
                "ask Patroni of this node to switch over from \(pair.leader) to \(pair.candidate)",
                "look in etcd who leads, until that is known: three and a half minutes at most",
            ], effects: self.effects(pair),
            objections: ObjectionRule.allCases.compactMap { self.objection($0, pair, keys) },
            bound: Self.bound(keys, leader), action: .switchOver(order, keys.revisions))
    }

    private func effects(_ pair: (leader: String, candidate: String)) -> [String] {
        let addresses = self.facts.sight.addresses
        return [
            "sessions on \(pair.leader) end; clients cannot write until \(pair.candidate) is promoted: some seconds, longer where the stop takes long",
            addresses.isEmpty
                ? nil
                : "\(addresses.joined(separator: ", ")) move\(addresses.count == 1 ? "s" : "") to \(pair.candidate)",
            self.facts.sight.citus == nil ? nil : "pg_dist_node names \(pair.candidate) afterwards",
            "to go back, once \(pair.leader) streams: pharos switchover --to \(pair.leader)",
        ].compactMap(\.self)
    }

    private static func bound(_ keys: SwitchoverFacts.Keys, _ leader: (name: String, since: Int64)) -> [BoundFact] {
        func at(_ revision: Int64) -> String { revision == 0 ? "absent" : "of revision \(revision)" }
        return [
            BoundFact("the leader", "\(leader.name), since revision \(leader.since)"),
            BoundFact("Patroni's configuration", at(keys.revisions.config)),
            BoundFact("Patroni's key failover", at(keys.revisions.failover)),
            BoundFact("Patroni's key sync", at(keys.revisions.sync)),
            BoundFact("the members", keys.members.keys.sorted().joined(separator: " ")),
        ]
    }
}
