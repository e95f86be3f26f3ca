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
    var kernel = KernelSide()
    private(set) var stance = Stance.wait(.noContactYet)
    var hasBeenInspected = false
    private var reportedClash: String?
    /// A lease that is known to have ended: what the view still shows of it is old news.
    var endedLease: LeaseID?

    private enum Replacement { case spec(AddressSpec), nothing }

    init(_ spec: AddressSpec) { self.spec = spec }

    /// Less lifetime than this is not worth acquiring or giving.
    static let shortest: Duration = .seconds(1)

    var id: AddressID { self.spec.id }
    var isIdle: Bool { self.key.isIdle && self.kernel.isClear }
    /// Configured away and given back: the machine may be dropped.
    var isDropped: Bool {
        if case .nothing = self.next { return self.isIdle }
        return false
    }
    var isHere: Bool { self.kernel.isPresent }

    /// A reload: the address changes its place or policy once it has been released, or goes away (nil).
    mutating func reconfigure(_ spec: AddressSpec?) {
        guard let spec else { self.next = .nothing; return }
        self.next = nil
        if spec.place == self.spec.place { self.spec = spec } else { self.next = .spec(spec) }
    }

    // MARK: - The decision

    mutating func advance(_ shared: Shared, at now: Instant, into actions: inout [Action]) {
        self.compareWithKey(shared, &actions)
        if case .spec(let spec) = self.next, self.isIdle {
            self.spec = spec
            self.next = nil
        }
        let stance = Stance.judge(self.facts(shared, at: now))
        if stance != self.stance {
            self.stance = stance
            actions.append(.report(.stanceChanged(self.id, stance)))
        }
        self.settleKernel(shared, at: now, into: &actions)
        switch stance {
        case .hold:
            self.obtainKey(shared, at: now, into: &actions)
            self.pursueAdoption(shared, at: now, into: &actions)
        case .keep: self.pursueAdoption(shared, at: now, into: &actions)
        case .wait(let reason): self.prepareKey(shared, reason, at: now, into: &actions)
        case .leave: self.giveBackKey(at: now, into: &actions)
        }
        if case .returning(let lease, false, let retryAt) = self.key, retryAt <= now {
            self.key = .returning(lease, isUnderWay: true, retryAt: retryAt)
            actions.append(.revoke(self.id, lease: lease))
        }
    }

    private func holder(in view: ClusterView?) -> Holder? {
        guard let holder = view?.holder(of: self.id).value, holder.lease != self.endedLease else { return nil }
        return holder
    }

    private func facts(_ shared: Shared, at now: Instant) -> StanceFacts {
        let holder = self.holder(in: shared.view)
        return StanceFacts(
            isStopping: shared.isStopping, isBeingReconfigured: self.next != nil, hasContact: shared.view != nil,
            leader: shared.view?.leader.value, member: shared.settings.member,
            isPaused: shared.view?.patroni.value.isPaused ?? false, isHeld: self.key.isHeld,
            isCoveredByFailsafe: self.isHere && shared.isCoveredByFailsafe(at: now), postgres: shared.postgres,
            isPostgresAnswerFresh: shared.isPostgresAnswerFresh(at: now), policy: self.spec.acquire,
            interface: self.spec.interface, interfaceState: shared.state(of: self.spec.interface),
            isMarked: shared.view?.isMarked ?? false, isQuarantined: shared.view?.isQuarantined.value ?? false,
            otherHolder: holder.flatMap { self.key.owns($0.lease) ? nil : $0.member },
            isReturningLease: self.key.isReturning)
    }

    /// Until when the kernel may hold the address; nil: it may not. Both the lease and the knowledge of who leads must
    /// be young: a lease that is kept alive while reads fail does not keep an address.
    private func right(_ shared: Shared, at now: Instant) -> Instant? {
        var right: Instant?
        if case .held(let lease) = self.key, let lastRead = shared.lastRead {
            let ttl = shared.leaseTTL
            right = min(lease.goodUntil, lastRead + ttl - shared.settings.margin(for: ttl))
        }
        if self.isHere, shared.isCoveredByFailsafe(at: now), let until = shared.failsafeUntil {
            right = max(right ?? until, until)
        }
        return right
    }

    // MARK: - The kernel's side

    private mutating func settleKernel(_ shared: Shared, at now: Instant, into actions: inout [Action]) {
        guard self.kernel.isReady(at: now), shared.view != nil || shared.isStopping else { return }
        if let stray = self.kernel.strays.first {
            return self.remove(stray, self.stance.reason ?? .heldByAnother(shared.settings.member), into: &actions)
        }
        if case .leave(let reason) = self.stance { return self.clearKernel(reason, into: &actions) }
        if case .adopting = self.key { return }
        guard let right = self.right(shared, at: now), right > now else {
            return self.clearKernel(self.key.isHeld ? .contactLost : self.stance.reason ?? .leaseLost, into: &actions)
        }
        switch self.stance {
        case .hold, .keep: self.renewKernel(until: right, shared, at: now, into: &actions)
        case .wait, .leave: break
        }
    }

    private mutating func clearKernel(_ reason: Reason, into actions: inout [Action]) {
        guard self.kernel.isPresent else { return }
        self.remove(self.spec.place, reason, into: &actions)
    }

    private mutating func remove(_ place: KernelPlace, _ reason: Reason, into actions: inout [Action]) {
        self.kernel.begin(.removing(place, reason: reason))
        actions.append(.remove(self.id, place))
    }

    private mutating func renewKernel(
        until: Instant, _ shared: Shared, at now: Instant, into actions: inout [Action]
    ) {
        guard until - now >= Self.shortest, shared.state(of: self.spec.interface) != .missing else { return }
        if self.kernel.isPresent, let given = self.kernel.until, until - given < shared.period / 2 { return }
        self.kernel.begin(.assigning(until: until))
        actions.append(.assign(self.spec, until: until, isPresent: self.kernel.isPresent))
    }

    // MARK: - The key's side

    /// Draws the consequences of what etcd shows under the address's key.
    private mutating func compareWithKey(_ shared: Shared, _ actions: inout [Action]) {
        let holder = self.holder(in: shared.view)
        switch self.key {
        case .held(let lease) where holder?.lease != lease.id:
            let reason = holder.map { "the key names \($0.member)" } ?? "the key was deleted"
            actions.append(.report(.leaseLost(self.id, lease: lease.id, reason: reason)))
            return self.revoke(lease.id, into: &actions)
        case .adopting(let old, let step) where holder?.lease != old:
            // Either our own transaction was committed, or the earlier process's release was.
            switch step {
            case .waiting: self.key = .none(retryAt: nil)
            case .granting: self.key = .granting
            case .granted(let lease, _), .takingOver(let lease):
                self.key = holder?.lease == lease.id ? .held(lease) : .granted(lease, retryAt: nil)
            }
        case .none, .granting, .granted, .acquiring, .adopting, .held, .returning: break
        }
        guard let holder, holder.member == shared.settings.member else { return }
        guard holder.node == shared.settings.node else {
            if self.reportedClash != holder.node {
                self.reportedClash = holder.node
                actions.append(.report(.memberClash(self.id, node: holder.node)))
            }
            return
        }
        switch self.key {
        case .none(let retryAt): self.adopt(holder.lease, .waiting(retryAt: retryAt), &actions)
        case .granted(let lease, _) where lease.id == holder.lease:
            // An acquisition whose answer was lost.
            self.key = .held(lease)
        case .granted(let lease, let retryAt): self.adopt(holder.lease, .granted(lease, retryAt: retryAt), &actions)
        case .granting, .acquiring, .adopting, .held, .returning: break
        }
    }

    private mutating func adopt(_ old: LeaseID, _ step: KeySide.Adoption, _ actions: inout [Action]) {
        self.key = .adopting(old: old, step)
        actions.append(.report(.leaseAdopted(self.id, lease: old)))
    }

    /// Every ``Shared/period``: the lease, if there is one and the address may stay, is kept alive. Once the address
    /// must leave, both leases run out by themselves, should the commands that end them fail.
    mutating func keepAlive(into actions: inout [Action]) {
        if case .leave = self.stance { return }
        guard var lease = self.key.lease, !lease.isKeepAliveUnderWay else { return }
        actions.append(.keepAlive(self.id, lease: lease.id))
        lease.isKeepAliveUnderWay = true
        self.key.lease = lease
    }

    /// Makes a lease ready where the address may soon be wanted.
    private mutating func prepareKey(
        _ shared: Shared, _ reason: Reason, at now: Instant, into actions: inout [Action]
    ) {
        guard shared.isLeader, case .none(let retryAt) = self.key, (retryAt ?? now) <= now else { return }
        self.key = .granting
        actions.append(.grantLease(self.id, ttl: shared.leaseTTL))
    }

    private mutating func obtainKey(_ shared: Shared, at now: Instant, into actions: inout [Action]) {
        switch self.key {
        case .none(let retryAt):
            guard (retryAt ?? now) <= now else { return }
            self.key = .granting
            actions.append(.grantLease(self.id, ttl: shared.leaseTTL))
        case .granted(let lease, let retryAt):
            guard (retryAt ?? now) <= now, let view = shared.view else { return }
            guard lease.goodUntil - now >= Self.shortest else { return self.keepAlive(into: &actions) }
            self.key = .acquiring(lease)
            actions.append(.acquire(self.id, lease: lease.id, clusterID: view.clusterID))
        case .granting, .acquiring, .adopting, .held, .returning: break
        }
    }

    /// An adoption goes on while the address may stay, also in maintenance, where nothing could be acquired.
    private mutating func pursueAdoption(_ shared: Shared, at now: Instant, into actions: inout [Action]) {
        guard case .adopting(let old, let step) = self.key else { return }
        switch step {
        case .waiting(let retryAt):
            guard (retryAt ?? now) <= now else { return }
            self.key = .adopting(old: old, .granting)
            actions.append(.grantLease(self.id, ttl: shared.leaseTTL))
        case .granted(let lease, let retryAt):
            guard (retryAt ?? now) <= now else { return }
            guard lease.goodUntil - now >= Self.shortest else { return self.keepAlive(into: &actions) }
            self.key = .adopting(old: old, .takingOver(lease))
            actions.append(.takeOver(self.id, lease: lease.id, from: old))
        case .granting, .takingOver: break
        }
    }

    /// Ends the lease, but only when the kernel no longer holds the address.
    private mutating func giveBackKey(at now: Instant, into actions: inout [Action]) {
        // What the kernel holds is not known before the first listing: an earlier process may have put the address there.
        guard self.hasBeenInspected, !self.kernel.isPresent, self.kernel.command == nil else { return }
        switch self.key {
        case .none, .granting, .acquiring, .returning: return
        case .granted(let lease, _), .held(let lease): self.revoke(lease.id, into: &actions)
        case .adopting(_, .granting), .adopting(_, .takingOver): return
        case .adopting(let old, let step):
            if let lease = step.lease { actions.append(.revoke(self.id, lease: lease.id)) }
            self.revoke(old, into: &actions)
        }
    }

    private mutating func revoke(_ lease: LeaseID, into actions: inout [Action]) {
        self.key = .returning(lease, isUnderWay: true, retryAt: .distantFuture)
        actions.append(.revoke(self.id, lease: lease))
    }

    /// The next instant after `now` at which something is due without an event.
    func wakeAt(after now: Instant) -> Instant {
        var wakeAt = Instant.distantFuture
        func consider(_ instant: Instant?) {
            if let instant, instant > now, instant < wakeAt { wakeAt = instant }
        }
        consider(self.kernel.retryAt)
        consider(self.kernel.until)
        switch self.key {
        case .none(let retryAt), .granted(_, let retryAt), .adopting(_, .waiting(let retryAt)),
            .adopting(_, .granted(_, let retryAt)):
            consider(retryAt)
        case .returning(_, false, let retryAt): consider(retryAt)
        case .granting, .acquiring, .adopting(_, .granting), .adopting(_, .takingOver), .held,
            .returning(_, true, _):
            break
        }
        return wakeAt
    }
}
