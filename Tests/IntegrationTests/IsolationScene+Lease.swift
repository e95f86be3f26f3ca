// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed
import TestSupport
import Testing

/// What this node's lease is seen by: the kernel's account of the address, systemd's of the pings, the proxy's of the renewals.
extension IsolationScene {
    /// The kernel's own account: each address that came, was renewed or went, in this order.
    var kernelNews: [Substring] {
        String(decoding: self.folder.read("addresses"), as: UTF8.self).split(separator: "\n")
            .filter { $0.contains(" \(Self.address)/") }
    }

    func hasAddress() async throws -> Bool {
        try await self.node.ip("-o", "address", "show", "dev", self.interface).contains(" \(Self.address)/")
    }

    /// The leader key names this node; waits for the address. From here on it must stay.
    func lead(_ key: String = "/service/demo/leader", within limit: Duration = .seconds(30)) async throws {
        try await self.put([(key, "n1")])
        try await self.follow(within: limit)
    }

    /// Waits for the address, which must stay from here on.
    func follow(within limit: Duration = .seconds(30)) async throws {
        let isHere = try await eventually(within: limit) {
            guard let last = self.kernelNews.last, !last.hasPrefix("Deleted") else { return false }
            return try await self.hasAddress()
        }
        try #require(isHere, "no address: \(self.log)")
        (self.beganAt, self.newsBefore) = (.now, self.kernelNews.count)
    }

    func wait(_ duration: Duration) async throws { try await EventLoop.sleep(for: duration) }

    /// The largest distance between neighbors, from the beginning to now.
    private func largestGap(_ instants: [ContinuousClock.Instant]) -> Duration {
        let all = [self.beganAt] + instants.filter { $0 > self.beganAt } + [.now]
        return zip(all, all.dropFirst()).map { $1 - $0 }.max() ?? .zero
    }

    /// That since ``follow()`` the address has been here, systemd had no reason to kill, and the lease was renewed; `readable`:
    /// whether the proxy can read the requests to etcd.
    func expectLease(readable: Bool = true, _ location: SourceLocation = #_sourceLocation) async throws {
        let isThere = try await self.hasAddress()
        let news = self.kernelNews.dropFirst(self.newsBefore)
        let gone = news.filter { $0.hasPrefix("Deleted") }
        #expect(isThere && gone.isEmpty, "\(gone)\n\(self.log)", sourceLocation: location)
        let passed = ContinuousClock.now - self.beganAt
        // The daemon renews six times in a TTL, and tells the kernel when that gains a sixth of what is left.
        #expect(
            news.count > Int(passed / Self.ttl), "renewed \(news.count) times in \(passed)", sourceLocation: location)
        let silence = self.largestGap(self.pings(since: self.beganAt))
        #expect(silence < Self.watchdog, "\(silence) without a ping", sourceLocation: location)
        var line = "in \(passed): \(news.count) renewals in the kernel, pings \(silence) apart at most"
        if readable {
            let requests = self.proxies.flatMap(\.requests).filter {
                $0.begunAt > self.beganAt && $0.path != "/v3/watch"
            }
            let renewals = requests.filter { $0.path == "/v3/lease/keepalive" }.compactMap(\.answeredAt).sorted()
            let pause = self.largestGap(renewals)
            #expect(pause < Self.right, "\(pause) without a renewal", sourceLocation: location)
            let durations = requests.compactMap { request in request.answeredAt.map { $0 - request.begunAt } }
            line += "; \(requests.count) requests to etcd, the slowest \(durations.max() ?? .zero), "
            line += "\(durations.count { $0 > .milliseconds(100) }) above 100 ms; keep-alives \(pause) apart at most"
        }
        print(line)
    }
}
