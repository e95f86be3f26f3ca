// SPDX-License-Identifier: Apache-2.0

/// A leader that says, each time it is asked, that it is in recovery.
struct RecoveryOfLeader: Sendable {
    /// Of which leadership: the revision at which its leader key was created.
    let leadership: Int64
    /// When it said so first, how many times since, and when last.
    let since: Instant
    var count = 1
    var last: Instant
}

/// Whether a leader's PostgreSQL leaves recovery. What it says of itself needs no second: unlike a silence, it has no other cause.
extension DetectorCore {
    /// However often it is asked, this is no time in which a promotion would have to be over.
    static let promotionPatience: Duration = .seconds(10)

    mutating func noteRecovery(
        of id: MemberID, _ target: inout Target, _ findings: ProbeFindings, _ view: GroupsView, at now: Instant
    ) {
        // What could not be asked says nothing new.
        if case .unasked = findings.postgres { return }
        guard let leader = view.groups[id.group]?.leader, leader.name == id.name, findings.isPrimary == false else {
            target.recovery = nil
            return
        }
        if var recovery = target.recovery, recovery.leadership == leader.since {
            recovery.count = min(recovery.count + 1, self.profile.threshold)
            recovery.last = now
            target.recovery = recovery
        } else {
            target.recovery = RecoveryOfLeader(leadership: leader.since, since: now, last: now)
        }
    }

    /// - Parameter leadership: the present one, which the target holds.
    func recovery(_ target: Target, since leadership: Int64?, in group: Group?) -> LeaderRecovery {
        // The leader of a standby cluster follows another one's; and whether it is one, its own key says.
        guard let recovery = target.recovery, recovery.leadership == leadership,
            group?.leaderMember?.member?.isStandbyLeader == false
        else { return .no }
        let hasLasted = recovery.last - recovery.since >= Self.promotionPatience
        return recovery.count >= self.profile.threshold && hasLasted ? .lasting : .yes
    }
}
