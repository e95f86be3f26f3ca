// SPDX-License-Identifier: Apache-2.0

/// The key's side: what etcd shows of the address's key, and how it is obtained, moved and given back.
extension AddressLease {
    var currentHolder: Holder? {
        guard let holder = self.holder.value, holder.lease != self.endedLease else { return nil }
        return holder
    }

    /// The lease under which the key stands. It is asked for at every event, and the holder's names would be copied with it.
    @inline(__always)
    var currentHolderLease: LeaseID? {
        guard let lease = self.holder.value?.lease, lease != self.endedLease else { return nil }
        return lease
    }

    /// Draws the consequences of what etcd shows under the address's key.
    mutating func compareWithKey(_ node: NodeState, at now: Instant, _ actions: inout [Action]) {
        let holder = self.currentHolderLease
        switch self.key {
        case .held(let lease) where holder != lease.id:
            let reason = self.currentHolder.map { "the key names \($0.member)" } ?? "the key was deleted"
            actions.append(.report(.leaseLost(self.id, lease: lease.id, reason: reason)))
            self.quietUntil = now + .seconds(1)
            self.wantsRead = true
            // Its lease is ended when the kernel is clear: what was seen may be wrong.
            self.key = .returning(lease.id, retryAt: now)
            return
        case .adopting(let old, let step) where holder != old:
            // Either our own transaction was committed, or the earlier process's release was.
            switch step {
            case .waiting: self.key = .none(retryAt: nil)
            case .granting(let since): self.key = .granting(since: since)
            case .granted(let lease, _): self.settle(lease, under: holder, into: &actions)
            case .takingOver(var lease, _):
                lease.isInDoubt = true
                self.settle(lease, under: holder, into: &actions)
            }
        case .returning(let lease, let retryAt) where retryAt > now && holder != lease:
            // The revocation was not answered, but no key stands under that lease, and it is never used again.
            self.released(lease, into: &actions)
        case .none, .granting, .granted, .acquiring, .adopting, .held, .returning, .revoking: break
        }
        guard self.holder.value?.member == node.settings.member, let holder = self.currentHolder else { return }
        guard holder.node == node.settings.node else {
            if self.reportedClash != holder.node {
                self.reportedClash = holder.node
                actions.append(.report(.memberClash(self.id, node: holder.node)))
            }
            return
        }
        switch self.key {
        case .granted(let lease, _) where lease.id == holder.lease,
            .acquiring(let lease, _) where lease.id == holder.lease:
            self.appeared(under: lease, into: &actions)
        case .none(let retryAt):
            // A key in a cluster that was restored from an old copy proves nothing.
            guard self.mayAdopt(node) else { break }
            self.adopt(holder.lease, .waiting(retryAt: retryAt), by: now + node.longestTTL(at: now), &actions)
        case .granted(let lease, let retryAt):
            guard self.mayAdopt(node) else { break }
            let step = KeySide.Adoption.granted(lease, retryAt: retryAt)
            self.adopt(holder.lease, step, by: now + node.longestTTL(at: now), &actions)
        case .granting, .acquiring, .adopting, .held, .returning, .revoking: break
        }
    }

    private mutating func settle(
        _ lease: KeySide.Lease, under holder: LeaseID?, into actions: inout [Action]
    ) {
        if holder == lease.id { return self.appeared(under: lease, into: &actions) }
        self.key = lease.hasEnded ? .none(retryAt: nil) : .granted(lease, retryAt: nil)
    }

    /// No key stands under the lease any more, which is never used again: whatever its revocation is answered, if anything.
    mutating func released(_ lease: LeaseID, into actions: inout [Action]) {
        self.isDeadlineStale = true
        self.key = .none(retryAt: nil)
        actions.append(.report(.released(self.id, lease: lease)))
    }

    private mutating func adopt(
        _ old: LeaseID, _ step: KeySide.Adoption, by deadline: Instant, _ actions: inout [Action]
    ) {
        self.key = .adopting(old: old, step)
        self.adoptBy = deadline
        actions.append(.report(.leaseAdopted(self.id, lease: old)))
    }

    /// Makes a lease ready where the address may soon be wanted.
    mutating func prepareKey(_ node: NodeState, at now: Instant, into actions: inout [Action]) {
        guard node.isLeader, case .none(let retryAt) = self.key, (retryAt ?? now) <= now,
            (self.quietUntil ?? now) <= now, !self.mayYetAdopt(node)
        else { return }
        self.key = .granting(since: now)
        self.grant(node.leaseTTL, into: &actions)
    }

    private mutating func grant(_ ttl: Duration, into actions: inout [Action]) {
        self.askedTTL = ttl
        self.isDeadlineStale = true
        actions.append(.grantLease(self.id, ttl: ttl))
    }

    /// With every read of etcd: the lease is kept alive. Where another member leads or nobody does, a spare one is made
    /// ready, so that a new leader need not wait for it: a commit less between Patroni's leader key and the address.
    mutating func renewLease(_ node: NodeState, at now: Instant, into actions: inout [Action]) {
        if self.wantsSpare, node.contactLostAt == nil {
            // One that was asked for with another TTL than today's is replaced.
            if case .granted(let lease, _) = self.key, self.key.isSpare, self.askedTTL != node.leaseTTL {
                self.drop(lease, into: &actions)
            }
            if case .none(let retryAt) = self.key, (retryAt ?? now) <= now {
                self.key = .granting(since: now)
                self.grant(node.leaseTTL, into: &actions)
            }
        }
        self.keepAlive(at: now, into: &actions)
    }

    mutating func obtainKey(_ node: NodeState, at now: Instant, into actions: inout [Action]) {
        switch self.key {
        case .none: self.prepareKey(node, at: now, into: &actions)
        case .granted(let lease, let retryAt):
            guard (retryAt ?? now) <= now, (self.quietUntil ?? now) <= now, let view = node.view else { return }
            guard self.isWorthUsing(lease, at: now, into: &actions) else { return }
            self.key = .acquiring(lease, since: now)
            actions.append(
                .acquire(self.id, lease: lease.id, clusterID: view.clusterID, trail: self.step(for: lease)))
            // Keep-alives were lost: with what is left of the lease, the kernel's lifetime would be short.
            let whole = lease.ttl - node.margin(for: lease.ttl)
            if lease.goodUntil - now < whole - node.period { self.keepAlive(at: now, into: &actions) }
        case .held(let lease): self.moveIfTooLong(lease, node, at: now, into: &actions)
        case .granting, .acquiring, .adopting, .returning, .revoking: break
        }
    }

    /// A lease that is about to end is kept alive first, and looked at again after the answer, or after a second.
    private mutating func isWorthUsing(_ lease: KeySide.Lease, at now: Instant, into actions: inout [Action]) -> Bool {
        if lease.goodUntil - now >= Self.shortest { return true }
        self.keepAlive(at: now, into: &actions)
        self.key.retryAt = now + .seconds(1)
        return false
    }

    /// Patroni's `ttl` was lowered: the key moves to a shorter lease, once the kernel's lifetime is short enough for it.
    private mutating func moveIfTooLong(
        _ lease: KeySide.Lease, _ node: NodeState, at now: Instant, into actions: inout [Action]
    ) {
        let ttl = node.leaseTTL
        guard lease.ttl > ttl else { self.movedFor = nil; return }
        guard self.movedFor != ttl, self.kernel.command == nil, self.kernel.strays.isEmpty else { return }
        if self.kernel.isPresent {
            guard let until = self.kernel.until, until <= now + ttl - node.margin(for: ttl) else { return }
        }
        self.movedFor = ttl
        self.adoptBy = now + lease.ttl
        self.key = .adopting(old: lease.id, .waiting(retryAt: nil))
        actions.append(.report(.leaseShortened(self.id, lease: lease.id, from: lease.ttl, to: ttl)))
    }

    /// The TTL of the lease to which a key is moved: no shorter than the one under which an earlier process gave the kernel
    /// a lifetime that is not known here, so that the kernel's end still comes first. It is shortened later.
    private func adoptionTTL(_ node: NodeState, at now: Instant) -> Duration {
        if self.isLifetimeKnown { return node.leaseTTL }
        return max(node.leaseTTL, self.currentHolder?.ttl ?? node.longestTTL(at: now))
    }

    /// Whether all that the kernel has of the address here ends at a time that is known.
    private var isLifetimeKnown: Bool {
        self.hasBeenInspected && (!self.kernel.isPresent || self.kernel.until != nil) && self.kernel.strays.isEmpty
    }

    /// An adoption goes on while the address may stay, also in maintenance, where nothing could be acquired.
    mutating func pursueAdoption(_ node: NodeState, at now: Instant, into actions: inout [Action]) {
        guard case .adopting(let old, let step) = self.key else { return }
        switch step {
        case .waiting(let retryAt):
            guard (retryAt ?? now) <= now else { return }
            self.key = .adopting(old: old, .granting(since: now))
            self.grant(self.adoptionTTL(node, at: now), into: &actions)
        case .granted(let lease, let retryAt):
            guard (retryAt ?? now) <= now, let view = node.view else { return }
            let needed = self.adoptionTTL(node, at: now)
            // One that a transaction was sent with, whose answer was lost, is never given back here: the key may come to stand under
            // it, and would end with it while the kernel holds the address. It is tried again with, which clears the doubt; or,
            // where the kernel's end is not known, etcd is read until the doubt is gone or that is known.
            if lease.isInDoubt, lease.ttl < needed, !self.isLifetimeKnown {
                self.wantsRead = true
                self.key = .adopting(old: old, .granted(lease, retryAt: now + .seconds(1)))
                return
            }
            guard lease.ttl >= needed || lease.isInDoubt else {
                // It was asked for before that was known; or granted for less than was asked for, which is not tried at once.
                let wasAskedForLess = (self.askedTTL ?? .zero) < needed
                actions.append(.revoke(self.id, lease: lease.id))
                self.key = .adopting(old: old, .waiting(retryAt: wasAskedForLess ? nil : now + .seconds(1)))
                return self.pursueAdoption(node, at: now, into: &actions)
            }
            guard self.isWorthUsing(lease, at: now, into: &actions) else { return }
            self.key = .adopting(old: old, .takingOver(lease, since: now))
            actions.append(
                .takeOver(
                    self.id, lease: lease.id, from: old, clusterID: view.clusterID, trail: self.step(for: lease)))
        case .granting, .takingOver: break
        }
    }

    /// Ends the lease, but only when the kernel no longer holds the address. A spare one stays while it may be wanted.
    mutating func giveBackKey(at now: Instant, into actions: inout [Action]) {
        // What the kernel holds is not known before the first listing: an earlier process may have put the address there.
        guard self.hasBeenInspected, self.kernel.isClear else { return }
        switch self.key {
        case .none, .granting, .acquiring, .returning, .revoking: return
        case .granted(let lease, _) where self.key.isSpare:
            if !self.wantsSpare { self.drop(lease, into: &actions) }
        case .granted(let lease, _), .held(let lease): self.revoke(lease.id, at: now, into: &actions)
        case .adopting(_, .granting), .adopting(_, .takingOver): return
        case .adopting(let old, let step):
            if let lease = step.lease { actions.append(.revoke(self.id, lease: lease.id)) }
            self.revoke(old, at: now, into: &actions)
        }
    }

    /// Nothing hangs on a spare lease: nobody waits for its end, and it is never used again.
    private mutating func drop(_ lease: KeySide.Lease, into actions: inout [Action]) {
        self.key = .none(retryAt: nil)
        actions.append(.revoke(self.id, lease: lease.id))
    }

    mutating func revoke(_ lease: LeaseID, at now: Instant, into actions: inout [Action]) {
        self.key = .revoking(lease, since: now)
        actions.append(.revoke(self.id, lease: lease))
    }
}
