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
        var elapsed = Duration.zero
        var alarms: [String] = []
        var outcome: ProbeOutcome
        do throws(HTTPError) {
            let response = try await self.http.send(request)
            elapsed = Instant.now - start
            outcome = Self.problem(response.body).map { .failed($0) } ?? .answered
            if case .failed = outcome, let errors = await self.errors(endpoint, timeout - elapsed) {
                alarms = Self.alarms(in: errors)
                // It has a leader, and nothing else against it.
                if !alarms.isEmpty, alarms.count == errors.count { outcome = .answered }
            }
        } catch {
            elapsed = Instant.now - start
            // What took the room were the answers of others.
            let reason = error.message.firstLine
            outcome = error.kind == .crowded ? .unasked(reason) : .failed(reason)
        }
        return EtcdEndpointFinding(
            endpoint: endpoint, outcome, elapsed: elapsed, isConfigured: isConfigured, alarms: alarms)
    }

    /// What an endpoint that calls itself unhealthy has against itself (`Status` of etcd's maintenance API, which takes no rights; from 3.4
    /// on); nil where it does not say.
    private func errors(_ endpoint: String, _ timeout: Duration) async -> [String]? {
        guard timeout > .zero else { return nil }
        var request = HTTPRequest(.post, endpoint + "/v3/maintenance/status")
        request.body = Array("{}".utf8)
        request.timeout = timeout
        request.connectTimeout = timeout
        request.bodyLimit = 4096
        request.tls = self.tls
        do throws(HTTPError) {
            return Self.errors(try await self.http.send(request).body)
        } catch { return nil }
    }

    nonisolated static func errors(_ body: [UInt8]) -> [String]? {
        JSON.parse(body, limit: 4096)?["errors"]?.array?.prefix(64).compactMap(\.string)
    }

    /// `memberID:8586… alarm:NOSPACE `: the names, each once.
    nonisolated static func alarms(in errors: [String]) -> [String] {
        errors.compactMap { error in
            guard let start = error.firstRange(of: "alarm:")?.upperBound else { return nil }
            let name = error[start...].prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }.prefix(40)
            return name.isEmpty ? nil : String(name)
        }
    }

    /// `{"health":"true"}`; etcd 3.4 says a boolean's name, later versions may add a reason.
    nonisolated static func problem(_ body: [UInt8]) -> String? {
        let json = JSON.parse(body, limit: 4096)
        if json?["health"]?.string == "true" || json?["health"]?.bool == true { return nil }
        guard json?["health"] != nil else { return "an unexpected answer to /health" }
        return json?["reason"]?.string.map { "unhealthy: \($0.firstLine)" } ?? "unhealthy"
    }
}
