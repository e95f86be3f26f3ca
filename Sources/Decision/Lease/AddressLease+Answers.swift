// SPDX-License-Identifier: Apache-2.0

/// What the shell's answers to one address's actions change. Nothing is decided here: ``AddressLease/advance(_:at:into:)``
/// follows every event.
extension AddressLease {
    // MARK: - etcd

    /// What a read or a watch showed under the address's key.
    mutating func learn(holder: Holder?, at revision: Int64, into actions: inout [Action]) {
        let before = self.holder.value?.lease
        guard self.holder.learn(holder, at: revision) else { return }
        // The key is seen to be gone before the revocation is answered, or although it never is.
        if let before, before != holder?.lease, case .revoking(before, _) = self.key {
            self.released(before, into: &actions)
        }
        guard holder == nil else { return }
        // What stood in the way has gone.
        self.acquireFailures = 0
        if case .granted(let lease, _) = self.key { self.key = .granted(lease, retryAt: nil) }
    }

    /// Whether what a read showed under the address's key was not known, though the key was.
    func isNews(_ holder: Holder?, at revision: Int64) -> Bool {
        self.holder.revision > 0 && revision > self.holder.revision && holder?.lease != self.holder.value?.lease
    }

    mutating func leaseGranted(_ id: LeaseID, ttl: Duration, goodUntil: Instant, into actions: inout [Action]) {
        let lease = KeySide.Lease(id: id, ttl: ttl, goodUntil: goodUntil)
        self.refusals.over()
        switch self.key {
        case .granting: self.key = .granted(lease, retryAt: nil)
        case .adopting(let old, .granting): self.key = .adopting(old: old, .granted(lease, retryAt: nil))
        case .none, .granted, .acquiring, .adopting, .held, .returning, .revoking:
            // Asked for in another life: nobody will use it.
            actions.append(.revoke(self.id, lease: id))
        }
    }

    mutating func leaseRefused(_ reason: String, at now: Instant, into actions: inout [Action]) {
        switch self.key {
        case .granting: self.key = .none(retryAt: now + .seconds(1))
        case .adopting(let old, .granting): self.key = .adopting(old: old, .waiting(retryAt: now + .seconds(1)))
        case .none, .granted, .acquiring, .adopting, .held, .returning, .revoking: return
        }
        if self.refusals.tells(Self.cause("?", reason), at: now) {
            actions.append(.report(.leaseRefused(self.id, reason: reason)))
        }
    }

    /// Answers whether a read of before says that the keep-alive means nothing.
    mutating func leaseKept(
        _ id: LeaseID, ttl: Duration, _ renewal: KeySide.Renewal, _ node: NodeState, at now: Instant,
        into actions: inout [Action]
    ) -> Bool {
        guard var lease = self.key.lease, lease.id == id else { return false }
        self.isDeadlineStale = true
        lease.ttl = ttl
        lease.keepAliveSince = nil
        if renewal.sentAt >= lease.renewal?.sentAt ?? renewal.sentAt { lease.renewal = renewal }
        self.key.lease = lease
        guard let read = node.vouching else { return false }
        return self.count(vouchedBy: read, node, at: now, into: &actions)
    }

    /// Lets the last renewal count for as much as `read` vouches for; answers whether it does not count at all, and another
    /// is needed.
    mutating func count(
        vouchedBy read: KeySide.Vouching, _ node: NodeState, at now: Instant, into actions: inout [Action]
    ) -> Bool {
        guard let lease = self.key.lease, let renewal = lease.renewal else { return false }
        var counted = lease
        counted.count(vouchedBy: read, margin: node.margin(for: lease.ttl))
        let isStale = renewal.term < read.term
        if isStale {
            counted.renewal = nil
            actions.append(
                .report(.renewalUncounted(self.id, lease: lease.id, term: renewal.term, known: read.term)))
        }
        self.key.lease = counted
        // It was too old to be used until now.
        if lease.goodUntil - now < Self.shortest, counted.goodUntil - now >= Self.shortest { self.key.retryAt = nil }
        return isStale
    }

    mutating func leaseGone(_ id: LeaseID, into actions: inout [Action]) {
        switch self.key {
        case .held(let lease) where lease.id == id:
            actions.append(.report(.leaseLost(self.id, lease: id, reason: "the lease has ended")))
            self.key = .none(retryAt: nil)
        case .granted(let lease, _) where lease.id == id:
            self.key = .none(retryAt: nil)
            // No key was ever seen under it.
            if !lease.isInDoubt { return }
        case .adopting(let old, .granted(let lease, _)) where lease.id == id:
            self.key = .adopting(old: old, .waiting(retryAt: nil))
        case .acquiring(var lease, _) where lease.id == id,
            .adopting(_, .takingOver(var lease, _)) where lease.id == id:
            // The transaction's answer decides what comes next.
            lease.hasEnded = true
            self.key.lease = lease
        case .returning(id, _), .revoking(id, _): self.key = .none(retryAt: nil)
        case .none, .granting, .granted, .acquiring, .adopting, .held, .returning, .revoking: return
        }
        self.endedLease = id
    }

    mutating func leaseRevoked(_ id: LeaseID, into actions: inout [Action]) {
        switch self.key {
        case .returning(id, _), .revoking(id, _): self.key = .none(retryAt: nil)
        case .none, .granting, .granted, .acquiring, .adopting, .held, .returning, .revoking: return
        }
        self.endedLease = id
        actions.append(.report(.released(self.id, lease: id)))
    }

    mutating func leaseUnanswered(_ id: LeaseID, at now: Instant) {
        if self.key.isReturning {
            if self.key.owns(id) { self.key = .returning(id, retryAt: now + .seconds(1)) }
        } else if var lease = self.key.lease, lease.id == id {
            lease.keepAliveSince = nil
            self.key.lease = lease
        }
    }

    /// etcd is another cluster: what the old one granted is worth nothing.
    mutating func forgetCluster() {
        self.key = .none(retryAt: nil)
        self.holder = Known(nil)
        self.trail = Known(TrailInEtcd())
        self.trust = .unread
        self.stepUnderWay = nil
        self.endedLease = nil
        self.acquireFailures = 0
        self.rival = nil
        self.silence = nil
        self.isDeadlineStale = true
    }

    // MARK: - The kernel

    mutating func assigned(at now: Instant, into actions: inout [Action]) {
        guard case .assigning(let until) = self.kernel.command else { return }
        self.failures.over()
        let lease = self.key.lease?.id
        // The first time under each lease: what a failover is made of. After that it may be one answer of many in a fight.
        if self.kernel.assigned(at: now), lease != self.assignedUnder || !self.meddling.isFight(at: now) {
            self.assignedUnder = lease
            actions.append(.report(.assigned(self.id, interface: self.spec.interface, lifetime: until - now)))
        }
    }

    mutating func assignFailed(_ reason: String, at now: Instant, into actions: inout [Action]) {
        self.kernel.assignFailed(at: now)
        if self.failures.tells(Self.cause("+", reason), at: now) {
            actions.append(.report(.assignFailed(self.id, reason: reason)))
        }
    }

    /// What is the same each time: the command that failed stands in the reason, with a lifetime.
    private static func cause(_ verb: String, _ reason: String) -> String { verb + reason.filter { !$0.isNumber } }

    /// Answers whether the addresses must be listed.
    mutating func removed(
        _ place: KernelPlace, wasPresent: Bool, at now: Instant, into actions: inout [Action]
    ) -> Bool {
        let isFought = self.kernel.holdsForeign && self.meddling.isFight(at: now)
        let removal = self.kernel.removed(place, wasPresent: wasPresent, configured: self.spec.place, at: now)
        self.failures.over()
        switch removal {
        case .decided(let reason):
            // What others put there each time. What this node held, and gives up, is told.
            if isFought, !self.key.isHeld || reason == .foreign || reason == .misplaced { break }
            actions.append(.report(.removed(self.id, interface: place.interface, reason: reason)))
        case .lapsed: actions.append(.report(.lapsed(self.id, interface: place.interface)))
        case .unexpected: break
        case .notFound: return true
        }
        return false
    }

    mutating func removeFailed(_ place: KernelPlace, _ reason: String, at now: Instant, into actions: inout [Action]) {
        guard case .removing(place, _) = self.kernel.command else { return }
        self.kernel.removeFailed(configured: self.spec.place, at: now)
        if self.failures.tells(Self.cause("-", place.interface + reason), at: now) {
            actions.append(.report(.removeFailed(self.id, interface: place.interface, reason: reason)))
        }
    }

    /// Takes over a listing.
    mutating func inspected(
        _ state: KernelState, _ interfaceState: InterfaceState, since: Instant, at now: Instant,
        into actions: inout [Action]
    ) {
        self.interfaceState = interfaceState
        var places: [KernelPlace] = []
        var isDuplicate = false
        var foreign: KernelState.Found?
        var standsIn: KernelPlace?
        for found in state.found where found.address == self.id {
            let isOwn = self.spec.belongs(in: found.place)
            if isOwn, found.isDuplicate { isDuplicate = true }
            // Reckoned from before the listing: it may have taken a while.
            if isOwn, self.isBeyondRight(found.lifetime, at: since) { foreign = found }
            if isOwn { standsIn = found.place }
            let place = isOwn ? self.spec.place : found.place
            if !places.contains(place) { places.append(place) }
        }
        let until = self.kernel.until
        let isFirst = !self.hasBeenInspected
        guard let surprise = self.kernel.learn(places, configured: self.spec.place, since: since, isFirst: isFirst)
        else { return }
        self.hasBeenInspected = true
        if surprise.hasVanished {
            // The kernel counts whole seconds, and a command at the patient pace gives 1.5 s less: a lifetime that would end
            // by then was not ended by anybody.
            let hasLapsed = until.map { $0 - now <= .milliseconds(2600) } ?? false
            let interface = self.spec.interface
            if hasLapsed {
                actions.append(.report(.lapsed(self.id, interface: interface)))
            } else {
                // With its interface, or with its name, it was removed by nobody.
                let isTaken = interfaceState == .missing
                self.tell(
                    isTaken ? nil : .removedByOthers(self.id, interface: interface), on: interface, at: now,
                    into: &actions)
            }
        }
        if isDuplicate { self.kernel.foundDuplicate() }
        if let foreign, self.kernel.lostLifetime() {
            let interface = self.spec.interface
            self.tell(
                .lifetimeChangedByOthers(self.id, interface: interface, lifetime: foreign.lifetime), on: interface,
                at: now, into: &actions)
        }
        // What goes from an interface that is no more goes with it to its new name: to one.
        let hasMoved = surprise.hasVanished && interfaceState == .missing
        for appeared in surprise.appeared.dropFirst(hasMoved ? 1 : 0) where !isFirst {
            let place = appeared == self.spec.place ? standsIn ?? appeared : appeared
            self.tell(
                .addedByOthers(self.id, interface: place.interface, prefixLength: place.prefixLength),
                on: place.interface, at: now, into: &actions)
        }
    }

    /// Tells that clients do not find the address on its interface, or may again.
    mutating func watchLink(at now: Instant, into actions: inout [Action]) {
        switch self.link.look(self.interfaceState, isHeld: self.key.isHeld, at: now) {
        case .lost(let trouble):
            actions.append(.report(.linkLost(self.id, interface: self.spec.interface, trouble)))
        case .back: actions.append(.report(.linkBack(self.id, interface: self.spec.interface)))
        case nil: break
        }
    }

    /// Tells what others have done, or that they do it again and again; nil: what the interface's going tells.
    private mutating func tell(
        _ report: Report?, on interface: String, at now: Instant, into actions: inout [Action]
    ) {
        switch self.meddling.noted(at: now) {
        case .thisTime:
            if let report { actions.append(.report(report)) } else { self.link.noteTakenAddress() }
        case .fight(let times, let span):
            actions.append(.report(.foughtOver(self.id, interface: interface, times: times, within: span)))
        case .nothing: break
        }
    }

    /// Whether a lifetime that the kernel told is longer than what this process gave or is just giving, or any process of
    /// ours can have given. The kernel counts whole seconds, from the moment when the command acted.
    private func isBeyondRight(_ lifetime: Duration?, at now: Instant) -> Bool {
        guard let lifetime else { return true }
        var until = self.kernel.until
        // The kernel's report of a change may come before the answer of the command that made it.
        if case .assigning(let coming) = self.kernel.command { until = max(until ?? coming, coming) }
        guard let until else { return lifetime > .seconds(86_400) }
        return now + lifetime > until + .seconds(2)
    }

    /// Whether what the kernel reports to be there, new or with another lifetime, is what this process put there.
    func expects(_ found: KernelState.Found, at now: Instant) -> Bool {
        if self.isBeyondRight(found.lifetime, at: now) || found.isDuplicate { return false }
        return self.expects(isPresent: true, at: found.place)
    }

    func expectsLoss(at place: KernelPlace) -> Bool { self.expects(isPresent: false, at: place) }

    private func expects(isPresent: Bool, at place: KernelPlace) -> Bool {
        let own = self.spec.place
        return self.kernel.expects(
            isPresent: isPresent, at: self.spec.belongs(in: place) ? own : place, configured: own)
    }
}
