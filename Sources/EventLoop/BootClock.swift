// SPDX-License-Identifier: Apache-2.0
import CLinux

/// Time since boot, suspend included (`CLOCK_BOOTTIME`): the one clock that deadlines are reckoned in.
public enum BootClock {
    /// Microseconds since boot, read now, never cached.
    public static var microseconds: Int64 { linux_boot_time_microseconds() }
}
