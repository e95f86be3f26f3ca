// SPDX-License-Identifier: Apache-2.0

/// How far this daemon may trust its own failed probes: a multiplier S from 0 to 7, by which thresholds grow to S + 1 times
/// themselves.
///
/// Source: Lifeguard (Dadgar, Phillips and Currey, 2017), local health awareness: what is wrong with ourselves looks like what
/// is wrong with everybody else.
public struct LocalHealth: Sendable, Equatable {
    public private(set) var multiplier = 0
    static let limit = 7

    public init() {}

    public var scale: Int { self.multiplier + 1 }

    /// Our own tick was late, a call of our own timed out, or every target failed at once.
    public mutating func worsen() { self.multiplier = min(self.multiplier + 1, Self.limit) }

    /// A round in which nothing of that kind was seen.
    public mutating func recover() { self.multiplier = max(self.multiplier - 1, 0) }
}
