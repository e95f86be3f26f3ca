// SPDX-License-Identifier: Apache-2.0

/// Which standbys have been fit to serve reads, or unfit, for long enough to be registered or removed.
///
/// A standby that comes and goes must wait ever longer: each change of it within the last hour doubles the time for which
/// it must have stayed as it is.
struct SecondaryDamper: Sendable {
    struct Candidate: Sendable {
        var isFit: Bool
        var since: Instant
        var changes: [Instant] = []
    }
    private(set) var candidates: [NodeEndpoint: Candidate] = [:]

    static let addAfter: Duration = .seconds(60)
    /// As long as the failure detector takes: 5 x 30 s.
    static let removeAfter: Duration = .seconds(150)
    private static let memory: Duration = .seconds(3600)
    private static let limit = 4096

    /// Takes over what Patroni says now, of every group's members but the leader; and which of them the failure detector holds
    /// failed: it has taken its time, so that those need not wait for another 150 s.
    mutating func observe(_ groups: [Int: Group], failed: Set<NodeEndpoint> = [], at now: Instant) {
        var fit: Set<NodeEndpoint> = []
        for view in groups.values {
            for (name, member) in view.members where name != view.leader?.name {
                guard member.isRunning, member.servesReads, !member.isPrimary, let place = member.endpoint,
                    !failed.contains(place)
                else { continue }
                fit.insert(place)
            }
        }
        for place in self.candidates.keys where self.candidates[place]?.isFit != fit.contains(place) {
            self.candidates[place]?.isFit = fit.contains(place)
            self.candidates[place]?.since = now
        }
        for place in failed {
            guard let candidate = self.candidates[place], !candidate.isFit else { continue }
            self.candidates[place]?.since = min(candidate.since, now - Self.removeAfter)
        }
        for place in fit where self.candidates[place] == nil && self.candidates.count < Self.limit {
            self.candidates[place] = Candidate(isFit: true, since: now)
        }
    }

    /// A registered secondary that Patroni has not spoken of counts as unfit from now on.
    mutating func remember(_ place: NodeEndpoint, at now: Instant) {
        guard self.candidates[place] == nil, self.candidates.count < Self.limit else { return }
        self.candidates[place] = Candidate(isFit: false, since: now)
    }

    mutating func changed(_ place: NodeEndpoint, at now: Instant) {
        self.candidates[place]?.changes.removeAll { now - $0 > Self.memory }
        self.candidates[place]?.changes.append(now)
    }

    func isFit(_ place: NodeEndpoint) -> Bool { self.candidates[place]?.isFit == true }

    /// When `place` may be registered (`add`) or removed; nil: not as it is now.
    func due(_ place: NodeEndpoint, add: Bool, at now: Instant) -> Instant? {
        guard let candidate = self.candidates[place], candidate.isFit == add else { return nil }
        let recent = candidate.changes.filter { now - $0 <= Self.memory }.count
        let span = add ? Self.addAfter : Self.removeAfter
        return candidate.since + Backoff(first: span, longest: span * 32).pause(after: recent + 1)
    }
}
