// SPDX-License-Identifier: Apache-2.0

/// One key, or every key from `start` up to but not including `end`.
public struct KeyRange: Sendable, Hashable {
    public let start: [UInt8]
    /// nil: the one key `start`.
    public let end: [UInt8]?

    public init(start: [UInt8], end: [UInt8]?) {
        self.start = start
        self.end = end
    }

    public static func key(_ key: String) -> KeyRange { KeyRange(start: Array(key.utf8), end: nil) }

    /// Every key that begins with `prefix`.
    public static func prefix(_ prefix: String) -> KeyRange {
        var end = Array(prefix.utf8)
        while let last = end.popLast() {
            if last < 0xFF {
                end.append(last + 1)
                return KeyRange(start: Array(prefix.utf8), end: end)
            }
        }
        // No prefix at all: etcd's range from the first key to the end of all keys.
        return KeyRange(start: [0], end: [0])
    }

    /// Every key from `first` to `last`, both included.
    public static func from(_ first: String, through last: String) -> KeyRange {
        KeyRange(start: Array(first.utf8), end: Array(last.utf8) + [0])
    }

    /// The fewest ranges that contain the same keys, in their order: what overlaps or touches is one.
    public static func joined(_ ranges: [KeyRange]) -> [KeyRange] {
        var joined: [KeyRange] = []
        for range in ranges.sorted(by: { $0.start.lexicographicallyPrecedes($1.start) }) {
            if let last = joined.last, let both = last.joined(with: range) {
                joined[joined.count - 1] = both
            } else {
                joined.append(range)
            }
        }
        return joined
    }

    /// With a range that does not begin before this one; nil: there are keys between them.
    private func joined(with later: KeyRange) -> KeyRange? {
        if self == later { return self }
        let (end, laterEnd) = (self.end ?? self.start + [0], later.end ?? later.start + [0])
        // etcd's end of all keys.
        if end == [0] { return self }
        guard !end.lexicographicallyPrecedes(later.start) else { return nil }
        let isLonger = laterEnd == [0] || end.lexicographicallyPrecedes(laterEnd)
        return KeyRange(start: self.start, end: isLonger ? laterEnd : end)
    }

    /// What is left of this range without the keys of `others`: in order, and disjoint.
    public func subtracting(_ others: [KeyRange]) -> [KeyRange] {
        var left = [self]
        for other in others { left = left.flatMap { $0.subtracting(other) } }
        return left
    }

    private func subtracting(_ other: KeyRange) -> [KeyRange] {
        let (end, otherEnd) = (self.end ?? self.start + [0], other.end ?? other.start + [0])
        let isBefore = otherEnd != [0] && !self.start.lexicographicallyPrecedes(otherEnd)
        let isBehind = end != [0] && !other.start.lexicographicallyPrecedes(end)
        if isBefore || isBehind { return [self] }
        var left: [KeyRange] = []
        if self.start.lexicographicallyPrecedes(other.start) {
            left.append(KeyRange(start: self.start, end: other.start))
        }
        if otherEnd != [0], end == [0] || otherEnd.lexicographicallyPrecedes(end) {
            left.append(KeyRange(start: otherEnd, end: end))
        }
        return left
    }

    public func contains(_ key: [UInt8]) -> Bool {
        guard let end = self.end else { return key == self.start }
        return !key.lexicographicallyPrecedes(self.start) && (end == [0] || key.lexicographicallyPrecedes(end))
    }
}
