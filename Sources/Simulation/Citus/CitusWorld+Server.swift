// SPDX-License-Identifier: Apache-2.0
import Decision

/// What etcd and the servers answer.
extension CitusWorld {
    func answerRead(sentAt: Instant, to node: SimulatedCoordinator, life: Int) {
        self.answer(
            .groups(node.cutsEtcd ? .unread(reason: "cut off") : .read(self.etcd.snapshot, sentAt: sentAt)),
            to: node, life: life)
    }

    func serve(
        _ action: CitusAction, from node: SimulatedCoordinator, life: Int, server: Int, sentAt: Instant
    ) {
        let isUp = self.patroni.servers[0][node.index] != .down && node.server == server
        switch action {
        case .readRows(let name):
            self.answer(
                self.patroni.servers[0][node.index] != .down
                    ? .rowsRead(name, node.catalog.rows, askedAt: sentAt) : .rowsUnread(name, reason: "down"),
                to: node, life: life)
        case .askWritable(let endpoint):
            self.answer(.writable(endpoint, self.writable(endpoint), askedAt: sentAt), to: node, life: life)
        case .identify(let place):
            self.answer(.identified(place, self.identity(place), askedAt: sentAt), to: node, life: life)
        case .update(_, let updates):
            guard isUp else { return self.end(updates, .failed(reason: "down"), of: node, life: life) }
            self.begin(updates, on: node, life: life, server: server)
        case .interruptSynchronization(let name):
            self.answer(.synchronizationInterrupted(name, count: 0, problem: nil), to: node, life: life)
        case .hold(let name, let group, _, let authority, let limit):
            guard isUp, self.patroni.servers[0][node.index] == .primary, self.passes(group, authority, node),
                self.lockedUntil[group] ?? 0 <= self.now, !node.holds.contains(where: { $0.group == group })
            else {
                return self.answer(.holdEnded(name, group: group, reason: "refused"), to: node, life: life)
            }
            self.pass(group, authority, node)
            self.holds += 1
            let hold = SimulatedCoordinator.Hold(
                id: self.holds, life: life, group: group, since: self.now, limit: limit.microseconds)
            node.holds.append(hold)
            if self.mutation != .noHoldLimit {
                self.schedule(.endHold(node.index, id: hold.id), after: hold.limit)
            }
            self.answer(
                .held(name, group: group, blocksOthers: self.hasReferenceTables), to: node, life: life)
        case .commitHold(_, let update):
            guard isUp, node.holds.contains(where: { $0.group == update.group && $0.life == life }) else {
                return self.end([update], .failed(reason: "not held"), of: node, life: life)
            }
            self.apply([update], on: node, life: life, server: server, isHeld: true)
        case .releaseHold(let name, let group):
            if self.mutation != .noHoldLimit { node.holds.removeAll { $0.group == group && $0.life == life } }
            self.answer(.holdEnded(name, group: group, reason: "released"), to: node, life: life)
        case .verify:
            let outcome: VerificationOutcome = self.strikes(0.2) ? .failed(reason: "late") : .ended([])
            self.answer(.verified(outcome, askedAt: sentAt), to: node, life: life)
        case .lookAtSettings(let name):
            self.answer(.settingsSeen(name, ServerSettings(), askedAt: sentAt), to: node, life: life)
        case .compareCopies(let name, let endpoints):
            let result: CopyFinding.Result = self.strikes(0.2) ? .different : .same
            self.answer(
                .copiesCompared(name, endpoints.map { CopyFinding($0, result) }, askedAt: sentAt), to: node, life: life)
        }
    }

    private func writable(_ endpoint: NodeEndpoint) -> WritableAnswer {
        guard let (group, member) = CitusPatroni.place(of: endpoint), group < Self.clusterGroups, !self.strikes(0.05)
        else { return .unreachable(reason: "lost") }
        return switch self.patroni.servers[group][member] {
        case .primary: .primary
        case .standby: .standby
        case .down: .unreachable(reason: "down")
        }
    }

    private func identity(_ place: NodeEndpoint) -> ServerIdentity {
        guard let (group, member) = CitusPatroni.place(of: place), !self.strikes(0.05),
            self.patroni.servers[group][member] != .down
        else { return .unknown(reason: "nobody answers") }
        let isInRecovery = self.patroni.servers[group][member] == .standby
        return .server(system: "\(group)", started: "\(member)", isInRecovery: isInRecovery)
    }

    // MARK: - Updates

    /// Whether a transaction that holds a group, or other sessions, stand in the way of a change of this one.
    private func isLocked(_ group: Int, on node: SimulatedCoordinator) -> Bool {
        (self.lockedUntil[group] ?? 0) > self.now
            || node.holds.contains { $0.group == group || self.hasReferenceTables }
    }

    /// The locks: other sessions', or a transaction that holds the group. Each group's are taken in turn.
    private func begin(_ updates: [RowUpdate], on node: SimulatedCoordinator, life: Int, server: Int) {
        var delay = self.random.between(500, 3000)
        for update in updates where self.isLocked(update.group, on: node) {
            switch update.blockers {
            case .terminate(let cooldown) where !self.strikes(0.1):
                // Citus ends whoever is in the way.
                self.lockedUntil[update.group] = nil
                node.holds.removeAll { $0.group == update.group || self.hasReferenceTables }
                delay += cooldown.microseconds + 130_000
            case .wait, .terminate:
                if case .terminate = update.blockers {
                    let event = CitusEvent.updateUnforced(Self.database, groups: [update.group])
                    self.schedule(.deliver(node.index, life: life, .citus(event)), after: delay)
                }
                return self.end(
                    updates, .blocked(reason: "lock timeout"), causedBy: update.group, of: node, life: life,
                    after: delay + 2_000_000)
            }
        }
        self.schedule(.answerUpdate(node.index, life: life, server: server, updates, isHeld: false), after: delay)
    }

    /// The gate, the fences, the rows, and the commit: at one instant, of all groups or of none.
    func apply(_ updates: [RowUpdate], on node: SimulatedCoordinator, life: Int, server: Int, isHeld: Bool) {
        let outcome: UpdateOutcome
        var cause: Int?
        if node.server != server || self.patroni.servers[0][node.index] == .down {
            outcome = .failed(reason: "the server is gone")
        } else if self.patroni.servers[0][node.index] == .standby {
            outcome = .inRecovery
        } else if self.strikes(0.03) {
            outcome = .failed(reason: "the power went out between two statements")
        } else if let update = updates.first(where: { !self.passes($0.group, $0.authority, node) }) {
            cause = update.group
            let fence = node.catalog.fences[update.group]
            outcome =
                fence?.cluster == update.authority.clusterID
                ? .olderRevision(applied: fence?.revision ?? 0) : .supersededCluster(by: fence?.cluster ?? 0)
        } else if let update = updates.first(where: { self.hasChanged($0, node) }) {
            (cause, outcome) = (update.group, .rowChanged)
        } else if self.strikes(0.03) {
            cause = updates.first?.group
            outcome = .failed(reason: "a change was refused")
        } else {
            node.earlier = node.earlier.suffix(8) + [(self.now, node.catalog)]
            for update in updates { self.apply(update, on: node) }
            self.updates += 1
            if updates.count > 1 { self.sharedUpdates += 1 }
            outcome = self.strikes(0.03) ? .unknown(reason: "the answer was lost") : .applied
        }
        if isHeld { node.holds.removeAll { $0.group == updates.first?.group && $0.life == life } }
        self.log("\(node.name): update of groups \(updates.map(\.group)): \(outcome)")
        self.end(updates, outcome, causedBy: cause, of: node, life: life)
    }

    /// Whether a row does not name the place any more that it is to be moved from.
    private func hasChanged(_ update: RowUpdate, _ node: SimulatedCoordinator) -> Bool {
        guard case .move(let id, let from, _)? = update.changes.first else { return false }
        return node.catalog.rows.first { $0.id == id }?.endpoint != from
    }

    private func apply(_ update: RowUpdate, on node: SimulatedCoordinator) {
        self.checkApplied(update, on: node)
        self.pass(update.group, update.authority, node)
        for change in update.changes {
            guard case .move(let id, _, let endpoint) = change else { continue }
            for index in node.catalog.rows.indices where node.catalog.rows[index].id == id {
                node.catalog.rows[index].endpoint = endpoint
            }
        }
        for index in node.catalog.rows.indices where node.catalog.rows[index].group != 0 {
            node.catalog.rows[index].isSynchronized = false
        }
    }

    /// At most one at a time is under way of each life, so that the one that began last is meant.
    private func end(
        _ updates: [RowUpdate], _ outcome: UpdateOutcome, causedBy cause: Int? = nil, of node: SimulatedCoordinator,
        life: Int, after delay: Time = 0
    ) {
        let began = Instant(sinceBoot: .microseconds((node.updateBegan ?? self.now) + 1_000_000))
        let late = self.strikes(0.02) ? self.random.between(1000, 2_000_000) : self.random.between(200, 1000)
        let event = CitusEvent.updateEnded(
            Self.database, groups: updates.map(\.group), outcome, causedBy: cause, askedAt: began)
        self.schedule(.deliver(node.index, life: life, .citus(event)), after: delay + late)
    }

    private func passes(_ group: Int, _ authority: GroupAuthority, _ node: SimulatedCoordinator) -> Bool {
        guard let fence = node.catalog.fences[group], self.mutation != .noFence else { return true }
        if fence.cluster == authority.clusterID {
            return fence.revision <= authority.revision || fence.revision == authority.rebuiltFrom
        }
        return !fence.superseded.contains(authority.clusterID)
    }

    private func pass(_ group: Int, _ authority: GroupAuthority, _ node: SimulatedCoordinator) {
        var fence =
            node.catalog.fences[group]
            ?? SimulatedCoordinator.Fence(cluster: authority.clusterID, revision: authority.revision)
        if fence.cluster != authority.clusterID { fence.superseded.insert(fence.cluster) }
        (fence.cluster, fence.revision) = (authority.clusterID, authority.revision)
        node.catalog.fences[group] = fence
    }

    /// Citus's background worker.
    func synchronize() {
        self.schedule(.synchronize, after: self.random.between(50_000, 5_000_000))
        for node in self.coordinators where self.patroni.servers[0][node.index] == .primary {
            for index in node.catalog.rows.indices where !node.catalog.rows[index].isSynchronized {
                guard let place = CitusPatroni.place(of: node.catalog.rows[index].endpoint),
                    self.patroni.servers[place.group][place.member] == .primary
                else { continue }
                node.catalog.rows[index].isSynchronized = true
            }
            if let life = node.core.map({ _ in node.life }) {
                self.schedule(.deliver(node.index, life: life, .citus(.synchronized(Self.database))), after: 500)
            }
        }
    }
}
