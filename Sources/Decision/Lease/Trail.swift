// SPDX-License-Identifier: Apache-2.0

/// Under which leases an address was acquired, newest first: kept in etcd beside the address's key, and remembered by each
/// node.
///
/// etcd draws a lease's number at random and never twice, so two trails show whether one history of etcd continues another:
/// a copy that was restored, or a cluster that comes back, lacks what was acquired since. Cluster number, revision and mark
/// may all be the same then. It is cut off at ``limit`` entries; what is not seen in it any more is unknown, not wrong.
public struct Trail: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public let lease: LeaseID
        /// As etcd granted it: a right to the address may have run for as long.
        public let ttl: Duration
        /// Not of an acquisition, but of a quarantine: whatever was acquired before, in whichever history, has ended with it.
        public let isQuarantine: Bool

        public init(lease: LeaseID, ttl: Duration, isQuarantine: Bool = false) {
            self.lease = lease
            self.ttl = ttl
            self.isQuarantine = isQuarantine
        }
    }

    public static let limit = 16
    public private(set) var entries: [Entry]

    /// Entries beyond ``limit`` are left out.
    public init(_ entries: [Entry] = []) { self.entries = Array(entries.prefix(Self.limit)) }

    public var isEmpty: Bool { self.entries.isEmpty }

    /// The TTL of the newest lease in it; zero where there is none.
    var newestTTL: Duration { self.entries.first?.ttl ?? .zero }

    func contains(_ lease: LeaseID) -> Bool { self.entries.contains { $0.lease == lease } }

    /// This trail after another acquisition.
    public func extended(by entry: Entry) -> Trail { Trail([entry] + self.entries.filter { $0.lease != entry.lease }) }

    /// Both histories in one, the newest of each first, so that neither is taken for the future of the other.
    func merged(with other: Trail) -> Trail {
        var merged: [Entry] = []
        for index in 0..<max(self.entries.count, other.entries.count) {
            for trail in [self, other] where index < trail.entries.count {
                let entry = trail.entries[index]
                if !merged.contains(where: { $0.lease == entry.lease }) { merged.append(entry) }
            }
        }
        return Trail(merged)
    }

    /// Whether a quarantine came after `lease`, which this trail knows.
    func wasQuarantined(since lease: LeaseID) -> Bool {
        self.entries.prefix { $0.lease != lease }.contains(where: \.isQuarantine)
    }

    /// What etcd's trail is to the one that was remembered.
    enum Kinship {
        /// It continues what was remembered, or is the same.
        case continued
        /// It lacks what was remembered, though it knows what came before: etcd went back in time.
        case contradicted
        /// They have nothing in common, so nothing can be told.
        case unknown
    }

    /// Judges `current`, as etcd has it, by this one, which was remembered.
    func kinship(with current: Trail) -> Kinship {
        guard let newest = self.entries.first else { return current.isEmpty ? .continued : .unknown }
        if current.contains(newest.lease) { return .continued }
        return current.entries.contains { self.contains($0.lease) } ? .contradicted : .unknown
    }
}

/// An address's trail as it stands in etcd.
public struct TrailInEtcd: Hashable, Sendable {
    /// Empty also where what stands there cannot be read.
    public let trail: Trail
    /// The revision of its last change; 0: there is none.
    public let revision: Int64

    public init(_ trail: Trail = Trail(), revision: Int64 = 0) {
        self.trail = trail
        self.revision = revision
    }
}

/// A change of an address's trail: *if* it is still `seen`, *then* it becomes `next`.
public struct TrailStep: Hashable, Sendable {
    public let seen: TrailInEtcd
    public let next: Trail

    public init(seen: TrailInEtcd, next: Trail) {
        self.seen = seen
        self.next = next
    }
}

/// What a node remembers of etcd from one process to the next.
public struct Memory: Hashable, Sendable {
    /// Of each address that was ever looked at, sorted by address; at most ``limit``.
    public var trails: [Addressed<Trail>]
    public static let limit = 256
    /// Whether an earlier process of this boot was of a version that remembered nothing: what etcd shows now was all that it
    /// knew, too.
    public var followsForgetful: Bool
    /// Whether an address that is not listed may have been acquired all the same: so it is with what a disk holds, or has lost. One
    /// that is known to have never been acquired is listed with an empty trail.
    public var isPartial: Bool
    /// Where the members of each Citus group are, or have been.
    public var places: KnownPlaces

    public init(
        trails: [Addressed<Trail>] = [], followsForgetful: Bool = false, isPartial: Bool = false,
        places: KnownPlaces = KnownPlaces()
    ) {
        self.places = places
        self.trails = trails
        self.followsForgetful = followsForgetful
        self.isPartial = isPartial
    }

    func knows(_ address: AddressID) -> Bool { !self.isPartial || self.trails.contains { $0.address == address } }
    func trail(of address: AddressID) -> Trail { self.trails.first { $0.address == address }?.value ?? Trail() }
}
