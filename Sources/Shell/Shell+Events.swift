// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal

/// Events in, actions out.
extension Shell {
    func deliver(_ event: Event) {
        guard !self.hasStopped else { return }
        self.actions.removeAll(keepingCapacity: true)
        self.core.handle(event, at: .now, into: &self.actions)
        for action in self.actions { self.carryOut(action) }
        if self.kernel.addresses.count > self.core.addressCount {
            self.kernel.keep(self.core.addressStatuses.map(\.id))
            self.etcd.addresses = self.followedAddresses
        }
        self.armTimer()
        self.reportSoon()
    }

    /// Records and status are written once the actions are under way: what takes effect does not wait for a log.
    private func reportSoon() {
        guard !self.isAboutToReport else { return }
        self.isAboutToReport = true
        EventLoop.spawn {
            self.isAboutToReport = false
            let unreported = self.unreported
            self.unreported.removeAll(keepingCapacity: true)
            for action in unreported { self.report(action) }
            self.turnAudit()
            self.reportStatus()
        }
    }

    private func report(_ action: Action) {
        switch action {
        case .report(let report): self.log(LogRecord(report))
        case .ready: self.services.ready()
        default: break  // Nothing else is put off.
        }
    }

    private func armTimer() {
        let delay = max(self.core.wakeAt - .now, .microseconds(1))
        // No clock shows more than a day ahead of what the core wants to be woken for.
        let bounded = min(delay, .seconds(86_400))
        if let timer = self.timer {
            timer.rearm(after: bounded)
        } else {
            self.timer = .timer(after: bounded) { [unowned self] in self.deliver(.tick) }
        }
    }

    private func answer(with event: @escaping @EventLoop () async -> Event) {
        EventLoop.spawn { self.deliver(await event()) }
    }

    private func carryOut(_ action: Action) {
        let now = Instant.now
        switch action {
        case .read:
            if let rate = self.clock.measure() {
                EventLoop.spawn { self.deliver(.clockMeasured(partsPerMillion: rate)) }
            }
            self.answer { await self.etcd.read(sentAt: now) }
        case .restartWatch: self.follower.restart()
        case .grantLease(let id, let ttl): self.answer { await self.etcd.grant(id, ttl: ttl, sentAt: now) }
        case .keepAlive(let id, let lease): self.answer { await self.etcd.keepAlive(id, lease, sentAt: now) }
        case .revoke(let id, let lease): self.answer { await self.etcd.revoke(id, lease) }
        case .acquire(let id, let lease, let clusterID, let step):
            self.answer { await self.etcd.acquire(id, lease, clusterID, step, sentAt: now) }
        case .takeOver(let id, let lease, let old, let clusterID, let step):
            self.answer { await self.etcd.takeOver(id, lease, from: old, clusterID, step, sentAt: now) }
        case .markCluster(let clusterID, let seen, let quarantine, let trails):
            self.answer { await self.etcd.mark(clusterID, seen: seen, quarantine: quarantine, trails, sentAt: now) }
        case .remember(let memory): self.services.memory?.write(memory, MemoryFile.Owner(self.settings))
        case .inspect: self.answer { await self.kernel.inspect(since: now) }
        case .assign(let spec, let until, _): self.answer { await self.kernel.assign(spec, until: until) }
        case .remove(let id, let place): self.answer { await self.kernel.remove(id, place) }
        case .removeStray(let id, let place): self.answer { await self.kernel.removeStray(id, place) }
        case .startAnnouncing(let spec): self.kernel.startAnnouncing(spec)
        case .stopAnnouncing(let spec): self.kernel.stopAnnouncing(spec)
        case .askPostgres: self.answer { .postgres(await self.postgres.ask(), askedAt: now) }
        case .askPatroni: self.answer { .patroni(await self.patroni.ask(), askedAt: now) }
        case .tryPort(let spec):
            guard let port = spec.port else { return }
            let interface = self.kernel.ownName(of: spec.interface)
            let vrf = self.kernel.vrf(of: spec.interface)
            self.answer {
                let answer = await PortTry.connect(to: spec.id, port, on: interface, in: vrf)
                return .portTried(spec.id, port: port, answer, askedAt: now)
            }
        case .readGroups: self.answer { .groups(await self.groups.read(sentAt: now)) }
        case .citus(let action): self.citus?.carryOut(action)
        case .detector(let action): self.detector.carryOut(action)
        case .record(let entry): self.ledger.write(entry)
        case .ready, .report: self.unreported.append(action)
        case .exit: self.end()
        }
    }

    private func reportStatus() {
        let line = self.services.redact(self.core.summary(of: self.settings))
        guard line != self.statusLine else { return }
        self.statusLine = line
        self.services.status(line)
    }
}
