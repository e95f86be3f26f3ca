// SPDX-License-Identifier: Apache-2.0
public import Decision
public import EtcdValues
import LenientJSON
public import PatroniValues

/// The keys that Pharos follows and keeps in etcd for its addresses, what their values mean to the core, and the transactions
/// by which it changes them. Values only: the daemon sends them to a real etcd, the simulator to its own.
public struct PharosKeys: Sendable {
    /// Keys under Pharos's prefix that a read takes.
    package static let readLimit = 256

    public let patroni: PatroniKeys
    /// `<root><scope>/[group/]`.
    public let prefix: String
    /// `<root>addresses/`: of all scopes.
    private let fences: String
    /// What this cluster is called there: `<namespace><scope>[/group]`.
    public let cluster: String

    /// - Parameters:
    ///   - root: `lease.root`, with a slash at its end.
    ///   - group: nil outside Citus mode.
    public init(root: String, namespace: String, scope: String, group: Int?) {
        self.patroni = PatroniKeys(namespace: namespace, scope: scope, group: group)
        let path = scope + (group.map { "/\($0)" } ?? "")
        self.prefix = root + path + "/"
        self.fences = root + "addresses/"
        self.cluster = namespace + path
    }

    /// The etcd cluster that Pharos has settled in, as a decimal number. Of the keys below ``prefix`` the first after the
    /// addresses'; the failure detector's lie behind it.
    public var mark: String { self.prefix + "cluster" }
    /// Exists, under a lease of its own, while an etcd cluster is too new to be trusted.
    public var quarantine: String { self.prefix + "quarantine" }
    public func address(_ id: AddressID) -> String { self.addresses + id }
    /// Stands under the same lease as ``address(_:)``, for all scopes of one root: which cluster holds the address.
    public func fence(_ id: AddressID) -> String { self.fences + id }
    /// The leases under which an address was acquired, newest first, as decimal text with their TTL in seconds, and a `q` where a
    /// quarantine's stands: `712:30 q655:30`.
    public func trail(_ id: AddressID) -> String { self.trails + id }
    private var trails: String { self.prefix + "trail/" }
    private var addresses: String { self.prefix + "address/" }

    // MARK: - Values

    /// A holder as JSON: member, node, lease (as text: it has 64 bits), its TTL in seconds if known, and since when in Unix
    /// seconds.
    public static func value(of holder: Holder, since: Int64) -> [UInt8] {
        let document = JSONDocument.members(
            .init("member", .string(holder.member)), .init("node", .string(holder.node)),
            .init("lease", "\(holder.lease)"), holder.ttl.map { .init("ttl", .integer($0.components.seconds)) },
            .init("since", .integer(since)))
        return Array(document.compact.utf8)
    }

    /// A holder from what stands in etcd. What cannot be read still is somebody's: the lease that the key hangs on counts,
    /// the member is then unknown.
    public static func holder(_ pair: KeyValue) -> Holder {
        let json = JSON.parse(pair.value, limit: 4096)
        let ttl = json?["ttl"]?.int64.flatMap { (1...86_400).contains($0) ? Duration.seconds($0) : nil }
        func name(_ field: String) -> String? { (json?[field]?.string).flatMap { patroniLeader(Array($0.utf8)) } }
        return Holder(
            member: name("member") ?? Self.unreadable, node: name("node") ?? "", lease: pair.lease, ttl: ttl)
    }

    /// Stands for a name that cannot be one: it is somebody's, and not ours.
    public static let unreadable = "(unreadable)"

    /// Patroni's configuration, with the fields named that cannot be read; nil where it is no configuration at all.
    public static func config(_ value: [UInt8]) -> DynamicConfig? {
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
    public static func mark(_ pair: KeyValue) -> ClusterMark {
        let text = pair.valueText
        let clusterID = UInt64(text).flatMap { String($0) == text ? $0 : nil }
        return ClusterMark(clusterID: clusterID, revision: pair.modRevision)
    }

    public static func value(of trail: Trail) -> [UInt8] {
        var text: [UInt8] = []
        for entry in trail.entries {
            if !text.isEmpty { text.append(UInt8(ascii: " ")) }
            if entry.isQuarantine { text.append(UInt8(ascii: "q")) }
            text += String(entry.lease).utf8
            text.append(UInt8(ascii: ":"))
            text += String(entry.ttl.components.seconds).utf8
        }
        return text
    }

    /// A trail; empty where it is not the very text that ``value(of:)`` writes.
    public static func trail(_ text: String) -> Trail {
        var entries: [Trail.Entry] = []
        for word in text.utf8.split(separator: UInt8(ascii: " "), maxSplits: Trail.limit) {
            let isQuarantine = word.first == UInt8(ascii: "q")
            let numbers = isQuarantine ? word.dropFirst() : word
            guard let colon = numbers.firstIndex(of: UInt8(ascii: ":")),
                let lease = Int64(Substring(numbers[..<colon])),
                let ttl = Int64(Substring(numbers[numbers.index(after: colon)...])), (1...86_400).contains(ttl)
            else { return Trail() }
            entries.append(Trail.Entry(lease: lease, ttl: .seconds(ttl), isQuarantine: isQuarantine))
        }
        let trail = Trail(entries)
        return text.utf8.elementsEqual(Self.value(of: trail)) ? trail : Trail()
    }

    public static func trail(_ pair: KeyValue) -> TrailInEtcd {
        TrailInEtcd(Self.trail(pair.valueText), revision: pair.modRevision)
    }

    /// What a watch event means to the core; nil: nothing.
    public func change(_ event: WatchEvent) -> KeyChange? {
        let pair = event.keyValue
        let key = pair.keyText
        let isPut = event.kind == .put
        switch key {
        case self.patroni.leader: return .leader(isPut ? patroniLeader(pair.value) ?? Self.unreadable : nil)
        case self.patroni.config: return .patroni(isPut ? Self.config(pair.value) : nil)
        case self.mark: return .mark(isPut ? Self.mark(pair) : nil)
        case self.quarantine: return .quarantine(isPut)
        default:  // A string, not an enum of ours.
            if key.hasPrefix(self.trails) {
                return .trail(String(key.dropFirst(self.trails.count)), isPut ? Self.trail(pair) : TrailInEtcd())
            }
            guard key.hasPrefix(self.addresses) else { return nil }
            return .holder(
                String(key.dropFirst(self.addresses.count)), isPut ? Self.holder(pair) : nil)
        }
    }

    // MARK: - Transactions

    /// What a read of everything that matters asks for: of trails, those of the configured addresses.
    public func reads(of ids: [AddressID]) -> [Transaction.Operation] {
        ids.map { .range(.key(self.trail($0)), limit: 1) } + [
            .range(.key(self.patroni.leader), limit: 1), .range(.key(self.patroni.config), limit: 1),
            .range(.from(self.addresses, through: self.mark), limit: Self.readLimit),
            .range(.key(self.quarantine), limit: 1),
        ]
    }

    public func snapshot(_ header: Header, _ responses: [TransactionResponse.OperationResponse]) -> Snapshot {
        var snapshot = Snapshot(
            clusterID: header.clusterID, revision: header.revision, raftTerm: header.raftTerm)
        for case .range(let pairs) in responses {
            for pair in pairs {
                let key = pair.keyText
                if key.hasPrefix(self.fences), !key.hasPrefix(self.prefix) {
                    let id = String(key.dropFirst(self.fences.count))
                    let cluster = Self.cluster(pair.value)
                    if cluster != self.cluster { snapshot.rivals.append(Addressed(id, cluster)) }
                    continue
                }
                switch self.change(WatchEvent(kind: .put, keyValue: pair)) {
                case .leader(let leader): snapshot.leader = leader
                case .patroni(let config): snapshot.patroni = config
                case .mark(let mark): snapshot.mark = mark
                case .quarantine(let isQuarantined): snapshot.isQuarantined = isQuarantined
                case .holder(let address, let holder):
                    if let holder { snapshot.holders.append(AddressHolder(address: address, holder: holder)) }
                case .trail(let address, let trail):
                    snapshot.trails.append(Addressed(address, trail))
                case nil: break
                }
            }
        }
        return snapshot
    }

    /// A cluster's name as it stands in a fence: for people, so anything that cannot be one is told as such.
    private static func cluster(_ value: [UInt8]) -> String {
        let name = String(decoding: value.prefix(600), as: UTF8.self)
        let isGood =
            !name.isEmpty && name.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 && $0 != "\u{FFFD}" }
        return isGood ? name : Self.unreadable
    }

    /// What an acquisition or a take-over demands of the fence.
    public enum FenceRule: Sendable {
        case absent
        /// It is this cluster's. For an acquisition: of a lease under which the address's own key stands no more, because a
        /// version before took that over and left the fence behind.
        case ours
        /// etcd's user may not use it: then another cluster may hold the same address.
        case unused
    }

    private func compares(_ rule: FenceRule, of id: AddressID) -> [Transaction.Compare] {
        switch rule {
        case .absent: [.absent(self.fence(id))]
        case .ours: [.init(self.fence(id), is: .value(Array(self.cluster.utf8)))]
        case .unused: []
        }
    }

    /// Which cluster a transaction that was refused found to have the address; nil: none.
    public func fencedBy(_ responses: [TransactionResponse.OperationResponse], _ id: AddressID) -> String? {
        for case .range(let pairs) in responses {
            for pair in pairs where pair.keyText == self.fence(id) { return Self.cluster(pair.value) }
        }
        return nil
    }

    /// `ids`: the addresses whose trails the answer shows where the comparisons failed.
    public func acquisition(
        of id: AddressID, _ holder: Holder, clusterID: UInt64, _ step: TrailStep, since: Int64,
        fence rule: FenceRule = .absent, reading ids: [AddressID]
    ) -> Transaction {
        Transaction(
            compares: [
                .init(self.patroni.leader, is: .value(Array(holder.member.utf8))),
                .absent(self.address(id)),
            ] + self.compares(rule, of: id) + self.settled(in: clusterID) + [self.unchanged(step, of: id)],
            success: self.puts(id, holder, step, since, rule), failure: self.reads(of: ids) + self.look(rule, at: id))
    }

    public func takeOver(
        of id: AddressID, _ holder: Holder, from old: LeaseID, clusterID: UInt64, _ step: TrailStep, since: Int64,
        fence rule: FenceRule = .ours, reading ids: [AddressID]
    ) -> Transaction {
        Transaction(
            compares: [.init(self.address(id), is: .lease(old))] + self.compares(rule, of: id)
                + self.settled(in: clusterID) + [self.unchanged(step, of: id)],
            success: self.puts(id, holder, step, since, rule), failure: self.reads(of: ids) + self.look(rule, at: id))
    }

    private func puts(
        _ id: AddressID, _ holder: Holder, _ step: TrailStep, _ since: Int64, _ rule: FenceRule
    ) -> [Transaction.Operation] {
        let puts: [Transaction.Operation] = [
            .put(key: self.address(id), value: Self.value(of: holder, since: since), lease: holder.lease),
            .put(key: self.trail(id), value: Self.value(of: step.next), lease: 0),
        ]
        switch rule {
        case .unused: return puts
        case .absent, .ours:
            return puts + [.put(key: self.fence(id), value: Array(self.cluster.utf8), lease: holder.lease)]
        }
    }

    private func look(_ rule: FenceRule, at id: AddressID) -> [Transaction.Operation] {
        switch rule {
        case .unused: []
        case .absent, .ours: [.range(.key(self.fence(id)), limit: 1)]
        }
    }

    /// Whether Pharos has settled in this cluster, and its quarantine is over.
    private func settled(in clusterID: UInt64) -> [Transaction.Compare] {
        [.init(self.mark, is: .value(Array(String(clusterID).utf8))), .absent(self.quarantine)]
    }

    /// Whether the trail is still the one that was seen: by its leases, since in another history something else may have been
    /// written at the same revision.
    private func unchanged(_ step: TrailStep, of id: AddressID) -> Transaction.Compare {
        let seen = step.seen
        return .init(
            self.trail(id), is: seen.trail.isEmpty ? .modRevision(seen.revision) : .value(Self.value(of: seen.trail)))
    }

    /// `seen`: the revision of the mark that is to be replaced, whatever it says; 0: there is none. The trails are extended by
    /// the quarantine, which covers whatever was acquired before.
    public func marking(_ clusterID: UInt64, seen: Int64, quarantine: Trail.Entry, _ trails: [Addressed<TrailStep>])
        -> Transaction
    {
        Transaction(
            compares: [.init(self.mark, is: .modRevision(seen))]
                + trails.map { self.unchanged($0.value, of: $0.address) },
            success: [
                .put(key: self.mark, value: Array(String(clusterID).utf8), lease: 0),
                .put(key: self.quarantine, value: Array("new cluster".utf8), lease: quarantine.lease),
            ]
                + trails.map {
                    .put(
                        key: self.trail($0.address), value: Self.value(of: $0.value.next.extended(by: quarantine)),
                        lease: 0)
                })
    }
}
