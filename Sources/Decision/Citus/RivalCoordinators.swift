// SPDX-License-Identifier: Apache-2.0

/// The other servers of the coordinator's group, each asked now and then whether it accepts writes.
///
/// An old coordinator that returns as a writable primary writes its stale `pg_dist_node` over the workers' copies within a
/// minute, and nothing in Citus stops it.
package struct RivalCoordinators: Sendable {
    struct Rival: Sendable {
        var member: String?
        var question = Question(due: .beforeAll)
        var isPrimary = false
    }
    private(set) var servers: [NodeEndpoint: Rival] = [:]

    private static let pace: Duration = .seconds(10)
    /// Servers that are remembered: one that Patroni knows no more is the most dangerous.
    package static let limit = 64

    mutating func learn(_ endpoint: NodeEndpoint, _ answer: WritableAnswer, into reports: inout [CitusReport]) {
        guard let rival = self.servers[endpoint] else { return }
        self.servers[endpoint]?.question.answered()
        switch answer {
        case .primary:
            self.servers[endpoint]?.isPrimary = true
            if !rival.isPrimary { reports.append(.rivalCoordinator(member: rival.member, endpoint)) }
        case .standby, .unreachable:
            self.servers[endpoint]?.isPrimary = false
            if rival.isPrimary { reports.append(.rivalGone(endpoint)) }
        case .refused: break
        }
    }

    /// Keeps in mind where they are; the one that led before too, whose member key may have ended with its leadership.
    mutating func remember(_ coordinators: Group) {
        guard let leader = coordinators.endpoint else { return }
        var known = coordinators.members.mapValues(\.endpoint)
        if let former = coordinators.former { known[former.name] = known[former.name] ?? former.endpoint }
        for (name, endpoint) in known {
            guard let endpoint, endpoint != leader else { continue }
            guard self.servers[endpoint] != nil || self.servers.count < Self.limit else { continue }
            self.servers[endpoint, default: Rival()].member = name
        }
        self.servers[leader] = nil
    }

    /// Asks those whose turn it is.
    mutating func advance(
        at now: Instant, awakeSince: Instant, into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) {
        for (endpoint, rival) in self.servers.sorted(by: { ($0.key.host, $0.key.port) < ($1.key.host, $1.key.port) }) {
            var question = rival.question
            if let silence = question.giveUp(
                after: AnswerLimits.writable, at: now, awakeSince: awakeSince, next: now + .seconds(1)), silence.isFirst
            {
                reports.append(.unanswered(.writable(endpoint), after: silence.length))
            }
            if question.isDue(at: now) {
                question.ask(at: now, next: now + Self.pace)
                actions.append(.askWritable(endpoint))
            }
            self.servers[endpoint]?.question = question
        }
    }

    var unanswered: [Unanswered] {
        self.servers.sorted { ($0.key.host, $0.key.port) < ($1.key.host, $1.key.port) }.compactMap { endpoint, rival in
            rival.question.silentSince.map { Unanswered(asked: .writable(endpoint), since: $0) }
        }
    }

    func wakeAt(after now: Instant, awakeSince: Instant) -> Instant {
        self.servers.values.map { $0.question.wakeAt(limit: AnswerLimits.writable, awakeSince: awakeSince) }
            .filter { $0 > now }.min() ?? .distantFuture
    }
}
