// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdValues
import LeaseKeys
import PatroniValues

/// Requests to etcd on their way there and back, and what etcd does with them.
extension World {
    /// A request under way. Nothing that happens to its sender stops it.
    struct Request {
        let node: Int
        let life: Int
        let action: Action
        let sentAt: Instant
        /// True time at which the sender's shell gives up waiting.
        var deadline: Time
        /// Whether the sender had given up already when it was let go.
        let isAbandoned: Bool
        /// Whether the shell sent it by itself, to watch from there.
        let isFollowers: Bool
        /// Whether its sender never hears what became of it.
        let isMute: Bool
        /// The phase in which it was sent: when all is healed, nothing is under way any more for longer than usual.
        let phase: Int
        /// The lease that the first half of the request was granted, where it has two.
        var lease: LeaseID?
        // Where etcd has several endpoints: the one that is asked, those that were, a bit each, and the cluster that answers.
        var endpoint = 0
        var tried: UInt8 = 0
        var wasUndecided = false
        var cluster: UInt64 = 0
    }

    /// The shell's limit on one request.
    static let requestTimeout: Time = 4_000_000

    func latency() -> Time {
        if self.strikes(.requestLate, 0.01) { return self.random.between(1000, 4_000_000) }
        return self.random.between(150, 2000)
    }

    func send(
        _ action: Action, from node: SimulatedNode, life: Int, sentAt: Instant, isFollowers: Bool = false
    ) {
        let deadline = self.now + Self.requestTimeout
        var delay = self.latency()
        // So late that the sender has given up, crashed or been replaced in between.
        if self.strikes(.requestLate, 0.003) { delay = self.random.between(4_000_000, 40_000_000) }
        let isAbandoned = self.now + delay > deadline
        let request = Request(
            node: node.index, life: life, action: action, sentAt: sentAt, deadline: deadline, isAbandoned: isAbandoned,
            isFollowers: isFollowers, isMute: !isFollowers && self.losesAnswer(node), phase: self.phase)
        self.schedule(.request(request), after: delay)
        if isAbandoned { self.answer(self.unanswered(request), request, after: Self.requestTimeout) }
    }

    func serve(_ request: Request) {
        if request.isAbandoned, request.phase != self.phase { return }
        if self.members != nil { return self.serveAtEndpoint(request) }
        let node = self.nodes[request.node]
        // What was on its way when the power went arrives all the same, sometimes.
        guard !node.cutsRequests, self.etcd.hasQuorum, node.isPowered || self.random.chance(0.3) else {
            return self.refuse(request, node)
        }
        if self.strikes(.requestLost, 0.003) { return self.refuse(request, node) }
        if case .markCluster = request.action { return self.serveMarking(request, node) }
        self.reply(self.process(request.action, of: node, sentAt: request.sentAt), to: request, node)
    }

    /// What etcd answers goes on its way.
    func reply(_ event: Event, to request: Request, _ node: SimulatedNode) {
        if request.isAbandoned { return }
        let delay = self.latency()
        if node.cutsAnswers || self.now + delay > request.deadline || self.strikes(.answerLost, 0.003) {
            return self.answer(self.unanswered(request), request, after: max(request.deadline - self.now, 0))
        }
        if self.members != nil { return self.schedule(.judge(request, event), after: delay) }
        self.answer(event, request, after: delay)
    }

    func refuse(_ request: Request, _ node: SimulatedNode) {
        guard !request.isAbandoned else { return }
        let left = max(request.deadline - self.now, 0)
        let delay = node.isRefusedAtOnce ? min(left, self.random.between(200, 2000)) : left
        self.answer(self.unanswered(request), request, after: delay)
    }

    func answer(_ event: Event, _ request: Request, after delay: Time) {
        if request.isMute { return }
        var event = event
        if request.isFollowers {
            guard case .readAnswered(let snapshot, let sentAt) = event else { return }
            event = .followed(snapshot, sentAt: sentAt)
        }
        self.schedule(.deliver(request.node, life: request.life, event), after: delay)
    }

    // MARK: - etcd

    func process(_ action: Action, of node: SimulatedNode, sentAt: Instant) -> Event {
        switch action {
        case .read: return .readAnswered(self.etcd.snapshot(), sentAt: sentAt)
        case .grantLease(let id, let ttl):
            let ttl = self.granted(ttl)
            let lease = self.etcd.grant(ttl: ttl.microseconds, at: self.now, late: self.lateness())
            self.watchLease(lease)
            return .leaseGranted(id, lease: lease, ttl: ttl, sentAt: sentAt)
        case .keepAlive(let id, let lease):
            return self.keepAlive(id, lease, node, sentAt)
        case .revoke(let id, let lease):
            self.endLease(lease)
            return .leaseRevoked(id, lease: lease)
        case .acquire(let id, let lease, let clusterID, let step):
            var transaction = self.keys.acquisition(
                of: id, self.holder(node, lease), clusterID: clusterID, step, since: self.unixTime,
                reading: self.etcd.addresses)
            self.mutate(&transaction)
            let event = self.commit(transaction, id, lease, sentAt)
            if case .acquired = event { self.checkAcquisition(id, by: node) }
            return event
        case .takeOver(let id, let lease, let old, let clusterID, let step):
            let transaction = self.keys.takeOver(
                of: id, self.holder(node, lease), from: old, clusterID: clusterID, step, since: self.unixTime,
                reading: self.etcd.addresses)
            return self.commit(transaction, id, lease, sentAt)
        default: return .tick  // Only etcd's actions come here.
        }
    }

    private var answerer: Answerer { Answerer(clusterID: self.etcd.clusterID, raftTerm: self.etcd.term) }

    /// Through a member that led, and has not heard that it does so no more, nothing is renewed: it answers from its memory.
    private func keepAlive(_ id: AddressID, _ lease: LeaseID, _ node: SimulatedNode, _ sentAt: Instant) -> Event {
        if let stale = node.staleMember, stale.until > self.now, stale.incarnation == self.etcd.incarnation,
            let ttl = self.etcd.leases[lease]?.ttl
        {
            let term = self.mutation == .staleRenewals ? self.etcd.term : stale.term
            return .leaseKept(
                id, lease: lease, ttl: .microseconds(ttl), sentAt: sentAt,
                by: Answerer(clusterID: self.etcd.clusterID, raftTerm: term))
        }
        guard let ttl = self.etcd.keepAlive(lease, at: self.now, late: self.lateness()) else {
            return .leaseGone(id, lease: lease)
        }
        return .leaseKept(id, lease: lease, ttl: .microseconds(ttl), sentAt: sentAt, by: self.answerer)
    }

    private func holder(_ node: SimulatedNode, _ lease: LeaseID) -> Holder {
        let ttl = self.etcd.leases[lease].map { Duration.microseconds($0.ttl) }
        return Holder(member: node.member, node: node.identity, lease: lease, ttl: ttl)
    }

    /// Leaves compares out of an acquisition, where that is what this run does wrong.
    private func mutate(_ transaction: inout Transaction) {
        switch self.mutation {
        case .noCompares: transaction.compares = []
        case .noLeaderCompare: transaction.compares.removeAll { $0.key == self.keys.patroni.leader }
        default: break  // The others change something else.
        }
    }

    /// True time as the daemon writes it down; nothing depends on it.
    private var unixTime: Int64 { self.now / 1_000_000 }

    private func commit(_ transaction: Transaction, _ id: AddressID, _ lease: LeaseID, _ sentAt: Instant) -> Event {
        switch self.etcd.commit(transaction) {
        case .committed:
            self.publish()
            return .acquired(id, lease: lease, revision: self.etcd.revision, sentAt: sentAt, by: self.answerer)
        case .refused(let isRead):
            let found =
                isRead
                ? self.etcd.snapshot()
                : Snapshot(clusterID: self.etcd.clusterID, revision: self.etcd.revision, raftTerm: self.etcd.term)
            return .acquireRefused(id, lease: lease, found: found, sentAt: sentAt)
        case .leaseNotFound: return .acquireFoundNoLease(id, lease: lease)
        }
    }

    func unanswered(_ request: Request) -> Event {
        switch request.action {
        case .grantLease(let id, _): .leaseRefused(id, reason: "timeout")
        case .keepAlive(let id, let lease), .revoke(let id, let lease):
            .leaseUnanswered(id, lease: lease, reason: "timeout")
        case .acquire(let id, let lease, _, _), .takeOver(let id, let lease, _, _, _):
            .acquireUnanswered(id, lease: lease, reason: "timeout")
        case .markCluster: .markAnswered(reason: "timeout", sentAt: request.sentAt)
        default: .readFailed(reason: "timeout")  // A read; nothing else is sent to etcd.
        }
    }

    /// etcd ends leases late: sometimes hardly, sometimes by a second.
    func lateness() -> Time { self.random.chance(0.5) ? 0 : self.random.between(0, 1_000_000) }

    func watchLease(_ lease: LeaseID) {
        guard let endsAt = self.etcd.leases[lease]?.endsAt else { return }
        self.queue.schedule(.leaseCheck(lease, incarnation: self.etcd.incarnation), at: endsAt)
    }

    func checkLease(_ id: LeaseID, _ incarnation: Int) {
        guard incarnation == self.etcd.incarnation else {
            let place = self.members?.members.firstIndex { $0.side == .alone && $0.alone?.incarnation == incarnation }
            if let place { self.at(place) { self.checkLease(id, incarnation) } }
            return
        }
        guard let lease = self.etcd.leases[id] else { return }
        guard self.etcd.hasQuorum, lease.endsAt <= self.now else {
            return self.queue.schedule(
                .leaseCheck(id, incarnation: incarnation), at: max(lease.endsAt, self.now + 100_000))
        }
        self.log("etcd: lease \(id) ends")
        self.endLease(id)
    }

    /// A lease ends, by its time or by a revocation, and the keys under it.
    func endLease(_ id: LeaseID) {
        self.checkKeyEnds(id)
        let wasLeader = self.etcd.leases[id]?.key == .leader
        guard self.etcd.end(id) else { return }
        if wasLeader { self.leaderKeyVanished() }
        self.publish()
    }
}
