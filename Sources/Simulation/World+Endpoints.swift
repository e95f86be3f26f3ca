// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdValues

/// Requests where etcd has several endpoints: which is asked, and whose answer is believed, decide the daemon's own values
/// (``EndpointList``, ``ClusterChoice``), as its client of etcd applies them.
extension World {
    /// The client's limit on one attempt.
    private static let attemptTimeout: Time = 1_500_000
    /// Between two looks at all endpoints: usually, while one is foreign, and at least.
    private static let (surveyPeriod, surveyAmongForeigners, surveyPause): (Time, Time, Time) = (
        300_000_000, 30_000_000, 10_000_000
    )

    func beginEndpoints(of node: SimulatedNode) {
        guard let urls = self.members?.urls, var endpoints = node.endpoints else { return }
        let now = node.microseconds(at: self.now)
        if !node.diskWorks { (endpoints.remembered, endpoints.lastFollowed) = (nil, nil) }
        let remembered = self.mutation == .forgetsEtcd ? nil : endpoints.remembered
        endpoints.choice = ClusterChoice(configured: urls, remembered: remembered, now: now)
        endpoints.list = EndpointList(urls, jitter: self.random.unit())
        endpoints.survey += 1
        node.endpoints = endpoints
        self.schedule(.survey(node.index, life: node.life, number: endpoints.survey), after: 1_000_000)
    }

    // MARK: - Requests

    func serveAtEndpoint(_ request: Request) {
        let node = self.nodes[request.node]
        // What was on its way when the power went arrives all the same, sometimes.
        guard !node.cutsRequests, node.isPowered || self.random.chance(0.3), !self.strikes(.requestLost, 0.003) else {
            return self.refuse(request, node)
        }
        guard let number = self.endpoint(for: request, of: node), let side = self.members?.members[number].side else {
            return self.give(up: request)
        }
        var request = request
        request.endpoint = number
        guard self.members?.members[number].isUp == true, node.endpoints?.cut.contains(number) == false else {
            let isSlow = self.isFaulty && !node.isRefusedAtOnce
            return self.schedule(.attemptFailed(request, isSlow: isSlow), after: isSlow ? Self.attemptTimeout : 1000)
        }
        if case .left = side { return self.schedule(.attemptFailed(request, isSlow: false), after: 1000) }
        if side == .main, !self.etcd.hasQuorum {
            return self.schedule(.attemptFailed(request, isSlow: true), after: Self.attemptTimeout)
        }
        self.at(number) {
            request.cluster = self.etcd.clusterID
            if case .markCluster = request.action { return self.serveMarking(request, node) }
            self.reply(self.process(request.action, of: node, sentAt: request.sentAt), to: request, node)
        }
    }

    /// Which endpoint is asked: one of another cluster only for reads, and last. Nil: none is left.
    private func endpoint(for request: Request, of node: SimulatedNode) -> Int? {
        let tried: Set<Int> = request.tried == 0 ? [] : Set((0..<8).filter { request.tried & 1 << $0 != 0 })
        guard let list = node.endpoints?.list,
            let number = list.best(without: tried, now: node.microseconds(at: self.now)),
            request.action == .read || !list.isForeign(number)
        else { return nil }
        return number
    }

    private func give(up request: Request) {
        if request.isAbandoned { return }
        self.answer(self.unanswered(request), request, after: 0)
    }

    /// The answer has arrived. Who stands still looks at it when it continues.
    func judge(_ request: Request, _ event: Event) {
        let node = self.nodes[request.node]
        guard node.life == request.life, node.daemon != .dead else { return }
        guard node.daemon == .running, !node.isDeaf else {
            return self.schedule(.judge(request, event), after: 200_000)
        }
        let verdict = self.endpointAnswered(request.endpoint, request.cluster, by: node)
        guard verdict != .followed else {
            node.endpoints?.list.succeeded(request.endpoint, now: node.microseconds(at: self.now))
            return self.answer(event, request, after: 0)
        }
        var next = request
        if verdict == .undecided { next.wasUndecided = true }
        if verdict == .foreign { self.blame(request.endpoint, by: node) }
        self.tryElsewhere(next)
    }

    func attemptFailed(_ request: Request, isSlow: Bool) {
        let node = self.nodes[request.node]
        guard node.life == request.life, node.daemon != .dead, !request.isAbandoned else { return }
        self.change(node) { endpoints, url, patience, now in
            endpoints.choice.failed(url(request.endpoint), patience: patience, now: now)
        }
        self.blame(request.endpoint, by: node)
        // What may have taken place is not asked for elsewhere.
        if isSlow, !Self.isRepeatable(request.action) { return self.give(up: request) }
        self.tryElsewhere(request)
    }

    private static func isRepeatable(_ action: Action) -> Bool {
        switch action {
        case .read, .keepAlive, .revoke: true
        default: false  // Grants and transactions.
        }
    }

    private func tryElsewhere(_ request: Request) {
        guard self.now < request.deadline else { return self.give(up: request) }
        let node = self.nodes[request.node]
        var request = request
        request.tried |= 1 << request.endpoint
        let isKnown = node.endpoints?.choice.followed != nil
        if request.wasUndecided, isKnown, request.tried.nonzeroBitCount == self.members?.members.count {
            (request.tried, request.wasUndecided) = (0, false)
        }
        self.schedule(.request(request), after: self.random.between(150, 2000))
    }

    private func blame(_ number: Int, by node: SimulatedNode) {
        let now = node.microseconds(at: self.now)
        node.endpoints?.list.failed(number, now: now, jitter: self.random.unit())
        guard let endpoints = node.endpoints else { return }
        self.scheduleSurvey(of: node, after: max(100_000, endpoints.surveyedAt + Self.surveyPause - self.now))
    }

    // MARK: - Which cluster is followed

    /// Every endpoint is asked for its members now and then: that tells to which cluster it belongs.
    func survey(_ node: SimulatedNode, _ number: Int) {
        guard node.endpoints?.survey == number, let count = self.members?.members.count else { return }
        guard node.daemon == .running, !node.isDeaf else { return self.scheduleSurvey(of: node, after: 1_000_000) }
        node.endpoints?.surveyedAt = self.now
        let isConnected = node.isPowered && !node.cutsRequests && !node.cutsAnswers
        for place in 0..<count {
            if isConnected, node.endpoints?.cut.contains(place) == false, let cluster = self.clusterTold(at: place) {
                _ = self.endpointAnswered(place, cluster, by: node)
            } else {
                self.change(node) { endpoints, url, patience, now in
                    endpoints.choice.failed(url(place), patience: patience, now: now)
                }
            }
        }
        guard let choice = node.endpoints?.choice else { return }
        let isOdd = choice.followed == nil || !choice.foreigners.isEmpty
        self.scheduleSurvey(of: node, after: isOdd ? Self.surveyAmongForeigners : Self.surveyPeriod)
    }

    private func scheduleSurvey(of node: SimulatedNode, after delay: Time) {
        node.endpoints?.survey += 1
        guard let number = node.endpoints?.survey else { return }
        self.schedule(.survey(node.index, life: node.life, number: number), after: delay)
    }

    /// Of which cluster a member says that it is.
    private func clusterTold(at place: Int) -> UInt64? {
        guard let members = self.members, members.members[place].isUp else { return nil }
        switch members.members[place].side {
        case .main: return self.etcd.hasQuorum || members.tellsWithoutQuorum ? self.etcd.clusterID : nil
        case .alone: return members.members[place].alone?.clusterID
        case .left(let cluster): return members.tellsWithoutQuorum ? cluster : nil
        }
    }

    func endpointAnswered(_ place: Int, _ cluster: UInt64, by node: SimulatedNode) -> ClusterChoice.Verdict {
        let now = node.microseconds(at: self.now)
        let isKnown = node.endpoints?.choice.followed == cluster && node.endpoints?.told[place]?.cluster == cluster
        node.endpoints?.told[place] = (cluster, now)
        if isKnown, let url = self.members?.members[place].url {
            // As it was: nothing is decided anew.
            _ = node.endpoints?.choice.answered(url, cluster, member: UInt64(place + 1), patience: 0, now: now)
            node.endpoints?.heardAt[cluster] = now
            return .followed
        }
        let verdict = self.change(node) { endpoints, url, patience, now in
            endpoints.choice.answered(
                url(place), cluster, member: UInt64(place + 1), patience: patience, now: now)
        }
        node.endpoints?.heardAt[cluster] = now
        return self.mutation == .believesAnyEtcd ? .followed : verdict ?? .followed
    }

    /// Everything that may move the choice: what follows from it is done, and judged.
    @discardableResult
    private func change<Result>(
        _ node: SimulatedNode,
        _ body: (inout NodeEndpoints, _ url: (Int) -> String, _ patience: Int64, _ now: Int64) -> Result
    ) -> Result? {
        guard var endpoints = node.endpoints, let urls = self.members?.urls else { return nil }
        let instant = node.instant(at: self.now)
        let patience = ClusterChoice.patience(
            longestTTL: node.core?.asked { $0.longestTTL(at: instant) } ?? .zero,
            isCovered: node.core?.asked { $0.isCoveredByFailsafe(at: instant) } ?? false)
        let before = endpoints.choice.followed
        let span = self.mutation == .impatient ? 0 : patience.microseconds
        let result = body(&endpoints, { urls[$0] }, span, instant.sinceBoot.microseconds)
        let followed = endpoints.choice.followed
        let foreign = followed == nil ? [] : Set(endpoints.choice.foreigners.map(\.url))
        endpoints.list.setForeign(foreign, now: instant.sinceBoot.microseconds)
        node.endpoints = endpoints
        if let followed, followed != before { self.follows(node, followed, insteadOf: before) }
        return result
    }

    private func follows(_ node: SimulatedNode, _ cluster: UInt64, insteadOf before: UInt64?) {
        self.log("\(node.member): follows etcd cluster \(cluster)")
        self.checkChoice(of: node, cluster)
        node.endpoints?.lastFollowed = cluster
        if node.diskWorks { node.endpoints?.remembered = cluster }
        guard before != nil else { return }
        node.seen.begin(in: cluster)
        self.restartWatch(node)
    }
}
