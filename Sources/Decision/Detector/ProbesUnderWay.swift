// SPDX-License-Identifier: Apache-2.0

/// The probes that have not come back, oldest first: few at a time.
struct ProbesUnderWay: Sendable {
    private var entries: [(member: MemberID, since: Instant)] = []

    var count: Int { self.entries.count }

    func contains(_ member: MemberID) -> Bool { self.entries.contains { $0.member == member } }

    mutating func begin(_ member: MemberID, at now: Instant) { self.entries.append((member, now)) }

    /// Answers whether the member was being probed, by a probe that began at `askedAt` or before. An answer that does not say
    /// (nil) may be that of a probe which was given up: then the one under way is lost, and the member probed in its next turn.
    mutating func end(_ member: MemberID, askedAt: Instant?) -> Bool {
        guard
            let index = self.entries.firstIndex(where: { $0.member == member && $0.since <= askedAt ?? $0.since })
        else { return false }
        self.entries.remove(at: index)
        return true
    }

    /// Gives those up that have been under way for `limit`.
    mutating func giveUp(after limit: Duration, at now: Instant, awakeSince: Instant) -> [(
        member: MemberID, since: Instant
    )] {
        guard let oldest = self.entries.first, now - max(oldest.since, awakeSince) >= limit else { return [] }
        let overdue = self.entries.filter { now - max($0.since, awakeSince) >= limit }
        self.entries.removeFirst(overdue.count)
        return overdue
    }

    func deadline(_ limit: Duration, awakeSince: Instant) -> Instant? {
        self.entries.first.map { max($0.since, awakeSince) + limit }
    }
}
