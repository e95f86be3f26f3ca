// SPDX-License-Identifier: Apache-2.0

/// What is due by the clock.
extension Core {
    /// A read of etcd renews every lease. What waits for it has it at once, as a rule; 64 addresses that lose their keys within
    /// a second ask for 64, and have 15.
    static let etcdPace = Question.Pace(pause: .milliseconds(100), ahead: .milliseconds(400))
    static let listingPace = Question.Pace(pause: .milliseconds(100))
    /// How often PostgreSQL is asked while it is being promoted: 150 to 200 ms after the leader key as a rule, so most often
    /// in the first two seconds; and while it starts.
    private static let closePace: Duration = .milliseconds(15)
    private static let promotionPace: Duration = .milliseconds(50)
    private static let startPace: Duration = .milliseconds(100)
    /// How often etcd is read while the leader waits for something.
    private static let waitingPace: Duration = .seconds(2)
    private static let halfSecond: Duration = .milliseconds(500)
    private static let second: Duration = .seconds(1)
    private static let minute: Duration = .seconds(60)

    mutating func schedule(at now: Instant, into actions: inout [Action]) {
        for index in self.leases.indices {
            if self.leases[index].wantsRead {
                self.leases[index].wantsRead = false
                self.read.hasten(to: now)
            }
            if self.leases[index].kernel.takeOwedListing() { self.isListingWanted = true }
        }
        // What a leader waits for, a lost watch event may have told: it reads more often.
        if let askedAt = self.read.askedAt, self.node.isLeader,
            self.leases.indices.contains(where: { self.leases[$0].isWaiting })
        {
            self.read.hasten(to: askedAt + Self.waitingPace)
        }
        if self.read.isDue(at: now) {
            let period = self.period
            self.read.ask(at: now, next: now + period)
            self.contactPatience = period + period + self.node.limits.request
            actions.append(.read)
            for index in self.leases.indices { self.leases[index].renewLease(self.node, at: now, into: &actions) }
        }
        if let deadline = self.watchDebts.deadline, deadline <= now {
            actions.append(.report(.watchStale(revision: self.watchDebts.revision)))
            self.watchDebts.clear()
            actions.append(.restartWatch)
        }
        if self.isListingWanted, self.listing.isDue(at: now) {
            self.isListingWanted = false
            self.listing.ask(at: now, next: now)
            actions.append(.inspect)
        }
        var postgresDue = self.postgresDue(at: now)
        if let due = postgresDue, due <= now, self.postgresQuestion.isDue(at: now) {
            self.postgresQuestion.ask(at: now, next: now)
            actions.append(.askPostgres)
            postgresDue = self.postgresDue(at: now)
        }
        let patroniDue = self.patroniDue
        if let due = patroniDue, due <= now, self.patroniQuestion.isDue(at: now) {
            self.patroniQuestion.ask(at: now, next: now)
            actions.append(.askPatroni)
        }
        if !self.isReady, self.node.hasView, self.listedSince != nil {
            self.isReady = true
            actions.append(.ready)
        }
        if let stopBy = self.stopBy, stopBy <= now || self.leases.allSatisfy(\.isReleased) {
            self.hasStopped = true
            actions.append(.report(.stopped(unreleased: self.leases.filter { !$0.isReleased }.map(\.id))))
            actions.append(.exit)
        }
        self.reckonWake(after: now, postgresDue)
    }

    /// Time between two renewals: a lease that was granted with a shorter TTL than today's needs them more often.
    // Inlined: for a call, the whole core would be copied.
    @inline(__always)
    var period: Duration {
        var ttl = self.node.leaseTTL
        for index in self.leases.indices { if let granted = self.leases[index].key.ttl { ttl = min(ttl, granted) } }
        return ttl == self.node.leaseTTL ? self.node.period : ttl / 6
    }

    private mutating func reckonWake(after now: Instant, _ postgresDue: Instant?) {
        var wakeAt = Instant.distantFuture
        func consider(_ instant: Instant?) {
            if let instant, instant > now, instant < wakeAt { wakeAt = instant }
        }
        let (limits, awakeSince) = (self.node.limits, self.node.awakeSince)
        consider(self.read.wakeAt(limit: limits.etcd, awakeSince: awakeSince))
        if self.node.contactLostAt == nil { consider(self.contactAgedAt) }
        if self.mark.isUnderWay { consider(self.mark.wakeAt(limit: limits.transaction, awakeSince: awakeSince)) }
        consider(self.watchDebts.deadline)
        if self.isListingWanted || self.listing.isUnderWay {
            consider(self.listing.wakeAt(limit: limits.listing, awakeSince: awakeSince))
        }
        let postgres = self.postgresQuestion.wakeAt(limit: limits.postgres, awakeSince: awakeSince)
        consider(self.postgresQuestion.isUnderWay ? postgres : postgresDue.map { max($0, postgres) })
        let patroni = self.patroniQuestion.wakeAt(limit: limits.patroni, awakeSince: awakeSince)
        consider(self.patroniQuestion.isUnderWay ? patroni : self.patroniDue.map { max($0, patroni) })
        consider(self.stopBy)
        consider(self.groupsView?.question.wakeAt(limit: limits.etcd, awakeSince: awakeSince))
        consider(self.citus?.wakeAt)
        if !self.node.isStopping { consider(self.detector?.wakeAt) }
        for index in self.ports.indices {
            consider(self.ports[index].wakeAt(limit: limits.port, awakeSince: awakeSince))
        }
        for index in self.leases.indices { consider(self.leases[index].wakeAt) }
        self.wakeAt = wakeAt
    }

    /// While a promotion is under way PostgreSQL is asked every 15, then every 50 ms; while its answer changes nothing, seldom.
    // It changes nothing. Were it not `mutating`, the whole core would be copied for the call, at every event.
    private mutating func postgresDue(at now: Instant) -> Instant? {
        guard !self.node.isStopping else { return nil }
        var (isWanted, areHeld, isInMaintenance) = (false, true, false)
        for index in self.leases.indices where self.leases[index].spec.acquire == .writable {
            isWanted = true
            if !self.leases[index].key.isHeld { areHeld = false }
            if self.leases[index].isInMaintenance { isInMaintenance = true }
        }
        guard isWanted else { return nil }
        guard self.node.isLeader, let leaderSince = self.node.leaderSince else {
            guard isInMaintenance else { return nil }
            return self.postgresQuestion.askedAt.map { $0 + .seconds(1) } ?? now
        }
        guard let askedAt = self.postgresQuestion.askedAt else { return leaderSince }
        let isRecent = now - leaderSince < Self.minute
        let interval =
            switch self.node.postgres {
            case .primary where self.isPostgresInDoubt: Self.startPace
            case .primary: areHeld ? self.node.period : Self.halfSecond
            case .standby, nil:
                now - leaderSince < .seconds(2) ? Self.closePace : isRecent ? Self.promotionPace : Self.second
            case .unreachable: areHeld || !isRecent ? Self.second : Self.startPace
            }
        let due = askedAt + interval
        // An answer from before the leadership proves nothing.
        return askedAt < leaderSince ? min(due, leaderSince) : due
    }

    /// Patroni is asked only while its failsafe mode may matter: then at once, also where this daemon stood still.
    // Inlined: for a call, the whole core would be copied, at every event.
    @inline(__always)
    private var patroniDue: Instant? {
        guard self.mayFailsafeMatter, let from = self.node.contactLostAt ?? self.readOldAt else { return nil }
        guard let askedAt = self.patroniQuestion.askedAt else { return from }
        return max(from, askedAt + max(.milliseconds(500), self.node.failsafeCover / 4))
    }

    @inline(__always)
    var mayFailsafeMatter: Bool {
        self.node.config.isFailsafeEnabled && self.leases.indices.contains { self.leases[$0].isHere }
    }
}
