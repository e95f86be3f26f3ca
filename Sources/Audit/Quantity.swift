// SPDX-License-Identifier: Apache-2.0

/// Figures as people read them.
enum Quantity {
    /// `16 MiB`.
    static func bytes(_ count: Int64) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var (value, index) = (Double(count), 0)
        while abs(value) >= 1024, index < units.count - 1 {
            value /= 1024
            index += 1
        }
        return index == 0 ? "\(count) bytes" : "\(self.short(value)) \(units[index])"
    }

    /// `90 s`, `12 min`, `5 h`, `3 days`.
    static func seconds(_ count: Double) -> String {
        switch count {
        case ..<120: "\(self.short(count)) s"
        case ..<7200: "\(self.short(count / 60)) min"
        case ..<172_800: "\(self.short(count / 3600)) h"
        default: count < 86_400 * 3650 ? "\(self.short(count / 86_400)) days" : "more than 10 years"  // Numbers.
        }
    }

    /// One place behind the point below 10, none above.
    static func short(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "?" }
        if abs(value) >= 10 { return "\(Int64(value.rounded()))" }
        let tenths = Int64((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(Double(tenths) / 10)"
    }

    static func percent(_ part: Double) -> String { "\(self.short(part * 100)) %" }
}
