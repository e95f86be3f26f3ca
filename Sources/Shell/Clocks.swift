// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Glibc

extension Instant {
    /// Now, read from the clock at this very moment.
    static var now: Instant { Instant(sinceBoot: .microseconds(BootClock.microseconds)) }

    /// Microseconds since boot; at most what 200,000 years have.
    var microseconds: Int64 {
        let most: Duration = .seconds(200_000 * 365 * 86_400)
        let (seconds, attoseconds) = min(max(self.sinceBoot, .zero), most).components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}

/// For what people read; nothing is decided by it.
enum WallClock {
    /// Seconds since 1970.
    static var seconds: Int64 { Int64(time(nil)) }
    /// Milliseconds since 1970.
    static var milliseconds: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    }
}
