// SPDX-License-Identifier: Apache-2.0
import Metrics

/// Which form of the metrics a header `Accept` asks for (RFC 9110, 12.5.1).
enum Negotiation {
    /// Parts of the header that are looked at.
    private static let limit = 32

    /// OpenMetrics where it is preferred to plain text; Prometheus's own text for all others.
    static func exposition(_ accept: String?) -> Exposition {
        var (open, text) = (0.0, 0.0)
        for range in (accept ?? "*/*").split(separator: ",").prefix(self.limit) {
            let parts = range.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            guard let type = parts.first else { continue }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
            switch type {
            case "application/openmetrics-text":
                // Of its versions this is the one that is written here.
                let version = parts.dropFirst().first { $0.hasPrefix("version=") }?.dropFirst("version=".count)
                if version == nil || version == "1.0.0" { open = max(open, quality) }
            case "text/plain", "text/*", "*/*": text = max(text, quality)
            default: break  // Nothing that is had here.
            }
        }
        return open > 0 && open >= text ? .openMetrics : .prometheus
    }
}
