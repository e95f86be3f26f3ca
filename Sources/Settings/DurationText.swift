// SPDX-License-Identifier: Apache-2.0

/// Durations as a person writes them: a whole number and a unit, `500ms`, `2s`, `1m` or `1h`.
enum DurationText {
    /// No setting waits longer than this.
    static let longest = Duration.seconds(24 * 3600)
    static let expectation = "a duration such as 500ms, 2s or 1m"

    /// Nil for anything else, for more than ``longest``, and for a number without a unit.
    static func parse(_ text: String) -> Duration? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard digits.utf8.count <= 9, let number = Int(digits) else { return nil }
        let milliseconds: Int
        switch text.dropFirst(digits.count) {
        case "ms": milliseconds = 1
        case "s": milliseconds = 1000
        case "m": milliseconds = 60_000
        case "h": milliseconds = 3_600_000
        default: return nil  // text, not cases of ours
        }
        let duration = Duration.milliseconds(number * milliseconds)
        return duration <= self.longest ? duration : nil
    }

    /// The shortest text that ``parse(_:)`` reads as the same duration.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if attoseconds != 0 { return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms" }
        if seconds > 0, seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        if seconds > 0, seconds % 60 == 0 { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }
}
