// SPDX-License-Identifier: Apache-2.0

/// What the failure detector of this daemon holds, and on what grounds.
public struct DetectorStatus: Sendable {
    /// What all sources together say of one aspect of a member.
    public struct Aspect: Sendable {
        public let aspect: DetectorAspect
        public let state: DetectorState
        public let since: Instant?
        public let evidence: [Evidence]
        /// How many sources hold it failed, of how many that can be heard, and how many would have to.
        public let accusers: Int
        public let heard: Int
        public let needed: Int
        /// The score of this daemon's own probes, and the one at which they hold it failed.
        public let score: Double
        public let threshold: Double
        /// The first failure that has not been forgotten, and the last success.
        public let firstFailureAt: Instant?
        public let lastHealthyAt: Instant?
        /// When suppression ends by itself; nil where there is none.
        public let suppressedUntil: Instant?
    }

    public struct Target: Sendable {
        public let id: MemberID
        public let verdict: DetectorVerdict
        public let reason: String
        public let isLeader: Bool
        /// Bytes behind the leader; nil: not known.
        public let lag: Int64?
        public let aspects: [Aspect]
    }

    public let profile: DetectorProfile
    /// Whether nobody answers this daemon at present, so that it says nothing of anybody.
    public let isIsolated: Bool
    /// Whether that has lasted for as long as it takes to call a member failed.
    public let isCutOff: Bool
    /// The local-health multiplier S: thresholds are S + 1 times what the profile says.
    public let multiplier: Int
    /// Sorted.
    public let targets: [Target]
    /// The members of a group that all accept writes, by group.
    public let splitBrains: [Int: [MemberID]]
    public let etcd: EtcdCondition
    /// When the newest read of the groups' keys was sent that was answered; nil: none was.
    public let viewReadAt: Instant?
    /// Whether that was long ago, so that nothing is concluded from it.
    public let isViewOld: Bool
    /// Why no switchover is asked for; nil while one is wanted.
    public let obstacle: SwitchoverObstacle?
    /// That reactions are paused; nil: they are not.
    public let pause: ReactionPause?
}

extension DetectorCore {
    func status(_ view: GroupsView) -> DetectorStatus {
        DetectorStatus(
            profile: self.profile, isIsolated: self.isIsolated, isCutOff: self.isCutOff,
            multiplier: self.health.multiplier,
            targets: self.targets.keys.sorted().compactMap { id in
                self.targets[id].map { self.status(of: id, $0, view) }
            },
            splitBrains: self.splitBrains, etcd: self.etcd.condition,
            viewReadAt: view.readAt, isViewOld: self.isEtcdInContact && !self.hasContact,
            obstacle: self.obstacle(view), pause: self.reactionPause)
    }

    private func obstacle(_ view: GroupsView) -> SwitchoverObstacle? {
        switch self.decideSwitchover(view) {
        case .forbidden(let obstacle): obstacle
        case .order: nil
        }
    }

    private func status(of id: MemberID, _ target: Target, _ view: GroupsView) -> DetectorStatus.Target {
        let isLeader = view.groups[id.group]?.leader?.name == id.name
        return DetectorStatus.Target(
            id: id, verdict: target.verdict, reason: self.rule(for: id, target, view).reason, isLeader: isLeader,
            lag: target.lag,
            aspects: [
                self.status(.patroni, of: id, target.patroni, target.patroniConsensus, view),
                self.status(.postgres, of: id, target.postgres, target.postgresConsensus, view),
            ])
    }

    private func status(
        _ aspect: DetectorAspect, of id: MemberID, _ track: DetectorTrack, _ consensus: DetectorConsensus,
        _ view: GroupsView
    ) -> DetectorStatus.Aspect {
        DetectorStatus.Aspect(
            aspect: aspect, state: consensus.state, since: consensus.since,
            evidence: self.evidence(aspect, of: id, view),
            accusers: consensus.accusers, heard: consensus.heard, needed: self.profile.needed(of: consensus.heard),
            score: track.score, threshold: Double(self.profile.threshold * self.health.scale),
            firstFailureAt: track.firstFailureAt, lastHealthyAt: track.lastHealthyAt,
            suppressedUntil: consensus.penalty.reusableAt())
    }
}

extension Core {
    public var detectorStatus: DetectorStatus? { self.groupsView.flatMap { self.detector?.status($0) } }
}
