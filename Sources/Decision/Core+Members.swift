// SPDX-License-Identifier: Apache-2.0

/// The parts that look at other members: Citus's metadata, the failure detector, the ledger.
extension Core {
    mutating func advanceCitus(_ event: Event, at now: Instant, into actions: inout [Action]) {
        switch event {
        case .groups(let event): self.citus?.handle(.groups(event), at: now, into: &actions)
        case .citus(let event): self.citus?.handle(event, at: now, into: &actions)
        default:  // Nothing of it; but it may be due.
            if let due = self.citus?.wakeAt, due <= now { self.citus?.handle(nil, at: now, into: &actions) }
        }
    }

    mutating func advanceDetector(_ event: Event, at now: Instant, into actions: inout [Action]) {
        guard let wakeAt = self.detector?.wakeAt, !self.node.isStopping else { return }
        let (hasContact, isPaused) = (self.hasContact, self.node.config.isPaused)
        let own: DetectorEvent?
        switch event {
        case .groups(let event): own = .groups(event)
        case .detector(let event): own = event
        default:  // Nothing of it; but it may be due, or etcd answer again, or no more.
            guard wakeAt <= now || self.detector?.isEtcdInContact != hasContact || self.detector?.isPaused != isPaused
            else {
                return
            }
            own = nil
        }
        var (wanted, reports): ([DetectorAction], [DetectorReport]) = ([], [])
        self.detector?.handle(
            own, hasContact: hasContact, isPaused: isPaused, at: now, into: &wanted, &reports)
        for report in reports { actions.append(.report(.detector(report))) }
        for action in wanted { actions.append(.detector(action)) }
        let isVerdict = reports.contains { if case .verdict = $0 { true } else { false } }
        guard isVerdict, let unusable = self.detector?.unusable else { return }
        self.citus?.handle(.unusable(unusable), at: now, into: &actions)
    }

    /// Hands what was done and reported since `begin` on to the ledger.
    mutating func keepLedger(_ event: Event, since begin: Int, at now: Instant, into actions: inout [Action]) {
        guard self.ledger != nil, let detector = self.detector else { return }
        for action in Array(actions[begin...]) {
            self.ledger?.record(action, detector, at: now)
            guard case .report(.citus(let report)) = action, let groups = self.citus?.groups else { continue }
            if let entry = self.ledger?.takeMetadata(report, groups, at: now) { actions.append(.record(entry)) }
        }
        if case .detector(.probed(let id, let findings, _)) = event, id.group == detector.member.group,
            let isPrimary = findings.isPrimary
        {
            self.ledger?.probed(id.name, isPrimary: isPrimary, at: now)
        }
        if let group = self.ledger?.open?.group {
            self.ledger?.learnCause(detector.groups, claimant: detector.claims[group])
        }
        if let entry = self.ledger?.takeChange(detector.groups, at: now) { actions.append(.record(entry)) }
    }
}
