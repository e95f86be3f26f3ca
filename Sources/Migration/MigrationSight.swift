// SPDX-License-Identifier: Apache-2.0
public import NetworkAddress

/// What etcd and this node's kernel said when they were asked, or why they said nothing.
public struct MigrationSight: Sendable, Equatable {
    /// Patroni's leader key, by API v3.
    public enum Leader: Sendable, Equatable {
        case named(String)
        case absent
        case notAsked(String)
    }

    /// Where an address stands on this node.
    public enum Standing: Sendable, Equatable {
        /// Interface, prefix length and lifetime, for people; empty: nowhere.
        case places([String])
        case notAsked(String)
    }

    public var leader: Leader
    /// The members that etcd names; nil: not known.
    public var members: [String]?
    /// Whether Pharos has met this etcd before; nil: not known.
    public var isMarked: Bool?
    public var standings: [(address: IPAddress, standing: Standing)]

    public init(
        leader: Leader, members: [String]?, isMarked: Bool?, standings: [(address: IPAddress, standing: Standing)]
    ) {
        (self.leader, self.members, self.isMarked, self.standings) = (leader, members, isMarked, standings)
    }

    public static func == (one: MigrationSight, other: MigrationSight) -> Bool {
        one.leader == other.leader && one.members == other.members && one.isMarked == other.isMarked
            && one.standings.elementsEqual(other.standings) { $0.address == $1.address && $0.standing == $1.standing }
    }

    /// As lines for people; what needs a look begins with `!`.
    func lines(key: Former.Said<String>?, leaderKey: String, member: String) -> [String] {
        var lines: [String] = []
        lines.append(
            key.map { "  \($0.name) (\($0.place)) is the leader key of Patroni's file: \(leaderKey)" }
                ?? "  the old file names no key of etcd; the leader key of Patroni's file is \(leaderKey)")
        switch self.leader {
        case .named(let name): lines.append("  it names \(name)\(name == member ? ", this member" : "")")
        case .absent:
            lines.append(
                "! etcd has no such key now (API v3): nobody leads, or Patroni keeps its keys elsewhere (API v2: section 'etcd' instead of 'etcd3')"
            )
        case .notAsked(let reason):
            lines.append("! etcd could not be asked, so whether the key exists is not known: \(reason)")
        }
        if let members = self.members {
            let found = members.contains(member)
            lines.append(
                "\(found ? " " : "!") members in etcd: \(members.isEmpty ? "none" : members.joined(separator: ", "))\(found ? "" : "; this one, \(member), is not among them")"
            )
        }
        if self.isMarked == false {
            lines.append("  Pharos has not met this etcd yet: its first daemon waits for one TTL, once")
        }
        for (address, standing) in self.standings { lines.append(self.line(address, standing, member)) }
        if case .named(let name) = self.leader, name != member {
            lines.append("  what \(name)'s kernel has cannot be seen from here; on \(name): ip -brief address show")
        }
        return lines
    }

    private func line(_ address: IPAddress, _ standing: Standing, _ member: String) -> String {
        let leads: Bool? =
            switch self.leader {
            case .named(let name): name == member
            case .absent, .notAsked: nil
            }
        switch standing {
        case .notAsked(let reason): return "! whether \(address) stands on this node is not known: \(reason)"
        case .places(let places) where places.isEmpty:
            return leads == true
                ? "! \(address) does not stand on this node, though it leads: the old program does not work here, or has not yet"
                : "  \(address) does not stand on this node"
        case .places(let places):
            let text = "\(address) stands on this node: \(places.joined(separator: ", "))"
            return leads == false ? "! \(text), though another member leads: two nodes may have it now" : "  \(text)"
        }
    }
}
