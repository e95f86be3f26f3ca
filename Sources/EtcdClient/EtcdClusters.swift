// SPDX-License-Identifier: Apache-2.0
public import EtcdValues
public import EventLoop

/// The choice of the cluster that is followed, which all clients of a process share: what one learns of an endpoint, all know.
@EventLoop
public final class EtcdClusters {
    public private(set) var choice: ClusterChoice
    private let patience: @EventLoop () -> Duration
    private var observers: [@EventLoop () -> Void] = []

    /// - Parameter patience: for how long the cluster that is followed may answer nowhere until another one is followed.
    public init(
        _ choice: ClusterChoice, patience: @escaping @EventLoop () -> Duration = { ClusterChoice.leastPatience }
    ) {
        self.choice = choice
        self.patience = patience
    }

    /// `changed` is called whenever another cluster is followed, or other endpoints belong elsewhere.
    public func observe(_ changed: @escaping @EventLoop () -> Void) { self.observers.append(changed) }

    public func learn(_ urls: [String]) { self.change { $0.learn(urls) } }

    public func configure(_ urls: [String]) { self.change { $0.configure(urls) } }

    func answered(_ url: String, _ cluster: UInt64, member: UInt64) -> ClusterChoice.Verdict {
        let (patience, now) = (self.patience().wholeMicroseconds, BootClock.microseconds)
        return self.change { $0.answered(url, cluster, member: member, patience: patience, now: now) }
    }

    func failed(_ url: String) {
        let (patience, now) = (self.patience().wholeMicroseconds, BootClock.microseconds)
        self.change { $0.failed(url, patience: patience, now: now) }
    }

    private func change<Result>(_ body: (inout ClusterChoice) -> Result) -> Result {
        let before = (self.choice.followed, self.choice.foreigners, self.choice.provenURLs)
        let result = body(&self.choice)
        let after = (self.choice.followed, self.choice.foreigners, self.choice.provenURLs)
        if before != after { for observer in self.observers { observer() } }
        return result
    }
}
