// SPDX-License-Identifier: Apache-2.0
import Decision

/// Patroni and PostgreSQL of every group, two members each: what they do by themselves takes several steps.
struct CitusPatroni {
    enum Server { case primary, standby, down }

    /// What comes next in a group; each names the change that it belongs to, so that a later change ends an earlier one.
    enum Step {
        case stop(Int, change: Int)
        case releaseKey(Int, change: Int)
        case takeKey(Int, change: Int)
        case promote(Int, change: Int)
        case comeBack(Int, member: Int, change: Int)
        case callOff(Int, change: Int)
    }

    var servers: [[Server]]
    /// The member that leads, or led last.
    var leading: [Int]
    var change: [Int]

    init(groups: Int) {
        self.servers = (0..<groups).map { _ in [.primary, .standby] }
        self.leading = (0..<groups).map { _ in 0 }
        self.change = (0..<groups).map { _ in 0 }
    }

    static func name(_ group: Int, _ member: Int) -> String { "g\(group)m\(member)" }
    static func endpoint(_ group: Int, _ member: Int) -> NodeEndpoint { NodeEndpoint(self.name(group, member), 5432) }
    static func place(of endpoint: NodeEndpoint) -> (group: Int, member: Int)? {
        let digits = endpoint.host.compactMap(\.wholeNumberValue)
        return digits.count == 2 ? (digits[0], digits[1]) : nil
    }
}

extension CitusWorld {
    func tellMember(_ group: Int, _ member: Int) {
        let server = self.patroni.servers[group][member]
        self.etcd.put(
            group, CitusPatroni.name(group, member),
            GroupMember(
                endpoint: CitusPatroni.endpoint(group, member), isRunning: server != .down,
                isPrimary: server == .primary))
    }

    func set(_ server: CitusPatroni.Server, _ group: Int, _ member: Int) {
        self.log("\(CitusPatroni.name(group, member)): PostgreSQL is \(server)")
        let old = self.patroni.servers[group][member]
        self.patroni.servers[group][member] = server
        guard group == 0, old != server else { return }
        let node = self.coordinators[member]
        if server == .primary {
            // Promoted: it has what had been replicated, which may not be the newest.
            let other = self.coordinators[1 - member]
            let lag = self.strikes(0.3) ? self.random.between(0, 500_000) : 0
            node.catalog = other.earlier.last { $0.time <= self.now - lag }?.catalog ?? other.catalog
        } else {
            node.server += 1
            node.holds = []
        }
    }

    /// Somebody asks for a switchover; sometimes it is called off.
    func switchOver(_ group: Int) {
        self.patroni.change[group] += 1
        let (change, leader) = (self.patroni.change[group], self.patroni.leading[group])
        self.log("group \(group): a switchover is asked for")
        self.etcd.askSwitchover(group, from: CitusPatroni.name(group, leader))
        self.publish()
        let step: CitusPatroni.Step =
            self.random.chance(0.2) ? .callOff(group, change: change) : .stop(group, change: change)
        self.schedule(.later(step), after: self.random.between(0, 500_000))
    }

    /// The leader's server is gone; its keys end with their lease.
    func failOver(_ group: Int) {
        self.patroni.change[group] += 1
        let (change, leader) = (self.patroni.change[group], self.patroni.leading[group])
        self.log("group \(group): the leader is gone")
        self.set(.down, group, leader)
        if group == 0, self.random.chance(0.5) {
            self.startDaemon(self.coordinators[leader], after: self.random.between(1_000_000, 20_000_000))
        }
        self.schedule(.later(.releaseKey(group, change: change)), after: self.random.between(100_000, 30_000_000))
    }

    func carryOut(_ step: CitusPatroni.Step) {
        switch step {
        case .callOff(let group, let change) where self.patroni.change[group] == change:
            self.etcd.askSwitchover(group, from: nil)
        case .stop(let group, let change) where self.patroni.change[group] == change:
            self.set(.down, group, self.patroni.leading[group])
            self.schedule(.later(.releaseKey(group, change: change)), after: self.random.between(100_000, 1_500_000))
        case .releaseKey(let group, let change) where self.patroni.change[group] == change:
            let leader = self.patroni.leading[group]
            if self.random.chance(0.5) { self.etcd.put(group, CitusPatroni.name(group, leader), nil) }
            // Patroni 3.0.2 writes its name over another's key, at times.
            if !self.random.chance(0.15) { self.etcd.lead(group, nil) }
            self.schedule(.later(.takeKey(group, change: change)), after: self.random.between(50_000, 300_000))
        case .takeKey(let group, let change) where self.patroni.change[group] == change:
            let old = self.patroni.leading[group]
            let member = self.patroni.servers[group][1 - old] == .standby ? 1 - old : old
            self.patroni.leading[group] = member
            self.etcd.lead(group, CitusPatroni.name(group, member))
            self.schedule(.later(.promote(group, change: change)), after: self.random.between(100_000, 1_500_000))
            for other in 0..<2 where other != member {
                self.schedule(
                    .later(.comeBack(group, member: other, change: change)),
                    after: self.random.between(1_000_000, 20_000_000))
            }
        case .promote(let group, let change) where self.patroni.change[group] == change:
            self.set(.primary, group, self.patroni.leading[group])
            self.tellMember(group, self.patroni.leading[group])
            self.etcd.askSwitchover(group, from: nil)
        case .comeBack(let group, let member, let change) where self.patroni.change[group] == change:
            guard self.patroni.leading[group] != member else { return }
            self.set(.standby, group, member)
            self.tellMember(group, member)
        case .callOff, .stop, .releaseKey, .takeKey, .promote, .comeBack: return
        }
        self.publish()
    }

    /// After a wipe, and at the end of all faults: what Patroni writes anew.
    func settlePatroni() {
        for group in 0..<Self.clusterGroups {
            self.patroni.change[group] += 1
            let leader = self.patroni.leading[group]
            for member in 0..<2 where member != leader && self.patroni.servers[group][member] != .standby {
                self.set(.standby, group, member)
            }
            if self.patroni.servers[group][leader] != .primary { self.set(.primary, group, leader) }
            for member in 0..<2 { self.tellMember(group, member) }
            if self.etcd.leaders[group]?.name != CitusPatroni.name(group, leader) {
                self.etcd.lead(group, CitusPatroni.name(group, leader))
            }
            self.etcd.askSwitchover(group, from: nil)
        }
        self.publish()
    }

    /// Makes new changes known to every watch.
    func publish() {
        var batches: [(revision: Int64, changes: [GroupChange])] = []
        for (revision, change) in self.etcd.takeNews() {
            if batches.last?.revision == revision {
                batches[batches.count - 1].changes.append(change)
            } else {
                batches.append((revision, [change]))
            }
        }
        for node in self.coordinators where node.core != nil && !node.cutsEtcd {
            for (revision, changes) in batches {
                if self.strikes(0.02) { continue }
                for _ in 0..<(self.strikes(0.02) ? 2 : 1) {
                    let delay = self.strikes(0.03) ? self.random.between(0, 10_000_000) : 200
                    let event = GroupsEvent.changed(
                        clusterID: self.etcd.clusterID, revision: revision, changes)
                    self.schedule(.watched(node.index, life: node.life, epoch: self.etcd.epoch, event), after: delay)
                }
            }
        }
    }
}
