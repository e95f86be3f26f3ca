// SPDX-License-Identifier: Apache-2.0
import SeededRandom

/// What is drawn in a round: the same numbers for the same seed, on every machine.
struct Randomness: RandomNumberGenerator {
    private var generator: SplitMix64

    /// A round's numbers do not depend on those of the rounds before, so that any one can be played again.
    init(seed: UInt64, round: Int) {
        self.generator = SplitMix64(seed &+ UInt64(truncatingIfNeeded: round) &* 0xD1B5_4A32_D192_ED03)
        // Neighboring seeds and rounds begin far apart.
        self.generator = SplitMix64(self.generator.next())
    }

    mutating func next() -> UInt64 { self.generator.next() }

    /// True in so many of a hundred draws.
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

    /// Milliseconds, small ones as likely as large ones.
    mutating func span(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range.lowerBound...Int.random(in: range, using: &self), using: &self)
    }
}
