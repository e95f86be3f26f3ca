// SPDX-License-Identifier: Apache-2.0
import Decision

/// What the daemons read in etcd, on either of the two ways: what the addresses hang on, and what is known of the groups.
extension DetectorWorld {
    /// The groups' keys, as a read shows them that `index` sends now.
    func snapshot(for index: Int) -> Decision.Event {
        let facts = self.nodes.indices.map { index in
            GroupChange(
                0,
                .member(
                    Self.name(index),
                    GroupMember(
                        endpoint: NodeEndpoint(Self.name(index), 5432), isRunning: true,
                        isPrimary: index == self.leader, api: "http://\(Self.name(index))")))
        }
        return .groups(
            .read(
                GroupsSnapshot(
                    clusterID: 7, revision: self.revision,
                    facts: facts + [GroupChange(0, .leader(Self.name(self.leader), since: self.since))]),
                sentAt: self.instant(index)))
    }

    /// The daemon's own read of etcd.
    mutating func read(by index: Int) {
        let sentAt = self.instant(index)
        guard self.nodes[index].reachesEtcd else {
            self.queue.schedule(.deliver(index, .readFailed(reason: "cut off")), at: self.now + 2 * Self.second)
            return
        }
        let snapshot = Snapshot(
            clusterID: 7, revision: self.revision, leader: Self.name(self.leader), patroni: self.config,
            mark: ClusterMark(clusterID: 7, revision: 1))
        self.queue.schedule(.deliver(index, .readAnswered(snapshot, sentAt: sentAt)), at: self.now + 3000)
    }

    /// The read of the groups' keys.
    mutating func readGroups(by index: Int) {
        // Where only this way is dead, nobody answers; sometimes not even that it failed is known.
        guard !self.nodes[index].isBlind else { return }
        let isReached = self.nodes[index].reachesEtcd
        if isReached { self.nodes[index].lookedAt = self.now }
        self.queue.schedule(
            .deliver(index, isReached ? self.snapshot(for: index) : .groups(.unread(reason: "cut off"))),
            at: self.now + 3000)
    }

    mutating func setBlind(_ index: Int, _ isBlind: Bool) {
        guard self.nodes[index].isBlind != isBlind else { return }
        self.nodes[index].isBlind = isBlind
        // Its follower reads anew.
        if !isBlind, self.nodes[index].reachesEtcd { self.lookAnew(index) }
    }

    /// Everything of the groups and of what others have published is read, and followed from there.
    mutating func lookAnew(_ index: Int) {
        guard !self.nodes[index].isBlind else { return }
        self.nodes[index].lookedAt = self.now
        self.queue.schedule(.deliver(index, self.snapshot(for: index)), at: self.now + 2000)
        var others: [MemberID: Observation] = [:]
        for (other, observation) in self.observations where other != index { others[Self.id(other)] = observation }
        self.queue.schedule(.deliver(index, .detector(.observationsRead(others))), at: self.now + 2001)
        self.queue.schedule(
            .deliver(index, .detector(.claimsRead(self.claim.map { [0: Self.name($0)] } ?? [:]))), at: self.now + 2002)
    }

    static func limits(_ mutation: DetectorMutation?) -> AnswerLimits {
        var limits = AnswerLimits()
        if mutation == .agelessView { limits.request = .seconds(1 << 40) }
        return limits
    }

    /// Whether an answer is lost for good.
    mutating func isLost() -> Bool { !self.isHealing && self.random.chance(0.003) }

    /// Who acts has looked lately: two reads are 20 s apart, and a request takes 5 s at most.
    mutating func checkView(of index: Int) {
        let age = Double(self.now - self.nodes[index].lookedAt) * self.nodes[index].drift
        if age > Double(26 * Self.second) {
            self.fail("\(Self.name(index)) acts on what it knew of the groups \(Int(age / 1e6)) s ago")
        }
    }
}
