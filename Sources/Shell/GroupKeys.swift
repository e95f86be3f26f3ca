// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import LeaseKeys
import LenientJSON
import PatroniClient
import PatroniValues

/// The keys that Patroni keeps of every group, and what they mean to the core.
struct GroupKeys: Sendable {
    /// Citus mode: all groups below one scope. Otherwise: each group a scope of its own.
    enum Layout: Hashable, Sendable {
        case citusMode
        case scopes([Int: String])
    }

    /// In Citus mode the keys of the whole cluster.
    private let cluster: PatroniKeys
    private let scopes: [(group: Int, keys: PatroniKeys)]

    init(namespace: String, scope: String, _ layout: Layout) {
        self.cluster = PatroniKeys(namespace: namespace, scope: scope)
        switch layout {
        case .citusMode: self.scopes = []
        case .scopes(let scopes):
            self.scopes = scopes.sorted { $0.key < $1.key }.map {
                (group: $0.key, keys: PatroniKeys(namespace: namespace, scope: $0.value))
            }
        }
    }

    var ranges: [KeyRange] {
        self.scopes.isEmpty ? [.prefix(self.cluster.prefix)] : self.scopes.map { .prefix($0.keys.prefix) }
    }

    private func groupAndKind(of key: String) -> (group: Int, kind: PatroniKeys.Kind)? {
        if self.scopes.isEmpty { return self.cluster.groupAndKind(of: key) }
        for (group, keys) in self.scopes { if let kind = keys.kind(of: key) { return (group, kind) } }
        return nil
    }

    /// What a watch event means; nil: nothing.
    func change(_ event: WatchEvent) -> GroupChange? {
        let pair = event.keyValue
        guard let (group, kind) = self.groupAndKind(of: pair.keyText) else { return nil }
        let isPut = event.kind == .put
        switch kind {
        case .leader:
            guard isPut else { return GroupChange(group, .noLeader) }
            let name = patroniLeader(pair.value) ?? PharosKeys.unreadable
            return GroupChange(group, .leader(name, since: pair.createRevision))
        case .member(let name):
            guard patroniLeader(Array(name.utf8)) != nil else { return nil }
            return GroupChange(group, .member(name, isPut ? Self.member(name, pair.value) : nil))
        case .failover:
            let failover = isPut ? PatroniFailover(value: pair.value) : nil
            // One for later is no reason to hold anything up now.
            let isNow = failover?.isPending == true && failover?.scheduledAt == nil
            return GroupChange(group, .switchover(leader: isNow ? failover?.leader : nil))
        case .sync: return GroupChange(group, .synchronous(isPut ? Set(PatroniSync(value: pair.value).standbys) : nil))
        case .config, .status, .failsafe, .history, .initialize, .other: return nil
        }
    }

    static func member(_ name: String, _ value: [UInt8]) -> GroupMember {
        let member = PatroniMember(name: name, value: value)
        return GroupMember(
            endpoint: member.endpoint, isRunning: member.state == "running",
            isPrimary: member.role == .primary, servesReads: !member.tags.noLoadBalance,
            mayLead: !member.tags.noFailover && member.tags.failoverPriority != 0,
            api: member.apiURL, isStandbyLeader: member.role == .standbyLeader)
    }

    /// Everything that a read found.
    func facts(_ pairs: [KeyValue]) -> [GroupChange] {
        pairs.compactMap { self.change(WatchEvent(kind: .put, keyValue: $0)) }
    }
}
