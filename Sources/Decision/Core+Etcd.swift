// SPDX-License-Identifier: Apache-2.0

/// What etcd's answers and watch events change.
extension Core {
    mutating func learnFromEtcd(_ event: Event, at now: Instant, into actions: inout [Action]) {
        self.endSilence(by: event)
        switch event {
        case .readAnswered(let snapshot, let sentAt):
            // One that was given up is as true as it is old, which `sentAt` says; another is under way.
            self.read.answered(sentAt)
            self.learn(snapshot, sentAt: sentAt, at: now, into: &actions)
        case .followed(let snapshot, let sentAt):
            self.watchDebts.watchBegins(after: snapshot.revision)
            self.learn(snapshot, sentAt: sentAt, isWatchToShow: false, at: now, into: &actions)
        case .readFailed(let reason):
            // Where something was read that was sent later, there is contact.
            let isOldNews = self.read.isUnderWay && self.node.hasRead(since: self.read.askedAt)
            // That of one that was given up may count for the next: then etcd is read once more, and an answer to that one
            // restores contact.
            self.read.answered()
            self.read.due = now + min(.seconds(1), self.node.period)
            if !isOldNews { self.loseContact(reason, at: now, into: &actions) }
        case .watched(let clusterID, let revision, let changes):
            self.learn(changes, clusterID, revision, at: now, into: &actions)
        case .markAnswered(let reason, let sentAt):
            // One that was given up: what it did, the next read shows.
            guard self.mark.answered(sentAt) else { return }
            self.mark.due = now + .seconds(1)
            if reason == nil { self.node.isMarkDoubtful = false }
            self.read.due = reason == nil ? now : now + .seconds(1)
        case .leaseGranted(let address, let lease, let ttl, let sentAt):
            let goodUntil = sentAt + ttl - self.node.margin(for: ttl)
            self.update(address) { $0.leaseGranted(lease, ttl: ttl, goodUntil: goodUntil, into: &actions) }
        case .leaseRefused(let address, let reason):
            self.update(address) { $0.leaseRefused(reason, at: now, into: &actions) }
        case .leaseKept(let address, let lease, let ttl, let sentAt, let answerer):
            self.learnRenewal(of: address, lease, ttl, sentAt: sentAt, by: answerer, at: now, into: &actions)
        case .leaseGone(let address, let lease):
            self.update(address) { $0.leaseGone(lease, into: &actions) }
        case .leaseUnanswered(let address, let lease, _): self.renewalFailed(of: address, lease, at: now)
        case .leaseRevoked(let address, let lease):
            self.update(address) { $0.leaseRevoked(lease, into: &actions) }
        case .acquired(let address, let lease, let revision, let sentAt, let answerer):
            guard self.node.view?.clusterID == answerer.clusterID else {
                return self.acquiredElsewhere(address, lease, at: now, into: &actions)
            }
            self.learnAcquisition(of: address, lease, revision, sentAt: sentAt, by: answerer, into: &actions)
        case .acquireRefused(let address, let lease, let found, let sentAt):
            self.learnRefusal(of: address, lease, found, at: now, into: &actions)
            self.learn(found, sentAt: sentAt, at: now, into: &actions)
        case .acquireFoundNoLease(let address, let lease):
            self.update(address) { $0.acquireFoundNoLease(lease, at: now, into: &actions) }
        case .acquireUnanswered(let address, let lease, _):
            self.update(address) { $0.acquireFailed(lease, isAnswered: false, at: now) }
            self.read.hasten(to: now)
        default: break  // The caller sends nothing else here.
        }
    }

    private mutating func learnRenewal(
        of address: AddressID, _ lease: LeaseID, _ ttl: Duration, sentAt: Instant, by answerer: Answerer,
        at now: Instant, into actions: inout [Action]
    ) {
        guard self.node.view?.clusterID == answerer.clusterID else {
            return self.renewalFailed(of: address, lease, at: now)
        }
        let renewal = KeySide.Renewal(sentAt: sentAt, term: answerer.raftTerm)
        for index in self.leases.indices where self.leases[index].id == address {
            let isStale = self.leases[index].leaseKept(
                lease, ttl: ttl, renewal, self.node, at: now, into: &actions)
            if isStale { self.renewalFailed(of: address, lease, at: now) }
        }
    }

    private mutating func renewalFailed(of address: AddressID, _ lease: LeaseID, at now: Instant) {
        self.update(address) { $0.leaseUnanswered(lease, at: now) }
        // The next renewal would be a sixth of the lease away; what covers the address now may last less.
        if self.leases.contains(where: { $0.id == address && $0.key.isHeld && $0.key.owns(lease) }) {
            self.read.hasten(to: now + min(.seconds(1), self.period))
        }
    }

    /// `isWatchToShow`: what is new here, a watch that began earlier must show too.
    private mutating func learn(
        _ snapshot: Snapshot, sentAt: Instant, isWatchToShow: Bool = true, at now: Instant,
        into actions: inout [Action]
    ) {
        var isReplaced = false
        if let view = self.node.view, view.isContradicted(by: snapshot, sentAt: sentAt) {
            // An answer that the cluster of before gave, late.
            if let lastRead = self.node.lastRead, sentAt < lastRead { return }
            actions.append(.report(.clusterReplaced(old: view.clusterID, new: snapshot.clusterID)))
            // Also where the mark is right: it may be an earlier cluster that came back, or a copy of this one.
            self.node.isMarkDoubtful = true
            isReplaced = true
            self.node.view = nil
            self.node.vouching = nil
            self.watchDebts.clear()
            for index in self.leases.indices { self.leases[index].forgetCluster() }
        }
        let isFirst = !self.node.hasView
        if isFirst { self.node.view = ClusterView(clusterID: snapshot.clusterID, at: now) }
        let (wasPaused, ttl) = (self.node.config.isPaused, self.node.knownTTL)
        var config = self.node.config
        let change = self.node.view?.learn(snapshot, &config, at: now) ?? nil
        self.node.config = config
        for index in self.leases.indices {
            let id = self.leases[index].id
            var holder: Holder?
            for entry in snapshot.holders where entry.address == id { holder = entry.holder }
            if isWatchToShow, self.leases[index].isNews(holder, at: snapshot.revision) {
                self.watchDebts.add(.holder(id), at: snapshot.revision, now: now)
            }
            self.learn(holder: holder, of: index, at: snapshot.revision, into: &actions)
        }
        self.learn(
            trails: snapshot.trails, at: snapshot.revision, isReplaced: isReplaced, now: now, into: &actions)
        let wasOutOfReach = self.node.contactLostAt != nil || self.isReadOld(at: now)
        self.node.wasRead(sentAt: sentAt, term: snapshot.raftTerm)
        self.countRenewals(by: sentAt, snapshot.raftTerm, at: now, into: &actions)
        if isFirst {
            actions.append(
                .report(
                    .contactMade(
                        clusterID: snapshot.clusterID, revision: snapshot.revision, leader: snapshot.leader)))
        }
        // An answer that has taken so long says that etcd was in contact, not that it is.
        if wasOutOfReach, !self.isReadOld(at: now) {
            if let lostAt = self.node.contactLostAt {
                self.node.contactLostAt = nil
                self.hasReportedFailsafe = false
                actions.append(.report(.contactRestored(after: now - lostAt)))
            }
            for index in self.leases.indices {
                self.leases[index].keepAliveAnew(at: now, into: &actions)
            }
        }
        self.leaderMayHaveChanged(change, isFirst: isFirst, at: now, into: &actions)
        if change != nil, !isFirst, isWatchToShow { self.watchDebts.add(.leader, at: snapshot.revision, now: now) }
        self.configMayHaveChanged(wasPaused, ttl, at: now, into: &actions)
        self.markIfNew(at: now, into: &actions)
    }

    /// A read also tells of the addresses that have no trail.
    private mutating func learn(
        trails: [Addressed<TrailInEtcd>], at revision: Int64, isReplaced: Bool, now: Instant,
        into actions: inout [Action]
    ) {
        var wasQuarantined = false
        for index in self.leases.indices {
            let id = self.leases[index].id
            var found = TrailInEtcd()
            for entry in trails where entry.address == id { found = entry.value }
            if self.leases[index].learn(trail: found, at: revision, self.node, at: now, into: &actions) {
                wasQuarantined = true
            }
        }
        if isReplaced {
            // Another node has settled in this cluster, and its quarantine came after all that is known here.
            if wasQuarantined { self.node.isMarkDoubtful = false } else { self.distrust(at: now, into: &actions) }
        }
        self.doubtIfContradicted()
    }

    /// Also where the cluster is quarantined already: that may have begun before what another history granted last.
    private mutating func distrust(at now: Instant, into actions: inout [Action]) {
        for index in self.leases.indices where self.leases[index].trust == .trusted {
            self.leases[index].distrust(self.node, at: now, into: &actions)
        }
    }

    private mutating func doubtIfContradicted() {
        if self.leases.contains(where: { $0.trust == .contradicted }) { self.node.isMarkDoubtful = true }
    }

    private mutating func countRenewals(
        by sentAt: Instant, _ term: UInt64, at now: Instant, into actions: inout [Action]
    ) {
        let read = KeySide.Vouching(sentAt: sentAt, term: term)
        for index in self.leases.indices {
            let isStale = self.leases[index].count(vouchedBy: read, self.node, at: now, into: &actions)
            if isStale, self.leases[index].key.isHeld {
                self.read.hasten(to: now + min(.seconds(1), self.period))
            }
        }
    }

    /// A cluster that is new to Pharos is marked, and quarantined for as long as an older one's leases may still run. How
    /// long that is must be known.
    private mutating func markIfNew(at now: Instant, into actions: inout [Action]) {
        // Where it is quarantined already, another node was first.
        if self.node.isMarkDoubtful, self.node.isQuarantined { self.node.isMarkDoubtful = false }
        guard let view = self.node.view, !self.node.isMarked, self.node.isTTLKnown, self.mark.isDue(at: now)
        else { return }
        self.mark.ask(at: now, next: now)
        actions.append(.report(.quarantined(clusterID: view.clusterID)))
        actions.append(
            .markCluster(
                clusterID: view.clusterID, seen: view.mark.value?.revision ?? 0,
                quarantine: self.leases.map(\.longestTrailTTL).reduce(self.node.longestTTL(at: now), max),
                trails: self.leases.compactMap { lease in
                    lease.settledStep.map { Addressed(lease.id, $0) }
                }))
    }

    private mutating func learn(
        _ changes: [KeyChange], _ clusterID: UInt64, _ revision: Int64, at now: Instant, into actions: inout [Action]
    ) {
        guard let view = self.node.view else { return }
        guard view.clusterID == clusterID else { self.read.hasten(to: now); return }
        let (wasPaused, ttl) = (self.node.config.isPaused, self.node.knownTTL)
        var leaderChange: LeaderChange?
        var config = self.node.config
        for change in changes {
            if let newer = self.node.view?.learn(change, at: revision, &config, at: now) {
                leaderChange = newer
            }
            switch change {
            case .leader(let leader): if leader == self.node.leader { self.watchDebts.settle(.leader) }
            case .holder(let address, let holder):
                for index in self.leases.indices where self.leases[index].id == address {
                    self.learn(holder: holder, of: index, at: revision, into: &actions)
                }
                let lease = self.leases.first { $0.id == address }
                if let lease, lease.holder.value?.lease == holder?.lease { self.watchDebts.settle(.holder(address)) }
            case .trail(let address, let found):
                let node = self.node
                self.update(address) { _ = $0.learn(trail: found, at: revision, node, at: now, into: &actions) }
                self.doubtIfContradicted()
            case .patroni, .mark, .quarantine: break
            }
        }
        self.node.config = config
        self.leaderMayHaveChanged(leaderChange, isFirst: false, at: now, into: &actions)
        self.configMayHaveChanged(wasPaused, ttl, at: now, into: &actions)
        self.markIfNew(at: now, into: &actions)
    }

    private mutating func leaderMayHaveChanged(
        _ change: LeaderChange?, isFirst: Bool, at now: Instant, into actions: inout [Action]
    ) {
        guard change != nil || isFirst, let leader = self.node.view?.leader else { return }
        if !self.node.isLeader {
            self.node.leaderSince = nil
        } else if self.node.leaderSince == nil {
            self.node.leaderSince = now
        }
        if let change, !isFirst {
            actions.append(
                .report(.leaderChanged(from: change.before, to: leader.value, revision: leader.revision)))
        }
    }

    private mutating func configMayHaveChanged(
        _ wasPaused: Bool, _ ttl: Duration?, at now: Instant, into actions: inout [Action]
    ) {
        self.node.ttlMayHaveChanged(from: ttl, at: now)
        // A TTL that was lowered is renewed by its own pace from the last read on, not from the next.
        if let ttl, self.node.leaseTTL < ttl {
            self.read.hasten(to: (self.read.askedAt ?? now) + self.period)
        }
        let isPaused = self.node.config.isPaused
        if isPaused != wasPaused { actions.append(.report(.pauseChanged(isPaused: isPaused))) }
    }
}
