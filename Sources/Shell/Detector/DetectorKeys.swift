// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import LeaseKeys
import LenientJSON
import PatroniClient
import PatroniValues

/// The failure detector's keys in etcd, for each group below `<root><scope>/[group/]`: `observations/<member>`, what a daemon
/// holds of others; `switchover`, the claim of the daemon that asks Patroni for one. And the ledger, below
/// `<root><scope>/history/[group/]`: `<revision>` and, beside it, `<revision>.metadata`. And restore points, below
/// `<root><scope>/backups/points/`.
///
/// Patroni knows a cluster by namespace and scope. Where its namespace is not the usual one, all of these lie below
/// `<root><scope>/namespace/<namespace>/`, so that two clusters of one scope do not take each other's members for their own.
struct DetectorKeys: Sendable {
    /// For all groups below one scope.
    private let cluster: String
    /// By group, where each is a scope of its own.
    private let groups: [(group: Int, prefix: String)]

    private static let observations = "observations/"
    private static let switchover = "switchover"
    private static let history = "history/"
    static let metadata = ".metadata"
    /// Members that an observation may doubt; more are not published.
    private static let doubtLimit = 1024
    /// Bytes of an observation that is read.
    private static let sizeLimit = 1 << 20

    /// What a key holds.
    enum Kind: Hashable {
        case observation(MemberID)
        case switchover(group: Int)
    }

    init(root: String, namespace: String, scope: String, _ layout: GroupKeys.Layout) {
        func prefix(_ scope: String) -> String { root + scope + "/" + Self.folder(of: namespace) }
        self.cluster = prefix(scope)
        switch layout {
        case .citusMode: self.groups = []
        case .scopes(let scopes):
            self.groups = scopes.sorted { $0.key < $1.key }.map { (group: $0.key, prefix: prefix($0.value)) }
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

    /// What is followed: observations and claims, which are next to each other but for the quarantine's key. The ledger is not
    /// among them: it grows, and nobody who follows needs it.
    var ranges: [KeyRange] {
        // What begins with a group's number.
        if self.groups.isEmpty {
            return [KeyRange(start: Array((self.cluster + "0").utf8), end: Array((self.cluster + ":").utf8))]
        }
        return self.groups.map { .from($0.prefix + Self.observations, through: $0.prefix + Self.switchover) }
    }

    /// What a group's keys begin with; nil: it has no place here.
    private func prefix(of group: Int) -> String? {
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
        for (group, prefix) in self.groups where key.hasPrefix(prefix) {
            if let kind = Self.kind(group, key.dropFirst(prefix.count)) { return kind }
        }
        guard self.groups.isEmpty, key.hasPrefix(self.cluster) else { return nil }
        let parts = key.dropFirst(self.cluster.count).split(
            separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let group = Int(parts[0]), group >= 0 else { return nil }
        return Self.kind(group, parts[1])
    }

    private static func kind(_ group: Int, _ rest: Substring) -> Kind? {
        if rest == Self.switchover { return .switchover(group: group) }
        guard rest.hasPrefix(Self.observations) else { return nil }
        let name = rest.dropFirst(Self.observations.count)
        guard !name.contains("/"), let name = patroniLeader(Array(name.utf8)) else { return nil }
        return .observation(MemberID(group, name))
    }

    /// What a watch event means; nil: nothing.
    func event(_ event: WatchEvent) -> DetectorEvent? {
        let value = event.kind == .put ? event.keyValue.value : nil
        switch self.kind(of: event.keyValue.keyText) {
        case .observation(let observer): return .observed(observer, value.flatMap { Self.observation($0) })
        case .switchover(let group): return .switchoverClaimed(group: group, by: value.map { Self.claimant($0) })
        case nil: return nil
        }
    }

    // MARK: - Values

    /// A claim as JSON: from whom to whom, and by whose daemon.
    static func claim(_ order: SwitchoverOrder, by member: String, at seconds: Int64) -> [UInt8] {
        let document: JSONDocument = [
            "from": .string(order.leader.name), "to": .string(order.candidate.name), "by": .string(member),
            "at": .integer(seconds),
        ]
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
        let document: JSONDocument = [
            "group": .number(observation.group), "isolated": .bool(observation.isIsolated), "doubts": .list(doubts),
            "acknowledged": .list(acknowledged),
        ]
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
        return Observation(group: group, doubts: doubts, isIsolated: isIsolated, acknowledged: acknowledged)
    }
}
