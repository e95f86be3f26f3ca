// SPDX-License-Identifier: Apache-2.0
import EtcdClient
public import EventLoop
import HTTPClient
public import Settings

/// What a person who checks a configuration should know of the etcd behind it: asked now, within some seconds.
@EventLoop
public struct EtcdReview {
    /// The endpoints that the daemon would use beside those of the configuration.
    public private(set) var learned: [String] = []
    public private(set) var warnings: [String] = []

    public init(_ settings: Settings) async {
        let configured = settings.etcd.endpoints
        guard settings.etcd.members == .learn else {
            if configured.count == 1 {
                self.warnings = [
                    "'etcd': \(configured[0]) alone is used ('members: ignore', or Patroni's 'use_proxies' or 'proxy'): while it does not answer, addresses lapse on this node"
                ]
            }
            return
        }
        let names = HostResolver()
        let http = HTTPClient(resolve: { await names.answer(to: $0) })
        defer { http.close() }
        let client = EtcdClient(EtcdConfiguration(settings), http: http, jitter: { 0.5 })
        var (lists, failure): ([EtcdMemberList], EtcdError?) = ([], nil)
        for (_, answer) in await client.members() {
            switch answer {
            case .success(let list): lists.append(list)
            case .failure(let error): failure = failure ?? error
            }
        }
        self.judge(lists, failure, configured)
    }

    private mutating func judge(_ lists: [EtcdMemberList], _ failure: EtcdError?, _ configured: [String]) {
        if let failure {
            self.warnings.append(
                "'etcd': \(failure.description)\(lists.isEmpty ? "; etcd's members are not known" : "")")
        }
        guard !lists.isEmpty else { return }
        let news = EtcdDirectory.News(lists, configured)
        self.learned = news.urls
        if news.isAlone { self.warnings.append(EtcdDirectory.aloneText(configured[0], news.members, news.refused)) }
    }
}
