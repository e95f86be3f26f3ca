// SPDX-License-Identifier: Apache-2.0
import Decision

/// etcd, as far as the groups' keys go: revisions, and the replacement by an empty cluster under another number or the same.
struct CitusEtcd {
    private(set) var clusterID: UInt64 = 1
    private(set) var revision: Int64 = 1
    private(set) var leaders: [Int: (name: String, since: Int64)] = [:]
    private var members: [Int: [String: GroupMember]] = [:]
    private var switchovers: [Int: String] = [:]
    /// What has changed since it was asked last.
    private(set) var news: [(revision: Int64, change: GroupChange)] = []

    mutating func takeNews() -> [(revision: Int64, change: GroupChange)] {
        defer { self.news = [] }
        return self.news
    }

    private mutating func record(_ group: Int, _ fact: GroupFact) {
        self.news.append((self.revision, GroupChange(group, fact)))
    }

    mutating func lead(_ group: Int, _ name: String?) {
        self.revision += 1
        self.leaders[group] = name.map { ($0, self.revision) }
        self.record(group, name.map { .leader($0, since: self.revision) } ?? .noLeader)
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
            if let leader = self.leaders[group] {
                facts.append(GroupChange(group, .leader(leader.name, since: leader.since)))
            }
            for (name, member) in (self.members[group] ?? [:]).sorted(by: { $0.key < $1.key }) {
                facts.append(GroupChange(group, .member(name, member)))
            }
            if let leader = self.switchovers[group] { facts.append(GroupChange(group, .requested(.from(leader)))) }
        }
        return GroupsSnapshot(clusterID: self.clusterID, revision: self.revision, facts: facts)
    }
}
