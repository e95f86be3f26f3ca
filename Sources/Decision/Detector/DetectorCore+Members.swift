// SPDX-License-Identifier: Apache-2.0

/// Who is watched: what etcd says of the groups and their members.
extension DetectorCore {
    /// This member itself too: what its own daemon cannot reach, nobody can.
    private func isWatched(_ id: MemberID) -> Bool {
        self.settings.watchesAllGroups || id.group == self.settings.group
    }

    mutating func learn(_ event: GroupsEvent, at now: Instant, _ reports: inout [DetectorReport]) {
        switch event {
        case .read(let snapshot, let sentAt):
            // Whoever asked for it, and whenever: it is as true as it is old.
            self.groupsQuestion.answered()
            self.groupsQuestion.due = now + self.readPace
            self.viewReadAt = max(self.viewReadAt ?? sentAt, sentAt)
            self.learn(snapshot, sentAt: sentAt, at: now, &reports)
        case .unread:
            self.groupsQuestion.answered()
            self.groupsQuestion.due = now + Self.readPause
        case .changed(let clusterID, let revision, let changes):
            guard clusterID == self.clusterID else { self.groupsQuestion.hasten(to: now); return }
            self.advance(to: revision, at: now)
            for change in changes { self.learn(change, at: revision, now, &reports) }
        }
    }

    private mutating func advance(to revision: Int64, at now: Instant) {
        guard revision > self.revision else { return }
        (self.revision, self.revisionLearnedAt) = (revision, now)
    }

    private mutating func learn(
        _ snapshot: GroupsSnapshot, sentAt: Instant, at now: Instant, _ reports: inout [DetectorReport]
    ) {
        let wentBack = snapshot.revision < self.revision && sentAt > self.revisionLearnedAt
        if snapshot.clusterID != self.clusterID || wentBack {
            // An etcd that was rebuilt: what is known of the one before is past.
            (self.groups, self.revision, self.clusterID) = ([:], 0, snapshot.clusterID)
        }
        self.advance(to: snapshot.revision, at: now)
        var facts: [Int: [GroupFact]] = [:]
        for change in snapshot.facts {
            facts[change.group, default: []].append(change.fact)
            self.learn(change, at: snapshot.revision, now, &reports)
        }
        for group in self.groups.keys {
            self.groups[group]?.forgetAllBut(facts[group] ?? [], at: snapshot.revision, now: now)
        }
        for id in self.targets.keys.sorted() { self.noteMember(id, at: now, &reports) }
    }

    private mutating func learn(
        _ change: GroupChange, at revision: Int64, _ now: Instant, _ reports: inout [DetectorReport]
    ) {
        guard self.groups[change.group] != nil || self.groups.count < Self.groupLimit else { return }
        let before = self.groups[change.group]?.leader?.name
        _ = self.groups[change.group, default: Group()].learn(change.fact, at: revision, now: now)
        if case .member(let name, _) = change.fact { self.noteMember(MemberID(change.group, name), at: now, &reports) }
        let after = self.groups[change.group]?.leader?.name
        guard before != after else { return }
        for name in [before, after].compactMap({ $0 }) {
            self.reconsider(MemberID(change.group, name), at: now, &reports)
        }
    }

    /// Takes note of whether etcd names a member.
    private mutating func noteMember(_ id: MemberID, at now: Instant, _ reports: inout [DetectorReport]) {
        guard self.isWatched(id) else { return }
        let isThere = self.groups[id.group]?.members[id.name] != nil
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
        self.checkIsolation(at: now, &reports)
        self.reconsider(id, at: now, &reports)
    }

    /// A member's share of the interval: the same for one daemon and member, different for any other.
    private func phase(of id: MemberID) -> Duration {
        var hash = self.settings.seed ^ 0xcbf2_9ce4_8422_2325
        for byte in "\(id.group)/\(id.name)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return self.profile.spacing * Int(hash % 1000) / 1000
    }
}
