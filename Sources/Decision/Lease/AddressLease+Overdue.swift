// SPDX-License-Identifier: Apache-2.0

/// What was asked for an address and does not come back.
extension AddressLease {
    /// What etcd was asked for and does not answer is treated as what it was asked for and answered in vain: that it may have
    /// been done, or may yet be, is reckoned with there too, since a request that has failed for want of an answer is the same.
    ///
    /// - A lease that is granted late is revoked, or used if one is asked for again: it counts from when it was asked for.
    /// - A keep-alive may be sent twice: each answer says from when it counts.
    /// - A transaction that moves the key compares what it replaces; the lease stays in doubt until the key is seen.
    /// - A lease that was revoked is never used again, and may be revoked twice.
    ///
    /// A command to the kernel is waited for, whatever becomes of it.
    mutating func giveUpOverdue(_ node: NodeState, at now: Instant, into actions: inout [Action]) {
        self.isDeadlineStale = true
        if let since = self.key.askedSince,
            now - max(since, node.awakeSince) >= Self.limit(of: self.key, node.limits)
        {
            self.giveUpKey(since, at: now, into: &actions)
        }
        if var lease = self.key.lease, let since = lease.keepAliveSince,
            now - max(since, node.awakeSince) >= node.limits.etcd
        {
            lease.keepAliveSince = nil
            self.key.lease = lease
            self.wantsRead = true
            self.reportSilence(.renewal(self.id), since, at: now, into: &actions)
        }
        if let (command, since) = self.kernel.becomesOverdue(
            after: node.limits.kernel, at: now, awakeSince: node.awakeSince)
        {
            let asked: Asked =
                switch command {
                case .assigning: .assignment(self.id)
                case .removing: .removal(self.id)
                }
            actions.append(.report(.unanswered(asked, after: now - since)))
        }
    }

    private mutating func giveUpKey(_ since: Instant, at now: Instant, into actions: inout [Action]) {
        let asked: Asked
        switch self.key {
        case .granting:
            self.key = .none(retryAt: now + .seconds(1))
            asked = .lease(self.id)
        case .adopting(let old, .granting):
            self.key = .adopting(old: old, .waiting(retryAt: now + .seconds(1)))
            asked = .lease(self.id)
        case .acquiring(let lease, _), .adopting(_, .takingOver(let lease, _)):
            self.acquireFailed(lease.id, isAnswered: false, at: now)
            self.wantsRead = true
            asked = .acquisition(self.id)
        case .revoking(let lease, _):
            self.key = .returning(lease, retryAt: now + .seconds(1))
            asked = .revocation(self.id)
        case .none, .granted, .adopting(_, .waiting), .adopting(_, .granted), .held, .returning: return
        }
        self.reportSilence(asked, since, at: now, into: &actions)
    }

    private mutating func reportSilence(_ asked: Asked, _ since: Instant, at now: Instant, into actions: inout [Action])
    {
        guard self.silence == nil else { return }
        self.silence = Unanswered(asked: asked, since: since)
        actions.append(.report(.unanswered(asked, after: now - since)))
    }

    private static func limit(of key: KeySide, _ limits: AnswerLimits) -> Duration {
        switch key {
        case .acquiring, .adopting(_, .takingOver): limits.transaction
        case .none, .granting, .granted, .adopting(_, .waiting), .adopting(_, .granting), .adopting(_, .granted), .held,
            .returning, .revoking:
            limits.etcd
        }
    }

    /// Reckons when the next thing that was asked for is overdue.
    mutating func reckonDeadline(_ node: NodeState) {
        self.isDeadlineStale = false
        var next = Instant.distantFuture
        func consider(_ since: Instant, _ limit: Duration) { next = min(next, max(since, node.awakeSince) + limit) }
        if let since = self.key.askedSince { consider(since, Self.limit(of: self.key, node.limits)) }
        if let since = self.key.lease?.keepAliveSince { consider(since, node.limits.etcd) }
        if let deadline = self.kernel.deadline(node.limits.kernel, awakeSince: node.awakeSince) {
            next = min(next, deadline)
        }
        self.overdueAt = next
    }

    /// What is overdue, or was given up and has had no successor that was answered.
    var unanswered: [Unanswered] {
        var list: [Unanswered] = []
        if let silence = self.silence { list.append(silence) }
        if let since = self.kernel.stuckSince {
            let isRemoval = if case .removing = self.kernel.command { true } else { false }
            list.append(Unanswered(asked: isRemoval ? .removal(self.id) : .assignment(self.id), since: since))
        }
        return list
    }
}

extension Event {
    /// Whether it is what etcd answers to a request for this address, well or badly.
    func isAnswer(for address: AddressID) -> Bool {
        switch self {
        case .leaseGranted(address, _, _, _), .leaseRefused(address, _), .leaseKept(address, _, _, _, _),
            .leaseGone(address, _), .leaseUnanswered(address, _, _), .leaseRevoked(address, _),
            .acquired(address, _, _, _, _), .acquireRefused(address, _, _, _), .acquireFoundNoLease(address, _),
            .acquireUnanswered(address, _, _):
            true
        default: false  // The rest answers something else, or nothing.
        }
    }
}
