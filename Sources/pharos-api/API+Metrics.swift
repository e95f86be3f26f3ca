// SPDX-License-Identifier: Apache-2.0
import Metrics
import Settings
import WebServer

/// The API's own figures, beside those of the daemon.
extension API {
    /// The answers that there can be: each has its series from the start.
    private static let statuses: [UInt32] = [200, 202, 304, 400, 401, 403, 404, 405, 409, 413, 415, 429, 503]

    var ownFamilies: [MetricFamily] {
        typealias Sample = MetricFamily.Sample
        let handshakes = self.handshakes()
        var families = [
            MetricFamily(
                "pharos_api_answers_total", .counter, "Requests that the API has answered, by HTTP status",
                Self.statuses.map { Sample([("status", "\($0)")], Double(self.answers[$0] ?? 0)) }),
            MetricFamily(
                "pharos_api_refusals_total", .counter,
                "Requests and connections that the API has refused for who sent them, or how often",
                [Sample([], Double(self.refusalCount))]),
            MetricFamily(
                "pharos_api_handshakes_total", .counter, "TLS handshakes that were begun",
                [Sample([], Double(handshakes.begun))]),
            MetricFamily(
                "pharos_api_handshakes_refused_total", .counter, "Connections closed before their TLS handshake",
                [Sample([], Double(handshakes.refused))]),
            MetricFamily(
                "pharos_api_daemon_questions_total", .counter, "Questions that the API has sent to the daemon",
                [Sample([], Double(self.daemon.count))]),
        ]
        if self.settings.tls != nil, let pair = TLSIdentity.current {
            families.append(
                MetricFamily(
                    "pharos_api_certificate_not_after_timestamp_seconds", .gauge, "When the API's certificate ends",
                    [Sample([], Double(pair.validUntil))]))
        }
        guard let cluster = self.cluster else { return families }
        return families.map { family in
            var family = family
            family.samples = family.samples.map { Sample([("cluster", cluster)] + $0.labels, $0.value) }
            return family
        }
    }
}
