// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import Journal
import Settings

/// What the daemon's clients of etcd share: the endpoints, and the cluster that is followed; and what is kept of both for the next
/// process.
@EventLoop
final class EtcdEndpoints {
    let clusters: EtcdClusters
    private let settings: Settings.Etcd
    private let remembered: [String]
    private let file: MemoryFile?
    private var directory: EtcdDirectory?
    private var foreigners: EtcdForeigners?

    /// `longestTTL`: for so long what the cluster that is followed has granted may be in force after its last answer.
    init(
        _ settings: Settings, _ memory: EtcdMemory?, _ file: MemoryFile?,
        longestTTL: @escaping @EventLoop () -> Duration
    ) {
        self.settings = settings.etcd
        self.file = file
        // Where other endpoints are configured, etcd may have moved: what was learned then leads nowhere, or to the old one.
        self.remembered = memory?.configured == settings.etcd.endpoints ? memory?.learned ?? [] : []
        self.clusters = EtcdClusters(
            ClusterChoice(
                configured: settings.etcd.endpoints, learned: self.remembered, remembered: memory?.cluster,
                now: BootClock.microseconds),
            patience: { max(EtcdClusters.leastPatience, longestTTL() * 2) })
    }

    /// `client`: of what the leases hang on.
    func serve(_ client: EtcdClient, _ looking: EtcdClient, report: @escaping @EventLoop (LogRecord) -> Void) {
        self.directory = EtcdDirectory(
            self.settings, self.clusters, asked: looking, told: [client, looking], remembered: self.remembered,
            report: report)
        self.foreigners = EtcdForeigners(self.clusters, report: report)
        self.clusters.observe { [weak self] in self?.remember() }
    }

    private func remember() {
        let choice = self.clusters.choice
        self.file?.write(
            EtcdMemory(
                configured: self.settings.endpoints, learned: choice.provenURLs, cluster: choice.followed))
    }

    func start() { self.directory?.start() }
    func stop() { self.directory?.stop() }
}
