// SPDX-License-Identifier: Apache-2.0
import Decision

/// What the daemon's process does, simulated: it delivers events to the core and carries its actions out.
extension World {
    // MARK: - The process

    func startDaemon(_ node: SimulatedNode, after delay: Time) {
        node.life += 1
        node.daemon = .dead
        node.core = nil
        self.wakes[node.index] = .max
        node.inbox = []
        (node.isDeaf, node.isSilenced, node.isDoomed, node.muted) = (false, false, false, [])
        node.isWatching = false
        node.announcer = SimulatedAnnouncer()
        self.schedule(.start(node.index, life: node.life), after: delay)
    }

    func crashDaemon(_ node: SimulatedNode, restartAfter delay: Time) {
        self.log("\(node.member): the daemon crashes")
        self.startDaemon(node, after: delay)
    }

    func begin(_ node: SimulatedNode) {
        guard node.isPowered else { return }
        self.log("\(node.member): the daemon starts")
        node.daemon = .running
        node.isStopping = false
        node.isHandingOver = false
        node.evidence = PostgresEvidence(node.configured)
        node.isWatchSilent = false
        node.runningSince = self.now
        node.seen = Seen()
        node.thawedAt = self.now
        self.beginNeighborhood(of: node)
        self.beginEndpoints(of: node)
        node.core = Core(
            self.settings(of: node), memory: self.memory(of: node),
            at: node.instant(at: self.now))
        self.deliver(.tick, to: node)
    }

    private func memory(of node: SimulatedNode) -> Memory {
        if self.mutation == .noTrails { return Memory() }
        return node.diskWorks ? node.disk : Memory(isPartial: true)
    }

    /// Its shell measures the clock between one read and the next, and tells what is unusual.
    private func tellClock(of node: SimulatedNode) {
        let rate = Int((node.rate - 1) * 1e6)
        node.seen.reads += 1
        guard node.seen.reads == 2, abs(rate) > 1000 else { return }
        self.report(.clockMeasured(partsPerMillion: rate), by: node)
    }

    func settings(of node: SimulatedNode) -> CoreSettings {
        var settings = CoreSettings(
            member: node.member, node: node.identity, addresses: node.configured,
            leaseTTL: self.configuration.leaseTTL, margin: self.configuration.margin,
            clockDrift: self.configuration.clockDrift)
        switch self.mutation {
        case .noMargin: settings.margin = .zero - .milliseconds(200)
        case .noDeadline:
            let never = Duration.seconds(1 << 40)
            (settings.limits.etcd, settings.limits.transaction, settings.limits.kernel) = (never, never, never)
        case .agelessContact: settings.limits.request = .seconds(1 << 40)
        case .smallDrift: settings.clockDrift = min(settings.clockDrift, 10_000)
        case .shortMargin: settings.margin = min(settings.margin, .seconds(1))
        case .ignoredPolicy:
            settings.addresses = settings.addresses.map {
                AddressSpec(
                    id: $0.id, prefixLength: $0.prefixLength, interface: $0.interface, acquire: .leaderKey,
                    port: $0.port)
            }
        default: break  // The others change something else.
        }
        return settings
    }

    func thaw(_ node: SimulatedNode) {
        guard node.daemon == .frozen, node.suspendedUntil == nil else { return }
        self.log("\(node.member): the daemon continues")
        node.daemon = .running
        node.runningSince = self.now
        node.thawedAt = self.now
        self.reckonSilence(of: node)
        let inbox = node.inbox
        node.inbox = []
        if self.random.chance(0.7) { self.announceOverdue(by: node) }
        for event in inbox where node.daemon == .running { self.deliver(event, to: node) }
        if node.daemon == .running { self.deliver(.tick, to: node) }
        if node.daemon == .running { self.announceOverdue(by: node) }
    }

    /// An event of the node itself, such as the kernel's.
    func report(_ event: Event, by node: SimulatedNode) {
        self.schedule(.deliver(node.index, life: node.life, event), after: 300)
    }

    func deliver(_ event: Event, to node: SimulatedNode) {
        switch node.daemon {
        case .dead: return
        case .frozen:
            if event == .tick { return }
            return node.inbox.append(event)
        case .running: if node.isDeaf, Self.isHeldBack(event) { return node.inbox.append(event) }
        }
        if !node.muted.isEmpty, node.loses(event) { return }
        if self.trace != nil, event != .tick { self.log("\(node.member) <- \(TraceText.text(event))") }
        let instant = node.instant(at: self.now)
        node.seen.learn(event)
        var actions = self.spareActions
        self.spareActions = []
        node.core?.handle(event, at: instant, into: &actions)
        node.evidence.learn(event, isLeader: node.core?.leader == node.member, at: instant)
        self.checkPace(node, actions.count)
        let hasSurvived = actions.isEmpty || self.carryOut(actions, of: node, at: instant)
        actions.removeAll(keepingCapacity: true)
        self.spareActions = actions
        guard hasSurvived else { return }
        self.checkAcquisitions(of: node)
        self.checkWake(of: node, at: instant)
        self.checkContact(of: node, at: instant)
        if event == .tick { self.watch(node) }
        if !node.isWatching, case .followed(let snapshot, _) = event { self.startWatch(node, from: snapshot) }
        if !node.isWatching, case .readAnswered(let snapshot, let sentAt) = event {
            self.startWatch(node, from: snapshot)
            self.deliver(.followed(snapshot, sentAt: sentAt), to: node)
            if node.core == nil { return }
        }
        self.scheduleWake(node)
    }

    /// Answers whether the daemon survived.
    private func carryOut(_ actions: [Action], of node: SimulatedNode, at instant: Instant) -> Bool {
        let life = node.life
        // Many addresses mean many actions, of which each may be the last.
        let risk = 0.006 / Double(max(3, self.specs.count))
        for action in actions {
            if self.strikes(.daemonCrash, risk) || (self.isCalmMaintenance && self.random.chance(risk)) {
                self.crashDaemon(node, restartAfter: self.random.between(200_000, 3_000_000))
                return false
            }
            if self.trace != nil { self.log("\(node.member) -> \(action)") }
            node.seen.acquisitions.learn(action, at: instant)
            self.carryOut(action, for: node, life: life, at: instant)
            if node.life != life { return false }
        }
        return true
    }

    private func scheduleWake(_ node: SimulatedNode) {
        guard let wakeAt = node.core?.wakeAt, wakeAt != node.wakeAt || self.wakes[node.index] == .max else { return }
        node.wakeAt = wakeAt
        self.wakes[node.index] = wakeAt < .distantFuture ? max(node.time(of: wakeAt), self.now + 1) : .max
    }

    // MARK: - Actions

    private func carryOut(_ action: Action, for node: SimulatedNode, life: Int, at instant: Instant) {
        switch action {
        case .read where self.mutation == .noPeriodicRead && node.watchedCluster != 0:
            self.answerFromWatch(node, sentAt: instant)
        case .read:
            self.tellClock(of: node)
            self.request(action, from: node, life, instant)
        case .grantLease, .keepAlive, .takeOver, .markCluster: self.request(action, from: node, life, instant)
        case .acquire(let id, _, _, _):
            self.checkPolicy(of: id, by: node, at: instant)
            self.request(action, from: node, life, instant)
        case .revoke:
            self.checkPause(action, by: node)
            self.request(action, from: node, life, instant)
        case .restartWatch: self.restartWatch(node)
        case .inspect:
            guard let delay = self.delay(of: action, by: node, usually: self.random.between(1000, 5000)) else { return }
            self.spawn(action, on: node, life: life, after: delay, at: instant)
        case .assign(let spec, _, _):
            self.checkAssignment(of: spec, by: node)
            self.noteCluster(of: spec, on: node)
            guard let delay = self.delay(of: action, by: node, usually: self.commandDelay()) else { return }
            self.spawn(action, on: node, life: life, after: delay, at: instant)
        case .remove(let id, let place), .removeStray(let id, let place):
            self.checkPause(action, by: node)
            self.revokeAnnouncement(of: id, at: place, by: node)
            if self.mutation == .keyBeforeAddress { self.revokeEarly(id, node) }
            guard let delay = self.delay(of: action, by: node, usually: self.commandDelay()) else { return }
            self.spawn(action, on: node, life: life, after: delay, at: instant)
        case .askPostgres: self.answerPostgres(node, life: life, askedAt: instant)
        case .askPatroni: self.answerPatroni(node, life: life, askedAt: instant)
        case .tryPort(let spec): self.answerPort(of: spec, node, life: life, askedAt: instant)
        case .report(.stopped(let unreleased)): self.checkStopped(unreleased, on: node)
        case .exit:
            self.log("\(node.member): the daemon has stopped")
            let pause: Time = node.isHandingOver ? 300_000 : self.isFaulty ? 20_000_000 : 1_000_000
            self.startDaemon(node, after: self.random.between(5000, pause))
        case .remember(let memory):
            let delay = self.random.between(1000, 50_000)
            node.unwritten = memory
            if node.diskWorks { self.schedule(.remembered(node.index, life: life), after: delay) }
        case .startAnnouncing(let spec): if self.mutation != .staysSilent { self.startAnnouncing(spec, by: node) }
        case .stopAnnouncing(let spec): if self.mutation != .keepsAnnouncing { self.stopAnnouncing(spec, by: node) }
        case .ready, .report, .readGroups, .citus, .detector, .record: break
        }
    }

    /// When a command begins; nil: never.
    private func delay(of action: Action, by node: SimulatedNode, usually delay: Time) -> Time? {
        guard self.losesAnswer(node) else { return delay }
        switch action {
        case .assign(let spec, _, _): return self.delayOfLostCommand(spec.id, isRemoval: false, on: node)
        case .remove(let id, _), .removeStray(let id, _):
            return self.delayOfLostCommand(id, isRemoval: true, on: node)
        default: return self.delayOfLostCommand("", isRemoval: false, on: node)  // A listing.
        }
    }

    private func commandDelay() -> Time {
        self.strikes(.commandSlow, 0.03) ? self.random.between(10_000, 700_000) : self.random.between(1000, 3000)
    }

    private func spawn(_ action: Action, on node: SimulatedNode, life: Int, after delay: Time, at instant: Instant) {
        self.schedule(.command(node.index, life: life, action, since: instant), after: delay)
    }

    private func revokeEarly(_ id: AddressID, _ node: SimulatedNode) {
        guard let address = self.specs.firstIndex(where: { $0.id == id }), let holder = self.etcd.holders[address],
            holder.node == node.identity, self.etcd.hasQuorum
        else { return }
        self.endLease(holder.lease)
    }

    private func answerPostgres(_ node: SimulatedNode, life: Int, askedAt: Instant) {
        if self.losesAnswer(node) { return }
        let state: PostgresState =
            switch node.postgres {
            case .primary: .primary
            case .standby: .standby
            case .down: .unreachable(reason: "refused")
            }
        let delay = self.isFaulty && self.random.chance(0.01) ? self.random.between(1000, 2_000_000) : 500
        self.schedule(.deliver(node.index, life: life, .postgres(state, askedAt: askedAt)), after: delay)
    }

    /// No lease depends on it, whatever the answer.
    private func answerPort(of spec: AddressSpec, _ node: SimulatedNode, life: Int, askedAt: Instant) {
        guard let port = spec.port else { return }
        let answer: PortAnswer =
            switch node.postgres {
            case .primary, .standby: .accepted
            case .down: .refused
            }
        let event = Event.portTried(spec.id, port: port, answer, askedAt: askedAt)
        self.schedule(.deliver(node.index, life: life, event), after: 200)
    }

    private func answerPatroni(_ node: SimulatedNode, life: Int, askedAt: Instant) {
        if self.losesAnswer(node) { return }
        let answer: PatroniAnswer =
            switch node.patroni {
            case .running:
                .answered(isRunningPrimary: node.postgres == .primary, isFailsafeActive: self.isFailsafeActive(node))
            case .frozen, .dead: .unreachable(reason: "timeout")
            }
        let delay = self.isFaulty && self.random.chance(0.05) ? self.random.between(2000, 1_000_000) : 2000
        self.schedule(.deliver(node.index, life: life, .patroni(answer, askedAt: askedAt)), after: delay)
    }
}

/// How events are told: the same on every run, which a set's own description is not.
enum TraceText {
    static func text(_ event: Event) -> String {
        guard case .inspected(let state, let since) = event else { return "\(event)" }
        let found = state.found.map { "\($0.address) on \($0.place.interface)/\($0.place.prefixLength)" }
        return "inspected(\(found), usable: \(state.usableInterfaces.sorted()), since: \(since))"
    }
}
