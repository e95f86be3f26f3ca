// SPDX-License-Identifier: Apache-2.0

/// When something that goes on is told again: at once, then after 10 minutes, an hour, and from then on once a day. What is another
/// cause is told at once, and so is what had been over, or had not happened for ``forgotten``.
package struct Retelling<Cause: Hashable & Sendable>: Hashable, Sendable {
    private struct Told: Hashable, Sendable {
        var count: Int
        var at: Instant
        var seenAt: Instant
    }
    private var told: [Cause: Told] = [:]

    package init() {}

    static var pauses: [Duration] { [.seconds(600), .seconds(3600), .seconds(86_400)] }
    /// Who has not been seen for so long has gone, and is news when it comes back.
    static var forgotten: Duration { .seconds(900) }
    /// Causes that are told apart; anybody on the network may be one.
    static var limit: Int { 16 }

    /// Whether it is to be told now that `cause` has been seen.
    package mutating func tells(_ cause: Cause, at now: Instant) -> Bool {
        if var before = self.told[cause], now - before.seenAt < Self.forgotten {
            before.seenAt = now
            let isDue = now - before.at >= Self.pauses[min(before.count, Self.pauses.count) - 1]
            if isDue { (before.count, before.at) = (before.count + 1, now) }
            self.told[cause] = before
            return isDue
        }
        if self.told.count >= Self.limit, self.told[cause] == nil {
            // More of them than anybody would read one by one: the longest unseen makes room, and once it is over, tells anew.
            guard let oldest = self.told.min(by: { $0.value.seenAt < $1.value.seenAt }),
                now - oldest.value.seenAt >= .seconds(60)
            else { return false }
            self.told[oldest.key] = nil
        }
        self.told[cause] = Told(count: 1, at: now, seenAt: now)
        return true
    }

    /// It is over: the next time is news.
    package mutating func over() { self.told = [:] }
}
