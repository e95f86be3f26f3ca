// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// How fast this node's clock is made to run, told by comparing it with one that nobody corrects.
///
/// CLOCK_BOOTTIME, by which leases are reckoned, and the kernel's own timers follow what a time service tells the kernel;
/// CLOCK_MONOTONIC_RAW does not. (adjtimex(2) would say the same, but the unit may not call it: `ProtectClock=`.)
struct ClockRate {
    private var last: ClockPair?
    private var told = 0

    /// Below this difference nothing is told: parts per million.
    private static let step = 1000
    /// Two readings so close together say nothing: microseconds.
    private static let shortest: Int64 = 200_000

    /// The rate since the call before, in parts per million beyond 1, negative where the clock was slow; nil: as told before,
    /// or not known.
    mutating func measure() -> Int? { ClockPair.read().flatMap { self.measure($0) } }

    mutating func measure(_ now: ClockPair) -> Int? {
        guard let last = self.last else {
            self.last = now
            return nil
        }
        let raw = now.raw - last.raw
        guard raw >= Self.shortest else { return nil }
        self.last = now
        let excess = Int(((Double(now.corrected - last.corrected) / Double(raw) - 1) * 1_000_000).rounded())
        guard abs(excess - self.told) >= Self.step else { return nil }
        self.told = excess
        return excess
    }
}
