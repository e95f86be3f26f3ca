// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import Journal

/// Whether the members of one etcd cluster know each other, as they themselves tell.
///
/// A member that was started with `--force-new-cluster` keeps its cluster's number: if the former members come back, two clusters
/// have one name, and grant leases each for itself. Nothing that is compared with the cluster's number shows that; their lists
/// of members do. One that is cut off from the others may have an old list, too.
struct EtcdDivision {
    /// One endpoint's member that another endpoint's list does not name.
    struct Contradiction: Hashable {
        let endpoint: String
        /// Who tells a list without it.
        let toldBy: String
    }

    private var before: Set<Contradiction> = []
    private var isTold = false

    static func contradictions(_ lists: [EtcdMemberList]) -> [Contradiction] {
        var found: [Contradiction] = []
        for list in lists where list.header.memberID != 0 {
            // A list that is cut off at its limit says nothing of who is not in it.
            for other in lists where other.members.count < EtcdMemberList.limit {
                guard other.header.clusterID == list.header.clusterID, other.header.memberID != list.header.memberID
                else { continue }
                if other.members.contains(where: { $0.id == list.header.memberID }) { continue }
                found.append(Contradiction(endpoint: list.toldBy, toldBy: other.toldBy))
            }
        }
        return found.sorted { ($0.endpoint, $0.toldBy) < ($1.endpoint, $1.toldBy) }
    }

    /// Takes over what one look has found. A member that was just added is not known everywhere at once: what two looks in a row
    /// find is told.
    mutating func look(_ lists: [EtcdMemberList]) -> LogRecord? {
        let found = Self.contradictions(lists)
        defer { self.before = Set(found) }
        let lasting = found.filter { self.before.contains($0) }
        if !self.isTold, !lasting.isEmpty {
            self.isTold = true
            return .etcdMembersDivided(lasting)
        }
        // Of one that does not answer nothing is known.
        guard self.isTold, found.isEmpty, lists.count > 1 else { return nil }
        self.isTold = false
        return .etcdMembersUnited
    }

    /// Something is found that has not been told.
    var isDoubtful: Bool { !self.before.isEmpty || self.isTold }
}

extension LogRecord {
    static func etcdMembersDivided(_ found: [EtcdDivision.Contradiction]) -> LogRecord {
        let list = found.prefix(4).map { "\($0.toldBy) names no member at \($0.endpoint)" }.joined(separator: "; ")
        let endpoints = Set(found.flatMap { [$0.endpoint, $0.toldBy] }).sorted()
        return LogRecord(
            .etcdMembersDivided,
            "etcd's endpoints answer for one cluster, and do not know each other as its members: \(list). One of them was started with --force-new-cluster while others of its former cluster run, or is cut off from them: each side may grant leases that the other knows nothing of. Compare: etcdctl --endpoints=\(endpoints.prefix(8).joined(separator: ",")) member list. Stop the etcd that does not belong to Patroni's cluster, remove its data folder, and add it as a new member",
            ["ENDPOINTS": endpoints.prefix(8).joined(separator: " ")])
    }

    static var etcdMembersUnited: LogRecord {
        LogRecord(.etcdMembersUnited, "etcd's endpoints know each other as members of one cluster again")
    }
}
