// SPDX-License-Identifier: Apache-2.0
import Decision

/// What the daemon's shell does, simulated: it carries actions out with delays, losses and crashes.
extension World {
    // MARK: - The process

    func startDaemon(_ node: SimulatedNode, after delay: Time) {
        node.life += 1
        node.daemon = .dead
        self.schedule(.deliver(node.index, life: node.life, .tick), after: delay)
    }

    func crashDaemon(_ node: SimulatedNode, restartAfter delay: Time) {
        self.log("\(node.member): the daemon crashes")
        node.core = nil
        node.inbox = []
        node.isWatching = false
        self.startDaemon(node, after: delay)
    }

    private func begin(_ node: SimulatedNode) {
        node.daemon = .running
        node.inbox = []
        node.isWatchSilent = false
        var settings = CoreSettings(member: node.member, node: node.identity, addresses: self.specs)
        if self.mutation == .noMargin { settings.margin = .zero - self.etcd.patroni.ttl / 100 }
        node.core = SupervisorCore(settings, at: node.instant(at: self.now))
        self.log("\(node.member): the daemon starts")
    }

    func thaw(_ node: SimulatedNode) {
        guard node.daemon == .frozen else { return }
        self.log("\(node.member): the daemon continues")
        node.daemon = .running
        let inbox = node.inbox
        node.inbox = []
        for event in inbox where node.daemon == .running { self.deliver(event, to: node) }
        if node.daemon == .running { self.deliver(.tick, to: node) }
    }

    /// An event of the node itself, such as the kernel's.
    func report(_ event: Event, by node: SimulatedNode) {
        self.schedule(.deliver(node.index, life: node.life, event), after: 300)
    }

    func deliver(_ event: Event, to node: SimulatedNode) {
        guard node.isPowered else { return }
        switch node.daemon {
        case .dead: self.begin(node)
        case .frozen:
            if node.inbox.count < 1000 { node.inbox.append(event) }
            return
        case .running: break
        }
        guard node.core != nil else { return }
        if self.trace != nil, event != .tick { self.log("\(node.member) <- \(event)") }
        let instant = node.instant(at: self.now)
        self.actions.removeAll(keepingCapacity: true)
        node.core?.handle(event, at: instant, into: &self.actions)
        let actions = self.actions
        let life = node.life
        for action in actions {
            if self.isFaulty, self.random.chance(0.0005) {
                self.faults += 1
                return self.crashDaemon(node, restartAfter: self.random.between(200_000, 3_000_000))
            }
            if self.trace != nil { self.log("\(node.member) -> \(action)") }
            self.carryOut(action, for: node, life: life, at: instant)
        }
        if event.isReadAnswer, !node.isWatching { self.startWatch(node) }
        self.scheduleWake(node)
    }

    private func scheduleWake(_ node: SimulatedNode) {
        guard let wakeAt = node.core?.wakeAt, wakeAt < .distantFuture else { return }
        node.wakeGeneration += 1
        self.queue.schedule(
            .wake(node.index, generation: node.wakeGeneration), at: max(node.time(of: wakeAt), self.now + 1))
    }

    // MARK: - Actions

    private func latency() -> Time {
        if self.isFaulty, self.random.chance(0.01) { return self.random.between(1000, 4_000_000) }
        return self.random.between(150, 2000)
    }

    private func carryOut(_ action: Action, for node: SimulatedNode, life: Int, at instant: Instant) {
        switch action {
        case .read where self.mutation == .noPeriodicRead && node.watchedCluster != 0:
            self.answerFromWatch(node, sentAt: instant)
        case .read, .grantLease, .keepAlive, .revoke, .acquire, .takeOver, .markCluster:
            self.schedule(.request(node.index, life: life, action, sentAt: instant), after: self.latency())
            // The shell's own limit: an answer that does not come is an answer too.
        case .restartWatch: self.startWatch(node)
        case .inspect:
            self.schedule(.command(node.index, life: life, action), after: self.random.between(1000, 5000))
        case .assign, .remove:
            if case .remove(let id, _) = action, self.mutation == .keyBeforeAddress { self.revokeEarly(id, node) }
            let slow = self.isFaulty && self.random.chance(0.02)
            self.schedule(
                .command(node.index, life: life, action),
                after: slow ? self.random.between(10_000, 700_000) : self.random.between(1000, 3000))
        case .askPostgres:
            self.answerPostgres(node, life: life, askedAt: instant)
        case .askPatroni:
            self.answerPatroni(node, life: life, askedAt: instant)
        case .report(let report): self.check(report, of: node)
        case .startAnnouncing, .stopAnnouncing, .ready, .exit: break
        }
    }

    /// The pause rule: in maintenance nothing is taken away for want of a leader while PostgreSQL is primary here.
    private func check(_ report: Report, of node: SimulatedNode) {
        guard case .removed(let id, _, .noLeader) = report, self.etcd.patroni.isPaused, node.postgres == .primary,
            node.watchedRevision == self.etcd.revision, self.etcd.leader == nil, !self.isFaulty
        else { return }
        self.fail("\(node.member) gave up \(id) in maintenance, though its PostgreSQL is primary and nobody leads")
    }

    private func revokeEarly(_ id: AddressID, _ node: SimulatedNode) {
        guard let index = self.specs.firstIndex(where: { $0.id == id }), let holder = self.etcd.holders[index],
            holder.member == node.member, self.etcd.hasQuorum
        else { return }
        _ = self.etcd.end(holder.lease)
        self.publish()
    }

    private func answerPostgres(_ node: SimulatedNode, life: Int, askedAt: Instant) {
        let state: PostgresState =
            switch node.postgres {
            case .primary: .primary
            case .standby: .standby
            case .down: .unreachable(reason: "refused")
            }
        self.schedule(.deliver(node.index, life: life, .postgres(state, askedAt: askedAt)), after: 500)
    }

    private func answerPatroni(_ node: SimulatedNode, life: Int, askedAt: Instant) {
        let answer: PatroniAnswer =
            switch node.patroni {
            case .running:
                .answered(isRunningPrimary: node.postgres == .primary, isFailsafeActive: self.isFailsafeActive(node))
            case .frozen, .dead: .unreachable(reason: "timeout")
            }
        self.schedule(.deliver(node.index, life: life, .patroni(answer, askedAt: askedAt)), after: 2000)
    }

    // MARK: - The kernel

    func execute(_ action: Action, on node: SimulatedNode, life: Int) {
        guard node.isPowered else { return }
        // A child dies with its daemon (PR_SET_PDEATHSIG).
        guard node.life == life else { return }
        switch action {
        case .inspect:
            let found = self.specs.indices.filter { node.kernel[$0].isPresent }.map {
                KernelState.Found(address: self.specs[$0].id, place: self.specs[$0].place)
            }
            let state = KernelState(
                found: found, usableInterfaces: node.isInterfaceUp ? ["eth0"] : [],
                downInterfaces: node.isInterfaceUp ? [] : ["eth0"])
            self.deliver(.inspected(state, since: node.instant(at: self.now)), to: node)
        case .assign(let spec, let until, _):
            guard let index = self.specs.firstIndex(where: { $0.id == spec.id }) else { return }
            // A frozen daemon computes the lifetime when it continues; the guard lets the command act within 0.5 s of that.
            let remaining = until - node.instant(at: self.now)
            let seconds = Int64(remaining / .seconds(1))
            let delay = self.isFaulty && self.random.chance(0.05) ? self.random.between(0, 600_000) : 0
            guard seconds >= 1, delay <= 500_000 else {
                return self.deliver(.assignFailed(spec.id, reason: "too late"), to: node)
            }
            if delay > 0 {
                self.log("\(node.member): a slow command")
                self.lateAssign(index, seconds, node, after: delay, life: life)
            } else {
                self.assign(index, seconds, node)
                self.deliver(.assigned(spec.id), to: node)
            }
        case .remove(let id, let place):
            guard let index = self.specs.firstIndex(where: { $0.id == id }) else { return }
            if self.isFaulty, self.random.chance(0.01) {
                self.faults += 1
                return self.deliver(.removeFailed(id, place, reason: "injected"), to: node)
            }
            let wasPresent = node.kernel[index].isPresent
            self.vanish(index, on: node)
            self.deliver(.removed(id, place, wasPresent: wasPresent), to: node)
        default: break  // Only the kernel's actions come here.
        }
    }

    private func lateAssign(_ index: Int, _ seconds: Int64, _ node: SimulatedNode, after delay: Time, life: Int) {
        self.schedule(.later(.assign(node.index, address: index, seconds: seconds, life: life)), after: delay)
    }

    func assign(_ index: Int, _ seconds: Int64, _ node: SimulatedNode) {
        let late = self.random.between(0, 500_000)
        self.appear(index, on: node, endsAt: self.now + node.span(seconds * 1_000_000) + late)
    }

    // MARK: - etcd

    func serve(_ action: Action, of node: SimulatedNode, life: Int, sentAt: Instant) {
        // Requests that the network carries late are served all the same; their answers find nobody, or another life.
        guard node.isPowered, !node.cutsRequests, self.etcd.hasQuorum else {
            return self.answer(self.unanswered(action), node, life, after: self.random.between(100_000, 2_000_000))
        }
        if self.isFaulty, self.random.chance(0.002) {
            self.faults += 1
            return self.answer(self.unanswered(action), node, life, after: self.random.between(100_000, 2_000_000))
        }
        let event = self.process(action, of: node, sentAt: sentAt)
        self.publish()
        if node.cutsAnswers || (self.isFaulty && self.random.chance(0.002)) {
            return self.answer(self.unanswered(action), node, life, after: self.random.between(500_000, 2_000_000))
        }
        self.answer(event, node, life, after: self.latency())
    }

    private func answer(_ event: Event, _ node: SimulatedNode, _ life: Int, after delay: Time) {
        self.schedule(.deliver(node.index, life: life, event), after: delay)
    }

    private func process(_ action: Action, of node: SimulatedNode, sentAt: Instant) -> Event {
        switch action {
        case .read: return .readAnswered(self.etcd.snapshot, sentAt: sentAt)
        case .grantLease(let id, let ttl):
            let lease = self.etcd.grant(ttl: ttl.microseconds, at: self.now, late: self.lateness())
            self.watchLease(lease)
            return .leaseGranted(id, lease: lease, ttl: ttl, sentAt: sentAt)
        case .keepAlive(let id, let lease):
            guard let ttl = self.etcd.keepAlive(lease, at: self.now, late: self.lateness()) else {
                return .leaseGone(id, lease: lease)
            }
            return .leaseKept(id, lease: lease, ttl: .microseconds(ttl), sentAt: sentAt)
        case .revoke(let id, let lease):
            self.checkRevocation(lease)
            _ = self.etcd.end(lease)
            return .leaseRevoked(id, lease: lease)
        case .acquire(let id, let lease, let clusterID): return self.acquire(id, lease, clusterID, node, sentAt)
        case .takeOver(let id, let lease, let old):
            guard let index = self.specs.firstIndex(where: { $0.id == id }) else { return .tick }
            let holder = Holder(member: node.member, node: node.identity, lease: lease)
            return self.event(self.etcd.takeOver(index, holder, from: old), id, lease, sentAt)
        case .markCluster(let clusterID, let seen, let quarantine):
            if self.etcd.markCluster(clusterID, seen: seen, ttl: quarantine.microseconds, at: self.now),
                let lease = self.etcd.quarantine
            {
                self.watchLease(lease)
            }
            return .markAnswered(reason: nil)
        default: return .tick  // Only etcd's actions come here.
        }
    }

    private func acquire(
        _ id: AddressID, _ lease: LeaseID, _ clusterID: UInt64, _ node: SimulatedNode, _ sentAt: Instant
    ) -> Event {
        guard let index = self.specs.firstIndex(where: { $0.id == id }) else { return .tick }
        let holder = Holder(member: node.member, node: node.identity, lease: lease)
        let leader = self.etcd.leader
        let isComparing = self.mutation != .noCompares
        let acquisition = self.etcd.acquire(index, holder, clusterID: clusterID, comparing: isComparing)
        if case .committed = acquisition, leader != node.member {
            self.fail("\(node.member) acquired \(id) while \(leader ?? "nobody") led")
        }
        return self.event(acquisition, id, lease, sentAt)
    }

    private func event(
        _ acquisition: SimulatedEtcd.Acquisition, _ id: AddressID, _ lease: LeaseID, _ sentAt: Instant
    ) -> Event {
        switch acquisition {
        case .committed(let revision): .acquired(id, lease: lease, revision: revision, sentAt: sentAt)
        case .refused: .acquireRefused(id, lease: lease, found: self.etcd.snapshot, sentAt: sentAt)
        case .leaseNotFound: .acquireUnanswered(id, lease: lease, reason: "lease not found")
        }
    }

    private func unanswered(_ action: Action) -> Event {
        switch action {
        case .grantLease(let id, _): .leaseRefused(id, reason: "timeout")
        case .keepAlive(let id, let lease), .revoke(let id, let lease):
            .leaseUnanswered(id, lease: lease, reason: "timeout")
        case .acquire(let id, let lease, _), .takeOver(let id, let lease, _):
            .acquireUnanswered(id, lease: lease, reason: "timeout")
        case .markCluster: .markAnswered(reason: "timeout")
        default: .readFailed(reason: "timeout")  // A read; nothing else is sent to etcd.
        }
    }

    private func lateness() -> Time { self.random.between(0, 1_000_000) }

    private func watchLease(_ lease: LeaseID) {
        guard let endsAt = self.etcd.leases[lease]?.endsAt else { return }
        self.queue.schedule(.leaseCheck(lease, cluster: self.etcd.clusterID), at: endsAt)
    }

    func checkLease(_ id: LeaseID, _ cluster: UInt64) {
        guard cluster == self.etcd.clusterID, let lease = self.etcd.leases[id] else { return }
        guard self.etcd.hasQuorum, lease.endsAt <= self.now else {
            return self.queue.schedule(.leaseCheck(id, cluster: cluster), at: max(lease.endsAt, self.now + 100_000))
        }
        self.log("etcd: lease \(id) ends")
        self.checkRevocation(id)
        _ = self.etcd.end(id)
        if lease.isKey == .leader { self.leaderKeyVanished() }
        self.publish()
    }

    /// A key may end only after the kernel's hold, except where Patroni's failsafe mode covers the holder.
    private func checkRevocation(_ lease: LeaseID) {
        guard case .address(let index)? = self.etcd.leases[lease]?.isKey, let holder = self.etcd.holders[index] else {
            return
        }
        for node in self.nodes
        where node.identity == holder.node && node.kernel[index].isPresent && !self.isFailsafeActive(node)
            && !self.wasFailsafeActive(node)
        {
            self.fail("the key of \(self.specs[index].id) ended while \(node.member) still held the address")
        }
    }

    // MARK: - The watch

    /// Makes new changes known to every watch.
    func publish() {
        for node in self.nodes where node.isWatching { self.feedWatch(node) }
        self.etcd.compact(before: self.nodes.map(\.watchedRevision).min() ?? 0)
    }

    private func startWatch(_ node: SimulatedNode) {
        node.isWatching = true
        node.isWatchSilent = false
        if node.watchedCluster != self.etcd.clusterID {
            node.watchedCluster = self.etcd.clusterID
            node.watchedRevision = self.etcd.revision
        }
        self.feedWatch(node)
    }

    private func feedWatch(_ node: SimulatedNode) {
        guard !node.isWatchSilent, !node.cutsAnswers, node.watchedCluster == self.etcd.clusterID else { return }
        let from = node.watchedRevision
        guard from < self.etcd.revision else { return }
        node.watchedRevision = self.etcd.revision
        let log = self.etcd.log
        var first = log.count
        while first > 0, log[first - 1].revision > from { first -= 1 }
        for entry in log[first...] {
            if self.isFaulty, self.random.chance(0.01) {
                self.faults += 1
                self.log("\(node.member): a watch event is lost")
                continue
            }
            let copies = self.isFaulty && self.random.chance(0.01) ? 2 : 1
            for _ in 0..<copies {
                let delay = self.isFaulty && self.random.chance(0.01) ? self.random.between(0, 10_000_000) : 200
                self.schedule(
                    .watch(
                        node.index, life: node.life, cluster: self.etcd.clusterID, revision: entry.revision,
                        entry.change), after: delay)
            }
        }
    }

    func deliverWatch(
        _ change: KeyChange, cluster: UInt64, revision: Int64, life: Int, to node: SimulatedNode
    ) {
        guard node.life == life, node.isWatching else { return }
        self.deliver(.watched(clusterID: cluster, revision: revision, changes: [change]), to: node)
    }

    /// For ``Mutation/noPeriodicRead``: what the core believes already is all that a read brings.
    private func answerFromWatch(_ node: SimulatedNode, sentAt: Instant) {
        guard let believed = node.core?.believedSnapshot else {
            return self.schedule(.request(node.index, life: node.life, .read, sentAt: sentAt), after: 500)
        }
        self.schedule(.deliver(node.index, life: node.life, .readAnswered(believed, sentAt: sentAt)), after: 500)
    }
}

extension Event {
    fileprivate var isReadAnswer: Bool {
        if case .readAnswered = self { return true }
        return false
    }
}
