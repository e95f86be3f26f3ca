// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import Journal
import Settings

/// Keeps the list of etcd's endpoints up to date for every client of the daemon: the members' client URLs, as etcd tells them,
/// are used behind those of the configuration.
///
/// Every endpoint is asked every five minutes, as Patroni does, and soon after an endpoint failed; what any of them tells counts,
/// because one of them may lag behind. What was learned stays while none answers. Nothing that a lease hangs on waits for this.
@EventLoop
final class EtcdDirectory {
    private let asked: EtcdClient
    private let told: [EtcdClient]
    /// Those of the configuration, or what DNS told last.
    private var configured: [String]
    private let discovery: EtcdDiscovery?
    /// Used where nothing was ever found.
    private let fallback: [String]
    /// Is told what DNS told, whenever it is new.
    var discovered: @EventLoop ([String]) -> Void = { _ in }
    /// No endpoint of the cluster that is followed has answered: as Patroni does, DNS is asked anew then.
    private var isOutOfReach = true
    private let report: @EventLoop (LogRecord) -> Void
    private let clusters: EtcdClusters
    private let isLearning: Bool
    private var timer: EventSource?
    private var lookedAt: Instant?
    private var isLooking = false
    /// The endpoints beside those of the configuration, sorted.
    private(set) var urls: [String]
    private(set) var membership = EtcdMembership()
    private var complaints = Complaints<EtcdError.Kind>()
    /// How many looks in a row found that one member is reached, of several.
    private var looksAlone = 0
    private var division = EtcdDivision()

    nonisolated static let period: Duration = .seconds(300)
    /// The same while an endpoint belongs to another cluster.
    nonisolated static let periodAmongForeigners: Duration = .seconds(30)
    /// Between two looks, whatever fails.
    nonisolated static let pause: Duration = .seconds(10)
    private static let request = "asking etcd for its members"
    private static let discoveryRequest = "looking etcd's endpoints up"

    /// - Parameters:
    ///   - asked: is asked for the members; its failures must not matter to a lease.
    ///   - told: the clients that are told, `asked` among them.
    ///   - given: the endpoints of the configuration, or those that DNS told an earlier process.
    ///   - remembered: what an earlier process learned.
    ///   - discovery: nil: the configuration names the endpoints.
    init(
        _ settings: Settings.Etcd, _ clusters: EtcdClusters, asked: EtcdClient, told: [EtcdClient],
        given: [String]? = nil, remembered: [String], discovery: EtcdDiscovery? = nil,
        report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.clusters = clusters
        self.isLearning = settings.members == .learn
        self.asked = asked
        self.told = told
        let given = given ?? settings.endpoints
        self.configured = given
        self.discovery = discovery
        self.fallback = settings.endpoints
        self.report = report
        let remembered = settings.members == .learn ? remembered : []
        self.urls = Self.usable(remembered, toldBy: given.first ?? "", given).usable
        for client in told {
            if given != settings.endpoints { client.configure(given) }
            client.learn(self.urls)
            client.isAwaitingEndpoints = discovery != nil
        }
    }

    /// `after`: what the addresses wait for comes first.
    func start(after delay: Duration? = nil) {
        let delay = delay ?? (self.configured.isEmpty ? .zero : .seconds(1))
        for client in self.told { client.endpointFailed = { [weak self] in self?.hasten() } }
        self.wait(delay)
    }

    func stop() {
        self.timer = nil
        for client in self.told { client.endpointFailed = {} }
    }

    /// An endpoint has failed: there may be others by now.
    private func hasten() {
        guard !self.isLooking else { return }
        self.wait(max(.milliseconds(100), self.lookedAt.map { Self.pause - (.now - $0) } ?? .zero))
    }

    private func wait(_ delay: Duration) {
        self.timer = .timer(after: delay) { [weak self] in
            guard let self else { return }
            self.timer = nil
            guard !self.isLooking else { return }
            self.isLooking = true
            EventLoop.spawn {
                await self.look()
                self.isLooking = false
                if self.timer == nil { self.wait(self.nextPause) }
            }
        }
    }

    private var isAmongForeigners: Bool {
        self.clusters.choice.followed == nil || !self.clusters.choice.foreigners.isEmpty
    }

    private var nextPause: Duration {
        if self.configured.isEmpty { return Self.pause }
        let isOdd =
            self.isAmongForeigners || self.looksAlone > 0 || self.division.isDoubtful
            || self.discovery != nil && self.isOutOfReach
        return isOdd ? Self.periodAmongForeigners : Self.period
    }

    /// Asks every endpoint, and passes on what they tell; twice where there are new ones: whether they belong to the cluster, only
    /// they can say.
    func look() async {
        // Proxies tell of themselves; whether they lead to one cluster matters all the same.
        guard self.isLearning || self.isAmongForeigners || self.discovery != nil else { return }
        // At the start, and again as soon as nobody answers.
        let isFirst = self.lookedAt == nil
        if let discovery, isFirst { _ = await self.discover(discovery) }
        let before = self.urls
        var news = await self.ask()
        if let discovery, !isFirst, self.isOutOfReach, await self.discover(discovery) { news = await self.ask() }
        if self.urls != before { news = await self.ask() }
        guard let news else { return }
        self.looksAlone = news.isAlone ? self.looksAlone + 1 : 0
        // Not at the first look: a node that starts may be faster than the others.
        if self.looksAlone == 2 { self.report(.etcdEndpointAlone(news.reached, news.members, news.refused)) }
    }

    /// What was found before stays where nothing is found now. Answers whether there are other endpoints than before.
    private func discover(_ discovery: EtcdDiscovery) async -> Bool {
        defer { for client in self.told { client.isAwaitingEndpoints = false } }
        switch await discovery.endpoints() {
        case .success(let urls):
            self.complaints.succeeded(Self.discoveryRequest)
            guard urls != self.configured else { return false }
            self.use(urls)
            self.discovered(urls)
            if urls != self.fallback { self.report(.etcdDiscovered(urls)) }
            return true
        case .failure(let failure):
            let isNew = self.configured.isEmpty && !self.fallback.isEmpty
            if isNew { self.use(self.fallback) }
            guard self.complaints.failed(Self.discoveryRequest, .unreachable) else { return isNew }
            self.report(
                LogRecord(
                    .requestFailed,
                    "\(Self.discoveryRequest) has failed: \(failure). \(self.configured.isEmpty && self.urls.isEmpty ? "No endpoint is known: nothing is read, and no address acquired, until they are found" : "What is known of them already is used")",
                    ["REQUEST": Self.discoveryRequest, "REASON": failure.description]))
            return isNew
        }
    }

    private func use(_ urls: [String]) {
        self.configured = urls
        for client in self.told { client.configure(urls) }
        self.clusters.configure(urls)
    }

    private func ask() async -> News? {
        self.lookedAt = .now
        var (lists, errors): ([EtcdMemberList], [EtcdError]) = ([], [])
        for (_, answer) in await self.asked.members() {
            switch answer {
            case .success(let list): lists.append(list)
            case .failure(let error): errors.append(error)
            }
        }
        let followed = self.clusters.choice.followed
        lists.removeAll { $0.header.clusterID != followed }
        self.isOutOfReach = lists.isEmpty
        guard self.isLearning else { return nil }
        guard !lists.isEmpty else {
            self.complain(errors)
            return nil
        }
        self.complaints.succeeded(Self.request)
        self.membership.take(lists)
        if let record = self.division.look(lists) { self.report(record) }
        return self.take(lists, errors)
    }

    /// What several lists say together.
    struct News {
        /// Beside those of the configuration, sorted; no more than are used.
        let urls: [String]
        /// Of what the members announce, what cannot be used, and why.
        let refused: [String]
        /// Those that were started, without learners.
        let members: Int
        /// One endpoint that answered.
        let reached: String
        /// One member is reached, of several.
        let isAlone: Bool

        init(_ lists: [EtcdMemberList], _ errors: [EtcdError], _ configured: [String]) {
            var (urls, refused): (Set<String>, Set<String>) = ([], [])
            // A learner answers nothing that a lease may hang on; what was not started announces nothing yet.
            func voters(_ list: EtcdMemberList) -> [EtcdMemberList.Member] {
                list.members.filter { !$0.isLearner && !$0.clientURLs.isEmpty }
            }
            for list in lists {
                let announced = voters(list).flatMap(\.clientURLs)
                let judged = EtcdDirectory.usable(announced, toldBy: list.toldBy, configured)
                urls.formUnion(judged.usable)
                refused.formUnion(judged.unusable)
            }
            self.urls = Array(urls.sorted().prefix(EtcdClient.learnedLimit))
            self.members = Set(lists.flatMap { voters($0).map(\.id) }).count
            // Several endpoints may lead to one member, such as a loopback address that every member announces.
            let named = Set(lists.map(\.header.memberID).filter { $0 != 0 }).count
            let nameless = lists.count { $0.header.memberID == 0 }
            self.isAlone = named + nameless == 1 && self.members > 1
            self.reached = lists.first?.toldBy ?? ""
            let same = lists.dropFirst().map { "\($0.toldBy): it leads to the same member" }
            let silent = errors.map { "\($0.endpoint): \($0.message)" }
            self.refused = refused.sorted() + same + silent
        }
    }

    private func take(_ lists: [EtcdMemberList], _ errors: [EtcdError]) -> News {
        let news = News(lists, errors, self.configured)
        self.clusters.learn(news.urls)
        let sorted = self.clusters.choice.sorted(news.urls)
        for client in self.told { client.learn(sorted) }
        guard news.urls != self.urls else { return news }
        self.urls = news.urls
        self.report(.etcdMembersLearned(news.urls, toldBy: lists.map(\.toldBy)))
        return news
    }

    /// What an etcd refuses is told. That it cannot be reached, whoever reads the keys tells.
    private func complain(_ errors: [EtcdError]) {
        for error in errors {
            switch error.kind {
            case .permissionDenied, .malformed, .server, .unauthenticated:
                guard self.complaints.failed(Self.request, error.kind) else { return }
                return self.report(
                    LogRecord(
                        .requestFailed,
                        "\(Self.request) has failed: \(error.description). Only the configured endpoints are used",
                        ["REQUEST": Self.request, "REASON": error.description]))
            case .unreachable, .timeout, .noLeader, .leaseNotFound, .compacted, .outcomeUnknown, .cancelled,
                .watchCancelled, .streamEnded, .otherCluster:
                continue
            }
        }
    }

    nonisolated static func aloneText(_ endpoint: String, _ members: Int, _ refused: [String]) -> String {
        let reasons = refused.prefix(4).joined(separator: "; ")
        return
            "etcd has \(members) members, and this node reaches only one, \(endpoint): while it does not answer, addresses lapse here. Nothing else that the members announce can be used\(reasons.isEmpty ? "" : " (\(reasons))"). List the endpoints: etcd.endpoints in pharos.yml, or etcd3.hosts in Patroni's file"
    }

    /// What may be used of announced URLs, without those of the configuration; and what may not, with the reason.
    nonisolated static func usable(
        _ urls: [String], toldBy teller: String, _ configured: [String]
    ) -> (usable: [String], unusable: [String]) {
        var (usable, unusable): ([String], [String]) = ([], [])
        for text in urls {
            switch MemberURL(text, toldBy: teller, configured: configured) {
            case .usable(let url): if !configured.contains(url), !usable.contains(url) { usable.append(url) }
            case .unusable(let reason): unusable.append("\(LogRecord.escaped(String(text.prefix(100)))): \(reason)")
            }
        }
        return (usable.sorted(), unusable)
    }
}

extension LogRecord {
    static func etcdMembersLearned(_ urls: [String], toldBy tellers: [String]) -> LogRecord {
        let list = urls.isEmpty ? "none" : urls.joined(separator: " ")
        return LogRecord(
            .etcdMembersLearned,
            "etcd's endpoints beside those of the configuration: \(list) (told by \(tellers.prefix(3).joined(separator: " "))). They are used when those do not answer",
            ["ENDPOINTS": list])
    }

    static func etcdDiscovered(_ urls: [String]) -> LogRecord {
        let list = urls.joined(separator: " ")
        return LogRecord(
            .etcdDiscovered, "DNS names these endpoints of etcd: \(list)", ["ENDPOINTS": list])
    }

    static func etcdEndpointAlone(_ endpoint: String, _ members: Int, _ refused: [String]) -> LogRecord {
        LogRecord(
            .etcdEndpointAlone, EtcdDirectory.aloneText(endpoint, members, refused), ["ENDPOINTS": endpoint])
    }
}
