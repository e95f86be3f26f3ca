// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import Settings

/// What the daemon's clients of etcd share: the endpoints, and the cluster that is followed; and what is kept of both for the next
/// process.
@EventLoop
final class EtcdEndpoints {
    let clusters: EtcdClusters
    private let settings: Settings
    private let remembered: [String]
    /// Those of the configuration; where they are to be looked up, what DNS told last, if anything.
    private var given: [String]
    let patience: @EventLoop () -> Duration
    private let file: MemoryFile?
    /// Nil until it serves.
    private(set) var directory: EtcdDirectory?
    private var foreigners: EtcdForeigners?

    /// - Parameters:
    ///   - longestTTL: for so long what the cluster that is followed has granted may be in force after its last answer.
    ///   - isCovered: whether a right is in force that came from no etcd, and that no other etcd is to end.
    init(
        _ settings: Settings, _ memory: EtcdMemory?, _ file: MemoryFile?,
        longestTTL: @escaping @EventLoop () -> Duration, isCovered: @escaping @EventLoop () -> Bool = { false }
    ) {
        self.settings = settings
        self.file = file
        // Where other endpoints are configured, etcd may have moved: what was learned then leads nowhere, or to the old one.
        let isSame = memory?.configured == settings.etcd.source
        self.remembered = isSame ? memory?.learned ?? [] : []
        let discovered = isSame && settings.etcd.isLookedUp ? memory?.discovered ?? [] : []
        // A name is looked up before anything is asked there: which of its servers answers is chance.
        let named = settings.etcd.soleName == nil ? settings.etcd.endpoints : []
        self.given = discovered.isEmpty ? named : discovered
        let patience: @EventLoop () -> Duration = {
            ClusterChoice.patience(longestTTL: longestTTL(), isCovered: isCovered())
        }
        self.patience = patience
        self.clusters = EtcdClusters(
            ClusterChoice(
                configured: self.given, learned: self.remembered, remembered: memory?.cluster,
                now: BootClock.microseconds),
            patience: patience)
    }

    /// `client`: of what the leases hang on; `http`: of `looking`.
    func serve(
        _ client: EtcdClient, _ looking: EtcdClient, _ http: HTTPClient, _ resolver: HostResolver,
        report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        let directory = EtcdDirectory(
            self.settings.etcd, self.clusters, asked: looking, told: [client, looking], given: self.given,
            remembered: self.remembered,
            discovery: EtcdDiscovery(self.settings, http: http, resolver: resolver, kind: .leaseNameLookup),
            report: report)
        directory.discovered = { [weak self] in
            self?.given = $0
            self?.remember()
        }
        self.directory = directory
        self.foreigners = EtcdForeigners(self.clusters, report: report)
        self.clusters.observe { [weak self] in self?.remember() }
    }

    /// What is known at the start, for a client that nothing keeps up to date.
    func tell(_ client: EtcdClient) {
        client.configure(self.given)
        client.learn(EtcdDirectory.usable(self.remembered, toldBy: self.given.first ?? "", self.given).usable)
    }

    private func remember() {
        let choice = self.clusters.choice
        self.file?.write(
            EtcdMemory(
                configured: self.settings.etcd.source,
                discovered: self.settings.etcd.isLookedUp ? self.given : [],
                learned: choice.provenURLs, cluster: choice.followed))
    }

    func start() { self.directory?.start() }
    func stop() { self.directory?.stop() }
}

extension Settings.Etcd {
    var isLookedUp: Bool { self.discovery != nil || self.soleName != nil }

    /// From where the endpoints are known: with another source, what was found by the one of before says nothing.
    var source: [String] { (self.discovery.map { ["srv \($0)"] } ?? []) + self.endpoints }
}
