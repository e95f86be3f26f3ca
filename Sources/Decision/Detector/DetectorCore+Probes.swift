// SPDX-License-Identifier: Apache-2.0

/// This daemon's own probes, and what they say of itself.
extension DetectorCore {
    mutating func probe(_ view: GroupsView, at now: Instant, into wanted: inout [DetectorAction]) {
        while self.probes.count < Self.probeLimit, let (id, due) = self.queue.pop(at: now) {
            guard let target = self.targets[id] else { continue }
            if let missingSince = target.missingSince, now - missingSince > Self.memory, !self.probes.contains(id) {
                self.forget(id)
                continue
            }
            // Where turns were missed, each member keeps its share of the interval.
            let missed = Int((now - due) / self.profile.spacing)
            self.queue.put(id, due: due + self.profile.spacing * (missed + 1))
            // A turn that comes late is our own fault, and so may be what seems to fail now.
            if now - due > self.profile.interval / 2 { self.wasTroubled = true }
            if !self.probes.contains(id) { self.ask(id, view, at: now, into: &wanted) }
        }
        if self.healthDue <= now {
            self.healthDue = now + self.profile.interval
            if self.wasTroubled || self.isIsolated { self.health.worsen() } else { self.health.recover() }
            self.wasTroubled = false
        }
    }

    /// This node has stood still for as long as what it had published lives. What its probes had found is of another time, and
    /// counts no more, here or elsewhere.
    mutating func beginAnew(_ view: GroupsView, at now: Instant, _ reports: inout [DetectorReport]) {
        for (id, before) in self.targets.sorted(by: { $0.key < $1.key }) {
            var target = before
            (target.patroni, target.postgres, target.lagging) = (DetectorTrack(), DetectorTrack(), DetectorTrack())
            (target.primaryAt, target.lag, target.recovery) = (nil, nil, nil)
            self.targets[id] = target
            self.primaries[id.group]?.remove(id)
            self.setDoubt(id, Observation.Doubt(patroni: .unknown, postgres: .unknown))
            self.count(id, before: before, after: target)
        }
        (self.walReceiver, self.walSender) = (DetectorTrack(), nil)
        self.checkIsolation(view, at: now, &reports)
        self.reconsiderAll(view, at: now, &reports)
    }

    private mutating func ask(_ id: MemberID, _ view: GroupsView, at now: Instant, into wanted: inout [DetectorAction])
    {
        guard var target = self.targets[id] else { return }
        if let known = view.groups[id.group]?.members[id.name] {
            (target.api, target.endpoint) = (known.api, known.endpoint)
        }
        self.probes.begin(id, at: now)
        self.targets[id] = target
        wanted.append(.probe(id, api: target.api, endpoint: target.endpoint, timeout: self.profile.timeout))
        // A standby's WAL receiver speaks of its primary; asked along with it.
        if id != self.member, id.group == self.member.group, view.groups[id.group]?.leader?.name == id.name {
            wanted.append(.askWALReceiver(timeout: self.profile.timeout))
        }
    }

    /// Nothing was learned of the member; of this node, that it has trouble of its own.
    mutating func couldNotAsk(_ id: MemberID) {
        self.wasTroubled = true
        if self.probes.end(id, askedAt: nil) { self.silent[id] = nil }
    }

    mutating func learn(
        _ id: MemberID, _ findings: ProbeFindings, _ view: GroupsView, askedAt: Instant, at now: Instant,
        _ wanted: inout [DetectorAction], _ reports: inout [DetectorReport]
    ) {
        // The answer to one that was given up says what was found too long ago.
        guard self.probes.end(id, askedAt: askedAt) else { return }
        if !self.silent.isEmpty { self.silent[id] = nil }
        guard var target = self.targets[id] else { return }
        let before = target
        target.patroni.record(findings.patroni, self.profile, scale: self.health.scale, at: now)
        target.postgres.record(findings.postgres, self.profile, scale: self.health.scale, at: now)
        // Where its PostgreSQL could not be asked, it is what it was, for as long as that counts.
        let isUnasked = if case .unasked = findings.postgres { target.postgres.state != .unknown } else { false }
        if !isUnasked { target.primaryAt = findings.isPrimary == true ? askedAt : nil }
        // The last that is known of a leader still says how far the others must be.
        if let position = findings.position { target.position = (position, askedAt) }
        target.isOutOfConnections = findings.isOutOfConnections
        self.noteRecovery(of: id, &target, findings, view, at: now)
        self.measureLag(of: id, &target, view, askedAt: askedAt, at: now)
        self.targets[id] = target
        if target.primaryAt != nil {
            self.primaries[id.group, default: []].insert(id)
        } else {
            self.primaries[id.group]?.remove(id)
        }
        let isWell = target.patroni.state == .healthy && target.postgres.state == .healthy
        self.setDoubt(
            id, isWell ? nil : Observation.Doubt(patroni: target.patroni.state, postgres: target.postgres.state))
        self.count(id, before: before, after: target)
        self.checkIsolation(view, at: now, &reports)
        self.reconsider(id, view, at: now, &reports)
        self.checkPrimaries(of: id.group, view, at: now, &wanted, &reports)
    }

    /// A standby is behind by what the leader had written before the standby was asked, at least.
    private func measureLag(
        of id: MemberID, _ target: inout Target, _ view: GroupsView, askedAt: Instant, at now: Instant
    ) {
        target.lag = nil
        guard self.hasContact, let leader = view.groups[id.group]?.leader?.name, leader != id.name,
            let own = target.position, own.askedAt == askedAt,
            let ahead = self.targets[MemberID(id.group, leader)]?.position,
            ahead.askedAt <= own.askedAt
        else { return }
        let lag = max(0, ahead.bytes - own.bytes)
        target.lag = lag
        target.lagging.record(
            lag > self.settings.lagLimit ? "\(lag) bytes behind" : nil, self.profile, scale: self.health.scale, at: now)
    }

    /// Takes over what the local WAL receiver said. What streams from another standby says nothing of the leader.
    mutating func learn(
        _ answer: WALReceiverAnswer, _ view: GroupsView, askedAt: Instant, at now: Instant,
        _ reports: inout [DetectorReport]
    ) {
        guard let leader = view.groups[self.member.group]?.leader?.name else { return }
        let id = MemberID(self.member.group, leader)
        if self.walSender != id { (self.walReceiver, self.walSender) = (DetectorTrack(), nil) }
        switch answer {
        case .streaming(let sender, let silence, let patience):
            guard view.groups[id.group]?.members[leader]?.endpoint == sender else { return }
            self.walSender = id
            self.walReceiver.record(
                silence: silence, patience: patience, reason: "nothing has come for \(silence.components.seconds) s",
                self.profile, at: now)
        case .notStreaming:
            // One that has never streamed from this leader may have reasons of its own.
            guard self.walSender == id else { return }
            let since = self.walReceiver.firstFailureAt ?? askedAt
            self.walReceiver.record(
                silence: max(now - since, .milliseconds(1)), patience: .zero, reason: "it does not stream",
                self.profile, at: now)
        case .unknown: self.walReceiver.fallSilent()
        }
        self.reconsider(id, view, at: now, &reports)
    }

    /// Keeps count of those who do not answer.
    mutating func count(_ id: MemberID, before: Target?, after: Target?) {
        guard id != self.member else { return }
        let threshold = self.profile.threshold
        self.darkCount += (after?.isDark == true ? 1 : 0) - (before?.isDark == true ? 1 : 0)
        self.lostCount +=
            (after?.isLost(for: threshold) == true ? 1 : 0) - (before?.isLost(for: threshold) == true ? 1 : 0)
    }

    /// Where everybody seems to have failed at once, it is this node that is cut off; unless etcd answers and has lost sight of
    /// them too. Of a single member it cannot be said while etcd answers.
    ///
    /// From the first moment nothing is said of anybody; it is told once it has lasted as long as a verdict takes.
    mutating func checkIsolation(_ view: GroupsView, at now: Instant, _ reports: inout [DetectorReport]) {
        let count = self.targets.count - (self.targets[self.member] == nil ? 0 : 1)
        let isIsolated = self.isIsolated(among: count)
        if isIsolated != self.isIsolated {
            self.isIsolated = isIsolated
            self.observation.isIsolated = isIsolated
            self.isPublished = false
            if isIsolated { self.health.worsen() }
            self.reconsiderAll(view, at: now, &reports)
        }
        let isCutOff = isIsolated && (self.isCutOff || self.lostCount == count)
        guard isCutOff != self.isCutOff else { return }
        self.isCutOff = isCutOff
        reports.append(.isolated(isCutOff))
    }

    private func isIsolated(among count: Int) -> Bool {
        guard count > 0, self.darkCount == count else { return false }
        guard self.hasContact else { return true }
        return count > 1 && self.targets.contains { $0.key != self.member && $0.value.missingSince == nil }
    }

    /// Two primaries of one group, each of which has said so after both were known of: a switchover in between looks the
    /// same for a moment.
    private mutating func checkPrimaries(
        of group: Int, _ view: GroupsView, at now: Instant, _ wanted: inout [DetectorAction],
        _ reports: inout [DetectorReport]
    ) {
        guard let primaries = self.primaries[group], primaries.count > 1 else {
            self.doubtedPrimaries[group] = nil
            if self.splitBrains.removeValue(forKey: group) != nil { reports.append(.splitBrain(group: group, [])) }
            return
        }
        guard let since = self.doubtedPrimaries[group] else {
            self.doubtedPrimaries[group] = now
            for id in primaries.sorted() where !self.probes.contains(id) {
                self.ask(id, view, at: now, into: &wanted)
            }
            return
        }
        let confirmed = primaries.filter { self.targets[$0]?.primaryAt.map { $0 >= since } ?? false }.sorted()
        guard confirmed.count > 1, self.splitBrains[group] != confirmed else { return }
        self.splitBrains[group] = confirmed
        reports.append(.splitBrain(group: group, confirmed))
    }
}
