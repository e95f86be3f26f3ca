// SPDX-License-Identifier: Apache-2.0

/// A small, fast, seeded generator (SplitMix64; Steele, Lea and Flood 2014): the same seed, the same numbers, on every machine.
/// For simulations, histories and tests; nothing that is to be kept secret may come from it.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Neighboring seeds begin with neighboring states; the numbers do not show it.
    public init(_ seed: UInt64) { self.state = seed }

    public mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
