// SPDX-License-Identifier: Apache-2.0

/// Which PostgreSQL server answers at a place: two places that lead to the same one are one place.
public enum ServerIdentity: Hashable, Sendable {
    /// `system`: the system identifier, which all servers of one Patroni cluster share, and so does every copy that was restored from
    /// a base backup; `started`: when this one was.
    case server(system: String, started: String, isInRecovery: Bool = false)
    /// The machine answers, and says that nobody listens there.
    case nobody
    case unknown(reason: String)

    /// What the server at a place is to the leader.
    enum Relation: Hashable, Sendable {
        case same
        /// A standby with the same system identifier: nobody can write there, whosever it is.
        case other
        /// It could not be found out.
        case unknown
        /// It accepts writes beside the leader, or is of another cluster. Where a site was restored from base backups beside the living
        /// one, the living one's servers have the same system identifier.
        case foreign
    }

    func relation(to leader: ServerIdentity) -> Relation {
        switch (self, leader) {
        case (.server(let system, let started, let isInRecovery), .server(let own, let since, _)):
            if system == own, started == since { return .same }
            return system == own && isInRecovery ? .other : .foreign
        case (.unknown, _), (_, .unknown), (.nobody, _), (_, .nobody): return .unknown
        }
    }
}

/// Who answers where a row names a place that no member of its group is known to have had, and who answers at the leader's.
package struct ServerIdentities: Sendable {
    private struct Inquiry: Sendable {
        var question = Question(due: .beforeAll)
        var identity: ServerIdentity?
        /// When that was asked for.
        var askedAt = Instant.beforeAll
    }

    private var servers: [NodeEndpoint: Inquiry] = [:]

    /// How often is asked again while nothing has changed, and in a leadership's first minutes.
    private static let pace: Duration = .seconds(30)
    private static let closePace: Duration = .seconds(2)
    private static let closeTime: Duration = .seconds(120)
    /// Places that are asked at once: each takes a connection.
    package static let limit = 16

    mutating func learn(_ place: NodeEndpoint, _ identity: ServerIdentity, askedAt: Instant) {
        guard self.servers[place] != nil else { return }
        self.servers[place]?.question.answered(askedAt)
        self.servers[place]?.identity = identity
        self.servers[place]?.askedAt = askedAt
    }

    /// What answers at `place` is to the leader, in the leadership that began at `leaderAt`; nil: that is not known yet.
    func relation(
        of place: NodeEndpoint, to leader: NodeEndpoint, since leaderAt: Instant
    ) -> ServerIdentity.Relation? {
        guard let one = self.servers[place], let other = self.servers[leader], let found = one.identity,
            let led = other.identity, one.askedAt >= leaderAt, other.askedAt >= leaderAt
        else { return nil }
        return found.relation(to: led)
    }

    /// Asks for those that are wanted and due, and forgets the others; answers when to look again.
    /// - Parameter wanted: with the time at which the leadership in question began.
    mutating func advance(
        _ wanted: [NodeEndpoint: Instant], at now: Instant, awakeSince: Instant, into actions: inout [CitusAction]
    ) -> Instant {
        self.servers = self.servers.filter { wanted[$0.key] != nil }
        for (place, since) in wanted {
            var inquiry = self.servers[place] ?? Inquiry()
            _ = inquiry.question.giveUp(
                after: AnswerLimits.writable, at: now, awakeSince: awakeSince, next: now + Self.closePace)
            if inquiry.askedAt < since { inquiry.question.hasten(to: now) }
            self.servers[place] = inquiry
        }
        var free = Self.limit - self.servers.values.count { $0.question.isUnderWay }
        // Whoever was asked least lately comes first; the rest follow as these are answered.
        let due = self.servers.filter { $0.value.question.isDue(at: now) }.sorted {
            ($0.value.askedAt, $0.key.host, $0.key.port) < ($1.value.askedAt, $1.key.host, $1.key.port)
        }
        for (place, _) in due where free > 0 {
            free -= 1
            let age = now - (wanted[place] ?? now)
            self.servers[place]?.question.ask(at: now, next: now + (age < Self.closeTime ? Self.closePace : Self.pace))
            actions.append(.identify(place))
        }
        return self.servers.values.map {
            $0.question.wakeAt(limit: AnswerLimits.writable, awakeSince: awakeSince)
        }.filter { $0 > now }.min() ?? .distantFuture
    }
}
