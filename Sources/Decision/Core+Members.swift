// SPDX-License-Identifier: Apache-2.0

/// The parts that look at other members: the view of the groups, Citus's metadata, the failure detector, the ledger.
extension Core {
    /// Takes an event over into the one view of the groups, asks for what it lacks, and lets those turn who look at it.
    mutating func advanceOthers(_ event: Event, at now: Instant, into actions: inout [Action]) {
        guard self.groupsView != nil else { return }
        var news: GroupsNews?
        if case .groups(let event) = event { news = self.groupsView?.learn(event, at: now) }
        if news?.isTelling == true { self.stirs &+= 1 }
        let (limit, awakeSince) = (self.node.limits.etcd, self.node.awakeSince)
        if let silence = self.groupsView?.giveUp(after: limit, at: now, awakeSince: awakeSince) {
            actions.append(.report(.unanswered(.groups, after: silence)))
        }
        if self.groupsView?.ask(at: now) == true { actions.append(.readGroups) }
        self.advanceCitus(event, news, at: now, into: &actions)
        self.advanceDetector(event, news, at: now, into: &actions)
        guard self.citus?.wantsGroupsRead == true else { return }
        self.citus?.wantsGroupsRead = false
        self.groupsView?.readAnew(at: now)
        if self.groupsView?.ask(at: now) == true { actions.append(.readGroups) }
    }

    private mutating func advanceCitus(
        _ event: Event, _ news: GroupsNews?, at now: Instant, into actions: inout [Action]
    ) {
        var own: CitusEvent?
        if case .citus(let event) = event { own = event }
        // Nothing of it; but it may be due.
        guard let wakeAt = self.citus?.wakeAt, own != nil || news != nil || wakeAt <= now else { return }
        self.handleCitus(own, news, at: now, into: &actions)
    }

    private mutating func handleCitus(
        _ event: CitusEvent?, _ news: GroupsNews?, at now: Instant, into actions: inout [Action]
    ) {
        // The view is not changed while it is looked at: what is bound here shares its memory.
        guard let view = self.groupsView else { return }
        self.citus?.handle(event, view, news, awakeSince: self.node.awakeSince, at: now, into: &actions)
    }

    private mutating func advanceDetector(
        _ event: Event, _ news: GroupsNews?, at now: Instant, into actions: inout [Action]
    ) {
        guard let wakeAt = self.detector?.wakeAt, !self.node.isStopping else { return }
        let (hasContact, isPaused) = (self.hasContact, self.node.config.isPaused)
        var own: DetectorEvent?
        if case .detector(let event) = event { own = event }
        // Nothing of it; but it may be due, or etcd answer again, or no more.
        guard
            own != nil || news != nil || wakeAt <= now || self.detector?.isEtcdInContact != hasContact
                || self.detector?.isPaused != isPaused
        else { return }
        guard let view = self.groupsView else { return }
        var (wanted, reports): ([DetectorAction], [DetectorReport]) = ([], [])
        self.detector?.handle(
            own, view, news, hasContact: hasContact, isPaused: isPaused, awakeSince: self.node.awakeSince, at: now,
            into: &wanted, &reports)
        for report in reports { actions.append(.report(.detector(report))) }
        if !reports.isEmpty || self.detector?.takeStir() == true { self.stirs &+= 1 }
        for action in wanted { actions.append(.detector(action)) }
        let isVerdict = reports.contains { if case .verdict = $0 { true } else { false } }
        guard isVerdict, let unusable = self.detector?.unusable else { return }
        self.handleCitus(.unusable(unusable), nil, at: now, into: &actions)
    }

    /// What a change of leader of this member's group comes to, where all goes well.
    private var expectedPhases: Set<FailoverRecord.Phase> {
        var phases: Set<FailoverRecord.Phase> = [.writable, .standbyBack]
        if !self.leases.isEmpty { phases.formUnion([.addressMoved, .announced]) }
        // The coordinator's own row is there only where somebody has asked for it.
        // Where somebody else writes too, who has moved it is not known.
        if let citus = self.citus, citus.settings.group != 0, citus.settings.mode == .own {
            phases.formUnion([.metadataCommitted, .metadataSynced])
        }
        return phases
    }

    /// Hands what was done and reported since `begin` on to the ledger.
    mutating func keepLedger(_ event: Event, since begin: Int, at now: Instant, into actions: inout [Action]) {
        guard self.ledger != nil, let detector = self.detector, let groups = self.groupsView?.groups else { return }
        if case .groups(let news) = event { self.ledger?.trail.learn(news, of: detector.member.group, at: now) }
        let acted = Array(actions[begin...])
        let (citus, expected) = (self.citus, acted.isEmpty ? [] : self.expectedPhases)
        for action in acted {
            self.ledger?.record(action, detector, groups, expected: expected, at: now)
            guard case .report(.citus(let report)) = action else { continue }
            let entry = self.ledger?.takeMetadata(
                report, groups, writableAt: { citus?.writableAt($0) ?? nil }, at: now)
            if let entry { actions.append(.record(entry)) }
        }
        if case .detector(.probed(let id, let findings, let askedAt)) = event, id.group == detector.member.group,
            let isPrimary = findings.isPrimary
        {
            self.ledger?.probed(id.name, isPrimary: isPrimary, at: now)
            if isPrimary, let position = findings.position {
                self.ledger?.trail.probed(id.name, position: position, askedAt: askedAt)
            }
        }
        if let group = self.ledger?.open?.group {
            // What a person has asked for is planned, whoever carries it out.
            let isPersonal = detector.persons[group] != nil
            self.ledger?.learnCause(groups, claimant: isPersonal ? nil : detector.claims[group])
        }
        // What was lost is judged until it is known, and then where something is learned.
        let isOfLog =
            switch event {
            case .groups, .detector(.probed): true
            default: self.ledger?.open?.lost == nil  // Nothing that tells of the log.
            }
        if isOfLog, let record = self.ledger?.judgeLoss(groups, at: now) { actions.append(.report(.logLost(record))) }
        if let entry = self.ledger?.takeChange(groups, at: now) { actions.append(.record(entry)) }
    }
}
