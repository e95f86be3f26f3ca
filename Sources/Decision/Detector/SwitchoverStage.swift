// SPDX-License-Identifier: Apache-2.0

/// How far this daemon's own attempt has come.
enum SwitchoverStage: Hashable, Sendable {
    case idle
    case underWay(SwitchoverOrder, since: Instant)
    case ended(SwitchoverOrder, SwitchoverOutcome)
    /// It asked nothing of Patroni, and may be made again at `until`; so many have come to nothing in a row.
    case putOff(SwitchoverOrder, SwitchoverOutcome, until: Instant, attempts: Int)
}

/// Attempts in a row, for one leadership, that came to nothing.
struct FruitlessAttempts: Hashable, Sendable {
    /// The revision at which the leader key was created.
    let since: Int64
    let count: Int

    /// With one more, which `order` was; whatever came of an earlier leadership counts no longer.
    static func after(_ former: FruitlessAttempts?, _ order: SwitchoverOrder) -> FruitlessAttempts {
        let earlier = former?.since == order.since ? former?.count ?? 0 : 0
        return FruitlessAttempts(since: order.since, count: earlier + 1)
    }
}

/// A leader that was held to be unusable.
struct GrayLeadership: Hashable, Sendable {
    let leader: MemberID
    let since: Int64
    /// When it was last.
    var at: Instant
}
