// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Times as files and people have them: `2027-01-31T12:00:00Z`.
public enum UTCTime {
    /// Of seconds since 1970; years from 1970 to 9999.
    public static func text(_ seconds: Int64) -> String {
        var (time, parts) = (min(max(Int(seconds), 0), 253_402_300_799), tm())
        gmtime_r(&time, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
    }

    /// Nil for what ``text(_:)`` would not write.
    public static func seconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 20 else { return nil }
        func number(_ range: Range<Int>) -> Int32? { Int32(String(decoding: bytes[range], as: UTF8.self)) }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19)
        else { return nil }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (year - 1900, month - 1, day)
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, second)
        let seconds = Int64(timegm(&parts))
        // What is no date, or stands there otherwise, does not come back as it was.
        return self.text(seconds) == text ? seconds : nil
    }

    /// Now, in seconds since 1970.
    public static var now: Int64 { Int64(time(nil)) }
}
