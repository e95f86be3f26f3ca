// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import LeaseKeys
import LenientJSON
import NetworkAddress
import PatroniClient
import PatroniValues

/// What the daemons keep in etcd for each other, for each group below `<root><scope>/[group/]`: `observations/<member>`, what a
/// daemon holds of others and looks after; `address/<address>`, who holds one; `switchover`, the claim of the daemon that asks Patroni for one. And the ledger, below
/// `<root><scope>/history/[group/]`: `<revision>` and, beside it, `<revision>.metadata`. And restore points, below
/// `<root><scope>/backups/points/`.
///
/// Patroni knows a cluster by namespace and scope. Where its namespace is not the usual one, all of these lie below
/// `<root><scope>/namespace/<namespace>/`, so that two clusters of one scope do not take each other's members for their own.
struct DetectorKeys: Sendable {
    /// For all groups below one scope.
    let cluster: String
    /// The same where the keys of the addresses are: without regard to the namespace.
    private let clusterOfAddresses: String
    /// By group, where each is a scope of its own.
    let groups: [(group: Int, prefix: String, ofAddresses: String)]

    private static let observations = "observations/"
    private static let addresses = "address/"
    private static let switchover = "switchover"
    private static let history = "history/"
    static let reactions = "reactions"
    static let metadata = ".metadata"
    /// Members that an observation may doubt; more are not published.
    private static let doubtLimit = 1024
    /// Addresses that a daemon may look after, and characters of one.
    private static let (addressLimit, addressLength) = (64, 64)
    /// Bytes of an observation that is read.
    private static let sizeLimit = 1 << 20

    /// What a key holds.
    enum Kind: Hashable {
        case observation(MemberID)
        case switchover(group: Int)
        case reactions(group: Int)
        case holder(group: Int, AddressID)
    }

    init(root: String, namespace: String, scope: String, _ layout: GroupKeys.Layout) {
        func prefix(_ scope: String) -> String { root + scope + "/" + Self.folder(of: namespace) }
        self.cluster = prefix(scope)
        self.clusterOfAddresses = root + scope + "/"
        switch layout {
        case .citusMode: self.groups = []
        case .scopes(let scopes):
            self.groups = scopes.sorted { $0.key < $1.key }.map {
                (group: $0.key, prefix: prefix($0.value), ofAddresses: root + $0.value + "/")
            }
        }
    }

    /// Nothing for Patroni's usual namespace. The namespace is one component, so that none lies within another.
    private static func folder(of namespace: String) -> String {
        let path = namespace.split(separator: "/").joined(separator: "/")
        guard path != "service" else { return "" }
        var name = ""
        for character in path {
            switch character {
            case "/": name += "%2F"
            case "%": name += "%25"
            default: name.append(character)  // Text, not cases of ours.
            }
        }
        return "namespace/\(name)/"
    }

    /// What is read: observations and claims, which are next to each other but for the quarantine's key. The ledger is not
    /// among them: it grows, and nobody who follows needs it.
    var ranges: [KeyRange] {
        if self.groups.isEmpty { return [Self.groups(below: self.cluster)] }
        return self.groups.map { .from($0.prefix + Self.observations, through: $0.prefix + Self.switchover) }
    }

    /// What begins with a group's number.
    private static func groups(below prefix: String) -> KeyRange {
        KeyRange(start: Array((prefix + "0").utf8), end: Array((prefix + ":").utf8))
    }

    /// Where the holders of addresses stand beside ``ranges``, which are as many as one transaction may read.
    var holders: [KeyRange] {
        guard self.groups.isEmpty else { return self.groups.map { .prefix($0.ofAddresses + Self.addresses) } }
        return self.cluster == self.clusterOfAddresses ? [] : [Self.groups(below: self.clusterOfAddresses)]
    }

    /// What is watched, in as few ranges as may be. The ledger's keys, which may lie between, change with the leader.
    var watched: [KeyRange] {
        guard !self.groups.isEmpty, self.cluster == self.clusterOfAddresses else { return self.ranges + self.holders }
        return self.groups.map { .from($0.prefix + Self.addresses, through: $0.prefix + Self.switchover) }
    }

    /// What a group's keys begin with; nil: it has no place here.
    func prefix(of group: Int) -> String? {
        if self.groups.isEmpty { return "\(self.cluster)\(group)/" }
        return self.groups.first { $0.group == group }?.prefix
    }

    func observation(of member: MemberID) -> String? {
        self.prefix(of: member.group).map { $0 + Self.observations + member.name }
    }

    func switchover(of group: Int) -> String? { self.prefix(of: group).map { $0 + Self.switchover } }

    /// What a group's records begin with.
    func history(of group: Int) -> String? {
        if self.groups.isEmpty { return "\(self.cluster)\(Self.history)\(group)/" }
        return self.prefix(of: group).map { $0 + Self.history }
    }

    /// What the records of every group begin with.
    var histories: [String] {
        self.groups.isEmpty ? [self.cluster + Self.history] : self.groups.map { $0.prefix + Self.history }
    }

    /// What the records of restore points begin with, of the whole cluster: beside group 0's where each group is a scope of its own.
    var restorePoints: String {
        (self.groups.isEmpty ? self.cluster : self.prefix(of: 0) ?? self.cluster) + "backups/points/"
    }

    /// Where an entry of the ledger stands.
    func history(_ entry: LedgerEntry) -> String? {
        switch entry {
        case .own(let record), .witnessed(let record):
            self.history(of: record.group).map { $0 + Self.name(record.revision) }
        case .metadata(let group, let revision, _, _):
            self.history(of: group).map { $0 + Self.name(revision) + Self.metadata }
        }
    }

    /// Revisions sort as text.
    static func name(_ revision: Int64) -> String {
        let digits = "\(max(0, revision))"
        return String(repeating: "0", count: max(0, 19 - digits.utf8.count)) + digits
    }

    /// What stands under a key; nil: nothing that is followed.
    func kind(of key: String) -> Kind? {
        guard self.groups.isEmpty else {
            for group in self.groups {
                if key.hasPrefix(group.ofAddresses),
                    let address = Self.address(of: key.dropFirst(group.ofAddresses.count))
                {
                    return .holder(group: group.group, address)
                }
                if key.hasPrefix(group.prefix), let kind = Self.kind(group.group, key.dropFirst(group.prefix.count)) {
                    return kind
                }
            }
            return nil
        }
        if let (group, rest) = Self.split(key, below: self.clusterOfAddresses), let address = Self.address(of: rest) {
            return .holder(group: group, address)
        }
        return Self.split(key, below: self.cluster).flatMap { Self.kind($0.group, $0.rest) }
    }

    /// `<prefix><group>/<rest>`
    private static func split(_ key: String, below prefix: String) -> (group: Int, rest: Substring)? {
        guard key.hasPrefix(prefix) else { return nil }
        let parts = key.dropFirst(prefix.count).split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let group = Int(parts[0]), group >= 0 else { return nil }
        return (group, parts[1])
    }

    private static func kind(_ group: Int, _ rest: Substring) -> Kind? {
        if rest == Self.switchover { return .switchover(group: group) }
        if rest == Self.reactions { return .reactions(group: group) }
        guard rest.hasPrefix(Self.observations) else { return nil }
        let name = rest.dropFirst(Self.observations.count)
        guard !name.contains("/"), let name = patroniLeader(Array(name.utf8)) else { return nil }
        return .observation(MemberID(group, name))
    }

    private static func address(of rest: Substring) -> AddressID? {
        rest.hasPrefix(Self.addresses) ? self.address(String(rest.dropFirst(Self.addresses.count))) : nil
    }

    /// What a watch event means; nil: nothing.
    func event(_ event: WatchEvent) -> Event? {
        let value = event.kind == .put ? event.keyValue.value : nil
        switch self.kind(of: event.keyValue.keyText) {
        case .observation(let observer): return .detector(.observed(observer, value.flatMap { Self.observation($0) }))
        case .switchover(let group):
            return .detector(
                .switchoverClaimed(
                    group: group, by: value.map { Self.claimant($0) }, person: value.flatMap { Self.person($0) }))
        case .reactions(let group):
            return .detector(.reactionsPaused(group: group, value.flatMap { ReactionPause(value: $0) }))
        case .holder(let group, let address):
            let holder = event.kind == .put ? PharosKeys.holder(event.keyValue).member : nil
            return .groups(.held(group: group, address, by: holder))
        case nil: return nil
        }
    }

    /// Nil for what is no address: anybody may write a key.
    private static func address(_ text: String) -> AddressID? {
        guard text.utf8.count <= Self.addressLength else { return nil }
        return IPAddress(text).map(\.description)
    }

    // MARK: - Values

    /// A claim as JSON: from whom to whom, by whose daemon, and, where it acts for a person, for whom.
    static func claim(
        _ order: SwitchoverOrder, by member: String, for person: String? = nil, at seconds: Int64
    ) -> [UInt8] {
        let document = JSONDocument.members(
            .init("from", .string(order.leader.name)), .init("to", .string(order.candidate.name)),
            .init("by", .string(member)), person.map { .init("for", .string($0)) }, .init("at", .integer(seconds)))
        return Array(document.compact.utf8)
    }

    /// Whose claim stands there. One that cannot be read is somebody's all the same.
    static func claimant(_ value: [UInt8]) -> String {
        let name = JSON.parse(value, limit: 4096)?["by"]?.string
        return name.flatMap { patroniLeader(Array($0.utf8)) } ?? PharosKeys.unreadable
    }

    /// An observation as JSON: the group that is watched (null: all), whether the observer is cut off, and whom it doubts.
    static func value(of observation: Observation) -> [UInt8] {
        let doubts = observation.doubts.sorted { $0.key < $1.key }.prefix(Self.doubtLimit).map { id, doubt in
            [
                "group": .number(id.group), "member": .string(id.name), "patroni": .string(doubt.patroni.rawValue),
                "postgres": .string(doubt.postgres.rawValue),
            ] as JSONDocument
        }
        let acknowledged = observation.acknowledged.sorted { $0.key < $1.key }.prefix(Self.doubtLimit).map { id, time in
            ["group": .number(id.group), "member": .string(id.name), "at": .number(time)] as JSONDocument
        }
        let document = JSONDocument.members(
            .init("group", .number(observation.group)), .init("isolated", .bool(observation.isIsolated)),
            .init("doubts", .list(doubts)), .init("acknowledged", .list(acknowledged)),
            observation.addresses.map { .init("addresses", .list($0.map { .string($0) })) },
            observation.version.map { .init("version", .string($0)) })
        return Array(document.compact.utf8)
    }

    /// An observation from what stands in etcd; nil for what is none: then nobody has said anything.
    static func observation(_ value: [UInt8]) -> Observation? {
        guard let json = JSON.parse(value, limit: Self.sizeLimit), let fields = json.object,
            let isIsolated = json["isolated"]?.bool, let entries = json["doubts"]?.array
        else { return nil }
        let group: Int?
        switch fields["group"] {
        case .null: group = nil
        case .integer(let number): group = Int(number)
        default: return nil  // No group; and to take it for all of them would be too much.
        }
        var doubts: [MemberID: Observation.Doubt] = [:]
        for entry in entries.prefix(Self.doubtLimit) {
            // One that cannot be read could be a doubt about anybody: then nothing of it counts.
            guard let number = entry["group"]?.int64, let name = entry["member"]?.string,
                let patroni = (entry["patroni"]?.string).flatMap(DetectorState.init(rawValue:)),
                let postgres = (entry["postgres"]?.string).flatMap(DetectorState.init(rawValue:))
            else { return nil }
            doubts[MemberID(Int(number), name)] = Observation.Doubt(patroni: patroni, postgres: postgres)
        }
        var acknowledged: [MemberID: Int64] = [:]
        for entry in (json["acknowledged"]?.array ?? []).prefix(Self.doubtLimit) {
            guard let number = entry["group"]?.int64, let name = entry["member"]?.string, let time = entry["at"]?.int64
            else { continue }
            acknowledged[MemberID(Int(number), name)] = time
        }
        let addresses = (json["addresses"]?.array)?.prefix(Self.addressLimit).compactMap { entry in
            entry.string.flatMap { Self.address($0) }
        }
        let version = (json["version"]?.string).flatMap { patroniLeader(Array($0.utf8)) }
        return Observation(
            group: group, doubts: doubts, isIsolated: isIsolated, acknowledged: acknowledged,
            addresses: addresses?.sorted(), version: version)
    }
}
