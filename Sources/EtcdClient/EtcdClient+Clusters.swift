// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import EventLoop
import LenientJSON

/// Which answers are believed.
extension EtcdClient {
    /// What follows from the cluster that an answer names in its header. One without a header says nothing of it.
    func verdict(on number: Int, _ answer: JSON) -> ClusterChoice.Verdict {
        let header = answer["header"] ?? answer["result"]?["header"]
        guard let cluster = header?["cluster_id"]?.uint64, cluster != 0 else { return .followed }
        return self.verdict(on: number, cluster, member: header?["member_id"]?.uint64 ?? 0)
    }

    func verdict(on number: Int, _ cluster: UInt64, member: UInt64) -> ClusterChoice.Verdict {
        self.clusters?.answered(self.endpoints[number].url, cluster, member: member) ?? .followed
    }

    /// Nothing of it took place in the cluster that is followed.
    func foreign(_ number: Int) -> Failure {
        func text(_ cluster: UInt64?) -> String { cluster.map { String($0, radix: 16) } ?? "?" }
        let cluster = self.clusters?.choice.cluster(of: self.endpoints[number].url)
        var failure = Failure(
            .otherCluster,
            "it belongs to etcd cluster \(text(cluster)); followed is \(text(self.clusters?.choice.followed))")
        failure.blamesEndpoint = true
        return failure
    }

    static var undecided: Failure {
        var failure = Failure(.otherCluster, "which etcd cluster is the right one is not known yet")
        failure.blamesEndpoint = true
        return failure
    }

    /// What belongs elsewhere is left, and its watches end.
    func clustersChanged() {
        guard let choice = self.clusters?.choice else { return }
        let foreign = choice.followed == nil ? [] : Set(choice.foreigners.map(\.url))
        self.endpoints.setForeign(foreign, now: BootClock.microseconds)
        for watch in Array(self.watches.values) where self.endpoints.isForeign(watch.endpoint) {
            watch.end(self.foreign(watch.endpoint))
        }
    }
}
