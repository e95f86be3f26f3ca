// SPDX-License-Identifier: Apache-2.0
import Decision

/// etcd, as far as the groups' keys go: revisions, and the replacement by an empty cluster under another number or the same.
struct CitusEtcd {
    private(set) var clusterID: UInt64 = 1
    private(set) var revision: Int64 = 1
    private(set) var leaders: [Int: (name: String, since: Int64, written: Int64)] = [:]
    /// Who wrote a leader key at which revision, in any history.
    private var writers: [Writing: Set<String>] = [:]
    /// Whether it is not said at which revision a key was written last.
    var hidesWrites = false
    private var members: [Int: [String: GroupMember]] = [:]
    private var switchovers: [Int: String] = [:]
    /// What has changed since it was asked last.
    private(set) var news: [(revision: Int64, change: GroupChange)] = []

    private struct Writing: Hashable {
        let cluster: UInt64
        let group: Int
        let revision: Int64
    }

    func wasWritten(_ group: Int, by name: String, at revision: Int64, of cluster: UInt64) -> Bool {
        self.writers[Writing(cluster: cluster, group: group, revision: revision)]?.contains(name) ?? false
    }

    mutating func takeNews() -> [(revision: Int64, change: GroupChange)] {
        defer { self.news = [] }
        return self.news
    }

    private mutating func record(_ group: Int, _ fact: GroupFact) {
        self.news.append((self.revision, GroupChange(group, fact)))
    }

    /// A key that is there is written over, and not created anew.
    mutating func lead(_ group: Int, _ name: String?) {
        self.revision += 1
        let since = self.leaders[group]?.since ?? self.revision
        self.leaders[group] = name.map { ($0, since, self.revision) }
        self.record(group, self.leader(group) ?? .noLeader)
        guard let name else { return }
        self.writers[Writing(cluster: self.clusterID, group: group, revision: self.revision), default: []].insert(name)
    }

    private func leader(_ group: Int) -> GroupFact? {
        self.leaders[group].map {
            .leader($0.name, since: $0.since, written: self.hidesWrites ? nil : $0.written)
        }
    }

    mutating func put(_ group: Int, _ name: String, _ member: GroupMember?) {
        self.revision += 1
        self.members[group, default: [:]][name] = member
        self.record(group, .member(name, member))
    }

    mutating func askSwitchover(_ group: Int, from leader: String?) {
        self.revision += 1
        self.switchovers[group] = leader
        self.record(group, .requested(leader.map { .from($0) }))
    }

    /// How often it was emptied under the same number: its watches end with that.
    private(set) var epoch = 0

    mutating func wipe(keepsClusterID: Bool) {
        if keepsClusterID { self.epoch += 1 } else { self.clusterID += 1 }
        self.revision = 1
        (self.leaders, self.members, self.switchovers, self.news) = ([:], [:], [:], [])
    }

    var snapshot: GroupsSnapshot {
        var facts: [GroupChange] = []
        for group in Set(self.leaders.keys).union(self.members.keys).union(self.switchovers.keys).sorted() {
            if let leader = self.leader(group) { facts.append(GroupChange(group, leader)) }
            for (name, member) in (self.members[group] ?? [:]).sorted(by: { $0.key < $1.key }) {
                facts.append(GroupChange(group, .member(name, member)))
            }
            if let leader = self.switchovers[group] { facts.append(GroupChange(group, .requested(.from(leader)))) }
        }
        return GroupsSnapshot(clusterID: self.clusterID, revision: self.revision, facts: facts)
    }
}
