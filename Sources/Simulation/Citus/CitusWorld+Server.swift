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
        case .update(_, let update):
            guard isUp else { return self.end(update, .failed(reason: "down"), of: node, life: life) }
            self.begin(update, on: node, life: life, server: server)
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
            self.answer(.held(name, group: group), to: node, life: life)
        case .commitHold(_, let update):
            guard isUp, node.holds.contains(where: { $0.group == update.group && $0.life == life }) else {
                return self.end(update, .failed(reason: "not held"), of: node, life: life)
            }
            self.apply(update, on: node, life: life, server: server, isHeld: true)
        case .releaseHold(let name, let group):
            if self.mutation != .noHoldLimit { node.holds.removeAll { $0.group == group && $0.life == life } }
            self.answer(.holdEnded(name, group: group, reason: "released"), to: node, life: life)
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

    // MARK: - Updates

    /// The locks: other sessions', or a transaction that holds the group.
    private func begin(_ update: RowUpdate, on node: SimulatedCoordinator, life: Int, server: Int) {
        let isHeld = node.holds.contains { $0.group == update.group }
        let isLocked = isHeld || (self.lockedUntil[update.group] ?? 0) > self.now
        guard isLocked else {
            return self.schedule(
                .answerUpdate(node.index, life: life, server: server, update, isHeld: false),
                after: self.random.between(500, 3000))
        }
        switch update.blockers {
        case .terminate(let cooldown) where !self.strikes(0.1):
            // Citus ends whoever is in the way.
            self.lockedUntil[update.group] = nil
            node.holds.removeAll { $0.group == update.group }
            self.schedule(
                .answerUpdate(node.index, life: life, server: server, update, isHeld: false),
                after: cooldown.microseconds + 130_000)
        case .wait, .terminate:
            self.end(update, .blocked(reason: "lock timeout"), of: node, life: life, after: 2_000_000)
        }
    }

    /// The gate, the fence, the rows, and the commit: at one instant.
    func apply(_ update: RowUpdate, on node: SimulatedCoordinator, life: Int, server: Int, isHeld: Bool) {
        let outcome: UpdateOutcome
        if node.server != server || self.patroni.servers[0][node.index] == .down {
            outcome = .failed(reason: "the server is gone")
        } else if self.patroni.servers[0][node.index] == .standby {
            outcome = .inRecovery
        } else if self.strikes(0.03) {
            outcome = .failed(reason: "the power went out between two statements")
        } else if !self.passes(update.group, update.authority, node) {
            let fence = node.catalog.fences[update.group]
            outcome =
                fence?.cluster == update.authority.clusterID
                ? .olderRevision(applied: fence?.revision ?? 0) : .supersededCluster(by: fence?.cluster ?? 0)
        } else {
            self.checkApplied(update, on: node)
            node.earlier = node.earlier.suffix(8) + [(self.now, node.catalog)]
            self.pass(update.group, update.authority, node)
            for change in update.changes {
                guard case .move(let id, let endpoint) = change else { continue }
                for index in node.catalog.rows.indices where node.catalog.rows[index].id == id {
                    node.catalog.rows[index].endpoint = endpoint
                }
            }
            for index in node.catalog.rows.indices where node.catalog.rows[index].group != 0 {
                node.catalog.rows[index].isSynchronized = false
            }
            self.updates += 1
            outcome = self.strikes(0.03) ? .unknown(reason: "the answer was lost") : .applied
        }
        if isHeld { node.holds.removeAll { $0.group == update.group && $0.life == life } }
        self.log("\(node.name): update of group \(update.group): \(outcome)")
        self.end(update, outcome, of: node, life: life)
    }

    /// At most one at a time is under way of each life, so that the one that began last is meant.
    private func end(
        _ update: RowUpdate, _ outcome: UpdateOutcome, of node: SimulatedCoordinator, life: Int, after delay: Time = 0
    ) {
        let began = Instant(sinceBoot: .microseconds((node.updateBegan ?? self.now) + 1_000_000))
        let late = self.strikes(0.02) ? self.random.between(1000, 2_000_000) : self.random.between(200, 1000)
        self.schedule(
            .deliver(
                node.index, life: life,
                .citus(.updateEnded(Self.database, group: update.group, outcome, askedAt: began))),
            after: delay + late)
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
