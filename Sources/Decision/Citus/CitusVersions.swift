// SPDX-License-Identifier: Apache-2.0

/// What a coordinator runs.
public struct CitusVersions: Hashable, Sendable {
    /// Of the extension, such as `13.2-1`; nil where the server does not list it.
    public var citus: String?
    /// Such as `15.18`.
    public var postgres: String

    public init(citus: String?, postgres: String) { (self.citus, self.postgres) = (citus, postgres) }

    var release: CitusRelease? { self.citus.flatMap { CitusRelease($0) } }
    var major: Int? { Int(self.postgres.prefix { $0.isNumber }) }
}

/// What the daemon that keeps `pg_dist_node` cannot do with a version, or does otherwise: the table "Versions" of docs/citus.md.
public enum VersionLimit: String, Hashable, Sendable, CaseIterable {
    case tooOld, sparesHolders, holdsNothing, unknown

    /// Nothing follows from a version that is not known.
    public func applies(to versions: CitusVersions) -> Bool {
        switch self {
        case .tooOld:
            versions.release.map { $0 < .oldest } ?? false || versions.major.map { $0 < Self.oldestMajor } ?? false
        case .sparesHolders: versions.release.map { $0 < .endsHolders } ?? false
        case .holdsNothing: versions.release.map { $0 < .pauses } ?? false
        case .unknown:
            versions.release.map { $0 >= .unknown } ?? false || versions.major.map { $0 > Self.newestMajor } ?? false
        }
    }

    /// PostgreSQL's.
    static let (oldestMajor, newestMajor) = (14, 18)

    /// What follows, for people.
    public var text: String {
        switch self {
        case .tooOld:
            "older than what Pharos follows (Citus 11.0, PostgreSQL 14): every change of pg_dist_node may fail. Upgrade, or leave it to others (mode: observe)"
        case .sparesHolders:
            "before Citus 11.2 sessions that hold pg_dist_node itself are not terminated for a failover: it waits for them, and tells them"
        case .holdsNothing:
            "before Citus 12.1 writes cannot be held: in a planned switchover those to the group fail until its row has been moved"
        case .unknown:
            "newer than what Pharos was written for (Citus 14.0, PostgreSQL 18): look for a newer version of Pharos"
        }
    }
}

/// What is told of one database's versions: once when this daemon becomes the writer, and again only when it is something else.
struct VersionWatch: Sendable {
    /// What the connection that is kept has said last; nil: there was none yet.
    var seen: CitusVersions?
    private var told: [VersionLimit] = []

    /// This daemon becomes the writer, or is it no more.
    mutating func begin() { self.told = [] }

    /// What is to be told; nil: nothing.
    mutating func news() -> (versions: CitusVersions, limits: [VersionLimit])? {
        guard let seen else { return nil }
        let limits = VersionLimit.allCases.filter { $0.applies(to: seen) }
        guard limits != self.told else { return nil }
        self.told = limits
        return (seen, limits)
    }
}
