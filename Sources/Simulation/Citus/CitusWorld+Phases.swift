// SPDX-License-Identifier: Apache-2.0
import Decision

/// Faults, healing, and what must hold.
extension CitusWorld {
    func injectFault() {
        guard self.isFaulty else { return }
        self.schedule(.fault, after: self.random.between(200_000, 20_000_000))
        let group = Int(self.random.between(0, Int64(Self.clusterGroups - 1)))
        let node = self.coordinators[Int(self.random.between(0, 1))]
        switch self.random.between(0, 9) {
        case 0, 1: if self.isLed(group) { self.switchOver(group) }
        case 2, 3:
            // At times a rack with the leaders of several groups loses its power.
            let isRack = self.random.chance(0.3)
            for other in 0..<Self.clusterGroups where (other == group || isRack) && self.isLed(other) {
                self.failOver(other)
            }
        case 4:
            self.log("sessions lock group \(group)")
            self.lockedUntil[group] = self.now + self.random.between(100_000, 30_000_000)
        case 5:
            self.log("\(node.name): the daemon crashes")
            self.startDaemon(node, after: self.random.between(100_000, 5_000_000))
        case 6:
            guard node.core != nil, !node.isFrozen else { return }
            self.log("\(node.name): the daemon is frozen")
            node.isFrozen = true
            self.schedule(.thaw(node.index, life: node.life), after: self.random.between(1_000_000, 60_000_000))
        case 7:
            self.log("\(node.name): cut off from etcd")
            node.cutsEtcd = true
            self.schedule(.heal(node.index), after: self.random.between(1_000_000, 60_000_000))
        case 8: self.meddle()
        default:
            guard self.random.chance(0.2) else { return }
            let keepsClusterID = self.random.chance(0.5)
            self.log("etcd: wiped\(keepsClusterID ? ", under the same number" : "")")
            self.etcd.wipe(keepsClusterID: keepsClusterID)
            self.settlePatroni()
        }
    }

    private func isLed(_ group: Int) -> Bool {
        self.patroni.servers[group][self.patroni.leading[group]] == .primary
            && self.etcd.leaders[group]?.name == CitusPatroni.name(group, self.patroni.leading[group])
    }

    /// Somebody changes a row by hand.
    private func meddle() {
        for node in self.coordinators where self.patroni.servers[0][node.index] == .primary {
            let index = Int(self.random.between(0, Int64(Self.clusterGroups - 1)))
            guard index < node.catalog.rows.count else { return }
            self.log("\(node.name): a row is changed by hand")
            let group = node.catalog.rows[index].group
            let isStranger = self.random.chance(0.3)
            node.catalog.rows[index].endpoint =
                isStranger
                ? NodeEndpoint("nowhere", group + 1) : CitusPatroni.endpoint(group, Int(self.random.between(0, 1)))
        }
    }

    func beginFaults() {
        self.isFaulty = true
        self.schedule(.fault, after: self.random.between(200_000, 5_000_000))
    }

    func heal() {
        self.log("everything is healed")
        self.isFaulty = false
        self.lockedUntil = [:]
        self.settlePatroni()
        for node in self.coordinators {
            node.cutsEtcd = false
            // The operator puts right what only an operator may.
            for index in node.catalog.rows.indices
            where CitusPatroni.place(of: node.catalog.rows[index].endpoint) == nil {
                node.catalog.rows[index].endpoint = CitusPatroni.endpoint(node.catalog.rows[index].group, 0)
            }
            if node.isFrozen { self.schedule(.thaw(node.index, life: node.life), after: 0) }
        }
    }

    /// Whether an answer never comes.
    func losesAnswer(of node: SimulatedCoordinator) -> Bool {
        guard self.strikes(0.003) else { return false }
        self.log("\(node.name): that is never answered")
        self.silencedAt = self.now
        return true
    }

    // MARK: - Invariants

    /// A daemon writes only while the newest leader key that it has seen names its own member.
    func checkIssue(by node: SimulatedCoordinator) {
        if node.seenLeader != node.name {
            self.fail(
                "\(node.name) writes, though it has seen that \(node.seenLeader ?? "nobody") leads the coordinators")
        }
    }

    /// No update is begun while another may be under way: before it was answered, or the server has surely ended it and the rows were
    /// read that show what came of it.
    func checkUpdates(of node: SimulatedCoordinator) {
        guard node.updateBegan != nil else { return }
        if self.now < node.updateEndsBy { self.fail("\(node.name) has two updates under way") }
        if node.rowsAskedAt < node.updateEndsBy {
            self.fail("\(node.name) changes rows of which it does not know what an update before has made of them")
        }
    }

    /// Rows never move to an older revision, only to an address that its group has, and to a leader on the revision at which that one
    /// has taken the key.
    func checkApplied(_ update: RowUpdate, on node: SimulatedCoordinator) {
        if self.patroni.servers[0][node.index] != .primary { self.fail("\(node.name) is written to and is no primary") }
        if let fence = node.catalog.fences[update.group] {
            let isOlder =
                fence.cluster == update.authority.clusterID
                ? update.authority.revision < fence.revision && update.authority.rebuiltFrom != fence.revision
                : fence.superseded.contains(update.authority.clusterID)
            if isOlder {
                self.fail("\(node.name): group \(update.group) moves to an older revision")
            }
        }
        for change in update.changes {
            guard case .move(let id, _, let endpoint) = change else { continue }
            if let row = node.catalog.rows.first(where: { $0.id == id }), CitusPatroni.place(of: row.endpoint) == nil {
                self.fail("\(node.name): group \(update.group) is moved from \(row.endpoint), which no member ever had")
            }
            guard let place = CitusPatroni.place(of: endpoint), place.group == update.group else {
                self.fail("\(node.name): group \(update.group) moves to \(endpoint)")
                continue
            }
            let (name, authority) = (CitusPatroni.name(update.group, place.member), update.authority)
            if !self.etcd.wasWritten(update.group, by: name, at: authority.revision, of: authority.clusterID) {
                self.fail(
                    "\(node.name): group \(update.group) moves to \(name), who has not written the key at \(authority.revision)"
                )
            }
        }
    }

    /// No transaction is older than its deadline.
    func checkHolds() {
        for node in self.coordinators {
            for hold in node.holds where self.now > hold.since + hold.limit + 1000 {
                self.fail("\(node.name): writes to group \(hold.group) are held for longer than the limit")
            }
        }
    }

    /// What must hold some time after everything was healed: the rows name the leaders.
    func checkLiveness() {
        guard let node = self.coordinators.first(where: { self.patroni.servers[0][$0.index] == .primary }) else {
            return self.fail("no coordinator accepts writes")
        }
        for row in node.catalog.rows {
            let leader = CitusPatroni.endpoint(row.group, self.patroni.leading[row.group])
            guard row.endpoint != leader else { continue }
            let status = node.core?.citusStatus.map { "\($0)" } ?? "its daemon does not run"
            self.fail("group \(row.group) is at \(row.endpoint), its leader at \(leader): \(status)")
        }
    }
}

/// What one seed of the Citus world came to.
public struct CitusRun {
    public let violation: Violation?
    /// Simulated.
    public let hours: Double
    /// Of `pg_dist_node`, and those among them that changed several groups.
    public let updates: Int
    public let sharedUpdates: Int
    /// Transactions that were held.
    public let holds: Int
}

extension Simulator {
    /// Runs one seed of the Citus world; `rounds` phases with faults, each followed by a healed one.
    public static func runCitus(
        seed: UInt64, rounds: Int = 5, mutation: CitusMutation? = nil, trace: ((String) -> Void)? = nil
    ) -> CitusRun {
        let world = CitusWorld(seed: seed, mutation: mutation, trace: trace)
        world.run(for: 10_000_000)
        for _ in 0..<rounds where world.violation == nil {
            world.beginFaults()
            world.run(for: world.random.between(60_000_000, 600_000_000))
            world.heal()
            // A watch event that was lost is made good by a read within 10 s; the settling time, and one backoff of 30 s.
            // Who waits for an answer that never comes, does so for its time limit: longest for an update.
            world.run(for: world.now - world.silencedAt < 180_000_000 ? 210_000_000 : 75_000_000)
            if world.violation == nil { world.checkLiveness() }
        }
        return CitusRun(
            violation: world.violation, hours: Double(world.now) / 3.6e9, updates: world.updates,
            sharedUpdates: world.sharedUpdates, holds: world.holds)
    }
}
