// SPDX-License-Identifier: Apache-2.0

/// The whole cluster as one daemon knows it: what etcd says of its groups, what their members' daemons publish, and what
/// follows from both. From any node the same, but for what only the coordinator's nodes probe.
public struct ClusterStatus: Sendable {
    public enum Role: String, Sendable {
        case leader
        /// It leads a group that follows another cluster, and accepts no writes.
        case standbyLeader = "standby leader"
        case standby
    }

    /// What a daemon says of a member.
    public struct Opinion: Sendable, Hashable {
        public let of: MemberID
        public let patroni: DetectorState
        public let postgres: DetectorState
    }

    public struct Member: Sendable {
        public let id: MemberID
        public let role: Role
        public let endpoint: NodeEndpoint?
        /// Whether PostgreSQL runs, says Patroni.
        public let isRunning: Bool
        /// Whether Patroni may make it the leader, as far as its tags say.
        public let mayLead: Bool
        /// Whether Patroni holds it synchronous; nil where replication is asynchronous.
        public let isSynchronous: Bool?
        public let verdict: DetectorVerdict
        public let reason: String
        /// Since when it is so; nil: not known.
        public let since: Instant?
        /// Bytes behind the leader; nil: not known here.
        public let lag: Int64?
        /// Whether this daemon probes it. Where not, the verdict is made of what others publish.
        public let isProbed: Bool
        /// What the daemons hold of it, this one among them; sorted. One that knows nothing of it, or is cut off, is not named.
        public let opinions: [Opinion]
        /// Whether nothing follows from its failures for now, since it comes and goes; as this daemon holds it.
        public let isSuppressed: Bool
        /// Whether its own daemon publishes.
        public let hasDaemon: Bool
        /// That daemon's version; nil: it does not say.
        public let version: String?
    }

    public struct Address: Sendable, Hashable {
        public let id: AddressID
        /// The member that its key names; nil: nobody holds it.
        public let holder: String?
        /// The daemons of the group that look after it, of those that say what they look after.
        public let lookedAfterBy: [String]
    }

    public struct Group: Sendable {
        public let number: Int
        public let leader: String?
        /// When this daemon learned of the present leader.
        public let leaderSeenAt: Instant?
        public let isSwitchingOver: Bool
        public let isStandbyCluster: Bool
        public let members: [Member]
        public let addresses: [Address]
        /// The members that all accept writes; empty where that is one at most.
        public let primaries: [String]
    }

    /// Sorted.
    public let groups: [Group]
    /// When the newest read of the groups' keys was sent that was answered; nil: none was.
    public let readAt: Instant?
    /// Whether etcd answers here, and did not long ago: else all of this is the past.
    public let isCurrent: Bool
    /// Whether Patroni is in maintenance mode, in this node's group.
    public let isPaused: Bool
    /// Whether nobody answers this daemon.
    public let isCutOff: Bool
    /// The last change of leader of this node's group, while some of it is still to come.
    public let failover: FailoverRecord?
    /// That Pharos's reactions are paused; nil: they are not.
    public let reactionPause: ReactionPause?
    public var problems: [ClusterProblem]
}

extension Core {
    /// Nil where no groups are followed.
    public var clusterStatus: ClusterStatus? {
        guard let view = self.groupsView, let detector = self.detector else { return nil }
        let held = self.holders(view, own: detector.member.group)
        let groups = view.groups.sorted { $0.key < $1.key }.map { number, group in
            detector.status(of: number, group, view, held[number] ?? [:])
        }
        let (isCurrent, isPaused) = (detector.hasContact, self.node.config.isPaused)
        return ClusterStatus(
            groups: groups, readAt: view.readAt, isCurrent: isCurrent, isPaused: isPaused,
            isCutOff: detector.isCutOff, failover: self.ledger?.open.flatMap { $0.isUnderWay ? $0 : nil },
            reactionPause: detector.reactionPause,
            problems: ClusterProblem.find(
                in: groups, isCurrent: isCurrent, isPaused: isPaused, isCutOff: detector.isCutOff,
                pause: detector.reactionPause))
    }

    /// By group: of this node's own, as its leases know it.
    private func holders(_ view: GroupsView, own: Int) -> [Int: [AddressID: String]] {
        var holders = view.holders
        holders[own] = [:]
        for lease in self.leases { holders[own]?[lease.id] = lease.holder.value?.member }
        for (address, holder) in view.holders[own] ?? [:] where !self.leases.contains(where: { $0.id == address }) {
            holders[own]?[address] = holder
        }
        return holders
    }
}

extension DetectorCore {
    fileprivate func status(of number: Int, _ group: Group, _ view: GroupsView, _ held: [AddressID: String])
        -> ClusterStatus.Group
    {
        let daemons = self.daemons(of: number)
        let members = group.members.sorted { $0.key < $1.key }.map { name, member in
            self.status(of: MemberID(number, name), member, in: group, view, daemons[name])
        }
        var addresses: [AddressID: [String]] = held.mapValues { _ in [] }
        for (name, daemon) in daemons.sorted(by: { $0.key < $1.key }) {
            for address in daemon.addresses ?? [] { addresses[address, default: []].append(name) }
        }
        return ClusterStatus.Group(
            number: number, leader: group.leader?.name, leaderSeenAt: group.leaderAt,
            isSwitchingOver: group.isSwitchingOver, isStandbyCluster: group.isStandbyCluster, members: members,
            addresses: addresses.sorted { $0.key < $1.key }.map {
                ClusterStatus.Address(id: $0.key, holder: held[$0.key], lookedAfterBy: $0.value)
            }, primaries: (self.splitBrains[number] ?? []).map(\.name))
    }

    /// What the daemons of a group's members publish, by member; this one's own too.
    private func daemons(of group: Int) -> [String: Observation] {
        var daemons: [String: Observation] = [:]
        for watched in [nil, group] {
            for (observer, observation) in self.observations[watched] ?? [:] where observer.group == group {
                daemons[observer.name] = observation
            }
        }
        if self.member.group == group { daemons[self.member.name] = self.observation }
        return daemons
    }

    private func status(
        of id: MemberID, _ member: GroupMember, in group: Group, _ view: GroupsView, _ daemon: Observation?
    ) -> ClusterStatus.Member {
        let isLeader = group.leader?.name == id.name
        let opinions = self.opinions(of: id)
        let target = self.targets[id]
        let rule = target.map { self.rule(for: id, $0, view) } ?? self.rule(by: opinions, isLeader: isLeader)
        let since = target.flatMap { target in
            [target.patroniConsensus, target.postgresConsensus].filter { $0.state != .healthy }.compactMap(\.since)
                .min()
        }
        return ClusterStatus.Member(
            id: id, role: !isLeader ? .standby : member.isStandbyLeader ? .standbyLeader : .leader,
            endpoint: member.endpoint, isRunning: member.isRunning, mayLead: member.mayLead,
            isSynchronous: isLeader ? nil : group.synchronous.map { $0.contains(id.name) },
            verdict: target?.verdict ?? rule.verdict, reason: rule.reason, since: since, lag: target?.lag,
            isProbed: target != nil, opinions: opinions,
            isSuppressed: target.map { [$0.patroniConsensus.state, $0.postgresConsensus.state].contains(.suppressed) }
                ?? false, hasDaemon: daemon != nil, version: daemon?.version)
    }

    /// What each daemon holds of a member. What one holds of itself counts only against it.
    private func opinions(of id: MemberID) -> [ClusterStatus.Opinion] {
        var opinions: [ClusterStatus.Opinion] = []
        func add(_ observer: MemberID, _ observation: Observation) {
            guard let states = observation.states(of: id) else { return }
            let isItself = observer == id
            func state(_ state: DetectorState) -> DetectorState { isItself && state != .failed ? .unknown : state }
            opinions.append(
                ClusterStatus.Opinion(of: observer, patroni: state(states.patroni), postgres: state(states.postgres)))
        }
        for watched in [nil, id.group] {
            for (observer, said) in self.observations[watched] ?? [:] { add(observer, said) }
        }
        add(self.member, self.observation)
        return opinions.sorted { $0.of < $1.of }
    }

    /// Of a member that this daemon does not probe.
    private func rule(by opinions: [ClusterStatus.Opinion], isLeader: Bool) -> VerdictRule {
        func state(_ states: [DetectorState]) -> DetectorState {
            switch DetectorConsensus.input(of: states, self.profile).input {
            case .exhausted: .failed
            case .missed, .answered: .suspect
            case .cleared: .healthy
            default: .unknown  // Nobody can be heard.
            }
        }
        return VerdictRule.first(
            patroni: state(opinions.map(\.patroni)), postgres: state(opinions.map(\.postgres)), isLeader: isLeader)
    }
}
