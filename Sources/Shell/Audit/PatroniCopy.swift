// SPDX-License-Identifier: Apache-2.0
import Audit
import EtcdValues
import LenientJSON
import PatroniValues

/// Patroni's keys of this node's group as etcd holds them: kept as they came, and read only when somebody judges them, so that what
/// members write every few seconds costs nothing.
struct PatroniCopy {
    private var values: [PatroniKeys.Kind: [UInt8]]?
    private var revision: Int64 = 0
    /// How often the dynamic configuration, or what Patroni was asked for, has changed.
    private(set) var changes: UInt64 = 0

    /// Keys that are kept: the group's own, and of so many of its members that it comes to this.
    static let keyLimit = 64
    /// Bytes of one value.
    static let valueLimit = 256 << 10

    /// All that a read found. `isAnew`: whatever is known is the past, such as of another cluster; else an older answer is passed over.
    mutating func take(_ pairs: [(kind: PatroniKeys.Kind, value: [UInt8])], at revision: Int64, isAnew: Bool) {
        guard isAnew || revision >= self.revision else { return }
        let before = self.values ?? [:]
        self.values = [:]
        self.revision = revision
        for (kind, value) in pairs { self.keep(kind, value) }
        for kind in [PatroniKeys.Kind.config, .failover] where self.values?[kind] != before[kind] { self.changes &+= 1 }
    }

    /// A watch event; nil: the key is gone. Nothing before all was read.
    mutating func take(_ kind: PatroniKeys.Kind, _ value: [UInt8]?, at revision: Int64) {
        guard let values = self.values, revision >= self.revision else { return }
        self.revision = revision
        if [.config, .failover].contains(kind), values[kind] != value { self.changes &+= 1 }
        if let value { self.keep(kind, value) } else { self.values?[kind] = nil }
    }

    private mutating func keep(_ kind: PatroniKeys.Kind, _ value: [UInt8]) {
        switch kind {
        case .leader, .config, .sync, .failsafe, .failover, .initialize: break
        case .member:
            guard self.values?[kind] != nil || (self.values?.count ?? 0) < Self.keyLimit else { return }
        case .status, .history, .other: return
        }
        self.values?[kind] = value.count <= Self.valueLimit ? value : nil
    }

    /// What all of it says.
    var state: Fact<AuditFacts.PatroniState> {
        guard let values = self.values else { return .unlooked(why: "Patroni's keys have not been read in etcd yet") }
        return .known(AuditFacts.PatroniState(values.map { (kind: $0.key, value: $0.value) }), source: "etcd")
    }

    var configuration: Fact<DynamicConfiguration> {
        guard let values = self.values else { return .unlooked(why: "Patroni's keys have not been read in etcd yet") }
        guard let value = values[.config], let json = JSON.parse(value), json.object != nil else {
            return .unlooked(why: "etcd has no dynamic configuration of Patroni's, or none that can be read")
        }
        return .known(DynamicConfiguration(json), source: "etcd")
    }
}

extension AuditFacts.PatroniState {
    /// From the keys of one group.
    init(_ keys: some Sequence<(kind: PatroniKeys.Kind, value: [UInt8])>) {
        self.init()
        for (kind, value) in keys {
            switch kind {
            case .leader: self.leader = patroniLeader(value)
            case .initialize: self.systemIdentifier = String(decoding: value.prefix(64), as: UTF8.self)
            case .sync: self.synchronous = PatroniSync(value: value).standbys
            case .failsafe: self.failsafe = PatroniFailsafe(value: value).members
            case .failover: self.scheduled = PatroniFailover(value: value).scheduledAt
            case .member(let name):
                self.members.append(AuditFacts.PatroniState.Member(PatroniMember(name: name, value: value)))
            case .config, .status, .history, .other: continue
            }
        }
        self.members.sort { $0.name < $1.name }
    }
}
