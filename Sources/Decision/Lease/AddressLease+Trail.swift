// SPDX-License-Identifier: Apache-2.0

/// Whether etcd's history is the one that this node remembers, as far as it concerns one address.
enum HistoryTrust: Hashable, Sendable {
    /// Not read yet in this etcd cluster.
    case unread
    case trusted
    /// Nothing could be told when it was read at `since`. Whatever right another history may have granted by then ends within
    /// one TTL.
    case unknown(since: Instant)
    /// It contradicts what is remembered: a quarantine must come first, for the other nodes' sake too.
    case contradicted
}

extension AddressLease {
    /// Takes over what etcd shows of the address's trail, and judges it by what is remembered; answers whether it continues that,
    /// and was quarantined since.
    mutating func learn(
        trail found: TrailInEtcd, at revision: Int64, _ node: NodeState, at now: Instant, into actions: inout [Action]
    ) -> Bool {
        let isNews = self.trail.learn(found, at: revision)
        guard isNews || self.trust == .unread || self.trust == .contradicted else { return false }
        switch self.memory.kinship(with: found.trail) {
        case .continued where self.isMemoryAbsent && self.trust == .unread && node.isMarked:
            // Neither remembers anything. A cluster that was marked before may have been restored from before the first
            // acquisition of all; in one that is marked from now on, the quarantine is long enough.
            self.distrust(node, at: now, into: &actions)
        case .continued:
            let wasQuarantined = self.memory.entries.first.map { found.trail.wasQuarantined(since: $0.lease) } ?? false
            // What was granted elsewhere before a wait began, only a quarantine in this history is known to have outlasted.
            if case .unknown = self.trust, !wasQuarantined {
                self.remember(found.trail)
                return false
            }
            self.trust(found.trail)
            return wasQuarantined
        case .contradicted:
            // Told already, and quarantined by others: the wait goes on.
            if case .unknown = self.trust { return false }
            if self.trust != .contradicted { actions.append(.report(.historyContradicted(self.id))) }
            self.trust = .contradicted
            // It is quarantined already, which protects the others. How long ago that began, in which history, is not known.
            if node.view?.isQuarantined.value == true { self.distrust(node, at: now, into: &actions) }
        case .unknown:
            switch self.trust {
            case .unread where self.followsForgetful: self.trust(found.trail)
            // The first acquisition of all, seen while it happened.
            case .trusted where self.memory.isEmpty: self.trust(found.trail)
            case .unread, .trusted, .contradicted: self.distrust(node, at: now, into: &actions)
            case .unknown: break  // The wait goes on.
            }
        }
        return false
    }

    /// Nothing can be told of this history from now on.
    mutating func distrust(_ node: NodeState, at now: Instant, into actions: inout [Action]) {
        self.trust = .unknown(since: now)
        actions.append(.report(.historyUnknown(self.id, wait: self.unknownFor(node, at: now))))
    }

    private mutating func trust(_ trail: Trail) {
        self.followsForgetful = false
        self.trust = .trusted
        self.remember(trail)
        // From now on it is known that there was nothing, too.
        if self.isMemoryAbsent { (self.isMemoryAbsent, self.isMemoryNew) = (false, true) }
    }

    mutating func remember(_ trail: Trail) {
        guard trail != self.memory else { return }
        self.memory = trail
        self.isMemoryNew = true
    }

    /// How long a history that nothing is known of is not trusted: the longest that any lease may run, by a clock that may be
    /// slower than this node's.
    @inline(__always)
    private func unknownFor(_ node: NodeState, at now: Instant) -> Duration {
        let ttl = max(node.longestTTL(at: now), self.longestTrailTTL)
        return ttl + ttl.share(node.settings.clockDrift)
    }

    /// The longest lease under which the address was acquired last, in the history that is remembered or the one that etcd shows:
    /// whatever was acquired before had ended by then.
    var longestTrailTTL: Duration { max(self.memory.newestTTL, self.trail.value.trail.newestTTL) }

    /// When an unknown history is trusted; nil where it is not unknown.
    // Inlined: for a call, the whole machine would be copied, at every event.
    @inline(__always)
    func trustedAt(_ node: NodeState, at now: Instant) -> Instant? {
        guard case .unknown(let since) = self.trust else { return nil }
        return since + self.unknownFor(node, at: now)
    }

    mutating func settleTrust(_ node: NodeState, at now: Instant) {
        guard case .unknown = self.trust else { return }
        guard let due = self.trustedAt(node, at: now), due <= now, node.isTTLKnown else { return }
        self.trust(self.trail.value.trail)
    }

    /// Whether a key that names an earlier process of this boot may be taken over. In a history that is not known it may, if
    /// the kernel still holds the address by that process's hand: then nobody else can have come by it meanwhile.
    func mayAdopt(_ node: NodeState) -> Bool {
        guard node.isMarked, !node.isQuarantined else { return false }
        switch self.trust {
        case .trusted: return true
        case .unknown: return self.hasBeenInspected && self.kernel.isPresent && !self.kernel.isForeign
        case .unread, .contradicted: return false
        }
    }

    /// Whether the key names an earlier process of this boot, and only the kernel's listing can tell whether it may be taken over.
    func mayYetAdopt(_ node: NodeState) -> Bool {
        guard case .unknown = self.trust, !self.hasBeenInspected, let holder = self.currentHolder else { return false }
        return holder.member == node.settings.member && holder.node == node.settings.node
    }

    /// How the trail changes when the address is acquired under `lease`.
    mutating func step(for lease: KeySide.Lease) -> TrailStep {
        let entry = Trail.Entry(lease: lease.id, ttl: lease.ttl)
        let known = self.trail.value
        let step = TrailStep(seen: known, next: self.memory.merged(with: known.trail).extended(by: entry))
        self.stepUnderWay = step
        return step
    }

    /// What a quarantine makes of the trail, before its own entry; nil where nothing was ever acquired.
    var settledStep: TrailStep? {
        let known = self.trail.value
        let merged = self.memory.merged(with: known.trail)
        return merged.isEmpty ? nil : TrailStep(seen: known, next: merged)
    }

    /// The transaction that moved the key to `lease` was committed, and the trail's change with it, as was told at `revision`.
    mutating func trailMoved(under lease: LeaseID, at revision: Int64) {
        guard let next = self.stepUnderWay?.next, next.entries.first?.lease == lease else { return }
        // Where the trail was told with the key, its own last change was told too.
        if self.trail.revision < revision { self.trail.learn(TrailInEtcd(next, revision: revision), at: revision) }
        let known = self.trail.value.trail
        self.trust(known.contains(lease) ? known : next)
    }
}
