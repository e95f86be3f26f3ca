// SPDX-License-Identifier: Apache-2.0

/// The endpoints of a cluster: which one is in use, and which have failed lately. A pure value; times are microseconds
/// since boot.
struct EndpointList: Equatable {
    struct Endpoint: Equatable {
        let url: String
        /// The path under which this endpoint serves the API, once known.
        var prefix: String?
        /// Failures since the last success; a burst within one backoff counts once.
        var failures = 0
        /// When it should be tried again.
        var retryAt: Int64 = 0
    }

    /// Microseconds for which an endpoint that fails is left alone: after its first failure in a row, its second, and so on.
    private static let pauses: [Int64] = [100_000, 200_000, 400_000, 800_000, 1_600_000, 2_000_000]

    private(set) var endpoints: [Endpoint]
    /// An index into `endpoints`; meaningless if there are none.
    private(set) var current = 0

    /// `jitter` (0..<1) chooses the first endpoint to use.
    init(_ urls: [String], jitter: Double) {
        self.endpoints = urls.map { Endpoint(url: $0) }
        if !urls.isEmpty { self.current = min(urls.count - 1, max(0, Int(jitter * Double(urls.count)))) }
    }

    subscript(index: Int) -> Endpoint { self.endpoints[index] }

    mutating func setPrefix(_ prefix: String?, of index: Int) { self.endpoints[index].prefix = prefix }

    mutating func succeeded(_ index: Int, now: Int64) {
        self.endpoints[index].failures = 0
        self.endpoints[index].retryAt = 0
        // Everyone moves here if what is in use has failed meanwhile.
        if self.endpoints[self.current].retryAt > now { self.current = index }
    }

    /// Notes a failure; if the endpoint is the one in use, another becomes it, where there is another.
    mutating func failed(_ index: Int, now: Int64, jitter: Double) {
        if self.endpoints[index].retryAt <= now {
            self.endpoints[index].failures += 1
            let pause = Self.pauses[min(self.endpoints[index].failures, Self.pauses.count) - 1]
            self.endpoints[index].retryAt = now + Int64(Double(pause) * (0.5 + jitter))
        }
        if index == self.current { self.current = self.best(without: [index], now: now) ?? index }
    }

    /// The endpoint to try: the one in use unless excluded, then the next one that may be tried, then whichever may be
    /// tried soonest.
    func best(without excluded: Set<Int>, now: Int64) -> Int? {
        let count = self.endpoints.count
        let order = (0..<count).map { (self.current + $0) % count }.filter { !excluded.contains($0) }
        if order.first == self.current { return self.current }
        return order.first { self.endpoints[$0].retryAt <= now }
            ?? order.min { self.endpoints[$0].retryAt < self.endpoints[$1].retryAt }
    }

    /// Microseconds until the endpoint in use should be tried.
    func delay(now: Int64) -> Int64 { max(0, self.endpoints[self.current].retryAt - now) }
}
