// SPDX-License-Identifier: Apache-2.0

/// What one database of the coordinator was asked for and does not answer.
extension CitusDatabase {
    /// Questions are asked again. A transaction that holds writes has ended by the server's own limit, whatever was heard of it.
    /// An update is waited for: it may yet be committed, and of two at a time nobody could say which came last.
    mutating func giveUpOverdue(at now: Instant, awakeSince: Instant, _ reports: inout [CitusReport]) {
        if let silence = self.reading.giveUp(
            after: AnswerLimits.rows, at: now, awakeSince: awakeSince, next: now + .seconds(1)), silence.isFirst
        {
            reports.append(.unanswered(.rows(self.name), after: silence.length))
        }
        if let since = self.awaited?.comparingSince, now - max(since, awakeSince) >= AnswerLimits.copies {
            self.awaited?.comparingSince = nil
            reports.append(.unanswered(.copies(self.name), after: now - since))
        }
        if let update = self.update, !update.isOverdue, now - max(update.since, awakeSince) >= AnswerLimits.update {
            self.update?.isOverdue = true
            reports.append(.unanswered(.update(self.name, group: update.group), after: now - update.since))
        }
        if let hold = self.hold, self.updating != hold.group, now - max(hold.until, awakeSince) >= AnswerLimits.hold {
            self.hold = nil
            reports.append(
                .unanswered(.hold(self.name, group: hold.group), after: now - hold.until + Self.holdLimit))
        }
    }

    /// When something is overdue next.
    func deadline(awakeSince: Instant) -> Instant? {
        var deadlines: [Instant] = []
        if self.reading.isUnderWay {
            deadlines.append(self.reading.wakeAt(limit: AnswerLimits.rows, awakeSince: awakeSince))
        }
        if let since = self.awaited?.comparingSince { deadlines.append(max(since, awakeSince) + AnswerLimits.copies) }
        if let update = self.update, !update.isOverdue {
            deadlines.append(max(update.since, awakeSince) + AnswerLimits.update)
        }
        if let hold = self.hold, self.updating != hold.group {
            deadlines.append(max(hold.until, awakeSince) + AnswerLimits.hold)
        }
        return deadlines.min()
    }

    /// What was asked for, is overdue, and has not been answered since.
    var unanswered: [Unanswered] {
        var list: [Unanswered] = []
        if let since = self.reading.silentSince { list.append(Unanswered(asked: .rows(self.name), since: since)) }
        if let update = self.update, update.isOverdue {
            list.append(Unanswered(asked: .update(self.name, group: update.group), since: update.since))
        }
        return list
    }
}
