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

    public func contains(_ key: [UInt8]) -> Bool {
        guard let end = self.end else { return key == self.start }
        return !key.lexicographicallyPrecedes(self.start) && (end == [0] || key.lexicographicallyPrecedes(end))
    }
}
