// SPDX-License-Identifier: Apache-2.0

/// One address on one node: a lease twice, in etcd and in the kernel, of which the kernel's ends first.
///
/// Invariants, each upheld by the simulator:
/// - the kernel is given a lifetime only under a held key (or Patroni's failsafe answer), never beyond that right's end;
/// - the key is given back only when the kernel is known not to hold the address.
struct AddressLease: Sendable {
    private(set) var spec: AddressSpec
    private var next: Replacement?
    var key = KeySide.none(retryAt: nil)
    var kernel: KernelSide
    private(set) var stance = Stance.wait(.noContactYet)
    /// What etcd shows under the address's key.
    var holder = Known<Holder?>(nil)
    /// What etcd shows of the leases under which the address was acquired, what this node remembers of them, and what follows.
    var trail = Known(TrailInEtcd())
    var memory: Trail
    var trust = HistoryTrust.unread
    var followsForgetful: Bool
    /// Whether nothing is known of whether it was ever acquired; until the history is trusted.
    var isMemoryAbsent: Bool
    /// What the transaction does to the trail that is under way, or was last.
    var stepUnderWay: TrailStep?
    /// Whether ``memory`` has changed since the shell was told.
    var isMemoryNew = false
    var interfaceState = InterfaceState.unlisted
    /// Commands on it that fail again and again for one reason are not told each time.
    var failures = Retelling<String>()
    /// Leases that etcd refuses are not told each second.
    var refusals = Retelling<String>()
    /// What is told of its interface while it belongs here.
    var link = LinkWatch()
    /// What others do to it here.
    var meddling = Meddling()
    var assignedUnder: LeaseID?  // The lease under which it was last told to stand here.
    /// By their link addresses, the stations that answer for it.
    var duplicates = Retelling<String>()
    var hasBeenInspected = false
    var isAnnounced = false
    /// Acquisitions that failed since something changed.
    var acquireFailures = 0
    /// A lease that is known to have ended: what is still shown of it is old news.
    var endedLease: LeaseID?
    /// The TTL that the newest lease was asked for with.
    var askedTTL: Duration?
    /// The TTL for whose sake the key was last moved to another lease.
    var movedFor: Duration?
    var reportedClash: String?
    /// The key was lost, which should not happen: etcd is read again, and nothing acquired before this moment.
    var quietUntil: Instant?
    var wantsRead = false
    /// Until when an adoption may take, while the kernel's lifetime is left alone.
    var adoptBy: Instant?
    /// The next instant at which something is due without an event, as of the last decision.
    private(set) var wakeAt = Instant.distantFuture
    /// Another Patroni cluster that held the address when it was to be acquired last.
    var rival: String?
    /// When the next thing is overdue that was asked for, as reckoned when that last changed: few events change it, and every one
    /// asks.
    var overdueAt = Instant.distantFuture
    var isDeadlineStale = false
    /// What etcd has not answered that was asked for this address, since anything was answered.
    var silence: Unanswered?
    /// Until when the kernel may hold the address, as of the last decision.
    private(set) var right: Instant?

    private enum Replacement { case spec(AddressSpec), nothing }

    init(_ spec: AddressSpec, _ memory: Memory, since start: Instant) {
        self.spec = spec
        self.memory = memory.trail(of: spec.id)
        self.followsForgetful = memory.followsForgetful
        self.isMemoryAbsent = !memory.knows(spec.id) && !memory.followsForgetful
        self.kernel = KernelSide(since: start)
    }

    /// Less lifetime than this is not worth acquiring or giving.
    static let shortest: Duration = .seconds(1)

    var id: AddressID { self.spec.id }
    var isIdle: Bool { self.key.isIdle && self.kernel.isClear }
    /// Nothing of it is left here, which nobody knows before the kernel was looked at.
    var isReleased: Bool { self.isIdle && self.hasBeenInspected }
    /// Configured away and given back: the machine may be dropped.
    var isDropped: Bool {
        if case .nothing = self.next { return self.isIdle }
        return false
    }
    /// Whether etcd has shown the address's key, or that there is none.
    private var isKeyKnown: Bool { self.holder.revision > 0 }
    var isHere: Bool { self.kernel.isPresent }
    /// Failsafe mode covers what was here before, not what somebody else put here.
    private var mayFailsafeCover: Bool { self.kernel.isPresent && !self.kernel.isForeign }
    /// It belongs here, but for something that stands in the way.
    var isWaiting: Bool { if case .wait = self.stance { true } else { false } }
    /// Another member leads, or nobody does. That may change at any moment, so a lease is kept ready.
    var wantsSpare: Bool {
        switch self.stance {
        case .leave(.leaderIsAnother), .leave(.noLeader): true
        case .leave, .hold, .keep, .wait: false
        }
    }
    /// It stays here in maintenance, for as long as PostgreSQL is no standby.
    var isInMaintenance: Bool { self.stance == .keep(.maintenance) }

    /// A reload: the address changes its place or policy once it has been released, or goes away (nil).
    mutating func reconfigure(_ spec: AddressSpec?) {
        guard let spec else { self.next = .nothing; return }
        self.next = nil
        if spec.place == self.spec.place { self.spec = spec } else { self.next = .spec(spec) }
    }

    // MARK: - The decision

    mutating func advance(_ node: NodeState, at now: Instant, into actions: inout [Action]) {
        let begin = actions.count
        if self.overdueAt <= now { self.giveUpOverdue(node, at: now, into: &actions) }
        self.settleTrust(node, at: now)
        self.compareWithKey(node, at: now, &actions)
        if case .spec(let spec) = self.next, self.isIdle {
            self.spec = spec
            self.next = nil
            self.interfaceState = node.state(of: spec.interface)
        }
        let stance = Stance.judge(self.facts(node, at: now))
        if stance != self.stance {
            self.stance = stance
            actions.append(.report(.stanceChanged(self.id, stance)))
        }
        self.right = self.reckonRight(node, at: now)
        if self.link.concerns(self.interfaceState) { self.watchLink(at: now, into: &actions) }
        self.endAnnouncing(into: &actions)
        self.settleKernel(node, at: now, into: &actions)
        self.beginAnnouncing(at: now, into: &actions)
        switch stance {
        case .hold:
            self.obtainKey(node, at: now, into: &actions)
            self.pursueAdoption(node, at: now, into: &actions)
        case .keep: self.pursueAdoption(node, at: now, into: &actions)
        case .wait: self.prepareKey(node, at: now, into: &actions)
        case .leave: self.giveBackKey(at: now, into: &actions)
        }
        if case .returning(let lease, let retryAt) = self.key, retryAt <= now, self.kernel.isClear {
            self.revoke(lease, at: now, into: &actions)
        }
        if self.isDeadlineStale || actions.count != begin { self.reckonDeadline(node) }
        self.reckonWake(node, after: now)
    }

    // Inlined: for a call, the whole machine would be copied, at every event. The next one too.
    @inline(__always)
    private func facts(_ node: NodeState, at now: Instant) -> StanceFacts {
        return StanceFacts(
            isStopping: node.isStopping, isBeingReconfigured: self.next != nil,
            hasContact: node.hasView && self.isKeyKnown,
            leader: node.leader, member: node.settings.member, isPaused: node.config.isPaused,
            isHeld: self.key.isHeld, isCoveredByFailsafe: self.mayFailsafeCover && node.isCoveredByFailsafe(at: now),
            postgres: node.postgres, isPostgresAnswerFresh: !self.key.isHeld && node.isPostgresAnswerFresh(at: now),
            policy: self.spec.acquire, interface: self.spec.interface, interfaceState: self.interfaceState,
            isMarked: node.isMarked, isQuarantined: node.isQuarantined,
            otherHolder: self.otherHolder,
            isReturningLease: self.key.isReturning, isHistoryTrusted: self.trust == .trusted)
    }

    @inline(__always)
    private var otherHolder: String? {
        guard let lease = self.currentHolderLease, !self.key.owns(lease) else { return nil }
        return self.holder.value?.member
    }

    /// Until when the kernel may hold the address; nil: it may not. Both the lease and the knowledge of who leads must
    /// be young: a lease that is kept alive while reads fail does not keep an address.
    @inline(__always)
    private func reckonRight(_ node: NodeState, at now: Instant) -> Instant? {
        var right: Instant?
        if case .held(let lease) = self.key, let lastRead = node.lastRead {
            right = min(
                lease.goodUntil - node.clockLoss(in: lease.ttl),
                lastRead + node.leaseTTL - node.margin - node.clockLoss(in: node.leaseTTL))
        }
        // While etcd answers and the key is held under a lease that runs, Patroni's failsafe mode has nothing to add. After an
        // outage, a read may be answered before the lease is renewed: until then, what covers the address still does.
        if let right, right > now, node.contactLostAt == nil { return right }
        if self.mayFailsafeCover, let until = node.failsafeUntil, until > now { right = max(right ?? until, until) }
        return right
    }

    /// A TTL that was lowered ends the right sooner than it was given; until then, nothing needs to be taken away.
    @inline(__always)
    private func isCoveredByOlderTTL(_ node: NodeState, at now: Instant) -> Bool {
        guard case .held(let lease) = self.key, lease.ttl > node.leaseTTL, lease.goodUntil > now,
            let lastRead = node.lastRead
        else { return false }
        return lastRead + lease.ttl - node.margin(for: lease.ttl) > now
    }

    // MARK: - The kernel's side

    private mutating func settleKernel(_ node: NodeState, at now: Instant, into actions: inout [Action]) {
        guard self.kernel.isReady(at: now),
            self.kernel.holdsForeign || node.mayJudgeKernel(isKeyKnown: self.isKeyKnown, at: now)
        else { return }
        let mustLeave = if case .leave = self.stance { true } else { false }
        // What is due where it belongs comes first: a stray that cannot be removed must not cost the address its lifetime.
        if self.renewIfDue(node.period, at: now, into: &actions) { return }
        // A place that cannot be cleared does not keep the others from being cleared.
        let isConfiguredPlaceFirst = mustLeave && self.kernel.isPresent && !self.kernel.failures.isMultiple(of: 2)
        if let stray = self.kernel.strays.first, !isConfiguredPlaceFirst {
            self.kernel.begin(.removing(stray, reason: self.stance.reason ?? .misplaced), at: now)
            return actions.append(.removeStray(self.id, stray))
        }
        if case .leave(let reason) = self.stance { return self.clearKernel(reason, at: now, into: &actions) }
        // Setting its lifetime would not bring it to life.
        if self.kernel.isDuplicate { return self.clearKernel(.duplicateDetected, at: now, into: &actions) }
        if case .adopting = self.key, self.right == nil, !self.kernel.isForeign, let deadline = self.adoptBy,
            now < deadline
        {
            // Its lifetime is still the one that the lease of before allows.
            return
        }
        if let right = self.right, right > now { return }
        // A lifetime that others gave does not end by then.
        if !self.kernel.isForeign, self.isCoveredByOlderTTL(node, at: now) { return }
        let lost = self.kernel.isForeign ? Reason.foreign : .contactLost
        self.clearKernel(self.key.isHeld ? lost : self.stance.reason ?? .leaseLost, at: now, into: &actions)
    }

    /// Answers whether the lifetime is being set.
    private mutating func renewIfDue(_ period: Duration, at now: Instant, into actions: inout [Action]) -> Bool {
        guard let right = self.right, right > now, !self.kernel.isDuplicate else { return false }
        switch self.stance {
        case .hold, .keep: self.renewKernel(until: right, period, at: now, into: &actions)
        case .wait, .leave: break
        }
        return self.kernel.command != nil
    }

    private mutating func clearKernel(_ reason: Reason, at now: Instant, into actions: inout [Action]) {
        guard self.kernel.isPresent else { return }
        self.stopAnnouncing(into: &actions)
        self.kernel.begin(.removing(self.spec.place, reason: reason), at: now)
        actions.append(.remove(self.id, self.spec.place))
    }

    /// Sets the lifetime anew when that gains a sixth of what is left, or anything where what the kernel has does not last until
    /// the next renewal; and at once when it has become shorter.
    private mutating func renewKernel(
        until: Instant, _ period: Duration, at now: Instant, into actions: inout [Action]
    ) {
        guard until - now >= Self.shortest, self.interfaceState != .missing, self.interfaceState != .unlisted
        else { return }
        if self.kernel.isPresent, let given = self.kernel.until, given <= until {
            if given == until || !self.kernel.endsBy(now + period) {
                let double = until - given + (until - given)
                guard double + double + double >= until - now else { return }
            }
        }
        self.kernel.begin(.assigning(until: until), at: now)
        actions.append(.assign(self.spec, until: until, isPresent: self.kernel.isPresent))
    }

    /// The lease, if there is one and the address may stay, is kept alive. Once the address must leave, both leases run
    /// out by themselves, should the commands that end them fail; but a spare one is kept.
    mutating func keepAlive(at now: Instant, into actions: inout [Action]) {
        if case .leave = self.stance, !self.wantsSpare || !self.key.isSpare { return }
        guard var lease = self.key.lease, lease.keepAliveSince == nil else { return }
        actions.append(.keepAlive(self.id, lease: lease.id))
        lease.keepAliveSince = now
        self.isDeadlineStale = true
        self.key.lease = lease
    }

    /// etcd answers again: a keep-alive that was sent before may yet fail, and is not waited for.
    mutating func keepAliveAnew(at now: Instant, into actions: inout [Action]) {
        guard var lease = self.key.lease else { return }
        lease.keepAliveSince = nil
        self.key.lease = lease
        self.keepAlive(at: now, into: &actions)
    }

    @inline(__always)
    private mutating func reckonWake(_ node: NodeState, after now: Instant) {
        var wakeAt = Instant.distantFuture
        func consider(_ instant: Instant?) {
            if let instant, instant > now, instant < wakeAt { wakeAt = instant }
        }
        consider(self.overdueAt)
        consider(self.kernel.retryAt)
        if self.kernel.isPresent {
            consider(self.kernel.until)
            consider(self.right)
        }
        consider(self.key.retryAt)
        consider(self.quietUntil)
        consider(self.trustedAt(node, at: now))
        if case .adopting = self.key { consider(self.adoptBy) }
        self.wakeAt = wakeAt
    }
}
