// SPDX-License-Identifier: Apache-2.0

/// How long the turns of the loop took: in each it acts on what has come, and nothing else happens meanwhile. A value: it reads
/// no clock.
///
/// The longest turn since the start says nothing any more after one bad turn at boot; the one of the last minutes does.
public struct LoopFigures: Sendable {
    /// A turn that took long.
    public struct Turn: Hashable, Sendable {
        /// From its begin to its end, in microseconds.
        public let duration: Int64
        /// Of these on the processor; the rest was spent waiting, for the processor too.
        public let onProcessor: Int64
        /// When it ended, in microseconds since boot.
        public let endedAt: Int64
    }

    /// The longest turn that ended in one span of ``slot`` microseconds.
    private struct Slot: Sendable {
        let number: Int64
        var longest: Turn
    }

    /// How long ago a turn may have ended to be one of the last ones, in microseconds: 10 minutes. (Of a slot that is partly older
    /// the longest turn is told, so that it may have ended up to one slot earlier.)
    public static let window: Int64 = slot * 10
    /// The span whose longest turn is remembered, in microseconds: a minute.
    static let slot: Int64 = 60_000_000

    /// Turns since the start.
    public private(set) var count = 0
    /// The longest turn since the start.
    public private(set) var longest: Turn?
    /// Oldest first; no more than the window touches.
    private var slots: [Slot] = []
    private var begin: (time: Int64, processor: Int64)?

    /// The longest turn of the last 10 minutes before `now`, in microseconds since boot; nil: none has ended.
    public func longestLately(at now: Int64) -> Turn? {
        let oldest = Self.oldestSlot(at: now)
        return self.slots.filter { $0.number >= oldest }.map(\.longest).max { $0.duration < $1.duration }
    }

    /// A turn begins: `now` in microseconds since boot, `processor` of the thread's time on the processor.
    mutating func turnBegins(at now: Int64, processor: Int64) { self.begin = (now, processor) }

    /// The turn that has begun ends.
    mutating func turnEnds(at now: Int64, processor: Int64) {
        guard let begin = self.begin.take() else { return }
        self.count += 1
        let turn = Turn(duration: now - begin.time, onProcessor: processor - begin.processor, endedAt: now)
        if turn.duration > self.longest?.duration ?? 0 { self.longest = turn }
        let number = now / Self.slot
        if let last = self.slots.indices.last, self.slots[last].number == number {
            if turn.duration > self.slots[last].longest.duration { self.slots[last].longest = turn }
            return
        }
        let oldest = Self.oldestSlot(at: now)
        self.slots.removeAll { $0.number < oldest }
        self.slots.append(Slot(number: number, longest: turn))
    }

    private static func oldestSlot(at now: Int64) -> Int64 { (now - self.window) / self.slot }
}
