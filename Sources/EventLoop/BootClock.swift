// SPDX-License-Identifier: Apache-2.0
import CLinux

/// Time since boot, suspend included (`CLOCK_BOOTTIME`): the one clock that deadlines are reckoned in.
public enum BootClock {
    /// Microseconds since boot, read now, never cached.
    public static var microseconds: Int64 { linux_boot_time_microseconds() }
}

/// Two clocks that stand still together while the machine is suspended, read one right after the other: microseconds.
public struct ClockPair: Hashable, Sendable {
    /// CLOCK_MONOTONIC, which time services speed up and slow down.
    public let corrected: Int64
    /// CLOCK_MONOTONIC_RAW, which nobody does.
    public let raw: Int64

    public init(corrected: Int64, raw: Int64) {
        self.corrected = corrected
        self.raw = raw
    }

    /// Nil where this process was interrupted in between, three times in a row.
    public static func read() -> ClockPair? {
        for _ in 0..<3 {
            let before = linux_clock_microseconds(CLOCK_MONOTONIC_RAW)
            let corrected = linux_clock_microseconds(CLOCK_MONOTONIC)
            let after = linux_clock_microseconds(CLOCK_MONOTONIC_RAW)
            if after - before < 100 { return ClockPair(corrected: corrected, raw: before) }
        }
        return nil
    }
}
