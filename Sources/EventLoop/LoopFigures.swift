// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// How long the turns of the loop took: in each it acts on what has come, and nothing else happens meanwhile.
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

    /// Turns since the start.
    public private(set) var count = 0
    public private(set) var longest: Turn?
    private var begin: (time: Int64, processor: Int64)?

    mutating func turnBegins() {
        self.begin = (BootClock.microseconds, linux_clock_microseconds(CLOCK_THREAD_CPUTIME_ID))
    }

    mutating func turnEnds() {
        guard let begin = self.begin.take() else { return }
        self.count += 1
        let now = BootClock.microseconds
        guard now - begin.time > self.longest?.duration ?? 0 else { return }
        self.longest = Turn(
            duration: now - begin.time,
            onProcessor: linux_clock_microseconds(CLOCK_THREAD_CPUTIME_ID) - begin.processor, endedAt: now)
    }
}
