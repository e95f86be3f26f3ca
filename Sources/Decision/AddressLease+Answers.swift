// SPDX-License-Identifier: Apache-2.0

/// What the shell's answers to one address's actions change. Nothing is decided here: ``AddressLease/advance(_:at:into:)``
/// follows every event.
extension AddressLease {
    // MARK: - etcd

    mutating func leaseGranted(_ id: LeaseID, ttl: Duration, goodUntil: Instant, into actions: inout [Action]) {
        switch self.key {
        case .granting: self.key = .granted(KeySide.Lease(id: id, ttl: ttl, goodUntil: goodUntil), retryAt: nil)
        case .none, .granted, .acquiring, .adopting, .held, .returning:
            // Asked for in another life: nobody will use it.
            actions.append(.revoke(self.id, lease: id))
        }
    }

    mutating func leaseRefused(_ reason: String, at now: Instant, into actions: inout [Action]) {
        guard case .granting = self.key else { return }
        self.key = .none(retryAt: now + .seconds(1))
        actions.append(.report(.leaseRefused(self.id, reason: reason)))
    }

    mutating func leaseKept(_ id: LeaseID, ttl: Duration, goodUntil: Instant) {
        func kept(_ lease: KeySide.Lease) -> KeySide.Lease {
            KeySide.Lease(id: lease.id, ttl: ttl, goodUntil: max(lease.goodUntil, goodUntil))
        }
        switch self.key {
        case .granted(let lease, let retryAt) where lease.id == id: self.key = .granted(kept(lease), retryAt: retryAt)
        case .acquiring(let lease) where lease.id == id: self.key = .acquiring(kept(lease))
        case .held(let lease) where lease.id == id: self.key = .held(kept(lease))
        case .adopting(id, _): self.key = .held(KeySide.Lease(id: id, ttl: ttl, goodUntil: goodUntil))
        case .none, .granting, .granted, .acquiring, .adopting, .held, .returning: break
        }
    }

    mutating func leaseGone(_ id: LeaseID, at now: Instant, into actions: inout [Action]) {
        guard self.key.leaseID == id else { return }
        self.endedLease = id
        switch self.key {
        case .held, .adopting:
            actions.append(.report(.leaseLost(self.id, lease: id, reason: "the lease has ended")))
            self.key = .none(retryAt: nil)
        case .granted, .returning: self.key = .none(retryAt: nil)
        case .none, .granting, .acquiring: break
        }
    }

    mutating func leaseRevoked(_ id: LeaseID, into actions: inout [Action]) {
        guard case .returning(id, _, _) = self.key else { return }
        self.key = .none(retryAt: nil)
        self.endedLease = id
        actions.append(.report(.released(self.id, lease: id)))
    }

    mutating func leaseUnanswered(_ id: LeaseID, at now: Instant) {
        guard self.key.leaseID == id else { return }
        func unanswered(_ lease: KeySide.Lease) -> KeySide.Lease {
            KeySide.Lease(id: lease.id, ttl: lease.ttl, goodUntil: lease.goodUntil)
        }
        switch self.key {
        case .granted(let lease, let retryAt): self.key = .granted(unanswered(lease), retryAt: retryAt)
        case .acquiring(let lease): self.key = .acquiring(unanswered(lease))
        case .held(let lease): self.key = .held(unanswered(lease))
        case .adopting: self.key = .adopting(id, isKeepAliveUnderWay: false)
        case .returning: self.key = .returning(id, isUnderWay: false, retryAt: now + .seconds(1))
        case .none, .granting: break
        }
    }

    mutating func acquired(_ id: LeaseID, revision: Int64, into actions: inout [Action]) {
        if case .acquiring(let lease) = self.key, lease.id == id {
            self.key = .held(lease)
            actions.append(.report(.acquired(self.id, lease: id, revision: revision)))
        } else if self.key.leaseID != id {
            actions.append(.revoke(self.id, lease: id))
        }
    }

    mutating func acquireFailed(_ id: LeaseID, at now: Instant) {
        guard case .acquiring(let lease) = self.key, lease.id == id else { return }
        self.key = .granted(lease, retryAt: now + .milliseconds(200))
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
            // A lifetime that ends now was not ended by anybody.
            let hasLapsed = until.map { $0 - now <= .milliseconds(500) } ?? false
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

    func isAcquiring(_ id: LeaseID) -> Bool {
        if case .acquiring(let lease) = self.key { return lease.id == id }
        return false
    }

    func expects(isPresent: Bool, at place: KernelPlace) -> Bool {
        self.kernel.expects(isPresent: isPresent, at: place, configured: self.spec.place)
    }
}
