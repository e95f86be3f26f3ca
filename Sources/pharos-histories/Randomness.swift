// SPDX-License-Identifier: Apache-2.0

/// SplitMix64: the same numbers for the same seed, on every machine.
struct Randomness: RandomNumberGenerator {
    private var state: UInt64

    /// A round's numbers do not depend on those of the rounds before, so that any one can be played again.
    init(seed: UInt64, round: Int) {
        self.state = seed &+ UInt64(truncatingIfNeeded: round) &* 0xD1B5_4A32_D192_ED03
        // Neighboring seeds and rounds begin far apart.
        self.state = self.next()
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// True in so many of a hundred draws.
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

    /// Milliseconds, small ones as likely as large ones.
    mutating func span(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range.lowerBound...Int.random(in: range, using: &self), using: &self)
    }
}
