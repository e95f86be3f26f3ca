// SPDX-License-Identifier: Apache-2.0
import SeededRandom

/// Random numbers that are the same in every run.
public struct SeededGenerator: RandomNumberGenerator {
    private var generator: SplitMix64

    public init(_ seed: UInt64) { self.generator = SplitMix64(seed) }

    public mutating func next() -> UInt64 { self.generator.next() }
}

/// Pieces that JSON parsers and their users stumble over.
private let oddities: [String] = [
    "null", "true", "-1", "1e999", "0.5", "18446744073709551616", "9223372036854775808", "9223372036854775807",
    "\"9223372036854775807\"", "-9223372036854775808", "\"\"",
    "[]", "{}", "\"\\u0000\"", "\"\\ud800\"", "[[[[[[", "}", ",", ":", "\n", "\"-5\"", "\"==\"",
    "\"99999999999999999999\"",
    "\u{FEFF}", "{\"a\":", "\\",
]

/// `bytes` with one to four random changes: bits, cuts, repetitions, and values of another type in the place of one.
public func mutated(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
        guard !bytes.isEmpty else { return bytes }
        let position = Int.random(in: 0..<bytes.count, using: &generator)
        let end = min(bytes.count, position + Int.random(in: 1...24, using: &generator))
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes.removeSubrange(position..<end)
        case 2: bytes.insert(contentsOf: bytes[position..<end], at: position)
        case 3: bytes.removeSubrange(position...)
        default:  // a value that stands after a colon becomes another
            guard let colon = bytes[position...].firstIndex(of: UInt8(ascii: ":")) else { continue }
            let stop = bytes[colon...].firstIndex { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "}") } ?? bytes.count
            let odd = oddities[Int.random(in: 0..<oddities.count, using: &generator)]
            bytes.replaceSubrange(colon + 1..<max(stop, colon + 1), with: Array(odd.utf8))
        }
    }
    return bytes
}

extension SeededGenerator {
    /// `bytes` with some of them replaced, removed, doubled or cut off.
    public mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...6, using: &self) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &self)
            switch Int.random(in: 0..<5, using: &self) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &self)
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(bytes[place], at: place)
            case 3: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &self))
            default: bytes.removeSubrange(place...)
            }
        }
        return bytes
    }
}
