// SPDX-License-Identifier: Apache-2.0

/// Which of the etcd clusters that answer is followed. A pure value; times are microseconds since boot.
///
/// One endpoint may belong to another cluster: it was rebuilt alone, restored, or its name leads elsewhere. Whoever believed the
/// first to answer would give an address up that is held rightly. So:
///
/// - The cluster that is followed, or that an earlier process followed, stays, as long as it answers anywhere and no other one has
///   more than half of all endpoints.
/// - Where it answers nowhere, another one is followed after ``patience``: nothing that it granted is in force here any more.
/// - Who follows none yet follows the one that has more than half of all endpoints, or the only one there is when all endpoints were
///   tried. Where several answer and none has so many, none is followed.
///
/// Endpoints that lead to one member count as one.
///
/// All endpoints are those of the configuration, and those learned from etcd that have answered as members of the cluster that is
/// followed: what never answered must not keep a cluster from being replaced.
///
/// Leaves out: whether a cluster's history continues what is remembered, which its trails tell.
public struct ClusterChoice: Sendable, Equatable {
    struct Endpoint: Sendable, Equatable {
        let url: String
        /// Whether it counts among all.
        var counts: Bool
        var isConfigured: Bool
        var answer: Answer?
        /// Since the last answer, or ever.
        var hasFailed = false
    }

    /// What an endpoint answered for last, and when. Several endpoints may lead to one member: `127.0.0.1`, its name and its address.
    struct Answer: Sendable, Equatable {
        let cluster: UInt64
        /// 0: it did not say which.
        let member: UInt64
        let at: Int64

        func isOfSameMember(as other: Answer) -> Bool {
            self.member != 0 && self.member == other.member && self.cluster == other.cluster
        }
    }

    public enum Verdict: Sendable, Equatable {
        /// It belongs to the cluster that is followed.
        case followed
        /// It belongs to another: nothing that it says counts.
        case foreign
        /// None is followed yet.
        case undecided
    }

    /// Why another cluster is followed than before.
    public enum Reason: Sendable, Equatable {
        /// So many endpoints of all say it.
        case majority(Int, of: Int)
        /// The one of before has answered nowhere for so long; this is the only other one. Microseconds.
        case silence(Int64)
        /// Nothing is remembered, and no other one answers.
        case onlyOne
    }

    /// An answer older than this is no vote: the endpoint may belong elsewhere by now. Endpoints of another cluster are asked again
    /// three times meanwhile.
    static let voteLifetime: Int64 = 90_000_000

    /// Nothing that the cluster of before granted may be in force after it: the address's lifetime ends within one TTL. And
    /// whoever restarts two members of etcd should find their cluster followed still.
    public static let leastPatience: Duration = .seconds(120)
    /// While a right is in force that came from no etcd.
    public static let longestPatience: Duration = .seconds(30 * 86_400)

    /// For how long the cluster that is followed may answer nowhere until another one is followed.
    ///
    /// - Parameters:
    ///   - longestTTL: for so long what the cluster that is followed has granted may be in force after its last answer.
    ///   - isCovered: whether a right is in force that came from no etcd, and that no other etcd is to end.
    public static func patience(longestTTL: Duration, isCovered: Bool) -> Duration {
        isCovered ? self.longestPatience : max(self.leastPatience, longestTTL * 2)
    }

    private(set) var endpoints: [Endpoint]
    public private(set) var followed: UInt64?
    /// When the cluster that is followed answered last; else since when it is waited for.
    private(set) var followedAt: Int64
    public private(set) var reason: Reason?

    /// - Parameters:
    ///   - learned: the endpoints that an earlier process learned, and that had answered.
    ///   - remembered: the cluster that it followed.
    public init(configured: [String], learned: [String] = [], remembered: UInt64? = nil, now: Int64) {
        self.endpoints = configured.map { Endpoint(url: $0, counts: true, isConfigured: true) }
        self.followed = remembered
        self.followedAt = now
        for url in learned where !configured.contains(url) {
            self.endpoints.append(Endpoint(url: url, counts: true, isConfigured: false))
        }
    }

    /// The endpoints that are known beside those of the configuration, instead of those of before.
    public mutating func learn(_ urls: [String]) {
        self.endpoints.removeAll { !$0.isConfigured && !urls.contains($0.url) }
        for url in urls where !self.endpoints.contains(where: { $0.url == url }) {
            self.endpoints.append(Endpoint(url: url, counts: false, isConfigured: false))
        }
    }

    /// The endpoints of the configuration, where they were found anew: instead of those of before.
    public mutating func configure(_ urls: [String]) {
        self.endpoints.removeAll { $0.isConfigured && !urls.contains($0.url) }
        for place in self.endpoints.indices where urls.contains(self.endpoints[place].url) {
            (self.endpoints[place].isConfigured, self.endpoints[place].counts) = (true, true)
        }
        for url in urls where !self.endpoints.contains(where: { $0.url == url }) {
            self.endpoints.append(Endpoint(url: url, counts: true, isConfigured: true))
        }
    }

    /// An endpoint answered for a cluster, as one of its members (0: it did not say which).
    public mutating func answered(
        _ url: String, _ cluster: UInt64, member: UInt64 = 0, patience: Int64, now: Int64
    ) -> Verdict {
        if let index = self.endpoints.firstIndex(where: { $0.url == url }) {
            self.endpoints[index].answer = Answer(cluster: cluster, member: member, at: now)
            self.endpoints[index].hasFailed = false
        }
        if cluster != self.followed { self.decide(patience: patience, now: now) }
        guard let followed = self.followed else { return .undecided }
        guard cluster == followed else { return .foreign }
        self.followedAt = max(self.followedAt, now)
        if let index = self.endpoints.firstIndex(where: { $0.url == url }) { self.endpoints[index].counts = true }
        return .followed
    }

    /// An endpoint could not be asked.
    public mutating func failed(_ url: String, patience: Int64, now: Int64) {
        guard let index = self.endpoints.firstIndex(where: { $0.url == url }) else { return }
        self.endpoints[index].hasFailed = true
        if self.followed == nil { self.decide(patience: patience, now: now) }
    }

    private mutating func decide(patience: Int64, now: Int64) {
        let voters = self.voters
        var votes: [UInt64: Int] = [:]
        for voter in voters {
            if let answer = voter.answer, now - answer.at <= Self.voteLifetime {
                votes[answer.cluster, default: 0] += 1
            }
        }
        // More than half: there is one at most.
        if let winner = votes.first(where: { $0.value * 2 > voters.count }) {
            guard winner.key != self.followed else { return }
            return self.follow(winner.key, .majority(winner.value, of: voters.count), now)
        }
        if let followed = self.followed {
            let silence = now - self.followedAt
            let others = votes.keys.filter { $0 != followed }
            guard silence >= patience, others.count == 1 else { return }
            self.follow(others[0], .silence(silence), now)
        } else if voters.allSatisfy({ $0.answer != nil || $0.hasFailed }), votes.count == 1 {
            for cluster in votes.keys { self.follow(cluster, .onlyOne, now) }
        }
    }

    /// The endpoints that count, each member once: with its newest answer.
    private var voters: [Endpoint] {
        var voters: [Endpoint] = []
        for endpoint in self.endpoints where endpoint.counts {
            guard let answer = endpoint.answer else {
                voters.append(endpoint)
                continue
            }
            let place = voters.firstIndex { $0.answer?.isOfSameMember(as: answer) == true }
            guard let place else {
                voters.append(endpoint)
                continue
            }
            if (voters[place].answer?.at ?? 0) < answer.at { voters[place] = endpoint }
        }
        return voters
    }

    private mutating func follow(_ cluster: UInt64, _ reason: Reason, _ now: Int64) {
        (self.followed, self.followedAt, self.reason) = (cluster, now, reason)
        for index in self.endpoints.indices where !self.endpoints[index].isConfigured {
            self.endpoints[index].counts = self.endpoints[index].answer?.cluster == cluster
        }
    }

    // MARK: - What follows

    public struct Foreigner: Sendable, Hashable {
        public let url: String
        public let cluster: UInt64
    }

    /// The endpoints that answered last for another cluster than the one that is followed; without one, all that have answered
    /// where they do not agree.
    public var foreigners: [Foreigner] {
        let answers = self.endpoints.compactMap { endpoint in
            endpoint.answer.map { Foreigner(url: endpoint.url, cluster: $0.cluster) }
        }
        if let followed = self.followed { return answers.filter { $0.cluster != followed } }
        return Set(answers.map(\.cluster)).count > 1 ? answers : []
    }

    /// The cluster for which an endpoint answered last.
    public func cluster(of url: String) -> UInt64? { self.endpoints.first { $0.url == url }?.answer?.cluster }

    /// The learned endpoints that have answered for the cluster that is followed, sorted: what is worth remembering.
    public var provenURLs: [String] { self.endpoints.filter { !$0.isConfigured && $0.counts }.map(\.url).sorted() }

    /// The URLs in the order in which they should be tried: first those that were reached last and lead to members of the cluster
    /// that is followed which no other of them leads to, then those of which nothing is known, then all others.
    public func sorted(_ urls: [String]) -> [String] {
        var taken = self.endpoints.filter(\.isConfigured).compactMap(\.answer)
        var (first, unknown, last): ([String], [String], [String]) = ([], [], [])
        for url in urls {
            guard let endpoint = self.endpoints.first(where: { $0.url == url }), let answer = endpoint.answer else {
                let hasFailed = self.endpoints.contains { $0.url == url && $0.hasFailed }
                if hasFailed { last.append(url) } else { unknown.append(url) }
                continue
            }
            if endpoint.hasFailed || answer.cluster != self.followed || taken.contains(where: answer.isOfSameMember) {
                last.append(url)
            } else {
                first.append(url)
                taken.append(answer)
            }
        }
        return first + unknown + last
    }

    /// How many endpoints answered last for `cluster`, of all that count.
    public func share(of cluster: UInt64) -> (count: Int, all: Int) {
        let voters = self.voters
        return (voters.count { $0.answer?.cluster == cluster }, voters.count)
    }
}
