// SPDX-License-Identifier: Apache-2.0

/// Where the members of each group are, or have been.
///
/// A row that names another place is not Pharos's to move: it may be a name, a virtual address or a pooler that leads to the leader,
/// or, in a copy of a cluster that was restored beside the living one, a server of that. Remembered on disk, because a leader that
/// has died is not in etcd any more when its row is to be moved. Of one etcd cluster: a machine that was cloned with its disk does not
/// take its original's places for its own.
///
/// Those of a group that has vanished are kept, for it may come back with its row where it was; but they make room for others.
public struct KnownPlaces: Hashable, Sendable {
    /// By group, the newest last.
    public private(set) var byGroup: [Int: [NodeEndpoint]] = [:]

    /// The etcd cluster that told them; nil: none has.
    public private(set) var cluster: UInt64?

    /// Of one group; the oldest is forgotten.
    public static let limit = 16
    /// Of all groups.
    public static let totalLimit = 4096

    public init(cluster: UInt64? = nil) { self.cluster = cluster }

    /// What follows comes from this etcd cluster; answers whether that is news.
    mutating func follow(_ cluster: UInt64) -> Bool {
        guard self.cluster != cluster else { return false }
        // What an older version has written names none.
        if self.cluster != nil { self.byGroup = [:] }
        self.cluster = cluster
        return true
    }

    /// Answers whether that is news.
    ///
    /// - Parameter isVanished: whether a group is in etcd no more. Where all places are taken, such a group gives up its own.
    @discardableResult
    public mutating func learn(
        _ place: NodeEndpoint, of group: Int, isVanished: (Int) -> Bool = { _ in false }
    ) -> Bool {
        guard !self.knows(place, of: group) else { return false }
        var places = self.byGroup[group] ?? []
        if places.count >= Self.limit {
            places.removeFirst()
        } else if self.byGroup.values.reduce(0, { $0 + $1.count }) >= Self.totalLimit {
            // When each vanished is not known.
            guard let gone = self.byGroup.keys.filter({ $0 != group && isVanished($0) }).min() else { return false }
            self.byGroup[gone] = nil
        }
        self.byGroup[group] = places + [place]
        return true
    }

    public func knows(_ place: NodeEndpoint, of group: Int) -> Bool { self.byGroup[group]?.contains(place) ?? false }
}
