// SPDX-License-Identifier: Apache-2.0
public import EtcdValues
public import EventLoop
public import HTTPClient
import LenientJSON

/// etcd's v3 API over its JSON gateway, for etcd 3.2 to 3.6.
///
/// Responsibility: which endpoint to use, and whether a request may be sent again. All requests and watches use the same
/// endpoint; one that cannot be reached, does not answer in time or has no leader is left for the next one, and the
/// watches on it are ended. A range, keep-alive or revocation is then repeated elsewhere; a transaction or a grant only
/// if it certainly did not take place, else it ends with `.outcomeUnknown`.
///
/// Leaves out: anything that is not linearizable, and resuming a watch, which needs what only the caller knows.
@EventLoop
public final class EtcdClient {
    private(set) var configuration: EtcdConfiguration
    let http: HTTPClient
    let jitter: () -> Double
    var endpoints: EndpointList
    var token = Token.unknown
    /// The questions for a token that are under way, by endpoint.
    var renewals: [Int: Task<Failure?, Never>] = [:]
    var watches: [ObjectIdentifier: RunningWatch] = [:]
    /// Is called whenever an endpoint is blamed for a failure.
    public var endpointFailed: () -> Void = {}
    /// Endpoints are being looked up: a request that finds none waits for them, within its own time.
    public var isAwaitingEndpoints = false
    /// Nil: whatever answers is believed.
    let clusters: EtcdClusters?

    enum Token: Equatable { case unknown, valid(String), notNeeded }

    /// - Parameters:
    ///   - clusters: which cluster's answers are believed; nil: any.
    ///   - jitter: answers numbers in 0..<1: for the endpoint to begin with and for backoffs.
    public init(
        _ configuration: EtcdConfiguration, http: HTTPClient, clusters: EtcdClusters? = nil,
        jitter: @escaping () -> Double
    ) {
        self.configuration = configuration
        self.clusters = clusters
        self.http = http
        self.jitter = jitter
        let scheme = configuration.tls == nil ? "http" : "https"
        let urls = configuration.endpoints.map { endpoint in
            let url = endpoint.contains("://") ? endpoint : "\(scheme)://\(endpoint)"
            return url.hasSuffix("/") ? String(url.dropLast()) : url
        }
        self.endpoints = EndpointList(urls, jitter: jitter())
        clusters?.observe { [weak self] in self?.clustersChanged() }
        self.clustersChanged()
    }

    /// Bytes that the lines of all watches may be together which have not ended.
    package nonisolated static let unfinishedLimit = 16 << 20
    var unfinished = 0

    /// The URL of the endpoint in use; empty if none is configured.
    public var currentEndpoint: String {
        self.endpoints.endpoints.isEmpty ? "" : self.endpoints[self.endpoints.current].url
    }

    /// From now on requests have the time limits of `configuration`, of which nothing else is taken over.
    public func setLimits(as configuration: EtcdConfiguration) {
        self.configuration.requestTimeout = configuration.requestTimeout
        self.configuration.attemptTimeout = configuration.attemptTimeout
    }

    /// Leaves the endpoint in use, which the caller found to be stale: later requests and watches go elsewhere, running
    /// watches end.
    public func dropCurrentEndpoint(_ reason: String) {
        guard !self.endpoints.endpoints.isEmpty else { return }
        var failure = Failure(.unreachable, reason)
        failure.blamesEndpoint = true
        self.blame(self.endpoints.current, failure)
    }

    /// The keys of `range`, at most `limit` (0: all), as of now: linearizable.
    public func range(_ range: KeyRange, limit: Int = 0) async throws(EtcdError) -> RangeResponse {
        try await self.call("/kv/range", GatewayEncoding.range(range, limit: limit), isRepeatable: true, isRead: true) {
            answer throws(MalformedAnswer) in try GatewayDecoding.range(answer, of: range)
        }
    }

    public func commit(_ transaction: Transaction) async throws(EtcdError) -> TransactionResponse {
        try await self.call(
            "/kv/txn", GatewayEncoding.transaction(transaction), isRepeatable: transaction.isReadOnly,
            isRead: transaction.isReadOnly
        ) {
            answer throws(MalformedAnswer) in try GatewayDecoding.transaction(answer, of: transaction)
        }
    }

    /// A new lease. After `.outcomeUnknown` there may be one that nobody knows; it ends by itself.
    public func grantLease(seconds: Int64) async throws(EtcdError) -> LeaseGrant {
        try await self.call("/lease/grant", GatewayEncoding.grant(seconds: seconds), isRepeatable: false) {
            answer throws(MalformedAnswer) in try GatewayDecoding.grant(answer)
        }
    }

    /// Renews a lease: its time starts anew, not before this call began.
    public func keepAlive(_ lease: Int64) async throws(EtcdError) -> LeaseKeepAlive {
        try await self.call("/lease/keepalive", GatewayEncoding.lease(lease), isRepeatable: true) {
            answer throws(MalformedAnswer) in try GatewayDecoding.keepAlive(answer, of: lease)
        }
    }

    /// Ends a lease and deletes its keys. `.leaseNotFound` if it had ended before.
    public func revokeLease(_ lease: Int64) async throws(EtcdError) {
        var wasRepeated = false
        do throws(EtcdError) {
            _ = try await self.call(
                "/lease/revoke",
                GatewayEncoding.lease(lease),
                isRepeatable: true,
                onRepetition: { wasRepeated = true }
            ) { answer throws(MalformedAnswer) in try GatewayDecoding.header(answer) }
        } catch {
            // Gone, and perhaps by our own first attempt.
            guard error.kind == .leaseNotFound, wasRepeated else { throw error }
        }
    }
}
