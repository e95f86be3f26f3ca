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
    /// The group whose write-ahead log is followed; nil: none.
    private let own: Int?

    init(namespace: String, scope: String, _ layout: Layout, own: Int? = nil) {
        self.own = own
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
            return GroupChange(group, .leader(name, since: pair.createRevision, written: pair.modRevision))
        case .member(let name):
            guard patroniLeader(Array(name.utf8)) != nil else { return nil }
            return GroupChange(group, .member(name, isPut ? Self.member(name, pair.value) : nil))
        case .failover:
            let failover = isPut ? PatroniFailover(value: pair.value) : nil
            return GroupChange(group, .requested(failover.flatMap { Self.request($0, at: pair.modRevision) }))
        case .sync: return GroupChange(group, .synchronous(isPut ? Set(PatroniSync(value: pair.value).standbys) : nil))
        case .config, .status, .failsafe, .history, .initialize, .other: return nil
        }
    }

    /// What a key of this node's own group holds; nil: it is none.
    func ownKind(of key: String) -> PatroniKeys.Kind? {
        guard let (group, kind) = self.groupAndKind(of: key), group == self.own else { return nil }
        return kind
    }

    /// All that a watch event means: what ``change(_:)`` says, and, of this node's own group, what it tells of the log.
    func changes(_ event: WatchEvent) -> [GroupChange] {
        [self.change(event), self.logChange(event)].compactMap(\.self)
    }

    private func logChange(_ event: WatchEvent) -> GroupChange? {
        let pair = event.keyValue
        guard let own = self.own, let (group, kind) = self.groupAndKind(of: pair.keyText), group == own else {
            return nil
        }
        let (isPut, revision) = (event.kind == .put, pair.modRevision)
        let fact: LogFact? =
            switch kind {
            case .status where isPut:
                PatroniLog(value: pair.value).position.map { .position($0, writtenAt: revision) }
            case .member(let name) where isPut && patroniLeader(Array(name.utf8)) != nil:
                Self.log(of: PatroniMember(name: name, value: pair.value), revision)
            case .history where isPut:
                PatroniHistory(value: pair.value).entries.last.map {
                    .ended(timeline: $0.timeline, at: $0.position, promoted: $0.leader, writtenAt: revision)
                }
            case .sync: .confirming(isPut ? Self.confirming(PatroniSync(value: pair.value)) : nil, writtenAt: revision)
            case .leader, .config, .status, .member, .history, .failsafe, .failover, .initialize, .other: nil
            }
        return fact.map { GroupChange(group, .log($0)) }
    }

    private static func log(of member: PatroniMember, _ revision: Int64) -> LogFact {
        .member(member.name, position: member.xlogLocation, timeline: member.timeline, writtenAt: revision)
    }

    /// Nil where nobody confirms; in quorum mode no single standby confirms each commit either.
    private static func confirming(_ sync: PatroniSync) -> LogFact.Confirming? {
        guard let leader = sync.leader, (sync.quorum ?? 0) == 0, !sync.standbys.isEmpty else { return nil }
        return LogFact.Confirming(leader: leader, standbys: Set(sync.standbys.prefix(64)))
    }

    /// One for later is no reason to hold anything up now.
    private static func request(_ failover: PatroniFailover, at revision: Int64) -> LeaderRequest? {
        guard failover.scheduledAt == nil else { return nil }
        // Patroni takes an empty name for none.
        if let leader = failover.leader, !leader.isEmpty { return .from(leader) }
        guard let candidate = failover.candidate, !candidate.isEmpty else { return nil }
        return .to(candidate, since: revision)
    }

    static func member(_ name: String, _ value: [UInt8]) -> GroupMember {
        let member = PatroniMember(name: name, value: value)
        return GroupMember(
            endpoint: member.endpoint, isRunning: member.state == "running",
            isPrimary: member.role == .primary,
            // Patroni 3.0 does not say; later ones say `streaming`, `in archive recovery`, or nothing.
            servesReads: !member.tags.noLoadBalance && member.replicationState.map { $0 == "streaming" } ?? true,
            mayLead: !member.tags.noFailover,
            api: member.apiURL, isStandbyLeader: member.role == .standbyLeader)
    }

    /// Everything that a read found.
    func facts(_ pairs: [KeyValue]) -> [GroupChange] {
        pairs.flatMap { self.changes(WatchEvent(kind: .put, keyValue: $0)) }
    }
}
