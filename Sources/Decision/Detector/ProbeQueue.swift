// SPDX-License-Identifier: Apache-2.0

/// Who is to be probed when. All are probed at the same pace, so that the first in the queue is always due first, and a turn
/// costs the same however many there are.
struct ProbeQueue: Sendable {
    private var entries: [(member: MemberID, due: Instant)] = []
    private var head = 0

    var next: Instant? { self.head < self.entries.count ? self.entries[self.head].due : nil }

    /// Puts a member where it belongs: at the end, as a rule.
    mutating func put(_ member: MemberID, due: Instant) {
        guard self.head < self.entries.count, due < self.entries[self.entries.count - 1].due else {
            return self.entries.append((member, due))
        }
        var (low, high) = (self.head, self.entries.count)
        while low < high {
            let middle = (low + high) / 2
            if self.entries[middle].due <= due { low = middle + 1 } else { high = middle }
        }
        self.entries.insert((member, due), at: low)
    }

    /// Takes the first out if it is due.
    mutating func pop(at now: Instant) -> (member: MemberID, due: Instant)? {
        guard self.head < self.entries.count, self.entries[self.head].due <= now else { return nil }
        defer {
            self.head += 1
            if self.head > 64, self.head * 2 > self.entries.count {
                self.entries.removeFirst(self.head)
                self.head = 0
            }
        }
        return self.entries[self.head]
    }
}
