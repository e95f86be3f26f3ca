// SPDX-License-Identifier: Apache-2.0

/// What is known of the places that rows name, while the databases are looked at; and what is found to be missing.
struct Neighborhood {
    let places: KnownPlaces
    private let identities: ServerIdentities
    /// The places of which it must be known who answers there, in a leadership that began then.
    private(set) var wanted: [NodeEndpoint: Instant] = [:]

    init(_ places: KnownPlaces, _ identities: ServerIdentities) {
        (self.places, self.identities) = (places, identities)
    }

    /// What answers at the place that a row names is to the leader; nil: that is not known yet.
    mutating func relation(
        of place: NodeEndpoint, to leader: NodeEndpoint, since leaderAt: Instant
    ) -> ServerIdentity.Relation? {
        for endpoint in [place, leader] { self.wanted[endpoint] = max(self.wanted[endpoint] ?? leaderAt, leaderAt) }
        return self.identities.relation(of: place, to: leader, since: leaderAt)
    }
}
