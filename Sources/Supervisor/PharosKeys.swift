// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import LenientJSON
import PatroniClient

/// The keys that Pharos follows and keeps in etcd, and what their values mean to the core.
struct PharosKeys: Sendable {
    let patroni: PatroniKeys
    /// `<root><scope>/[group/]`.
    let prefix: String

    init(_ settings: SupervisorSettings) {
        self.patroni = PatroniKeys(namespace: settings.namespace, scope: settings.scope, group: settings.group)
        self.prefix = settings.root + settings.scope + "/" + (settings.group.map { "\($0)/" } ?? "")
    }

    /// The etcd cluster that Pharos has settled in, as a decimal number. Of the keys below ``prefix`` the first after the
    /// addresses'; the failure detector's lie behind it.
    var mark: String { self.prefix + "cluster" }
    /// Exists, under a lease of its own, while an etcd cluster is too new to be trusted.
    var quarantine: String { self.prefix + "quarantine" }
    func address(_ id: AddressID) -> String { self.addresses + id }
    private var addresses: String { self.prefix + "address/" }

    // MARK: - Values

    /// A holder as JSON: member, node, lease (as text: it has 64 bits), its TTL in seconds if known, and since when in Unix
    /// seconds.
    static func value(of holder: Holder, since: Int64) -> [UInt8] {
        let text =
            "{\"member\":\(JSON.quoted(holder.member)),\"node\":\(JSON.quoted(holder.node)),"
            + "\"lease\":\"\(holder.lease)\"," + (holder.ttl.map { "\"ttl\":\($0.components.seconds)," } ?? "")
            + "\"since\":\(since)}"
        return Array(text.utf8)
    }

    /// A holder from what stands in etcd. What cannot be read still is somebody's: the lease that the key hangs on counts,
    /// the member is then unknown.
    static func holder(_ pair: KeyValue) -> Holder {
        let json = JSON.parse(pair.value, limit: 4096)
        let ttl = json?["ttl"]?.int64.flatMap { (1...86_400).contains($0) ? Duration.seconds($0) : nil }
        func name(_ field: String) -> String? { (json?[field]?.string).flatMap { patroniLeader(Array($0.utf8)) } }
        return Holder(
            member: name("member") ?? Self.unreadable, node: name("node") ?? "", lease: pair.lease, ttl: ttl)
    }

    /// Stands for a name that cannot be one: it is somebody's, and not ours.
    static let unreadable = "(unreadable)"

    /// Patroni's configuration, with the fields named that cannot be read; nil where it is no configuration at all.
    static func config(_ value: [UInt8]) -> DynamicConfig? {
        let config = PatroniConfig(value: value)
        guard config.isObject else { return nil }
        var unreadable: DynamicConfig.Fields = []
        for name in config.unreadable {
            switch name {
            case "ttl": unreadable.formUnion([.ttl, .loopWait])
            // Patroni fits each of them to the others.
            case "loop_wait", "retry_timeout": unreadable.insert(.loopWait)
            case "pause": unreadable.insert(.isPaused)
            case "failsafe_mode": unreadable.insert(.isFailsafeEnabled)
            default: break  // Text; the other fields are not used.
            }
        }
        return DynamicConfig(
            isPaused: config.isPaused, isFailsafeEnabled: config.isFailsafeMode, ttl: .seconds(config.ttl),
            loopWait: .seconds(config.loopWait), unreadable: unreadable)
    }

    /// The mark; only the very text that ``marking(_:seen:lease:)`` writes names a cluster, since that is what
    /// acquisitions compare with.
    static func mark(_ pair: KeyValue) -> ClusterMark {
        let text = pair.valueText
        let clusterID = UInt64(text).flatMap { String($0) == text ? $0 : nil }
        return ClusterMark(clusterID: clusterID, revision: pair.modRevision)
    }

    /// What a watch event means to the core; nil: nothing.
    func change(_ event: WatchEvent) -> KeyChange? {
        let pair = event.keyValue
        let key = pair.keyText
        let isPut = event.kind == .put
        switch key {
        case self.patroni.leader: return .leader(isPut ? patroniLeader(pair.value) ?? Self.unreadable : nil)
        case self.patroni.config: return .patroni(isPut ? Self.config(pair.value) : nil)
        case self.mark: return .mark(isPut ? Self.mark(pair) : nil)
        case self.quarantine: return .quarantine(isPut)
        default:  // A string, not an enum of ours.
            guard key.hasPrefix(self.addresses) else { return nil }
            return .holder(String(key.dropFirst(self.addresses.count)), isPut ? Self.holder(pair) : nil)
        }
    }

    // MARK: - Transactions

    /// What a read of everything that matters asks for, in the order that ``snapshot(_:_:)`` expects.
    var reads: [Transaction.Operation] {
        [
            .range(.key(self.patroni.leader), limit: 1), .range(.key(self.patroni.config), limit: 1),
            .range(.from(self.addresses, through: self.mark), limit: 256), .range(.key(self.quarantine), limit: 1),
        ]
    }

    func snapshot(_ header: Header, _ responses: [TransactionResponse.OperationResponse]) -> Snapshot {
        var snapshot = Snapshot(clusterID: header.clusterID, revision: header.revision)
        for case .range(let pairs) in responses {
            for pair in pairs {
                switch self.change(WatchEvent(kind: .put, keyValue: pair)) {
                case .leader(let leader): snapshot.leader = leader
                case .patroni(let config): snapshot.patroni = config
                case .mark(let mark): snapshot.mark = mark
                case .quarantine(let isQuarantined): snapshot.isQuarantined = isQuarantined
                case .holder(let address, let holder):
                    if let holder { snapshot.holders.append(AddressHolder(address: address, holder: holder)) }
                case nil: break
                }
            }
        }
        return snapshot
    }

    func acquisition(of id: AddressID, _ holder: Holder, clusterID: UInt64, since: Int64) -> Transaction {
        Transaction(
            compares: [
                .init(self.patroni.leader, is: .value(Array(holder.member.utf8))),
                .absent(self.address(id)),
                .init(self.mark, is: .value(Array(String(clusterID).utf8))),
                .absent(self.quarantine),
            ],
            success: [
                .put(key: self.address(id), value: Self.value(of: holder, since: since), lease: holder.lease)
            ],
            failure: self.reads)
    }

    func takeOver(
        of id: AddressID, _ holder: Holder, from old: LeaseID, clusterID: UInt64, since: Int64
    ) -> Transaction {
        Transaction(
            compares: [
                .init(self.address(id), is: .lease(old)),
                .init(self.mark, is: .value(Array(String(clusterID).utf8))),
                .absent(self.quarantine),
            ],
            success: [
                .put(key: self.address(id), value: Self.value(of: holder, since: since), lease: holder.lease)
            ],
            failure: self.reads)
    }

    /// `seen`: the revision of the mark that is to be replaced, whatever it says; 0: there is none.
    func marking(_ clusterID: UInt64, seen: Int64, lease: LeaseID) -> Transaction {
        Transaction(
            compares: [.init(self.mark, is: .modRevision(seen))],
            success: [
                .put(key: self.mark, value: Array(String(clusterID).utf8), lease: 0),
                .put(key: self.quarantine, value: Array("new cluster".utf8), lease: lease),
            ])
    }
}
