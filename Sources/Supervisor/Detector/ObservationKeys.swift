// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import LenientJSON
import PatroniClient

/// Where the daemons publish what they hold of others, and how it is written:
/// `<root><scope>/[group/]observations/<member>`.
struct ObservationKeys: Sendable {
    /// For all groups below one scope.
    private let cluster: String
    /// By group, where each is a scope of its own.
    private let groups: [(group: Int, prefix: String)]

    private static let folder = "observations/"
    /// Members that an observation may doubt; more are not published.
    private static let doubtLimit = 1024
    /// Bytes of an observation that is read.
    private static let sizeLimit = 1 << 20

    init(root: String, scope: String, _ layout: GroupKeys.Layout) {
        self.cluster = root + scope + "/"
        switch layout {
        case .citusMode: self.groups = []
        case .scopes(let scopes):
            self.groups = scopes.sorted { $0.key < $1.key }.map {
                (group: $0.key, prefix: root + $0.value + "/" + Self.folder)
            }
        }
    }

    var ranges: [KeyRange] {
        self.groups.isEmpty ? [.prefix(self.cluster)] : self.groups.map { .prefix($0.prefix) }
    }

    /// nil: its group has no place here.
    func key(of member: MemberID) -> String? {
        if self.groups.isEmpty { return "\(self.cluster)\(member.group)/\(Self.folder)\(member.name)" }
        return self.groups.first { $0.group == member.group }.map { $0.prefix + member.name }
    }

    /// Whose observation stands under a key; nil: nobody's.
    func observer(of key: String) -> MemberID? {
        for (group, prefix) in self.groups where key.hasPrefix(prefix) {
            return Self.member(group, key.dropFirst(prefix.count))
        }
        guard self.groups.isEmpty, key.hasPrefix(self.cluster) else { return nil }
        let parts = key.dropFirst(self.cluster.count).split(
            separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let group = Int(parts[0]), group >= 0, parts[1].hasPrefix(Self.folder) else {
            return nil
        }
        return Self.member(group, parts[1].dropFirst(Self.folder.count))
    }

    private static func member(_ group: Int, _ name: Substring) -> MemberID? {
        guard !name.contains("/"), let name = patroniLeader(Array(name.utf8)) else { return nil }
        return MemberID(group, name)
    }

    // MARK: - Values

    /// An observation as JSON: the group that is watched (null: all), whether the observer is cut off, and whom it doubts.
    static func value(of observation: Observation) -> [UInt8] {
        let doubts = observation.doubts.sorted { $0.key < $1.key }.prefix(Self.doubtLimit).map { id, doubt in
            "{\"group\":\(id.group),\"member\":\(JSON.quoted(id.name)),"
                + "\"patroni\":\"\(doubt.patroni.rawValue)\",\"postgres\":\"\(doubt.postgres.rawValue)\"}"
        }
        let group = observation.group.map { "\($0)" } ?? "null"
        let text =
            "{\"group\":\(group),\"isolated\":\(observation.isIsolated),\"doubts\":[\(doubts.joined(separator: ","))]}"
        return Array(text.utf8)
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
        return Observation(group: group, doubts: doubts, isIsolated: isIsolated)
    }
}
