// SPDX-License-Identifier: Apache-2.0
public import EventLoop

extension BootClock {
    /// Seconds since boot, with three digits after the point.
    public static var seconds: String { text(self.microseconds) }

    /// A time since boot in seconds, with three digits after the point.
    public static func text(_ microseconds: Int64) -> String {
        let fraction = String(microseconds / 1000 % 1000)
        return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
