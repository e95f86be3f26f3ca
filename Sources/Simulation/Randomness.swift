// SPDX-License-Identifier: Apache-2.0

/// A small, fast, seeded generator (SplitMix64, Steele, Lea and Flood 2014): the same seed, the same run, on any machine.
struct Randomness {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1 }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in 0 ..< 1.
    mutating func unit() -> Double { Double(self.next() >> 11) * 0x1p-53 }

    /// Uniform in `low ... high`.
    mutating func between(_ low: Int64, _ high: Int64) -> Int64 {
        low + Int64(self.next() % UInt64(high - low + 1))
    }

    mutating func chance(_ probability: Double) -> Bool { probability > 0 && self.unit() < probability }
}
