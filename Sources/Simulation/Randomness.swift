// SPDX-License-Identifier: Apache-2.0
import SeededRandom

/// What is drawn in a simulated world: the same seed, the same run, on any machine.
struct Randomness {
    private var generator: SplitMix64

    init(seed: UInt64) { self.generator = SplitMix64(seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1) }

    mutating func next() -> UInt64 { self.generator.next() }

    /// Uniform in 0 ..< 1.
    mutating func unit() -> Double { Double(self.next() >> 11) * 0x1p-53 }

    /// Uniform in `low ... high`.
    mutating func between(_ low: Int64, _ high: Int64) -> Int64 {
        low + Int64(self.next() % UInt64(high - low + 1))
    }

    mutating func chance(_ probability: Double) -> Bool { probability > 0 && self.unit() < probability }
}
