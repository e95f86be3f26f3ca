// SPDX-License-Identifier: Apache-2.0

/// A point in time on one node: time since its kernel booted, suspend included (`CLOCK_BOOTTIME`).
///
/// Instants of different nodes cannot be compared; nothing in the protocol needs that.
public struct Instant: Comparable, Hashable, Sendable {
    public let sinceBoot: Duration

    public init(sinceBoot: Duration) { self.sinceBoot = sinceBoot }

    /// Later than every instant that a clock will ever show.
    public static let distantFuture = Instant(sinceBoot: .seconds(Int64.max / 2))

    /// Earlier than every instant that a clock will ever show.
    static let beforeAll = Instant(sinceBoot: .zero)

    // By their attoseconds, two machine words: `Duration`'s own operators are calls into the library, and every decision
    // compares instants many times.
    public static func < (a: Instant, b: Instant) -> Bool { a.sinceBoot.attoseconds < b.sinceBoot.attoseconds }
    public static func + (a: Instant, delay: Duration) -> Instant {
        Instant(sinceBoot: Duration(attoseconds: a.sinceBoot.attoseconds + delay.attoseconds))
    }
    public static func - (a: Instant, delay: Duration) -> Instant {
        Instant(sinceBoot: Duration(attoseconds: a.sinceBoot.attoseconds - delay.attoseconds))
    }
    public static func - (a: Instant, b: Instant) -> Duration {
        Duration(attoseconds: a.sinceBoot.attoseconds - b.sinceBoot.attoseconds)
    }
}
