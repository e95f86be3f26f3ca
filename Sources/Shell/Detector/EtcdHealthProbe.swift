// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import HTTPClient
import LenientJSON

/// Asks every endpoint of etcd for its health (`GET /health`), which takes no rights: an endpoint is healthy that has a leader and
/// can reach agreement.
@EventLoop
struct EtcdHealthProbe {
    let http: HTTPClient
    /// Those of the configuration, and behind them those that etcd has told; none that belongs to another cluster.
    let endpoints: @EventLoop () -> [(url: String, isConfigured: Bool)]
    let tls: TLSFiles?

    nonisolated static let limit = 16

    func ask(timeout: Duration) async -> [EtcdEndpointFinding] {
        let tasks = self.endpoints().prefix(Self.limit).map { endpoint in
            EventLoop.task { await self.ask(endpoint.url, isConfigured: endpoint.isConfigured, timeout) }
        }
        var findings: [EtcdEndpointFinding] = []
        for task in tasks { findings.append(await task.value) }
        return findings
    }

    private func ask(_ endpoint: String, isConfigured: Bool, _ timeout: Duration) async -> EtcdEndpointFinding {
        var request = HTTPRequest(.get, endpoint + "/health")
        request.timeout = timeout
        request.connectTimeout = timeout
        request.bodyLimit = 4096
        request.tls = self.tls
        let start = Instant.now
        let outcome: ProbeOutcome
        do throws(HTTPError) {
            let response = try await self.http.send(request)
            outcome = Self.problem(response.body).map { .failed($0) } ?? .answered
        } catch {
            // What took the room were the answers of others.
            let reason = error.message.firstLine
            outcome = error.kind == .crowded ? .unasked(reason) : .failed(reason)
        }
        return EtcdEndpointFinding(
            endpoint: endpoint, outcome, elapsed: Instant.now - start, isConfigured: isConfigured)
    }

    /// `{"health":"true"}`; etcd 3.4 says a boolean's name, later versions may add a reason.
    nonisolated static func problem(_ body: [UInt8]) -> String? {
        let json = JSON.parse(body, limit: 4096)
        if json?["health"]?.string == "true" || json?["health"]?.bool == true { return nil }
        guard json?["health"] != nil else { return "an unexpected answer to /health" }
        return json?["reason"]?.string.map { "unhealthy: \($0.firstLine)" } ?? "unhealthy"
    }
}
