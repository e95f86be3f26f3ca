// SPDX-License-Identifier: Apache-2.0

/// What was asked for and does not come back.
extension Core {
    /// Gives up what is overdue, and ages what is known of etcd.
    ///
    /// None of these questions changes anything outside, but the mark; and that is a transaction which compares what it replaces: of
    /// two, the one that comes second changes nothing, as if another node had been first.
    @inline(__always)
    mutating func giveUpOverdue(at now: Instant, into actions: inout [Action]) {
        let (limits, awakeSince) = (self.node.limits, self.node.awakeSince)
        if let silence = self.read.giveUp(
            after: limits.etcd, at: now, awakeSince: awakeSince, next: now + min(.seconds(1), self.node.period))
        {
            self.reportSilence(.read, silence, &actions)
            // Where something was read that was sent later, there is contact.
            if !self.node.hasRead(since: self.read.askedAt) {
                self.loseContact(Self.reason(silence), at: now, into: &actions)
            }
        }
        if let silence = self.mark.giveUp(
            after: limits.transaction, at: now, awakeSince: awakeSince, next: now + .seconds(1))
        {
            self.reportSilence(.mark, silence, &actions)
            self.read.hasten(to: now + .seconds(1))
        }
        if let silence = self.listing.giveUp(
            after: limits.listing, at: now, awakeSince: awakeSince, next: now + .seconds(1))
        {
            self.reportSilence(.listing, silence, &actions)
            self.isListingWanted = true
        }
        if let silence = self.postgresQuestion.giveUp(
            after: limits.postgres, at: now, awakeSince: awakeSince, next: now + .seconds(1))
        {
            self.reportSilence(.postgres, silence, &actions)
            self.learn(.unreachable(reason: Self.reason(silence)), into: &actions)
        }
        if let silence = self.patroniQuestion.giveUp(
            after: limits.patroni, at: now, awakeSince: awakeSince, next: now + .seconds(1))
        {
            self.reportSilence(.patroni, silence, &actions)
        }
        // Whoever kept silent: knowledge grows old by itself.
        if self.node.contactLostAt == nil, let agedAt = self.contactAgedAt, agedAt <= now {
            self.loseContact("no read is answered", at: now, into: &actions)
        }
    }

    /// When contact is too old, whoever kept silent; nil before the first read. A daemon that stood still could hear
    /// nobody: it has the whole time from then on. An address's right does not wait for that: it ends by what was read.
    @inline(__always)
    var contactAgedAt: Instant? {
        self.readOldAt.map { max($0, self.node.awakeSince + self.contactPatience) }
    }

    /// When what was read is too old to go by, though it may not be told yet that contact is lost.
    @inline(__always)
    var readOldAt: Instant? {
        guard let lastRead = self.node.lastRead, self.contactPatience > .zero else { return nil }
        return lastRead + self.contactPatience
    }

    func isReadOld(at now: Instant) -> Bool { self.readOldAt.map { $0 <= now } ?? false }

    private func reportSilence(_ asked: Asked, _ silence: Silence, _ actions: inout [Action]) {
        if silence.isFirst { actions.append(.report(.unanswered(asked, after: silence.length))) }
    }

    private static func reason(_ silence: Silence) -> String {
        "the question was not answered for \(silence.length.components.seconds) s"
    }

    /// What etcd is asked for an address comes back.
    mutating func endSilence(by event: Event) {
        for index in self.leases.indices where self.leases[index].silence != nil {
            if event.isAnswer(for: self.leases[index].id) { self.leases[index].silence = nil }
        }
    }

    mutating func loseContact(_ reason: String, at now: Instant, into actions: inout [Action]) {
        guard self.node.contactLostAt == nil else { return }
        self.node.contactLostAt = now
        let age = self.node.lastRead.map { now - $0 }
        actions.append(.report(.contactLost(reason: reason, lastRead: age)))
    }

    /// What was asked for, is overdue, and has not been answered since.
    public var unanswered: [Unanswered] {
        let groups = (self.groupsView?.question.silentSince).map { Unanswered(asked: .groups, since: $0) }
        return self.unansweredForLeases + self.ports.compactMap(\.unanswered) + (groups.map { [$0] } ?? [])
            + (self.citus?.unanswered ?? []) + (self.detector?.unanswered ?? [])
    }

    /// Of these, what the leases hang on. What is no longer wanted is not missed.
    public var unansweredForLeases: [Unanswered] {
        let questions: [(asked: Asked, question: Question, isWanted: Bool)] = [
            (.read, self.read, true), (.mark, self.mark, !self.node.isMarked), (.listing, self.listing, true),
            (.postgres, self.postgresQuestion, self.node.isLeader),
            (.patroni, self.patroniQuestion, self.node.contactLostAt != nil && self.mayFailsafeMatter),
        ]
        let own = questions.compactMap { asked, question, isWanted in
            isWanted ? question.silentSince.map { Unanswered(asked: asked, since: $0) } : nil
        }
        return own + self.leases.flatMap(\.unanswered)
    }

    /// Whether only the end of this process lets go of an address: a change of the kernel is overdue, so nothing more is done about
    /// its address before its end is known, and no command is under way that could still make it. (A command that the kernel does
    /// not let go of outlives this process, acts when the kernel does, and then needs somebody who knows of it.)
    public func isStuck(commandsUnderWay: Int) -> Bool {
        commandsUnderWay == 0 && self.leases.contains { $0.kernel.stuckSince != nil }
    }
}
