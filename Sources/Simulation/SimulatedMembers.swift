// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdValues

/// etcd's endpoints, in a world that has several: three members, each behind one URL.
///
/// Usually they are one cluster, ``World/etcd``. A member may be rebuilt alone, and is an empty cluster of its own then; or stay
/// behind when the others are replaced, where it can only say to which cluster it belonged.
struct SimulatedMembers {
    enum Side: Equatable {
        case main
        /// An empty cluster of one, in ``Member/alone``.
        case alone
        /// Of this cluster, which has no quorum any more.
        case left(UInt64)
    }

    struct Member {
        let url: String
        var side = Side.main
        var isUp = true
        var alone: SimulatedEtcd?
    }

    var members = ["http://e1", "http://e2", "http://e3"].map { Member(url: $0) }
    /// How many were rebuilt alone so far.
    var rebuilt = 0
    /// Whether a member without a leader tells its list of members, as etcd's before 3.5 do.
    let tellsWithoutQuorum: Bool

    var urls: [String] { self.members.map(\.url) }
    /// Whether the members of the cluster that has most are enough for it.
    var haveQuorum: Bool { self.members.count { $0.side == .main && $0.isUp } * 2 > self.members.count }
    var areWhole: Bool { self.members.allSatisfy { $0.side == .main && $0.isUp } }
}

/// What one node's daemon knows of the endpoints, in the daemon's own values; and what the world knows of that.
struct NodeEndpoints {
    var choice: ClusterChoice
    var list: EndpointList
    /// The cluster that its disk holds as followed.
    var remembered: UInt64?
    /// The endpoints that this node does not reach.
    var cut: Set<Int> = []
    /// When all endpoints were asked for their members last, and which question for them is the next.
    var surveyedAt: Time = -1_000_000_000
    var survey = 0

    // Reckoned beside the daemon's values, and longer than one of its processes:
    /// Which cluster each endpoint answered for last, and when by this node's clock.
    var told: [Int: (cluster: UInt64, at: Int64)] = [:]
    /// When any endpoint answered for a cluster last.
    var heardAt: [UInt64: Int64] = [:]
    /// Which cluster was followed last, as far as the node can know.
    var lastFollowed: UInt64?
    /// Under which cluster each address was given to the kernel last.
    var heldUnder: [Int: UInt64] = [:]

    init(_ urls: [String], now: Int64) {
        self.choice = ClusterChoice(configured: urls, now: now)
        self.list = EndpointList(urls, jitter: 0)
    }
}

extension World {
    /// One world of eight has several endpoints.
    static func hasEndpoints(_ seed: UInt64) -> Bool { seed % 8 == 0 }

    func beginMembers() {
        guard Self.hasEndpoints(self.seed) else { return }
        let members = SimulatedMembers(tellsWithoutQuorum: self.random.chance(0.5))
        self.members = members
        for node in self.nodes { node.endpoints = NodeEndpoints(members.urls, now: node.microseconds(at: 0)) }
    }

    /// Lets `body` see what answers at this endpoint as the world's etcd.
    func at<Result>(_ place: Int, _ body: () -> Result) -> Result {
        guard self.members?.members[place].side == .alone, var other = self.members?.members[place].alone else {
            return body()
        }
        // Not kept twice: what changes would be copied.
        self.members?.members[place].alone = nil
        swap(&self.etcd, &other)
        let result = body()
        swap(&self.etcd, &other)
        self.members?.members[place].alone = other
        return result
    }

    /// The endpoint that is a cluster of its own, and that this node reaches while it reaches none of the others': what Patroni
    /// follows there.
    func placeBeside(_ node: SimulatedNode) -> Int? {
        guard node.isCutFromEtcd, node.isPowered, !node.cutsRequests, !node.cutsAnswers,
            let members = self.members?.members, let cut = node.endpoints?.cut
        else { return nil }
        return members.indices.first { members[$0].side == .alone && members[$0].isUp && !cut.contains($0) }
    }

    /// The leader of the cluster that Patroni on this node follows.
    func leader(seenBy node: SimulatedNode) -> String? {
        guard let place = self.placeBeside(node) else { return self.etcd.leader }
        return self.members?.members[place].alone?.leader
    }

    /// Who holds the address by the etcd under which this node gave it to its kernel; nil: that etcd has gone.
    func holder(of address: Int, asSeenBy node: SimulatedNode) -> Holder?? {
        guard let cluster = node.endpoints?.heldUnder[address], cluster != self.etcd.clusterID else {
            return .some(self.etcd.holders[address])
        }
        let other = self.members?.members.first { $0.side == .alone && $0.alone?.clusterID == cluster }?.alone
        return other.map { $0.holders[address] }
    }
}
