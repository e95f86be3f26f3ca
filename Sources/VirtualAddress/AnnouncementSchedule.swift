// SPDX-License-Identifier: Apache-2.0

/// When an address is announced after it was taken: at once and soon again, because a packet may be lost or a switch
/// still learning, and then every minute, for whoever missed them all.
enum AnnouncementSchedule {
    /// Milliseconds since the address was taken.
    private static let early: [Int64] = [0, 50, 200, 1000, 5000]
    private static let interval: Int64 = 60_000

    struct Step: Hashable {
        /// Microseconds since the address was taken.
        let offset: Int64
        /// Whether another holder is looked for, too.
        let isProbing: Bool
    }

    static let first = Step(offset: 0, isProbing: true)

    /// The first step after `elapsed` microseconds. Steps that a frozen process missed are not made up for.
    static func next(after elapsed: Int64) -> Step {
        if let offset = Self.early.first(where: { $0 * 1000 > elapsed }) {
            return Step(offset: offset * 1000, isProbing: offset == 0)
        }
        let last = (Self.early.last ?? 0) * 1000
        let periods = (elapsed - last) / (Self.interval * 1000) + 1
        return Step(offset: last + periods * Self.interval * 1000, isProbing: true)
    }
}
