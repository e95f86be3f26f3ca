// SPDX-License-Identifier: Apache-2.0

/// Where the members of each group are, or have been.
///
/// A row that names another place is not Pharos's to move: it may be a name, a virtual address or a pooler that leads to the leader,
/// or, in a copy of a cluster that was restored beside the living one, a server of that. Remembered on disk, because a leader that
/// has died is not in etcd any more when its row is to be moved.
public struct KnownPlaces: Hashable, Sendable {
    /// By group, the newest last.
    public private(set) var byGroup: [Int: [NodeEndpoint]] = [:]

    /// Of one group; the oldest is forgotten.
    public static let limit = 16
    /// Of all groups.
    public static let totalLimit = 4096

    public init() {}

    /// Answers whether that is news.
    @discardableResult
    public mutating func learn(_ place: NodeEndpoint, of group: Int) -> Bool {
        guard !self.knows(place, of: group) else { return false }
        var places = self.byGroup[group] ?? []
        if places.count >= Self.limit {
            places.removeFirst()
        } else {
            guard self.byGroup.values.reduce(0, { $0 + $1.count }) < Self.totalLimit else { return false }
        }
        self.byGroup[group] = places + [place]
        return true
    }

    public func knows(_ place: NodeEndpoint, of group: Int) -> Bool { self.byGroup[group]?.contains(place) ?? false }
}
