// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop
import Journal

/// Tells which endpoints of etcd belong to another cluster than the one that is followed, and why another one is followed than
/// before: each once, and that it is over.
///
/// What is over within two seconds is not told: where a whole etcd is replaced, its endpoints say so one after the other.
@EventLoop
final class EtcdForeigners {
    private let clusters: EtcdClusters
    private let report: @EventLoop (LogRecord) -> Void
    private var followed: UInt64?
    private var told: Set<ClusterChoice.Foreigner> = []
    private var isUndecidedTold = false
    private var timer: EventSource?

    private let patience: Duration

    init(
        _ clusters: EtcdClusters, patience: Duration = .seconds(2), report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.clusters = clusters
        self.patience = patience
        self.report = report
        self.followed = clusters.choice.followed
        clusters.observe { [weak self] in self?.changed() }
    }

    private func changed() {
        let choice = self.clusters.choice
        if choice.followed != self.followed {
            if let old = self.followed, let new = choice.followed, let reason = choice.reason {
                self.report(.etcdClusterChosen(old: old, new: new, reason))
            }
            self.followed = choice.followed
        }
        guard self.timer == nil else { return }
        self.timer = .timer(after: self.patience) { [weak self] in
            self?.timer = nil
            self?.tell()
        }
    }

    private func tell() {
        let choice = self.clusters.choice
        let foreigners = Set(choice.foreigners)
        guard let followed = choice.followed else {
            if !foreigners.isEmpty, !self.isUndecidedTold { self.report(.etcdClustersUndecided(choice.foreigners)) }
            self.isUndecidedTold = !foreigners.isEmpty
            return
        }
        self.isUndecidedTold = false
        let share = choice.share(of: followed)
        for foreigner in choice.foreigners where !self.told.contains(foreigner) {
            self.report(.etcdEndpointForeign(foreigner, followed: followed, share))
        }
        for former in self.told.subtracting(foreigners).sorted(by: { $0.url < $1.url })
        where choice.cluster(of: former.url) == followed { self.report(.etcdEndpointBack(former.url, followed)) }
        self.told = foreigners
    }
}

extension LogRecord {
    private static func text(_ cluster: UInt64) -> String { String(cluster, radix: 16) }

    static func etcdEndpointForeign(
        _ foreigner: ClusterChoice.Foreigner, followed: UInt64, _ share: (count: Int, all: Int)
    ) -> LogRecord {
        let (url, other) = (foreigner.url, self.text(foreigner.cluster))
        return LogRecord(
            .etcdEndpointForeign,
            "etcd at \(url) belongs to another cluster, \(other): it is left out, and nothing that it says counts. Followed is \(self.text(followed)), for which \(share.count) of \(share.all) endpoints answered last. If \(url) was rebuilt alone: stop etcd there, remove its data folder, 'etcdctl member remove' and 'member add' it from another node. If \(other) is the right cluster: stop etcd on the other endpoints, or list its endpoints alone in etcd.endpoints, and systemctl restart pharos",
            ["ENDPOINT": url, "CLUSTER_ID": "\(followed)", "OTHER_CLUSTER_ID": "\(foreigner.cluster)"])
    }

    static func etcdEndpointBack(_ url: String, _ followed: UInt64) -> LogRecord {
        LogRecord(
            .etcdEndpointBack, "etcd at \(url) belongs to the cluster that is followed again, \(self.text(followed))",
            ["ENDPOINT": url, "CLUSTER_ID": "\(followed)"])
    }

    static func etcdClusterChosen(old: UInt64, new: UInt64, _ reason: ClusterChoice.Reason) -> LogRecord {
        let why =
            switch reason {
            case .majority(let count, let all): "\(count) of \(all) endpoints belong to it"
            case .silence(let span):
                "the other one has not answered anywhere for \(Wording.text(.microseconds(span))), and no third one answers"
            case .onlyOne: "no other one answers"
            }
        return LogRecord(
            .etcdClusterChosen,
            "from now on etcd cluster \(self.text(new)) is followed instead of \(self.text(old)): \(why). No address is acquired in it until every lifetime that the other one granted is over",
            ["OLD_CLUSTER_ID": "\(old)", "CLUSTER_ID": "\(new)"])
    }

    static func etcdClustersUndecided(_ answers: [ClusterChoice.Foreigner]) -> LogRecord {
        let list = answers.prefix(8).map { "\($0.url) to \(self.text($0.cluster))" }.joined(separator: ", ")
        return LogRecord(
            .etcdClustersUndecided,
            "etcd's endpoints belong to different clusters, none of which has more than half of them, and this node remembers none: \(list). Nothing is read and nothing acquired. Stop the etcd that does not belong to Patroni's cluster, or list the right endpoints alone in etcd.endpoints, and systemctl restart pharos",
            ["ENDPOINTS": answers.prefix(8).map(\.url).joined(separator: " ")])
    }
}
