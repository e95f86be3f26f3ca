// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
public import EventLoop
import HTTPClient
public import Settings

/// What a person who checks a configuration should know of the etcd behind it: asked now, within some seconds.
@EventLoop
public struct EtcdReview {
    /// The endpoints that the daemon would use beside those of the configuration.
    public private(set) var learned: [String] = []
    public private(set) var warnings: [String] = []
    /// What DNS tells, where the configuration names a domain.
    public private(set) var discovered: [String] = []

    public init(_ settings: Settings) async {
        let names = HostResolver()
        let http = HTTPClient(resolve: { await names.answer(to: $0) })
        defer { http.close() }
        var configured = settings.etcd.endpoints
        if let discovery = EtcdDiscovery(settings, http: http, resolver: names, kind: .tool) {
            switch await discovery.endpoints() {
            case .success(let urls) where urls == configured: break
            case .success(let urls): (self.discovered, configured) = (urls, urls)
            case .failure(let failure): self.warnings.append("'etcd': \(failure)")
            }
        }
        guard !configured.isEmpty else { return }
        guard settings.etcd.members == .learn else {
            if configured.count == 1 {
                self.warnings.append(
                    "'etcd': \(configured[0]) alone is used ('members: ignore', or Patroni's 'use_proxies' or 'proxy'): while it does not answer, addresses lapse on this node"
                )
            }
            return
        }
        let client = EtcdClient(EtcdConfiguration(settings), http: http, jitter: { 0.5 })
        client.configure(configured)
        var (lists, errors) = await Self.ask(client)
        // Whether what the members announce leads anywhere, only asking there can say.
        client.learn(EtcdDirectory.News(lists, errors, configured).urls)
        if client.endpointStates.count > configured.count { (lists, errors) = await Self.ask(client) }
        self.judge(lists, errors, configured)
    }

    private static func ask(_ client: EtcdClient) async -> (lists: [EtcdMemberList], errors: [EtcdError]) {
        var (lists, errors): ([EtcdMemberList], [EtcdError]) = ([], [])
        for (_, answer) in await client.members() {
            switch answer {
            case .success(let list): lists.append(list)
            case .failure(let error): errors.append(error)
            }
        }
        return (lists, errors)
    }

    private mutating func judge(_ lists: [EtcdMemberList], _ errors: [EtcdError], _ configured: [String]) {
        let clusters = Set(lists.map(\.header.clusterID))
        if clusters.count > 1 {
            let list = lists.map { "\($0.toldBy) to \(String($0.header.clusterID, radix: 16))" }
            self.warnings.append(
                "'etcd': the endpoints belong to different clusters: \(list.joined(separator: ", ")). Stop the etcd that does not belong to Patroni's"
            )
        }
        for error in errors.prefix(lists.isEmpty ? 1 : errors.count) {
            self.warnings.append(
                "'etcd': \(error.description)\(lists.isEmpty ? "; etcd's members are not known" : "")")
        }
        guard !lists.isEmpty else { return }
        let news = EtcdDirectory.News(lists, errors, configured)
        self.learned = news.urls
        if news.isAlone { self.warnings.append(EtcdDirectory.aloneText(news.reached, news.members, news.refused)) }
    }
}
