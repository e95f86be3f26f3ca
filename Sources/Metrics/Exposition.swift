// SPDX-License-Identifier: Apache-2.0

/// What is measured under one name, and what it is; names and units by https://prometheus.io/docs/practices/naming.
public struct MetricFamily: Sendable {
    public enum Kind: Sendable {
        case gauge
        /// Grows, and begins anew with the process. Its name ends in `_total`.
        case counter
        /// A constant 1; its labels say it. Its name ends in `_info`.
        case info
    }

    public struct Sample: Sendable {
        public let labels: [(name: String, value: String)]
        public let value: Double

        public init(_ labels: [(name: String, value: String)], _ value: Double) {
            (self.labels, self.value) = (labels, value)
        }
    }

    public let name: String
    public let kind: Kind
    /// One sentence, without its end.
    public let help: String
    public var samples: [Sample]

    public init(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        (self.name, self.kind, self.help, self.samples) = (name, kind, help, samples)
    }
}

/// How families are written for a collector.
public enum Exposition: Sendable {
    /// Prometheus's text format 0.0.4.
    case prometheus
    /// OpenMetrics 1.0 (https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md).
    case openMetrics

    public var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// Families without a sample are left out.
    public func text(_ families: [MetricFamily]) -> String {
        var text = ""
        for family in families where !family.samples.isEmpty {
            let (name, type) = self.heading(family)
            text += "# HELP \(name) \(self.escaped(family.help))\n# TYPE \(name) \(type)\n"
            for sample in family.samples {
                text += family.name + Self.labels(sample) + " \(Self.number(sample.value))\n"
            }
        }
        return text + (self == .openMetrics ? "# EOF\n" : "")
    }

    /// In OpenMetrics a family's name lacks what its samples' names end in.
    private func heading(_ family: MetricFamily) -> (name: String, type: String) {
        func without(_ suffix: String) -> String {
            family.name.hasSuffix(suffix) ? String(family.name.dropLast(suffix.count)) : family.name
        }
        switch (family.kind, self) {
        case (.gauge, _): return (family.name, "gauge")
        case (.counter, .prometheus): return (family.name, "counter")
        case (.counter, .openMetrics): return (without("_total"), "counter")
        case (.info, .prometheus): return (family.name, "gauge")
        case (.info, .openMetrics): return (without("_info"), "info")
        }
    }

    private static func labels(_ sample: MetricFamily.Sample) -> String {
        guard !sample.labels.isEmpty else { return "" }
        let pairs = sample.labels.map { "\($0.name)=\"\(self.escaped($0.value, quotes: true))\"" }
        return "{" + pairs.joined(separator: ",") + "}"
    }

    private func escaped(_ help: String) -> String { Self.escaped(help, quotes: self == .openMetrics) }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)  // Stands for itself.
            }
        }
        return escaped
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}
