// SPDX-License-Identifier: Apache-2.0

/// A value and the newest revision at which it is known to have been true.
struct Known<Value: Hashable & Sendable>: Hashable, Sendable {
    private(set) var value: Value
    private(set) var revision: Int64

    init(_ value: Value, at revision: Int64 = 0) {
        self.value = value
        self.revision = revision
    }

    /// Takes over `value` unless something newer is known; answers whether the value changed.
    @inline(__always)
    @discardableResult
    mutating func learn(_ value: Value, at revision: Int64) -> Bool {
        guard revision >= self.revision else { return false }
        self.revision = revision
        guard value != self.value else { return false }
        self.value = value
        return true
    }
}

/// What is known of etcd's content besides the addresses' keys, by reads and watch events in any order.
///
/// Invariant: knowledge never moves to an older revision, except when the etcd cluster itself is another one.
struct ClusterView: Sendable {
    let clusterID: UInt64
    /// The newest revision heard of, and when.
    private(set) var revision: Int64 = 0
    private(set) var revisionLearnedAt: Instant
    private(set) var leader = Known<String?>(nil)
    private(set) var mark = Known<ClusterMark?>(nil)
    private(set) var isQuarantined = Known(false)
    private var configRevision: Int64 = 0

    init(clusterID: UInt64, at now: Instant) {
        self.clusterID = clusterID
        self.revisionLearnedAt = now
    }

    var isMarked: Bool { self.mark.value?.clusterID == self.clusterID }
    /// Whether Patroni's configuration was read in this cluster, and its `ttl` could be.
    private(set) var isConfigKnown = false

    /// Whether a read shows that etcd was replaced or went back in time: its revision is older than one that was known
    /// before the read was sent.
    func isContradicted(by snapshot: Snapshot, sentAt: Instant) -> Bool {
        snapshot.clusterID != self.clusterID
            || (snapshot.revision < self.revision && sentAt > self.revisionLearnedAt)
    }

    /// Takes over a read; answers the leader before, if it changed.
    mutating func learn(_ snapshot: Snapshot, _ config: inout DynamicConfig, at now: Instant) -> LeaderChange? {
        self.advance(to: snapshot.revision, at: now)
        self.learn(config: snapshot.patroni, at: snapshot.revision, &config)
        self.mark.learn(snapshot.mark, at: snapshot.revision)
        self.isQuarantined.learn(snapshot.isQuarantined, at: snapshot.revision)
        return self.learn(leader: snapshot.leader, at: snapshot.revision)
    }

    /// Takes over one change that a watch delivered; answers the leader before, if it changed. The addresses' keys are
    /// their leases' business.
    mutating func learn(
        _ change: KeyChange, at revision: Int64, _ config: inout DynamicConfig, at now: Instant
    ) -> LeaderChange? {
        self.advance(to: revision, at: now)
        switch change {
        case .leader(let leader): return self.learn(leader: leader, at: revision)
        case .patroni(let newer): self.learn(config: newer, at: revision, &config)
        case .mark(let mark): self.mark.learn(mark, at: revision)
        case .quarantine(let isQuarantined): self.isQuarantined.learn(isQuarantined, at: revision)
        case .holder, .trail: break
        }
        return nil
    }

    private mutating func advance(to revision: Int64, at now: Instant) {
        guard revision > self.revision else { return }
        self.revision = revision
        self.revisionLearnedAt = now
    }

    /// An absent configuration changes nothing: Patroni goes on with the one it has, and writes it again.
    private mutating func learn(config: DynamicConfig?, at revision: Int64, _ known: inout DynamicConfig) {
        guard let config, revision >= self.configRevision else { return }
        self.configRevision = revision
        known = config.completed(by: known)
        if !config.unreadable.contains(.ttl) { self.isConfigKnown = true }
    }

    private mutating func learn(leader: String?, at revision: Int64) -> LeaderChange? {
        let before = self.leader.value
        return self.leader.learn(leader, at: revision) ? LeaderChange(before: before) : nil
    }
}

extension DynamicConfig {
    /// The last good value of each field that cannot be read.
    fileprivate func completed(by former: DynamicConfig) -> DynamicConfig {
        DynamicConfig(
            isPaused: (self.unreadable.contains(.isPaused) ? former : self).isPaused,
            isFailsafeEnabled: (self.unreadable.contains(.isFailsafeEnabled) ? former : self).isFailsafeEnabled,
            ttl: (self.unreadable.contains(.ttl) ? former : self).ttl,
            loopWait: (self.unreadable.contains(.loopWait) ? former : self).loopWait)
    }
}

struct LeaderChange: Hashable, Sendable {
    let before: String?
}
