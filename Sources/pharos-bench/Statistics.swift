// SPDX-License-Identifier: Apache-2.0

/// Durations in milliseconds, summed up.
struct Statistics {
    let count: Int
    let minimum: Double
    let median: Double
    let p99: Double
    let maximum: Double

    /// nil where nothing was measured. The 99th percentile is the nearest rank, which is the maximum below 100 values.
    init?(_ values: [Double]) {
        let sorted = values.sorted()
        guard let first = sorted.first, let last = sorted.last else { return nil }
        self.count = sorted.count
        self.minimum = first
        self.maximum = last
        let middle = sorted.count / 2
        self.median = sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
        self.p99 = sorted[max(0, (sorted.count * 99 + 99) / 100 - 1)]
    }

    var json: String {
        "{\"count\": \(self.count), \"min\": \(decimal(self.minimum)), \"median\": \(decimal(self.median)), "
            + "\"p99\": \(decimal(self.p99)), \"max\": \(decimal(self.maximum))}"
    }

    /// Cells of a table: median, p99, min, max.
    var cells: [String] { [self.median, self.p99, self.minimum, self.maximum].map { decimal($0) } }
}

/// A number with two digits after the point.
func decimal(_ value: Double) -> String {
    let hundredths = Int((value.magnitude * 100).rounded())
    let fraction = hundredths % 100
    let sign = value < 0 && hundredths > 0 ? "-" : ""
    return "\(sign)\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
}
