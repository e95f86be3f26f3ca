// SPDX-License-Identifier: Apache-2.0

/// What one database of the coordinator was asked for and does not answer.
extension CitusDatabase {
    /// Questions are asked again. A transaction that holds writes has ended by the server's own limit, whatever was heard of it.
    /// An update has too: its outcome is not known, and shows in the rows, which are read before anything else is changed.
    mutating func giveUpOverdue(at now: Instant, awakeSince: Instant, _ reports: inout [CitusReport]) {
        if let silence = self.reading.giveUp(
            after: AnswerLimits.rows, at: now, awakeSince: awakeSince, next: now + .seconds(1)), silence.isFirst
        {
            reports.append(.unanswered(.rows(self.name), after: silence.length))
        }
        if let problems = self.settings.giveUp(at: now, awakeSince: awakeSince) {
            reports.append(.settings(self.name, problems))
        }
        if let since = self.awaited?.comparingSince, now - max(since, awakeSince) >= AnswerLimits.copies {
            self.awaited?.comparingSince = nil
            // Once, until one is answered.
            if self.copiesSilentSince == nil { reports.append(.unanswered(.copies(self.name), after: now - since)) }
            self.copiesSilentSince = self.copiesSilentSince ?? since
        }
        if let update = self.update, now - max(update.since, awakeSince) >= update.limit {
            self.giveUpUpdate(at: now)
            reports.append(.unanswered(.update(self.name, groups: update.groups), after: now - update.since))
        }
        if let hold = self.hold, !self.isUpdating(hold.group), now - max(hold.until, awakeSince) >= AnswerLimits.hold {
            (self.hold, self.lostHold) = (nil, hold)
            reports.append(
                .unanswered(.hold(self.name, group: hold.group), after: now - hold.since))
        }
    }

    /// An update that is never answered counts as one whose outcome is not known. Where it has changed something, the rows show it by
    /// now; and if it were committed all the same later, the fence would let nothing older in than what was applied since.
    private mutating func giveUpUpdate(at now: Instant) {
        guard let update = self.update else { return }
        (self.update, self.lostUpdate) = (nil, update)
        if let hold = self.hold, update.groups.contains(hold.group) { self.hold = nil }
        self.readAnew(at: now)
        for group in update.groups {
            let isMembership = self.membership?.group == group && self.drifts[group] == nil
            guard var drift = isMembership ? self.membership?.drift : self.drifts[group] else { continue }
            drift.failures += 1
            drift.retryAt = now + Self.updateBackoff.pause(after: drift.failures)
            if isMembership { self.membership?.drift = drift } else { self.drifts[group] = drift }
        }
    }

    /// When something is overdue next.
    func deadline(awakeSince: Instant) -> Instant? {
        var deadlines: [Instant] = []
        if self.reading.isUnderWay {
            deadlines.append(self.reading.wakeAt(limit: AnswerLimits.rows, awakeSince: awakeSince))
        }
        if self.settings.question.isUnderWay {
            deadlines.append(self.settings.question.wakeAt(limit: AnswerLimits.settings, awakeSince: awakeSince))
        }
        if let since = self.awaited?.comparingSince { deadlines.append(max(since, awakeSince) + AnswerLimits.copies) }
        if let update = self.update { deadlines.append(max(update.since, awakeSince) + update.limit) }
        if let hold = self.hold, !self.isUpdating(hold.group) {
            deadlines.append(max(hold.until, awakeSince) + AnswerLimits.hold)
        }
        return deadlines.min()
    }

    /// What was asked for, is overdue, and has not been answered since.
    var unanswered: [Unanswered] {
        var list: [Unanswered] = []
        if let since = self.reading.silentSince { list.append(Unanswered(asked: .rows(self.name), since: since)) }
        if let update = self.lostUpdate {
            list.append(Unanswered(asked: .update(self.name, groups: update.groups), since: update.since))
        }
        if let hold = self.lostHold {
            list.append(Unanswered(asked: .hold(self.name, group: hold.group), since: hold.since))
        }
        if let since = self.copiesSilentSince { list.append(Unanswered(asked: .copies(self.name), since: since)) }
        return list
    }
}
