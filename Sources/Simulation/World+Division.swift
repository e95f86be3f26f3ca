// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdValues

/// Endpoints of etcd that are rebuilt alone, go away, or are cut off from one node; and what must hold then.
extension World {
    enum EndpointFault: CaseIterable { case rebuilt, down, cut }

    /// Answers whether it could be done.
    func strikeEndpoint(_ kind: EndpointFault, _ node: SimulatedNode, for span: Time) -> Bool {
        guard let members = self.members else { return false }
        let whole = members.members.indices.filter { members.members[$0].side == .main && members.members[$0].isUp }
        // A third one would leave nothing to come back to.
        guard whole.count > 1 else { return false }
        let place = whole[Int(self.random.between(0, Int64(whole.count - 1)))]
        switch kind {
        case .rebuilt:
            // Two at once leave no quorum.
            guard whole.count == members.members.count || self.random.chance(0.4) else { return false }
            self.rebuildAlone(place)
            if self.isFaulty, self.random.chance(0.5) {
                self.isolate(node, with: place, for: self.random.between(60_000_000, 400_000_000))
            }
            self.schedule(.endpointBack(place), after: span + self.span(10_000_000, 240_000_000))
        case .down:
            self.members?.members[place].isUp = false
            self.schedule(.endpointBack(place), after: span)
        case .cut:
            node.endpoints?.cut.insert(place)
            self.schedule(.endpointsReached(node.index), after: span)
        }
        self.endpointsChanged()
        return true
    }

    private func rebuildAlone(_ place: Int) {
        let number = (self.members?.rebuilt ?? 0) + 1
        self.members?.rebuilt = number
        let alone = self.etcd.rebuiltAlone(number)
        self.log("etcd: endpoint \(place + 1) is rebuilt alone, as cluster \(alone.clusterID)")
        self.members?.members[place].alone = alone
        self.members?.members[place].side = .alone
    }

    /// The node reaches the one that was rebuilt, and no other.
    func isolate(_ node: SimulatedNode, with place: Int, for span: Time) {
        guard let count = self.members?.members.count else { return }
        self.log("\(node.member): reaches only endpoint \(place + 1) of etcd")
        node.endpoints?.cut = Set((0..<count).filter { $0 != place })
        node.cutsPeers = node.cutsPeers || self.random.chance(0.7)
        node.networkChangedAt = self.now
        self.schedule(.endpointsReached(node.index), after: span)
        self.schedule(.restoreNetwork(node.index), after: span)
        self.endpointsChanged()
    }

    /// Where the whole cluster was replaced, one endpoint may not have heard of it.
    func leaveBehind(_ former: UInt64) {
        guard let members = self.members, former != self.etcd.clusterID, self.random.chance(0.5) else { return }
        let place = Int(self.random.between(0, Int64(members.members.count - 1)))
        guard members.areWhole else { return }
        self.members?.members[place].side = .left(former)
        self.schedule(.endpointBack(place), after: self.span(10_000_000, 240_000_000))
    }

    func returnEndpoint(_ place: Int) {
        guard let member = self.members?.members[place], member.side != .main || !member.isUp else { return }
        self.log("etcd: endpoint \(place + 1) is back")
        self.members?.members[place].side = .main
        self.members?.members[place].isUp = true
        self.members?.members[place].alone = nil
        self.endpointsChanged()
    }

    func reachEndpoints(_ node: SimulatedNode) {
        guard let cut = node.endpoints?.cut, !cut.isEmpty else { return }
        node.endpoints?.cut = []
        self.endpointsChanged()
    }

    /// Everything is whole again.
    func mendEndpoints() {
        guard let members = self.members else { return }
        for place in members.members.indices { self.returnEndpoint(place) }
        for node in self.nodes { self.reachEndpoints(node) }
    }

    /// Who has lost its watch with its endpoint; whether the cluster has a quorum.
    private func endpointsChanged() {
        guard let members = self.members else { return }
        if !members.haveQuorum { self.etcd.hasQuorum = false } else { self.carryOut(.quorum) }
        for node in self.nodes {
            guard let cut = node.endpoints?.cut else { continue }
            let wasCut = node.isCutFromEtcd
            node.isCutFromEtcd = !members.members.indices.contains {
                members.members[$0].side == .main && members.members[$0].isUp && !cut.contains($0)
            }
            if node.isCutFromEtcd != wasCut { node.networkChangedAt = self.now }
            guard node.isWatching else { continue }
            if node.watchedCluster != self.etcd.clusterID || self.random.chance(0.3) {
                self.restartWatch(node)
            } else if node.isCutFromEtcd {
                node.isWatchSilent = true
            }
        }
    }

    /// By which etcd the address is about to be given to the kernel.
    func noteCluster(of spec: AddressSpec, on node: SimulatedNode) {
        guard let followed = node.endpoints?.choice.followed else { return }
        if let address = self.specs.firstIndex(where: { $0.id == spec.id }) {
            node.endpoints?.heldUnder[address] = followed
        }
    }

    // MARK: - Invariants

    /// Another cluster is followed only if more than half of the endpoints said last that they belong to it, or if the one of
    /// before was silent everywhere for two minutes: nothing that it granted is in force here then.
    func checkChoice(of node: SimulatedNode, _ cluster: UInt64) {
        guard let endpoints = node.endpoints, let former = endpoints.lastFollowed, former != cluster,
            let all = self.members?.members.count
        else { return }
        let now = node.microseconds(at: self.now)
        let votes = endpoints.told.values.count { $0.cluster == cluster && now - $0.at <= 90_000_000 }
        if votes * 2 > all { return }
        let silence = now - (endpoints.heardAt[former] ?? 0)
        guard silence >= 120_000_000 else {
            return self.fail(
                "\(node.member) follows etcd cluster \(cluster), to which \(votes) of \(all) endpoints belong, instead of \(former), which answered \(silence / 1_000_000) s ago"
            )
        }
        // What failsafe mode covers ends with its right, and the kernel is a second late.
        guard !self.config.isFailsafeEnabled else { return }
        for (address, spec) in self.specs.enumerated()
        where node.kernel.holds(address) && endpoints.heldUnder[address] == former {
            self.fail("\(node.member) follows another etcd, and still holds \(spec.id) by the one of before")
        }
    }

    /// Not promised: that two nodes do not hold an address which follow different etcds (docs/protocol.md, A10).
    func isDivided(_ node: SimulatedNode, _ other: SimulatedNode, _ address: Int) -> Bool {
        guard let here = node.endpoints?.heldUnder[address], let there = other.endpoints?.heldUnder[address] else {
            return false
        }
        // The numbers of one etcd before and after it was replaced are none of this: its quarantine keeps them apart.
        return here != there && max(here, there) >= SimulatedEtcd.firstAlone
    }
}
