// SPDX-License-Identifier: Apache-2.0

/// What the answers and reports of this node itself change: its kernel, its PostgreSQL, its Patroni.
extension Core {
    mutating func learnFromNode(_ event: Event, at now: Instant, into actions: inout [Action]) {
        switch event {
        case .inspected(let state, let since): self.learn(state, since: since, at: now, into: &actions)
        case .inspectionFailed(let reason):
            // That of one that was given up may count for the next, whose listing is taken all the same: two are made.
            self.listing.answered()
            self.isListingWanted = true
            self.listing.due = now + .seconds(1)
            // Tried again each second; said once for each reason.
            if self.inspectionFailure != reason { actions.append(.report(.inspectionFailed(reason: reason))) }
            self.inspectionFailure = reason
        case .kernelChanged: self.isListingWanted = true
        case .linkReturned(let interface):
            // Behind it may be another switch, which has never heard of our addresses.
            for index in self.leases.indices where self.leases[index].spec.interface == interface {
                self.leases[index].announceAnew(into: &actions)
            }
        case .kernelSaw(let found):
            let isExpected = self.leases.first { $0.id == found.address }?.expects(found, at: now) ?? true
            if !isExpected { self.isListingWanted = true }
        case .kernelLost(let address, let place):
            let isExpected = self.leases.first { $0.id == address }?.expectsLoss(at: place) ?? true
            if !isExpected { self.isListingWanted = true }
        case .assigned(let address): self.update(address) { $0.assigned(at: now, into: &actions) }
        case .assignFailed(let address, let reason):
            self.update(address) { $0.assignFailed(reason, at: now, into: &actions) }
            self.isListingWanted = true
        case .removed(let address, let place, let wasPresent):
            var mustLook = false
            self.update(address) {
                mustLook = $0.removed(place, wasPresent: wasPresent, at: now, into: &actions)
            }
            if mustLook { self.isListingWanted = true }
        case .removeFailed(let address, let place, let reason):
            self.update(address) { $0.removeFailed(place, reason, at: now, into: &actions) }
            // The interface may have another name by now, and the address with it.
            self.isListingWanted = true
        case .duplicateSeen(let address, let linkAddress):
            self.update(address) { lease in
                guard lease.duplicates.tells(linkAddress, at: now) else { return }
                actions.append(.report(.duplicateSeen(address, linkAddress: linkAddress)))
            }
        case .postgres(let state, let askedAt):
            self.postgresQuestion.answered(askedAt)
            // Of a question that was given up, when a later one has been answered: the past.
            if let newest = self.node.postgresAskedAt, askedAt < newest { return }
            self.isPostgresInDoubt = false
            self.learn(state, into: &actions)
            self.node.postgresAskedAt = askedAt
        case .postgresDisconnected: self.isPostgresInDoubt = true
        case .clockMeasured(let rate): self.learn(clockRate: rate, into: &actions)
        case .patroni(let answer, let askedAt):
            self.patroniQuestion.answered(askedAt)
            self.learn(answer, askedAt: askedAt, into: &actions)
        case .portTried(let address, let port, let answer, let askedAt):
            self.learn(portOf: address, answer, port, askedAt: askedAt, at: now, into: &actions)
        default: break  // The caller sends nothing else here.
        }
    }

    mutating func learn(_ state: PostgresState, into actions: inout [Action]) {
        if state.isOtherKind(than: self.node.postgres) { actions.append(.report(.postgresChanged(state))) }
        self.node.postgres = state
    }

    private mutating func learn(_ state: KernelState, since: Instant, at now: Instant, into actions: inout [Action]) {
        self.listing.answered(since)
        // Of a question that was given up, when a later one has been answered: what stood there then proves nothing.
        if let newest = self.listedSince, since < newest { return }
        self.listedSince = since
        self.inspectionFailure = nil
        self.node.interfaces = (state.usableInterfaces, state.downInterfaces, state.severedInterfaces)
        for index in self.leases.indices {
            let interface = self.node.state(of: self.leases[index].spec.interface)
            self.leases[index].inspected(state, interface, since: since, at: now, into: &actions)
        }
    }

    private mutating func learn(_ answer: PatroniAnswer, askedAt: Instant, into actions: inout [Action]) {
        guard case .answered(let isPrimary, let isActive) = answer, self.node.isNewest(patroniAskedAt: askedAt) else {
            return
        }
        self.node.learn(failsafeIsActive: isActive, isPrimary: isPrimary, askedAt: askedAt)
        // An answer that comes when etcd can be read again belongs to no outage.
        guard isPrimary, isActive, !self.hasReportedFailsafe, self.node.contactLostAt != nil,
            let until = self.node.failsafeUntil, until > askedAt
        else { return }
        self.hasReportedFailsafe = true
        for lease in self.leases where lease.isHere {
            actions.append(.report(.failsafeHolds(lease.id, until: until - askedAt)))
        }
    }

    /// The usual discipline of a clock stays below 500 parts per million.
    private mutating func learn(clockRate rate: Int, into actions: inout [Action]) {
        self.node.clockSlowness = rate < -Self.usualClockRate ? -rate : 0
        let isBeyond = abs(rate) > self.node.settings.clockDrift
        guard isBeyond != self.isClockBeyondDrift else { return }
        self.isClockBeyondDrift = isBeyond
        actions.append(.report(isBeyond ? .clockBeyondDrift(partsPerMillion: rate) : .clockWithinDrift))
    }

    private static let usualClockRate = 1000
}

extension PostgresState {
    fileprivate func isOtherKind(than other: PostgresState?) -> Bool {
        switch (self, other) {
        case (.primary, .primary), (.standby, .standby), (.unreachable, .unreachable): false
        case (.primary, _), (.standby, _), (.unreachable, _): true
        }
    }
}
