// SPDX-License-Identifier: Apache-2.0

/// The endpoints of a cluster: which one is in use, and which have failed lately. A pure value; times are microseconds
/// since boot.
///
/// Those of the configuration come first and stay. Behind them come those that etcd itself has told, at most
/// ``learnedLimit``, which come and go. An endpoint keeps its number, which no other ever has: what is under way when the list
/// changes is about the same endpoint afterwards.
package struct EndpointList: Equatable {
    package struct Endpoint: Equatable {
        package let number: Int
        package let url: String
        package var isConfigured: Bool
        /// The path under which this endpoint serves the API, once known.
        package var prefix: String?
        /// Failures since the last success; a burst within one backoff counts once.
        package var failures = 0
        /// It has answered once, for the cluster that is followed.
        package var hasSucceeded = false
        /// When it should be tried again.
        package var retryAt: Int64 = 0
    }

    /// Microseconds for which an endpoint that fails is left alone: after its first failure in a row, its second, and so on.
    private static let pauses: [Int64] = [100_000, 200_000, 400_000, 800_000, 1_600_000, 2_000_000]
    package static let learnedLimit = 16

    package private(set) var endpoints: [Endpoint]
    /// The number of the one in use; meaningless if there are none.
    package private(set) var current = 0
    private var next: Int
    /// The URLs of those that belong to another cluster: they are the last to be tried, whatever fails.
    private var foreign: Set<String> = []

    /// `jitter` (0..<1) chooses the first endpoint to use.
    package init(_ urls: [String], jitter: Double) {
        self.endpoints = urls.enumerated().map { Endpoint(number: $0.offset, url: $0.element, isConfigured: true) }
        self.next = urls.count
        if !urls.isEmpty { self.current = min(urls.count - 1, max(0, Int(jitter * Double(urls.count)))) }
    }

    /// One that has gone from the list has no URL: nothing can be sent there.
    package subscript(number: Int) -> Endpoint {
        self.place(of: number).map { self.endpoints[$0] } ?? Endpoint(number: number, url: "", isConfigured: false)
    }

    private func place(of number: Int) -> Int? { self.endpoints.firstIndex { $0.number == number } }

    /// What etcd tells now, instead of what it told before. The endpoint in use stays for as long as it works: a member that
    /// lags behind may tell an old list.
    package mutating func learn(_ urls: [String]) {
        self.endpoints.removeAll { endpoint in
            let isInUse = endpoint.number == self.current && endpoint.failures == 0
            return !endpoint.isConfigured && !isInUse && !urls.contains(endpoint.url)
        }
        for url in urls where !self.endpoints.contains(where: { $0.url == url }) {
            guard self.endpoints.count(where: { !$0.isConfigured }) < Self.learnedLimit else { break }
            self.endpoints.append(Endpoint(number: self.next, url: url, isConfigured: false))
            self.next += 1
        }
        // In the order given: what is most likely to answer is tried first.
        let configured = self.endpoints.filter(\.isConfigured)
        let learned = urls.compactMap { url in self.endpoints.first { $0.url == url && !$0.isConfigured } }
        let others = self.endpoints.filter { !$0.isConfigured && !urls.contains($0.url) }
        self.endpoints = configured + learned + others
        guard self.place(of: self.current) == nil, let first = self.endpoints.first else { return }
        self.current = first.number
    }

    /// Those of the configuration were found anew, such as by DNS. The endpoint in use stays for as long as it works, if it ever did.
    package mutating func configure(_ urls: [String]) {
        self.endpoints.removeAll { endpoint in
            let isInUse = endpoint.number == self.current && endpoint.failures == 0 && endpoint.hasSucceeded
            return endpoint.isConfigured && !isInUse && !urls.contains(endpoint.url)
        }
        for place in self.endpoints.indices {
            self.endpoints[place].isConfigured = urls.contains(self.endpoints[place].url)
        }
        for url in urls where !self.endpoints.contains(where: { $0.url == url }) {
            self.endpoints.append(Endpoint(number: self.next, url: url, isConfigured: true))
            self.next += 1
        }
        let configured = urls.compactMap { url in self.endpoints.first { $0.url == url } }
        // The one in use comes first of the others: it is not cut off.
        let others = self.endpoints.filter { !$0.isConfigured }
        let inUse = others.filter { $0.number == self.current }
        let rest = others.filter { $0.number != self.current }
        self.endpoints = configured + (inUse + rest).prefix(Self.learnedLimit)
        guard self.place(of: self.current) == nil, let first = self.endpoints.first else { return }
        self.current = first.number
    }

    package func isForeign(_ number: Int) -> Bool { self.foreign.contains(self[number].url) }

    package mutating func setForeign(_ urls: Set<String>, now: Int64) {
        self.foreign = urls
        if self.isForeign(self.current) { self.current = self.best(without: [], now: now) ?? self.current }
    }

    package mutating func setPrefix(_ prefix: String?, of number: Int) {
        if let place = self.place(of: number) { self.endpoints[place].prefix = prefix }
    }

    package mutating func succeeded(_ number: Int, now: Int64) {
        guard let place = self.place(of: number) else { return }
        self.endpoints[place].failures = 0
        self.endpoints[place].hasSucceeded = true
        self.endpoints[place].retryAt = 0
        // Everyone moves here if what is in use has failed meanwhile.
        if self[self.current].retryAt > now { self.current = number }
    }

    /// Notes a failure; if the endpoint is the one in use, another becomes it, where there is another.
    package mutating func failed(_ number: Int, now: Int64, jitter: Double) {
        guard let place = self.place(of: number) else { return }
        if self.endpoints[place].retryAt <= now {
            self.endpoints[place].failures += 1
            let pause = Self.pauses[min(self.endpoints[place].failures, Self.pauses.count) - 1]
            self.endpoints[place].retryAt = now + Int64(Double(pause) * (0.5 + jitter))
        }
        if number == self.current { self.current = self.best(without: [number], now: now) ?? number }
    }

    /// The endpoint to try, of another cluster only where no other is left: the one in use unless excluded, then the next one that
    /// may be tried, then whichever may be tried soonest.
    package func best(without excluded: Set<Int>, now: Int64) -> Int? {
        let (count, first) = (self.endpoints.count, self.place(of: self.current) ?? 0)
        let order = (0..<count).map { self.endpoints[(first + $0) % count] }.filter { !excluded.contains($0.number) }
        let own = order.filter { !self.foreign.contains($0.url) }
        let choices = own.isEmpty ? order : own
        if choices.first?.number == self.current { return self.current }
        return (choices.first { $0.retryAt <= now } ?? choices.min { $0.retryAt < $1.retryAt })?.number
    }

    /// Microseconds until the endpoint in use should be tried.
    package func delay(now: Int64) -> Int64 { max(0, self[self.current].retryAt - now) }
}
