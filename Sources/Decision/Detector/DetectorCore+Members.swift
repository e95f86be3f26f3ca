// SPDX-License-Identifier: Apache-2.0

/// Who is watched: what etcd says of the groups and their members.
extension DetectorCore {
    /// This member itself too: what its own daemon cannot reach, nobody can.
    private func isWatched(_ id: MemberID) -> Bool {
        self.settings.watchesAllGroups || id.group == self.settings.group
    }

    /// Takes over what has changed in the view of the groups.
    mutating func learn(_ news: GroupsNews, _ view: GroupsView, at now: Instant, _ reports: inout [DetectorReport]) {
        switch news {
        case .read(let learned, _):
            self.learn(learned, view, at: now, &reports)
            for id in self.targets.keys.sorted() { self.noteMember(id, view, at: now, &reports) }
        case .changed(let learned): self.learn(learned, view, at: now, &reports)
        case .unread, .ofAnotherCluster: break
        }
    }

    private mutating func learn(
        _ learned: GroupsNews.Learned, _ view: GroupsView, at now: Instant, _ reports: inout [DetectorReport]
    ) {
        for change in learned.named {
            guard case .member(let name, _) = change.fact else { continue }
            self.noteMember(MemberID(change.group, name), view, at: now, &reports)
        }
        for (group, before, after) in learned.leaders where before?.name != after?.name {
            for leader in [before, after].compactMap({ $0 }) {
                self.reconsider(MemberID(group, leader.name), view, at: now, &reports)
            }
        }
    }

    /// Takes note of whether etcd names a member.
    private mutating func noteMember(
        _ id: MemberID, _ view: GroupsView, at now: Instant, _ reports: inout [DetectorReport]
    ) {
        guard self.isWatched(id) else { return }
        let isThere = view.groups[id.group]?.members[id.name] != nil
        if self.targets[id] == nil {
            guard isThere, self.targets.count < Self.targetLimit else { return }
            self.targets[id] = Target()
            self.setDoubt(id, Observation.Doubt(patroni: .unknown, postgres: .unknown))
            self.queue.put(id, due: now + self.phase(of: id))
        }
        if isThere {
            self.targets[id]?.missingSince = nil
        } else if self.targets[id]?.missingSince == nil {
            self.targets[id]?.missingSince = now
        }
        self.checkIsolation(view, at: now, &reports)
        self.reconsider(id, view, at: now, &reports)
    }

    /// A member's share of the interval: the same for one daemon and member, different for any other.
    private func phase(of id: MemberID) -> Duration {
        var hash = self.settings.seed ^ 0xcbf2_9ce4_8422_2325
        for byte in "\(id.group)/\(id.name)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return self.profile.spacing * Int(hash % 1000) / 1000
    }
}
