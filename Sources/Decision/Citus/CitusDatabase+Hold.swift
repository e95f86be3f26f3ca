// SPDX-License-Identifier: Apache-2.0

/// A planned switchover: what is done about it in one database of the coordinator.
extension CitusDatabase {
    /// Writes to the group wait from before the old primary stops, instead of failing.
    mutating func beginHold(
        _ group: Int, _ view: Group, _ clusterID: UInt64, _ settings: CitusSettings, at now: Instant,
        into actions: inout [CitusAction]
    ) {
        // Where the coordinator itself is switched over, its sessions end anyway.
        guard settings.mode == .own, group != settings.group, self.hold == nil, self.update == nil,
            view.isSwitchingOver, let leader = view.leader, self.lastHeld != leader,
            let row = self.primary(group)
        else { return }
        let authority = GroupAuthority(clusterID: clusterID, revision: view.leaderWritten)
        self.lastHeld = leader
        self.hold = Hold(group: group, leader: leader, since: now)
        actions.append(.hold(self.name, group: group, nodeID: row.id, authority, limit: Self.holdLimit))
    }

    /// Answers whether the leader's PostgreSQL must be asked whether it accepts writes.
    mutating func settleHold(
        _ view: Group, _ isWritable: Bool, _ clusterID: UInt64, at now: Instant, into actions: inout [CitusAction]
    ) -> Bool {
        guard let hold = self.hold, hold.isHeld, !hold.isEnding, self.update == nil else { return false }
        let isOver = now >= hold.until || (view.leader == hold.leader && !view.isSwitchingOver)
        let hasChanged = view.leader.map { $0 != hold.leader } ?? false
        if hasChanged, let drift = self.drifts[hold.group] {
            guard isWritable else {
                if now >= hold.until { self.releaseHold(hold, into: &actions) }
                return true
            }
            let update = RowUpdate(
                group: hold.group, changes: drift.changes,
                authority: GroupAuthority(clusterID: clusterID, revision: view.leaderWritten), blockers: .wait)
            self.note([update], at: now)
            actions.append(.commitHold(self.name, update))
        } else if isOver || (hasChanged && view.endpoint != nil) {
            // A row that leads there by another name is not moved, and the new leader may be in recovery still.
            let isOtherName = hasChanged && self.primary(hold.group)?.endpoint != view.endpoint
            if isOtherName, !isWritable, now < hold.until { return true }
            self.releaseHold(hold, into: &actions)
        }
        return false
    }

    mutating func releaseHold(_ hold: Hold, into actions: inout [CitusAction]) {
        self.hold?.isEnding = true
        actions.append(.releaseHold(self.name, group: hold.group))
    }

    mutating func held(
        _ group: Int, leader: String, blocksOthers: Bool, into actions: inout [CitusAction],
        _ reports: inout [CitusReport]
    ) {
        self.lostHold = nil
        // It was given up before it had all its locks.
        guard self.hold?.group == group else { return actions.append(.releaseHold(self.name, group: group)) }
        self.hold?.isHeld = true
        self.hold?.blocksOthers = blocksOthers
        reports.append(.holding(self.name, group: group, leader: leader))
    }

    mutating func holdEnded(_ group: Int, _ reason: String, at now: Instant, into reports: inout [CitusReport]) {
        self.lostHold = nil
        guard self.hold?.group == group else { return }
        self.hold = nil
        if self.update?.groups == [group] { self.update = nil }
        self.reading.due = now
        reports.append(.holdEnded(self.name, group: group, reason: reason))
    }
}
