// SPDX-License-Identifier: Apache-2.0

/// What the shell's answers to one address's actions change. Nothing is decided here: ``AddressLease/advance(_:at:into:)``
/// follows every event.
extension AddressLease {
    // MARK: - etcd

    mutating func leaseGranted(_ id: LeaseID, ttl: Duration, goodUntil: Instant, into actions: inout [Action]) {
        let lease = KeySide.Lease(id: id, ttl: ttl, goodUntil: goodUntil)
        switch self.key {
        case .granting: self.key = .granted(lease, retryAt: nil)
        case .adopting(let old, .granting): self.key = .adopting(old: old, .granted(lease, retryAt: nil))
        case .none, .granted, .acquiring, .adopting, .held, .returning:
            // Asked for in another life: nobody will use it.
            actions.append(.revoke(self.id, lease: id))
        }
    }

    mutating func leaseRefused(_ reason: String, at now: Instant, into actions: inout [Action]) {
        switch self.key {
        case .granting: self.key = .none(retryAt: now + .seconds(1))
        case .adopting(let old, .granting): self.key = .adopting(old: old, .waiting(retryAt: now + .seconds(1)))
        case .none, .granted, .acquiring, .adopting, .held, .returning: return
        }
        actions.append(.report(.leaseRefused(self.id, reason: reason)))
    }

    mutating func leaseKept(_ id: LeaseID, ttl: Duration, goodUntil: Instant) {
        guard let lease = self.key.lease, lease.id == id else { return }
        self.key.lease = KeySide.Lease(id: id, ttl: ttl, goodUntil: max(lease.goodUntil, goodUntil))
    }

    mutating func leaseGone(_ id: LeaseID, into actions: inout [Action]) {
        switch self.key {
        case .held(let lease) where lease.id == id:
            actions.append(.report(.leaseLost(self.id, lease: id, reason: "the lease has ended")))
            self.key = .none(retryAt: nil)
        case .granted(let lease, _) where lease.id == id: self.key = .none(retryAt: nil)
        case .adopting(let old, .granted(let lease, _)) where lease.id == id:
            self.key = .adopting(old: old, .waiting(retryAt: nil))
        case .returning(id, _, _): self.key = .none(retryAt: nil)
        // The answer to the transaction under way will tell as much.
        case .none, .granting, .granted, .acquiring, .adopting, .held, .returning: return
        }
        self.endedLease = id
    }

    mutating func leaseRevoked(_ id: LeaseID, into actions: inout [Action]) {
        guard case .returning(id, _, _) = self.key else { return }
        self.key = .none(retryAt: nil)
        self.endedLease = id
        actions.append(.report(.released(self.id, lease: id)))
    }

    mutating func leaseUnanswered(_ id: LeaseID, at now: Instant) {
        if case .returning(id, _, _) = self.key {
            self.key = .returning(id, isUnderWay: false, retryAt: now + .seconds(1))
        } else if var lease = self.key.lease, lease.id == id {
            lease.isKeepAliveUnderWay = false
            self.key.lease = lease
        }
    }

    mutating func acquired(_ id: LeaseID, revision: Int64, into actions: inout [Action]) {
        guard self.isAcquiring(id), let lease = self.key.lease else {
            if !self.key.owns(id) { actions.append(.revoke(self.id, lease: id)) }
            return
        }
        self.key = .held(lease)
        actions.append(.report(.acquired(self.id, lease: id, revision: revision)))
    }

    mutating func acquireFailed(_ id: LeaseID, at now: Instant) {
        let retryAt = now + .milliseconds(200)
        switch self.key {
        case .acquiring(let lease) where lease.id == id: self.key = .granted(lease, retryAt: retryAt)
        case .adopting(let old, .takingOver(let lease)) where lease.id == id:
            self.key = .adopting(old: old, .granted(lease, retryAt: retryAt))
        case .none, .granting, .granted, .acquiring, .adopting, .held, .returning: break
        }
    }

    /// Whether a transaction that moves the key to this lease is under way.
    func isAcquiring(_ id: LeaseID) -> Bool {
        switch self.key {
        case .acquiring(let lease), .adopting(_, .takingOver(let lease)): lease.id == id
        case .none, .granting, .granted, .adopting, .held, .returning: false
        }
    }

    /// etcd is another cluster: what the old one granted is worth nothing.
    mutating func forgetCluster() {
        self.key = .none(retryAt: nil)
        self.endedLease = nil
    }

    // MARK: - The kernel

    mutating func assigned(at now: Instant, into actions: inout [Action]) {
        let until = self.kernel.command.flatMap { if case .assigning(let until) = $0 { until } else { nil } }
        guard self.kernel.assigned(at: now), let until else { return }
        actions.append(.report(.assigned(self.id, interface: self.spec.interface, lifetime: until - now)))
        actions.append(.startAnnouncing(self.spec))
    }

    mutating func assignFailed(_ reason: String, at now: Instant, into actions: inout [Action]) {
        self.kernel.assignFailed(at: now)
        actions.append(.report(.assignFailed(self.id, reason: reason)))
    }

    mutating func removed(_ place: KernelPlace, wasPresent: Bool, at now: Instant, into actions: inout [Action]) {
        let removal = self.kernel.removed(place, wasPresent: wasPresent, configured: self.spec.place, at: now)
        switch removal {
        case .decided(let reason):
            actions.append(.report(.removed(self.id, interface: place.interface, reason: reason)))
        case .lapsed: actions.append(.report(.lapsed(self.id, interface: place.interface)))
        case .unexpected: return
        }
        if place == self.spec.place { actions.append(.stopAnnouncing(self.spec)) }
    }

    mutating func removeFailed(_ place: KernelPlace, _ reason: String, at now: Instant, into actions: inout [Action]) {
        self.kernel.removeFailed(at: now)
        actions.append(.report(.removeFailed(self.id, interface: place.interface, reason: reason)))
    }

    /// Takes over a listing; answers whether it must be repeated, because a command was under way.
    mutating func inspected(
        _ found: [KernelState.Found], since: Instant, at now: Instant, into actions: inout [Action]
    ) -> Bool {
        let places = found.filter { $0.address == self.id }.map(\.place)
        let until = self.kernel.until
        guard let surprise = self.kernel.learn(places, configured: self.spec.place, since: since) else { return true }
        let isFirst = !self.hasBeenInspected
        self.hasBeenInspected = true
        if surprise.hasVanished {
            // A lifetime that ends now was not ended by anybody. The kernel counts whole seconds: it may be one ahead.
            let hasLapsed = until.map { $0 - now <= .seconds(1) } ?? false
            let interface = self.spec.interface
            actions.append(.report(hasLapsed ? .lapsed(self.id, interface: interface) : .removedByOthers(self.id, interface: interface)))
            actions.append(.stopAnnouncing(self.spec))
        }
        for place in surprise.appeared where !isFirst {
            actions.append(
                .report(.addedByOthers(self.id, interface: place.interface, prefixLength: place.prefixLength)))
        }
        return false
    }

    func expects(isPresent: Bool, at place: KernelPlace) -> Bool {
        self.kernel.expects(isPresent: isPresent, at: place, configured: self.spec.place)
    }
}
