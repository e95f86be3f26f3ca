// SPDX-License-Identifier: Apache-2.0

/// What an operator is told of Citus.
public enum CitusReport: Hashable, Sendable {
    /// This node's daemon writes `pg_dist_node` from now on, or not any more.
    case writerChanged(isWriter: Bool)
    /// See ``Report/unanswered(_:after:)``.
    indirect case unanswered(Asked, after: Duration)
    case groupsUnreadable(reason: String)
    case groupAppeared(group: Int, leader: String?)
    /// None of its keys is left. Its rows stay.
    case groupVanished(group: Int)
    case databaseUnreachable(String, reason: String)
    case databaseReached(String)
    /// The primary row of a group names another address than its leader's; and what is done about it.
    case drift(String, group: Int, row: NodeEndpoint?, leader: NodeEndpoint, Remedy)
    case updated(String, group: Int, changes: [RowChange], leader: String, after: Duration)
    case updateFailed(String, group: Int, UpdateOutcome, retryAfter: Duration)
    case blocked(String, groups: [Int], [BlockingSession])
    /// The sessions in an update's way could not be terminated: no background worker is free.
    case unforced(String, groups: [Int])
    /// Citus's own worker, which waited for a node that does not answer, was ended to let an update pass; or why it was not.
    case synchronizationInterrupted(String, problem: String?)
    /// Moving addresses cannot put the group's rows right.
    case refused(String, group: Int, NodeRowPlan.Refusal)
    case synchronized(String, group: Int, after: Duration, unverified: [CopyFinding])
    case unsynchronized(String, group: Int, nodes: [NodeEndpoint])
    case copiesDiffer(String, nodes: [NodeEndpoint])
    /// Settings under which a failover hangs or fails, or that could not be looked at; none: they are as they should be again.
    case settings(String, [SettingProblem])
    /// What cannot be done with these versions, or is done otherwise; none: that was so, and is no more.
    case versions(String, CitusVersions, [VersionLimit])
    /// A verification has found this, which was not so in the one before.
    case found(String, Finding)
    /// So many more were found, which are not told one by one.
    case foundMore(Int)
    /// It was found before, and is gone.
    case findingGone(FindingPlace)
    /// The cluster could not be verified.
    case unverified(reason: String)
    case probeRefused(group: Int, NodeEndpoint, reason: String)
    case holding(String, group: Int, leader: String)
    case holdEnded(String, group: Int, reason: String)
    /// Two coordinators accept writes.
    case rivalCoordinator(member: String?, NodeEndpoint)
    case rivalGone(NodeEndpoint)

    public enum Remedy: Hashable, Sendable {
        /// It is put right as soon as the leader accepts writes.
        case now
        /// Nobody has put it right for so long: it is put right as soon as the leader accepts writes.
        case after(Duration)
        /// This mode leaves it to others.
        case none
    }
}
