// SPDX-License-Identifier: Apache-2.0

/// What is due by the clock.
extension SupervisorCore {
    /// Listings of the kernel begin at least this far apart.
    private static let inspectionPause: Duration = .milliseconds(100)

    mutating func schedule(at now: Instant, into actions: inout [Action]) {
        if self.readAt <= now, !self.isReadUnderWay {
            self.isReadUnderWay = true
            self.readAt = now + self.period
            actions.append(.read)
            for index in self.leases.indices { self.leases[index].keepAlive(into: &actions) }
        }
        if let deadline = self.watchDeadline, deadline <= now {
            self.watchDeadline = nil
            actions.append(.report(.watchStale(revision: self.shared.view?.leader.revision ?? 0)))
            actions.append(.restartWatch)
        }
        if self.isInspectionDue, !self.isInspectionUnderWay, self.inspectAt <= now {
            self.isInspectionDue = false
            self.isInspectionUnderWay = true
            self.inspectAt = now + Self.inspectionPause
            actions.append(.inspect)
        }
        let postgresDue = self.postgresDue(at: now)
        if let due = postgresDue, due <= now, !self.isPostgresAsked {
            self.isPostgresAsked = true
            self.postgresAskedAt = now
            actions.append(.askPostgres)
        }
        let patroniDue = self.patroniDue
        if let due = patroniDue, due <= now, !self.isPatroniAsked {
            self.isPatroniAsked = true
            self.patroniAskedAt = now
            actions.append(.askPatroni)
        }
        if !self.isReady, self.shared.view != nil, self.hasInspected {
            self.isReady = true
            actions.append(.ready)
        }
        if let stopBy = self.stopBy, stopBy <= now || self.leases.allSatisfy(\.isIdle) {
            self.hasStopped = true
            actions.append(.report(.stopped(unreleased: self.leases.filter { !$0.isIdle }.map(\.id))))
            actions.append(.exit)
        }
        self.wakeAt = self.nextWake(after: now)
    }

    /// Time between two renewals: a lease that was granted with a shorter TTL than today's needs them more often.
    private var period: Duration {
        var ttl = self.shared.leaseTTL
        for lease in self.leases { if let granted = lease.key.ttl { ttl = min(ttl, granted) } }
        return ttl / 6
    }

    private func nextWake(after now: Instant) -> Instant {
        var wakeAt = Instant.distantFuture
        func consider(_ instant: Instant?) {
            if let instant, instant > now, instant < wakeAt { wakeAt = instant }
        }
        consider(self.readAt)
        consider(self.watchDeadline)
        if self.isInspectionDue { consider(self.inspectAt) }
        consider(self.postgresDue(at: now))
        consider(self.patroniDue)
        consider(self.stopBy)
        for lease in self.leases { consider(lease.wakeAt(after: now)) }
        return wakeAt
    }

    /// While a promotion is under way PostgreSQL is asked every 50 ms; while its answer changes nothing, seldom.
    private func postgresDue(at now: Instant) -> Instant? {
        guard !self.shared.isStopping else { return nil }
        var (isWanted, areHeld, isInMaintenance) = (false, true, false)
        for lease in self.leases where lease.spec.acquire == .writable {
            isWanted = true
            if !lease.key.isHeld { areHeld = false }
            if lease.isInMaintenance { isInMaintenance = true }
        }
        guard isWanted else { return nil }
        guard self.shared.isLeader, let leaderSince = self.shared.leaderSince else {
            guard isInMaintenance else { return nil }
            return self.postgresAskedAt.map { $0 + .seconds(1) } ?? now
        }
        guard let askedAt = self.postgresAskedAt else { return leaderSince }
        let isRecent = now - leaderSince < .seconds(60)
        let interval: Duration =
            switch self.shared.postgres {
            case .primary: areHeld ? self.shared.period : .milliseconds(500)
            case .standby, nil: isRecent ? .milliseconds(50) : .seconds(1)
            case .unreachable: areHeld ? .seconds(1) : isRecent ? .milliseconds(100) : .seconds(1)
            }
        let due = askedAt + interval
        // An answer from before the leadership proves nothing.
        return askedAt < leaderSince ? min(due, leaderSince) : due
    }

    /// Patroni is asked only while its failsafe mode may matter.
    private var patroniDue: Instant? {
        guard let lostAt = self.contactLostAt, self.shared.config.isFailsafeEnabled, self.leases.contains(where: \.isHere)
        else { return nil }
        let interval = min(self.shared.config.loopWait, self.shared.period, self.shared.failsafeCover) / 2
        return self.patroniAskedAt.map { $0 + max(.milliseconds(500), interval) } ?? lostAt
    }
}
