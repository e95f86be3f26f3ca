// SPDX-License-Identifier: Apache-2.0

/// What all sources together say of a member.
extension DetectorCore {
    /// Takes over what another daemon has published; nil: its key has ended.
    mutating func learn(
        _ observer: MemberID, _ observation: Observation?, _ view: GroupsView, at now: Instant,
        _ reports: inout [DetectorReport]
    ) {
        guard observer != self.member else { return }
        var before: Observation?
        // A daemon watches what it watches; one that is configured anew may watch something else.
        for group in self.observations.keys where self.observations[group]?[observer] != nil {
            before = self.observations[group]?.removeValue(forKey: observer)
        }
        if let observation, self.observations[observation.group]?.count ?? 0 < Self.targetLimit {
            self.observations[observation.group, default: [:]][observer] = observation
        }
        // What stood there when it was first seen is the past.
        if let before, let observation {
            for (id, time) in observation.acknowledged where before.acknowledged[id] != time {
                self.acknowledge(id, view, at: now, &reports)
            }
        }
        guard let before, let observation, before.group == observation.group,
            before.isIsolated == observation.isIsolated
        else {
            // One that comes, goes or is cut off says something of everybody that it watches.
            return self.reconsiderAll(view, at: now, &reports)
        }
        for id in Set(before.doubts.keys).union(observation.doubts.keys).sorted()
        where before.doubts[id] != observation.doubts[id] { self.reconsider(id, view, at: now, &reports) }
    }

    /// Takes over all that others have published.
    mutating func learn(
        _ observations: [MemberID: Observation], _ view: GroupsView, at now: Instant, _ reports: inout [DetectorReport]
    ) {
        for group in self.observations.keys {
            self.observations[group] = self.observations[group]?.filter { observations[$0.key] != nil }
        }
        for (observer, observation) in observations.sorted(by: { $0.key < $1.key }) {
            self.learn(observer, observation, view, at: now, &reports)
        }
        self.reconsiderAll(view, at: now, &reports)
    }

    /// What every source holds of an aspect of a member.
    ///
    /// Some can only speak against it. A member that reaches itself proves nothing about who else does; nor does etcd, where
    /// Patroni takes its PostgreSQL for running, nor an established stream of the write-ahead log: in a gray failure just those
    /// are well.
    func evidence(_ aspect: DetectorAspect, of id: MemberID, _ view: GroupsView) -> [Evidence] {
        guard let target = self.targets[id] else { return [] }
        var evidence: [Evidence] = []
        func add(_ source: DetectorSource, _ state: DetectorState, _ reason: String? = nil, isOneSided: Bool = false) {
            let state = isOneSided && state != .failed ? .unknown : state
            evidence.append(Evidence(aspect: aspect, source: source, state: state, reason: reason))
        }
        let track = aspect == .patroni ? target.patroni : target.postgres
        let isOurselves = id == self.member
        add(.own, self.isIsolated && !isOurselves ? .unknown : track.state, track.reason, isOneSided: isOurselves)
        if aspect == .postgres, self.walSender == id, !self.isIsolated {
            add(.walReceiver, self.walReceiver.state, self.walReceiver.reason, isOneSided: true)
        }
        guard self.hasContact else { return evidence }
        let known = view.groups[id.group]?.members[id.name]
        switch aspect {
        case .patroni: add(.etcd, known == nil ? .failed : .healthy)
        case .postgres: add(.etcd, known.map { !$0.isRunning } ?? false ? .failed : .unknown)
        }
        for group in [nil, id.group] {
            for (observer, observation) in (self.observations[group] ?? [:]).sorted(by: { $0.key < $1.key }) {
                guard let states = observation.states(of: id) else { continue }
                add(
                    .peer(observer), aspect == .patroni ? states.patroni : states.postgres,
                    isOneSided: observer == id)
            }
        }
        return evidence
    }

    mutating func reconsiderAll(_ view: GroupsView, at now: Instant, _ reports: inout [DetectorReport]) {
        for id in self.targets.keys.sorted() { self.reconsider(id, view, at: now, &reports) }
    }

    mutating func reconsider(_ id: MemberID, _ view: GroupsView, at now: Instant, _ reports: inout [DetectorReport]) {
        guard var target = self.targets[id] else { return }
        let patroni = self.evidence(.patroni, of: id, view)
        let postgres = self.evidence(.postgres, of: id, view)
        let effects = [
            (DetectorAspect.patroni, target.patroniConsensus.look(at: patroni.map(\.state), self.profile, at: now)),
            (.postgres, target.postgresConsensus.look(at: postgres.map(\.state), self.profile, at: now)),
        ]
        let rule = self.rule(for: id, target, view)
        let before = target.verdict
        target.verdict = rule.verdict
        self.targets[id] = target
        if before != rule.verdict {
            reports.append(
                .verdict(id, rule.verdict, before: before, reason: rule.reason, evidence: patroni + postgres))
        }
        for (aspect, effects) in effects {
            if effects.contains(.tellSuppressed) { reports.append(.suppressed(id, aspect, true)) }
            if effects.contains(.tellReleased) { reports.append(.suppressed(id, aspect, false)) }
        }
    }

    func rule(for id: MemberID, _ target: Target, _ view: GroupsView) -> VerdictRule {
        let leader = self.hasContact ? view.groups[id.group]?.leader : nil
        let isLeader = leader?.name == id.name
        return VerdictRule.first(
            patroni: target.patroniConsensus.bare, postgres: target.postgresConsensus.bare, isLeader: isLeader,
            isLagging: target.lag != nil && [.failed, .recovering].contains(target.lagging.state),
            recovery: isLeader ? self.recovery(target, since: leader?.since, in: view.groups[id.group]) : .no)
    }

    /// The PostgreSQL servers that are held failed, or too far behind: nobody should read there.
    var unusable: Set<NodeEndpoint> {
        var endpoints: Set<NodeEndpoint> = []
        for target in self.targets.values where [.nodeFailed, .postgresFailed, .lagging].contains(target.verdict) {
            if let endpoint = target.endpoint { endpoints.insert(endpoint) }
        }
        return endpoints
    }
}
