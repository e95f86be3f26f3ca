// SPDX-License-Identifier: Apache-2.0

/// What is the matter with a cluster, or may become so: for people to see first.
public enum ClusterProblem: Hashable, Sendable {
    public enum Severity: Int, Sendable, Comparable {
        case warning = 1
        case critical

        public static func < (a: Severity, b: Severity) -> Bool { a.rawValue < b.rawValue }
    }

    /// Nobody answers this daemon: what it says of others is nothing.
    case cutOff
    /// etcd does not answer here, or has not for long.
    case isPast
    case paused
    /// Pharos asks for no switchover by itself, by a person's word.
    indirect case reactionsPaused(ReactionPause)
    case noLeader(group: Int)
    case severalPrimaries(group: Int, [String])
    /// The leader's group looks after it, and nobody holds it.
    case unheld(group: Int, AddressID, leader: String)
    case heldByAnother(group: Int, AddressID, holder: String, leader: String)
    case notWell(MemberID, DetectorVerdict, reason: String, since: Instant?)
    /// Nobody could take over from the leader: no member beside it is well, runs and may lead.
    case noCandidate(group: Int, leader: String)
    /// There is nobody beside the leader: a group of one.
    case noStandby(group: Int, leader: String)
    /// Whether somebody could is not known: of no member beside the leader is anything known.
    case candidateUnknown(group: Int, leader: String)
    /// Single failures would not be survived, of which nothing else here tells: why the first of them would not, and what to type.
    indirect case notSurvived(group: Int, failures: [String], reason: String, advice: String)
    /// No daemon of this member publishes: nobody keeps an address there, and one source less is heard.
    case noDaemon(MemberID)
    /// Some daemons of a group look after an address, and some that say what they look after do not.
    case lookedAfterBySome(group: Int, AddressID, by: [String], not: [String])
    /// The daemons are of several versions.
    case versionsDiffer([String])

    public var severity: Severity {
        switch self {
        case .cutOff, .noLeader, .severalPrimaries, .unheld, .heldByAnother, .noCandidate, .notSurvived:
            .critical
        case .isPast, .paused, .reactionsPaused, .noStandby, .candidateUnknown, .noDaemon, .lookedAfterBySome,
            .versionsDiffer:
            .warning
        case .notWell(_, let verdict, _, _): verdict.needsSomebody ? .critical : .warning
        }
    }

    /// Which group it concerns; nil: all, or this node.
    public var group: Int? {
        switch self {
        case .cutOff, .isPast, .paused, .reactionsPaused, .versionsDiffer: nil
        case .noLeader(let group), .severalPrimaries(let group, _), .unheld(let group, _, _),
            .heldByAnother(let group, _, _, _), .noCandidate(let group, _), .noStandby(let group, _),
            .candidateUnknown(let group, _), .notSurvived(let group, _, _, _),
            .lookedAfterBySome(let group, _, _, _):
            group
        case .notWell(let id, _, _, _), .noDaemon(let id): id.group
        }
    }

    /// The worst first.
    static func find(
        in groups: [ClusterStatus.Group], isCurrent: Bool, isPaused: Bool, isCutOff: Bool, pause: ReactionPause? = nil
    )
        -> [ClusterProblem]
    {
        var problems: [ClusterProblem] = []
        if isCutOff { problems.append(.cutOff) }
        if !isCurrent { problems.append(.isPast) }
        if isPaused { problems.append(.paused) }
        if let pause { problems.append(.reactionsPaused(pause)) }
        for group in groups { problems += self.find(in: group) }
        // A daemon of an earlier version publishes, and does not say which it is.
        let daemons = groups.flatMap(\.members).filter(\.hasDaemon)
        let versions = Set(daemons.map { $0.version ?? "one that does not say its version" })
        if versions.count > 1 { problems.append(.versionsDiffer(versions.sorted())) }
        let critical = problems.filter { $0.severity == .critical }
        return critical + problems.filter { $0.severity != .critical }
    }

    private static func find(in group: ClusterStatus.Group) -> [ClusterProblem] {
        var problems: [ClusterProblem] = []
        if !group.primaries.isEmpty { problems.append(.severalPrimaries(group: group.number, group.primaries)) }
        if let leader = group.leader {
            for address in group.addresses {
                if let holder = address.holder {
                    guard holder != leader else { continue }
                    problems.append(
                        .heldByAnother(group: group.number, address.id, holder: holder, leader: leader))
                } else if address.lookedAfterBy.contains(leader) {
                    problems.append(.unheld(group: group.number, address.id, leader: leader))
                }
            }
            let candidates = group.members.filter {
                $0.id.name != leader && $0.mayLead && $0.isRunning && $0.isSynchronous != false
                    && !$0.verdict.needsSomebody
            }
            if !group.members.contains(where: { $0.id.name != leader }) {
                problems.append(.noStandby(group: group.number, leader: leader))
            } else if candidates.isEmpty {
                problems.append(.noCandidate(group: group.number, leader: leader))
            } else if candidates.allSatisfy({ $0.verdict == .unknown }) {
                problems.append(.candidateUnknown(group: group.number, leader: leader))
            }
        } else {
            problems.append(.noLeader(group: group.number))
        }
        for member in group.members where ![.well, .unknown].contains(member.verdict) {
            problems.append(.notWell(member.id, member.verdict, reason: member.reason, since: member.since))
        }
        for member in group.members where !member.hasDaemon { problems.append(.noDaemon(member.id)) }
        for address in group.addresses where !address.lookedAfterBy.isEmpty {
            let others = group.members.filter { $0.version != nil && !address.lookedAfterBy.contains($0.id.name) }
            guard !others.isEmpty else { continue }
            problems.append(
                .lookedAfterBySome(
                    group: group.number, address.id, by: address.lookedAfterBy, not: others.map(\.id.name)))
        }
        return problems
    }
}

extension DetectorVerdict {
    /// Whether somebody has to look at it: more than a doubt, which may pass.
    public var needsSomebody: Bool {
        switch self {
        case .unknown, .well, .suspected: false
        case .patroniFailed, .postgresFailed, .nodeFailed, .gray, .inRecovery, .lagging: true
        }
    }
}
